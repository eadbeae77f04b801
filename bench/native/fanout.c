// SPDX-License-Identifier: BSD-2-Clause
// fanout [MESSAGES]: one publisher to 1, 4 and 16 subscriber processes, over a topic and over as many
// channels.
// JSON lines on stdout, as bench/native/main.c; the figure is the publisher's processor time for one
// message to all, which other load on the machine changes little.
#include <isthmus/msg_topic.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MOST     16
#define RING     (256u << 10)
#define SECOND   1000000000ull

static char where[64];
static unsigned messages = 200000;
static uint8_t message[4096];
static int ready[2]; /* a byte from each subscriber that has come */

static int64_t ok(int64_t result, const char *what)
{
	if (result < 0) {
		fprintf(stderr, "fanout: %s: %s\n", what, msg_strerror(result));
		exit(1);
	}
	return result;
}

static uint64_t soon(void)
{
	return msg_now_ns() + 20 * SECOND;
}

static struct msg_region *join(const char *name)
{
	struct msg_options options = { .name = name, .slots = 32, .channels = 32 };
	struct msg_region *region;

	ok(msg_attach(where, &options, &region), "attach");
	return region;
}

static void here(void)
{
	if (write(ready[1], "", 1) != 1)
		exit(1);
}

/* Who would still be on its way when the publisher ends would look for it in vain. */
static void wait_for_all(unsigned count)
{
	char byte;

	while (count--)
		if (read(ready[0], &byte, 1) != 1)
			exit(1);
}

static void receive_topic(void)
{
	struct msg_region *region = join("subscriber");
	struct msg_subscription *subscription;

	ok(msg_subscribe(region, "fanout", NULL, &subscription, soon()), "subscribe");
	here();
	while (msg_topic_recv(subscription, message, sizeof(message), NULL, soon()) >= 0)
		;
	msg_leave(region);
}

static void receive_channel(void)
{
	struct msg_channel_options options = { .ring = 1024 };
	struct msg_region *region = join("subscriber");
	struct msg_channel *channel;

	ok(msg_connect(region, "fanout", &options, &channel, soon()), "connect");
	here();
	while (msg_recv(channel, message, sizeof(message), soon()) >= 0)
		;
	msg_leave(region);
}

static void spawn(unsigned count, pid_t *pids, void (*run)(void))
{
	for (unsigned i = 0; i < count; i++) {
		fflush(stdout);
		pids[i] = fork();
		if (!pids[i]) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			run();
			_exit(0);
		}
	}
}

static void reap(unsigned count, const pid_t *pids)
{
	for (unsigned i = 0; i < count; i++)
		waitpid(pids[i], NULL, 0);
}

static double cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void report(const char *side, unsigned subscribers, unsigned bytes, double cpu, double wall)
{
	printf("{\"bench\":\"native\",\"side\":\"%s\",\"case\":\"fanout\",\"subscribers\":%u,\"bytes\":%u,"
	       "\"metric\":\"publisher\",\"unit\":\"ns\",\"value\":%.1f,\"wall\":%.1f}\n",
	       side, subscribers, bytes, cpu / messages, wall / messages);
}

static void over_topic(enum msg_topic_policy policy, const char *side, unsigned count, unsigned bytes)
{
	struct msg_topic_options options = { .policy = policy, .ring = RING };
	struct msg_region *region = join("publisher");
	struct msg_topic_stats stats = { 0 };
	struct msg_topic *topic;
	pid_t pids[MOST];
	double cpu, wall;

	ok(msg_topic_open(region, "fanout", &options, &topic), "open");
	spawn(count, pids, receive_topic);
	while (stats.subscribers < count) {
		struct msg_wait_item item = { .type = MSG_WAIT_EVENT, .region = region };
		struct msg_event event;

		msg_wait(&item, 1, msg_now_ns() + SECOND / 100);
		while (msg_next_event(region, &event) > 0)
			;
		msg_topic_stats(topic, &stats);
	}
	wait_for_all(count);
	cpu = cpu_ns();
	wall = (double)msg_now_ns();
	for (unsigned i = 0; i < messages; i++)
		ok(msg_publish(topic, message, bytes, soon()), "publish");
	report(side, count, bytes, cpu_ns() - cpu, (double)msg_now_ns() - wall);
	msg_topic_close(topic);
	reap(count, pids);
	msg_leave(region);
}

static void over_channels(unsigned count, unsigned bytes)
{
	struct msg_channel_options options = { .ring = RING };
	struct msg_region *region = join("publisher");
	struct msg_channel *channels[MOST];
	struct msg_listener *listener;
	pid_t pids[MOST];
	double cpu, wall;

	ok(msg_listen(region, "fanout", &options, &listener), "listen");
	spawn(count, pids, receive_channel);
	for (unsigned i = 0; i < count; i++)
		ok(msg_accept(listener, &channels[i], soon()), "accept");
	wait_for_all(count);
	cpu = cpu_ns();
	wall = (double)msg_now_ns();
	for (unsigned i = 0; i < messages; i++)
		for (unsigned k = 0; k < count; k++)
			ok(msg_send(channels[k], message, bytes, soon()), "send");
	report("channels", count, bytes, cpu_ns() - cpu, (double)msg_now_ns() - wall);
	msg_leave(region);
	reap(count, pids);
}

int main(int argc, char **argv)
{
	static const unsigned counts[] = { 1, 4, MOST }, sizes[] = { 48, 1024 };
	int fd;

	if (argc > 1)
		messages = (unsigned)strtoul(argv[1], NULL, 10);
	if (argc > 2 || !messages) {
		fputs("usage: fanout [MESSAGES]\n", stderr);
		return 2;
	}
	// Without a name, so that no way to end leaves it behind; the subscribers inherit it.
	fd = memfd_create("isthmus-fanout", 0);
	if (fd < 0 || ftruncate(fd, 32 << 20) || pipe(ready)) {
		perror("fanout: memory for a region of 32 MiB");
		return 1;
	}
	snprintf(where, sizeof(where), "/proc/self/fd/%d", fd);
	for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++)
		for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
			over_channels(counts[i], sizes[s]);
			over_topic(MSG_TOPIC_BACK_PRESSURE, "topic", counts[i], sizes[s]);
			over_topic(MSG_TOPIC_DROP_OLDEST, "topic-drop-oldest", counts[i], sizes[s]);
		}
	return 0;
}
