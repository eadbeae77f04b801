// SPDX-License-Identifier: BSD-2-Clause
/*
 * One publisher and several subscribers, some of them slow, through the three policies of a topic: the
 * publisher waits for the slow ones; they lose the oldest messages; they get the latest only. Each
 * subscriber accounts for every message: received and lost are together what was published.
 *
 * Publisher and subscribers gather as a group. Rank 0 tells the others how many messages there will be, and
 * each part begins together at a barrier.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <isthmus/msg_group.h>
#include <isthmus/msg_topic.h>

#define NS_PER_MS 1000000ull
#define NS_PER_S  1000000000ull
#define BURST     16 /* messages between two rests of the publisher, and of a slow subscriber */

static const char usage[] =
	"usage: topics publish|subscribe [--members N] [--count N] [--slow MS] [--ring BYTES]\n"
	"              [--timeout SECONDS]\n"
	"  --members N        publisher and subscribers (default 4)\n"
	"  --count N          messages of each part (default 1000); that of rank 0 counts\n"
	"  --slow MS          a subscriber that rests so long after every 16 messages\n"
	"  --ring BYTES       of the topic (default 4096)\n"
	"  --timeout SECONDS  longest wait for the others (default 60)\n";

static const struct part {
	enum msg_topic_policy policy;
	const char *name;
} parts[] = {
	{ MSG_TOPIC_BACK_PRESSURE, "back-pressure" },
	{ MSG_TOPIC_DROP_OLDEST, "drop-oldest" },
	{ MSG_TOPIC_LATEST, "latest" },
};

struct sample {
	uint64_t number, square; /* so that a torn one would show */
};

struct settings {
	enum { NONE, PUBLISH, SUBSCRIBE } role;
	unsigned members, count, slow_ms, ring;
	uint64_t timeout_ns;
};

static uint64_t deadline(const struct settings *s)
{
	return msg_now_ns() + s->timeout_ns;
}

static int failed(const char *what, int64_t result)
{
	fprintf(stderr, "topics: FAIL: %s: %s\n", what, msg_strerror(result));
	return 1;
}

/* The topic of a publisher that died has its name until that one's heart has been missed for long
 * enough. */
static int open_topic(struct msg_region *region, const struct settings *s, const struct part *part,
	struct msg_topic **topic)
{
	struct msg_topic_options options = { .policy = part->policy, .ring = s->ring };
	struct msg_region_info info;
	uint64_t patience;
	int err;

	msg_region_describe(region, &info);
	patience = msg_now_ns() + 2 * info.death_ns;
	while ((err = msg_topic_open(region, part->name, &options, topic)) == -EADDRINUSE &&
		msg_now_ns() < patience)
		msg_sleep_until(msg_now_ns() + 10 * NS_PER_MS);
	return err;
}

static int publish_part(const struct settings *s, struct msg_region *region, struct msg_group *group,
	const struct part *part)
{
	struct msg_topic_stats stats;
	struct msg_topic *topic;
	uint64_t start;
	int err = open_topic(region, s, part, &topic);

	if (err)
		return failed("can't open the topic", err);
	/* All have subscribed when they come to the barrier; waiting there takes them. */
	err = msg_barrier(group, deadline(s));
	msg_topic_stats(topic, &stats);
	printf("topics: %s: publishing to %u\n", part->name, stats.subscribers);
	start = msg_now_ns();
	for (uint64_t i = 1; err >= 0 && i <= s->count; i++) {
		struct sample sample = { i, i * i };

		err = msg_publish(topic, &sample, sizeof(sample), deadline(s));
		if (i % BURST == 0)
			msg_sleep_until(msg_now_ns() + NS_PER_MS);
	}
	if (err < 0)
		return failed("can't publish", err);
	msg_topic_stats(topic, &stats);
	printf("topics: %s: published %llu to %u in %llu ms, waited %llu times\n", part->name,
	       (unsigned long long)stats.published, stats.subscribers,
	       (unsigned long long)((msg_now_ns() - start) / NS_PER_MS),
	       (unsigned long long)stats.full_waits);
	msg_topic_close(topic);
	return 0;
}

static int subscribe_part(const struct settings *s, struct msg_region *region,
	struct msg_group *group, const struct part *part)
{
	uint64_t received = 0, lost = 0, last = 0;
	struct msg_subscription *subscription;
	struct msg_topic_mark mark;
	struct sample sample;
	int64_t result = msg_subscribe(region, part->name, NULL, &subscription, deadline(s));

	if (result)
		return failed("can't subscribe", result);
	result = msg_barrier(group, deadline(s));
	while (result >= 0) {
		result = msg_topic_recv(subscription, &sample, sizeof(sample), &mark, deadline(s));
		if (result < 0)
			break;
		if (result != sizeof(sample) || sample.number != mark.number ||
			sample.square != sample.number * sample.number) {
			printf("topics: FAIL: message %llu is torn\n", (unsigned long long)mark.number);
			return 1;
		}
		received++;
		lost += mark.lost;
		last = mark.number;
		if (s->slow_ms && received % BURST == 0)
			msg_sleep_until(msg_now_ns() + s->slow_ms * NS_PER_MS);
	}
	/* The publisher has closed the topic, or died. */
	msg_unsubscribe(subscription);
	printf("topics: %s: received %llu, lost %llu of %llu\n", part->name,
	       (unsigned long long)received, (unsigned long long)lost, (unsigned long long)last);
	if (last != s->count)
		return failed("the publisher went early", result);
	if (received + lost != last || (lost && part->policy == MSG_TOPIC_BACK_PRESSURE)) {
		printf("topics: FAIL: the account doesn't come out\n");
		return 1;
	}
	return 0;
}

static bool read_number(const char *text, unsigned *value)
{
	unsigned long number;
	char *end;

	if (!text || *text < '0' || *text > '9')
		return false;
	number = strtoul(text, &end, 10);
	*value = (unsigned)number;
	return !*end && number <= 100000000;
}

static int read_options(struct settings *s, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		const char *option = argv[i], *value = i + 1 < argc ? argv[i + 1] : NULL;
		unsigned seconds;

		if (!strcmp(option, "--help")) {
			fputs(usage, stdout);
			return 1;
		} else if (!strcmp(option, "publish") || !strcmp(option, "subscribe")) {
			s->role = *option == 'p' ? PUBLISH : SUBSCRIBE;
		} else if ((!strcmp(option, "--members") && read_number(value, &s->members)) ||
			   (!strcmp(option, "--count") && read_number(value, &s->count)) ||
			   (!strcmp(option, "--slow") && read_number(value, &s->slow_ms)) ||
			   (!strcmp(option, "--ring") && read_number(value, &s->ring))) {
			i++;
		} else if (!strcmp(option, "--timeout") && read_number(value, &seconds)) {
			s->timeout_ns = seconds * NS_PER_S;
			i++;
		} else {
			fprintf(stderr, "topics: %s%s%s: not understood; --help lists the options\n",
				option, value ? " " : "", value ? value : "");
			return -1;
		}
	}
	if (s->role == NONE || !s->members)
		fprintf(stderr, "topics: %s? --help says more\n",
			s->members ? "publish or subscribe" : "a group without members");
	return s->role == NONE || !s->members ? -1 : 0;
}

int main(int argc, char **argv)
{
	struct settings s = { .members = 4, .count = 1000, .ring = 4096, .timeout_ns = 60 * NS_PER_S };
	int status = read_options(&s, argc, argv), err;
	struct msg_region *region;
	struct msg_group *group;

	if (status)
		return status < 0 ? 2 : 0;
	/* Whoever reads along through a pipe wants each line at once. */
	setvbuf(stdout, NULL, _IOLBF, 0);
	err = msg_attach(NULL, NULL, &region);
	if (err)
		return failed("can't join", err);
	err = msg_group_join(region, "topics", s.members, &group, deadline(&s));
	if (err)
		return failed("the others didn't come", err);
	printf("topics: %s, rank %u of %u\n", s.role == PUBLISH ? "publisher" : "subscriber",
	       msg_group_rank(group), msg_group_size(group));
	if (msg_broadcast(group, 0, &s.count, sizeof(s.count), deadline(&s)) != sizeof(s.count)) {
		fprintf(stderr, "topics: FAIL: rank 0 didn't say how many messages\n");
		status = 1;
	}
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]) && !status; i++)
		status = (s.role == PUBLISH ? publish_part : subscribe_part)(&s, region, group, &parts[i]);
	msg_group_leave(group);
	msg_leave(region);
	if (fflush(stdout) || ferror(stdout)) {
		fprintf(stderr, "topics: the output could not be written\n");
		status = 1;
	}
	return status;
}
