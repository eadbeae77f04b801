// SPDX-License-Identifier: BSD-2-Clause
/*
 * A pipe from one peer to another: bytes of a pattern, or what comes on standard input, with a
 * checksum that the receiver sends back, and the throughput.
 *
 * Without a role, whoever comes first receives and the other one sends. The bytes travel in
 * chunks, each with its length in front; a length of 0 ends the stream, and the receiver answers
 * with what it got.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <isthmus/msg.h>

#define CHUNK 65536u
#define DEFAULT_BYTES (64ull << 20)
#define DEFAULT_TIMEOUT_S 60
#define NS_PER_S 1000000000ull
#define TRY_NS 200000000ull

static const char usage[] =
	"usage: stream [send|receive] [--bytes N[k|M|G]] [--stdin] [--stdout] [--ring N[k|M]]\n"
	"              [--timeout SECONDS]\n"
	"  send, receive      without one of them: who comes first receives\n"
	"  --bytes N          how much of the pattern to send (default 64M)\n"
	"  --stdin            send standard input instead\n"
	"  --stdout           the receiver writes the bytes to standard output, all else to "
	"standard error\n"
	"  --ring N           size of the sending ring (default: by the region's size)\n"
	"  --timeout SECONDS  longest silence of the other side (default 60)\n";

enum role { ANY, SEND, RECEIVE };

struct totals {
	uint64_t bytes, sum, turn; /* sum of all words, and of all sums so far: order counts */
};

struct stream {
	enum role role;
	bool from_stdin, to_stdout;
	uint64_t bytes, timeout_ns;
	struct msg_channel_options channel_options;
	struct msg_region *region;
	struct msg_channel *channel;
	FILE *talk;
	struct totals totals;
};

static uint8_t chunk[CHUNK] __attribute__((aligned(64)));

static uint64_t deadline(const struct stream *s)
{
	return msg_now_ns() + s->timeout_ns;
}

static void count(struct totals *totals, const uint8_t *data, size_t length)
{
	uint64_t sum = totals->sum + length, turn = totals->turn, word;
	size_t i;

	for (i = 0; i + sizeof(word) <= length; i += sizeof(word)) {
		memcpy(&word, data + i, sizeof(word));
		sum += word;
		turn += sum;
	}
	for (; i < length; i++) {
		sum += data[i];
		turn += sum;
	}
	totals->bytes += length;
	totals->sum = sum;
	totals->turn = turn;
}

/* The pattern: no word is like another. */
static size_t pattern(uint64_t at, uint64_t left)
{
	size_t length = left < CHUNK ? (size_t)left : CHUNK;

	for (size_t i = 0; i < CHUNK; i += 8) {
		uint64_t word = (at + i + 1) * 0x9e3779b97f4a7c15u;

		memcpy(chunk + i, &word, sizeof(word));
	}
	return length;
}

/* Reads or writes all of it; 0, or -E after one line. */
static int transfer(struct stream *s, bool out, void *data, size_t length)
{
	uint8_t *bytes = data;

	while (length) {
		int64_t n = out ? msg_write(s->channel, bytes, length, deadline(s)) :
				  msg_read(s->channel, bytes, length, deadline(s));

		if (n <= 0) {
			fprintf(stderr,
				"stream: the other side is gone or silent after %llu bytes: %s\n",
				(unsigned long long)s->totals.bytes,
				n ? msg_strerror(n) : "it closed too early");
			return n ? (int)n : -EPIPE;
		}
		bytes += n;
		length -= (size_t)n;
	}
	return 0;
}

static int64_t next_chunk(struct stream *s)
{
	if (!s->from_stdin)
		return (int64_t)pattern(s->totals.bytes, s->bytes - s->totals.bytes);
	return read(STDIN_FILENO, chunk, CHUNK);
}

static int send_all(struct stream *s)
{
	struct totals answer;
	uint32_t length;

	do {
		int64_t n = next_chunk(s);

		if (n < 0) {
			fprintf(stderr, "stream: standard input: %s\n", strerror(errno));
			return 1;
		}
		length = (uint32_t)n;
		if (transfer(s, true, &length, sizeof(length)) || transfer(s, true, chunk, length))
			return 1;
		count(&s->totals, chunk, length);
	} while (length);
	if (transfer(s, false, &answer, sizeof(answer)))
		return 1;
	if (memcmp(&answer, &s->totals, sizeof(answer))) {
		fprintf(stderr,
			"stream: FAIL: sent %llu bytes, %016llx; received were %llu, %016llx\n",
			(unsigned long long)s->totals.bytes, (unsigned long long)s->totals.turn,
			(unsigned long long)answer.bytes, (unsigned long long)answer.turn);
		return 1;
	}
	return 0;
}

static int output_failed(void)
{
	fprintf(stderr, "stream: standard output: %s\n", strerror(errno));
	return 1;
}

static int receive_all(struct stream *s)
{
	uint32_t length;

	do {
		if (transfer(s, false, &length, sizeof(length)))
			return 1;
		if (length > CHUNK) {
			fprintf(stderr, "stream: FAIL: a chunk of %u bytes\n",
				(unsigned int)length);
			return 1;
		}
		if (transfer(s, false, chunk, length))
			return 1;
		count(&s->totals, chunk, length);
		if (s->to_stdout && fwrite(chunk, 1, length, stdout) != length)
			return output_failed();
	} while (length);
	if (fflush(stdout))
		return output_failed();
	return transfer(s, true, &s->totals, sizeof(s->totals)) ? 1 : 0;
}

/* Meets the other side and knows the role then; 0 or -E. */
static int meet(struct stream *s)
{
	uint64_t limit = deadline(s);
	struct msg_listener *listener = NULL;
	int error = -EADDRINUSE;

	/* Roles found by themselves: the name can be taken, given up and taken again until both
	 * know. */
	while (s->role == ANY) {
		error = msg_listen(s->region, "stream", &s->channel_options, &listener);
		if (!error) {
			s->role = RECEIVE;
		} else if (error != -EADDRINUSE) {
			return error;
		} else {
			error = msg_connect(s->region, "stream", &s->channel_options, &s->channel,
				msg_now_ns() + TRY_NS);
			if (!error)
				s->role = SEND;
			else if (error != -ETIMEDOUT || msg_now_ns() >= limit)
				return error;
		}
	}
	if (s->role == SEND)
		return s->channel ? 0 : msg_connect(s->region, "stream", &s->channel_options,
						    &s->channel, limit);
	if (!listener)
		error = msg_listen(s->region, "stream", &s->channel_options, &listener);
	if (!error)
		error = msg_accept(listener, &s->channel, limit);
	msg_unlisten(listener);
	return error;
}

static int run(struct stream *s)
{
	struct msg_stats stats;
	struct msg_peer peer;
	uint64_t start, took;
	int status = meet(s);

	if (status) {
		fprintf(stderr, "stream: nobody to stream with: %s\n", msg_strerror(status));
		return 1;
	}
	msg_channel_peer(s->channel, &peer);
	fprintf(s->talk, "stream: %s %s\n", s->role == SEND ? "sending to" : "receiving from",
		peer.name);
	start = msg_now_ns();
	status = s->role == SEND ? send_all(s) : receive_all(s);
	took = msg_now_ns() - start;
	if (status)
		return status;
	msg_stats(s->channel, &stats);
	fprintf(s->talk, "stream: %s %llu bytes, checksum %016llx%s, %.1f MB/s, %llu doorbells\n",
		s->role == SEND ? "sent" : "received", (unsigned long long)s->totals.bytes,
		(unsigned long long)s->totals.turn, s->role == SEND ? " confirmed" : "",
		(double)s->totals.bytes * 1000 / (double)(took ? took : 1),
		(unsigned long long)stats.doorbells);
	return 0;
}

static bool read_size(const char *text, uint64_t *value)
{
	static const char units[] = "kMG";
	const char *unit;
	char *end;

	if (!text || *text < '0' || *text > '9')
		return false;
	errno = 0;
	*value = strtoull(text, &end, 10);
	unit = *end ? strchr(units, *end) : NULL;
	if (unit) {
		*value <<= 10 * (unit - units + 1);
		end++;
	}
	return !*end && !errno && *value >> 50 == 0;
}

static int read_options(struct stream *s, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		const char *option = argv[i], *value = i + 1 < argc ? argv[i + 1] : NULL;
		uint64_t number = 0;

		if (!strcmp(option, "--help")) {
			fputs(usage, stdout);
			return 1;
		} else if (!strcmp(option, "send")) {
			s->role = SEND;
		} else if (!strcmp(option, "receive")) {
			s->role = RECEIVE;
		} else if (!strcmp(option, "--stdin")) {
			s->from_stdin = true;
		} else if (!strcmp(option, "--stdout")) {
			s->to_stdout = true;
			s->talk = stderr;
		} else if (!strcmp(option, "--bytes") && read_size(value, &number)) {
			s->bytes = number;
			i++;
		} else if (!strcmp(option, "--ring") && read_size(value, &number) &&
			   number >> 31 == 0) {
			s->channel_options.ring = (uint32_t)number;
			i++;
		} else if (!strcmp(option, "--timeout") && read_size(value, &number) &&
			   number < 100000) {
			s->timeout_ns = number * NS_PER_S;
			i++;
		} else {
			fprintf(stderr, "stream: %s%s%s: not understood; --help lists the options\n",
				option, value ? " " : "", value ? value : "");
			return -1;
		}
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct stream s = {
		.bytes = DEFAULT_BYTES, .timeout_ns = DEFAULT_TIMEOUT_S * NS_PER_S, .talk = stdout,
	};
	int status = read_options(&s, argc, argv), error;

	if (status)
		return status < 0 ? 2 : 0;
	error = msg_attach(NULL, NULL, &s.region);
	if (error) {
		fprintf(stderr, "stream: can't join: %s\n", msg_strerror(error));
		return 1;
	}
	status = run(&s);
	msg_leave(s.region);
	return status;
}
