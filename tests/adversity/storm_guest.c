// SPDX-License-Identifier: BSD-2-Clause
/*
 * A guest under a storm: talks with the hub on vector 0, and takes the interrupts of all its other vectors,
 * each with a low limit. When a storm has come and gone it says what it counted.
 */
#include <inttypes.h>
#include <stdio.h>
#include <isthmus/ivshmem.h>
#include <isthmus/msg.h>
#include "talk.h"

#define MS ((uint64_t)1000000)
#define LIMIT 50
#define SEED  1
/* How long nothing comes when a storm is over; msg tries its doorbell again every 200 ms. */
#define QUIET (1000 * MS)
#define PATIENCE (60000 * MS)

/* Everything that came for nothing. */
static uint64_t noise(struct msg_region *region, struct ivshmem *device, uint64_t *storms)
{
	struct msg_wait_stats stats;
	uint64_t sum;

	msg_wait_stats(region, &stats);
	*storms = stats.storms;
	sum = stats.vain;
	for (unsigned int v = 1; v < ivshmem_vectors(device); v++)
		sum += ivshmem_interrupts(device, v);
	return sum;
}

int main(void)
{
	uint64_t end, sent = 0, slowest = 0, heard = 0, changed, storms = 0;
	struct msg_channel_options options = { .ring = 4096 };
	struct msg_wait_stats stats;
	struct msg_region *region;
	struct msg_channel *channel;
	struct ivshmem *device;
	uint64_t message[2], answer, seen;

	setvbuf(stdout, NULL, _IOLBF, 256);
	if (ivshmem_open(0, &device) || msg_attach("", NULL, &region) ||
	    msg_connect(region, "hub", &options, &channel, msg_now_ns() + 20000 * MS))
		return 1;
	for (unsigned int v = 1; v < ivshmem_vectors(device); v++) {
		ivshmem_set_handler(device, v, NULL, NULL, 0);
		ivshmem_set_storm_limit(device, v, LIMIT);
	}
	printf("joined\n");
	changed = msg_now_ns();
	end = changed + PATIENCE;
	while (msg_now_ns() < end && (!storms || msg_now_ns() < changed + QUIET)) {
		uint64_t start = msg_now_ns(), now;

		message[0] = talk_word(SEED, 0, sent, 0);
		message[1] = talk_word(SEED, 0, sent, 1);
		if (msg_send(channel, message, sizeof(message), start + 5000 * MS) ||
		    msg_recv(channel, &answer, sizeof(answer), start + 5000 * MS) != sizeof(answer) ||
		    answer != sent) {
			printf("FAIL message %" PRIu64 "\n", sent);
			return 1;
		}
		sent++;
		if (msg_now_ns() - start > slowest)
			slowest = msg_now_ns() - start;
		/* Asleep for a while, for nothing but the storm to wake. */
		msg_recv(channel, &answer, sizeof(answer), msg_now_ns() + 20 * MS);
		/* Says what there is to say of storms. */
		seen = ivshmem_interrupts(device, 1);
		ivshmem_wait(device, 1, &seen, msg_now_ns() + 1);
		now = noise(region, device, &storms);
		if (now != heard)
			changed = msg_now_ns();
		heard = now;
	}
	msg_wait_stats(region, &stats);
	printf("sent %" PRIu64 ", slowest %" PRIu64 " ms, vain %" PRIu64 ", storms %" PRIu64 "\n", sent,
	       (uint64_t)(slowest / MS), stats.vain, stats.storms);
	for (unsigned int v = 1; v < ivshmem_vectors(device); v++)
		printf("vector %u: %" PRIu64 " interrupts, %" PRIu64 " storms\n", v,
		       ivshmem_interrupts(device, v), ivshmem_storms(device, v));
	msg_leave(region);
	return 0;
}
