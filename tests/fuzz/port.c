// SPDX-License-Identifier: BSD-2-Clause
// See port.h.
#include "tests/fuzz/port.h"
#include <stdlib.h>
#include <string.h>

struct fuzz_peer fuzz_peers[FUZZ_PEERS];
uint8_t *fuzz_region;
void (*fuzz_idle)(void);
unsigned fuzz_loads_left;
uint64_t fuzz_load_flip;

static uint64_t clock_ns, last_beat_ns, random_state;

void fuzz_must(bool truth)
{
	if (!truth)
		abort();
}

uint8_t fuzz_byte(struct fuzz_input *input)
{
	if (!input->size)
		return 0;
	input->size--;
	return *input->data++;
}

uint16_t fuzz_short(struct fuzz_input *input)
{
	uint16_t high = fuzz_byte(input);

	return (uint16_t)(high << 8 | fuzz_byte(input));
}

uint64_t fuzz_word(struct fuzz_input *input)
{
	uint64_t value = 0;
	unsigned i;

	for (i = 0; i < 8; i++)
		value = value << 8 | fuzz_byte(input);
	return value;
}

void fuzz_pass(uint64_t ns)
{
	unsigned i;

	clock_ns += ns;
	if (clock_ns - last_beat_ns < FUZZ_MS)
		return;
	last_beat_ns = clock_ns;
	for (i = 0; i < FUZZ_PEERS; i++)
		if (fuzz_peers[i].beat)
			msg_beat_once(fuzz_peers[i].beat);
}

uint64_t msg_now_ns(void)
{
	return clock_ns;
}

void msg_sleep_until(uint64_t deadline)
{
	if (deadline > clock_ns)
		fuzz_pass(deadline - clock_ns);
}

static uint64_t port_now(void *arg)
{
	(void)arg;
	fuzz_pass(1000);
	return clock_ns;
}

static void port_relax(void *arg)
{
	(void)arg;
	fuzz_pass(1000);
}

static void port_nothing(void *arg)
{
	(void)arg;
}

static enum msg_sleep_result port_sleep(void *arg, uint64_t deadline, volatile uint32_t *word,
	uint32_t value)
{
	void (*idle)(void) = fuzz_idle;

	(void)arg, (void)word, (void)value;
	fuzz_idle = NULL;
	if (idle)
		idle();
	fuzz_idle = idle;
	if (deadline > clock_ns)
		fuzz_pass(deadline - clock_ns < FUZZ_MS ? deadline - clock_ns : FUZZ_MS);
	return deadline > clock_ns ? MSG_SLEEP_NOTIFIED : MSG_SLEEP_TIMER;
}

static void port_copy(void *to, const void *from, size_t len)
{
	memcpy(to, from, len);
}

static void *port_alloc(void *arg, size_t size)
{
	void *memory;

	(void)arg;
	// What a hostile region makes msg ask for must stay within reason.
	fuzz_must(size < 64u << 20);
	if (posix_memalign(&memory, 64, size ? size : 1))
		return NULL;
	return memset(memory, 0, size);
}

static void port_free(void *arg, void *memory)
{
	(void)arg;
	free(memory);
}

static uint64_t port_random(void *arg)
{
	(void)arg;
	return random_state = random_state * 6364136223846793005u + 1442695040888963407u;
}

static void port_report(void *arg, int level, const char *line)
{
	(void)arg, (void)level;
	for (; *line; line++)
		fuzz_must(*line >= ' ' && *line < 127);
}

static const struct msg_wait_ops wait_ops = {
	.now = port_now,
	.relax = port_relax,
	.prepare = port_nothing,
	.sleep_until = port_sleep,
	.cancel = port_nothing,
	.copy_in = port_copy,
	.copy_out = port_copy,
	.alloc = port_alloc,
	.free = port_free,
	.random = port_random,
	.report = port_report,
};

static void port_notify(void *arg, uint32_t peer_id, uint32_t vector)
{
	(void)arg, (void)peer_id, (void)vector;
}

static int port_beat_start(void *arg, struct msg_beat *beat)
{
	((struct fuzz_peer *)arg)->beat = beat;
	return 0;
}

static void port_beat_stop(void *arg, struct msg_beat *beat)
{
	(void)beat;
	((struct fuzz_peer *)arg)->beat = NULL;
}

void fuzz_begin(void)
{
	clock_ns = 1000 * FUZZ_MS;
	last_beat_ns = 0;
	random_state = 1;
	fuzz_loads_left = 0;
	fuzz_idle = NULL;
	fuzz_must(!posix_memalign((void **)&fuzz_region, 4096, FUZZ_SIZE));
	memset(fuzz_region, 0, FUZZ_SIZE);
}

int fuzz_join(unsigned number, const struct msg_options *options)
{
	struct fuzz_peer *peer = &fuzz_peers[number];
	struct msg_options wishes = *options;
	struct msg_region_ops ops = {
		.base = fuzz_region,
		.size = FUZZ_SIZE,
		.peer_id = number,
		.vectors = 1,
		.arg = peer,
		.notify = port_notify,
		.beat_start = port_beat_start,
		.beat_stop = port_beat_stop,
	};
	int err;

	if (!peer->context)
		peer->context = msg_context_create(&wait_ops);
	fuzz_must(peer->context);
	wishes.deadline = clock_ns + 3000 * FUZZ_MS;
	err = msg_join(peer->context, &ops, &wishes, &peer->region);
	if (err)
		peer->region = NULL;
	fuzz_must((!err) == !!peer->beat);
	return err;
}

void fuzz_end(void)
{
	unsigned i;

	fuzz_idle = NULL;
	for (i = 0; i < FUZZ_PEERS; i++) {
		msg_leave(fuzz_peers[i].region);
		fuzz_peers[i].region = NULL;
		fuzz_must(!fuzz_peers[i].beat);
		msg_context_destroy(fuzz_peers[i].context);
		fuzz_peers[i].context = NULL;
	}
	free(fuzz_region);
	fuzz_region = NULL;
}
