// SPDX-License-Identifier: BSD-2-Clause
/*
 * Names. A listener publishes its name in its own slot as TENTATIVE, fences, and looks at all
 * others:
 *
 *   another slot shows that name as     we
 *   FIRM                                withdraw: -EADDRINUSE
 *   TENTATIVE, lower slot               withdraw: -EADDRINUSE
 *   TENTATIVE, higher slot              wait until it has become one or the other, for 10 ms; then
 *                                       withdraw: -EADDRINUSE
 *   nothing                             become FIRM
 *
 * Of two that come at once at least one sees the other, and the lower slot never gives way to the
 * higher.
 */
#include "msg/internal.h"

#define WAITS 200 /* looks, 50 us apart, at a claim that is not decided */

// *kind: of who has that state.
static uint32_t other_state(const struct msg_region *region, uint32_t slot, unsigned index,
	const char name[WIRE_NAME], uint32_t *kind)
{
	const struct wire_endpoint *endpoint = &region_slot(region, slot)->endpoint[index];
	// Pairs with the release that published the name.
	uint32_t state = region_load_acquire32(&endpoint->state);
	char other[WIRE_NAME];

	if ((state & 3) == ENDPOINT_FREE)
		return 0;
	name_read(other, endpoint->name);
	*kind = region_load32(&endpoint->kind);
	if (!name_equal(other, name) || region_load_acquire32(&endpoint->state) >> 2 != state >> 2)
		return 0;
	return state;
}

bool endpoint_find(struct msg_region *region, const char name[WIRE_NAME],
	struct endpoint_place *place)
{
	uint32_t i;
	unsigned k;

	for (i = 0; i < region->geo.slots; i++) {
		if (!region->view[i].life || i == region->index)
			continue;
		for (k = 0; k < WIRE_ENDPOINTS; k++) {
			uint32_t kind = 0, state = other_state(region, i, k, name, &kind);

			// Generations are those of one life: of the next one's all else may be.
			if ((state & 3) != ENDPOINT_FIRM ||
				region_load_acquire64(&region_slot(region, i)->claim) !=
					region->view[i].life)
				continue;
			*place = (struct endpoint_place){
				.slot = i,
				.index = k,
				.generation = state >> 2,
				.kind = kind,
				.life = region->view[i].life,
			};
			return true;
		}
	}
	return false;
}

// 0: ours; -EADDRINUSE; -EAGAIN: wait and look again.
static int judge(struct msg_region *region, const char name[WIRE_NAME])
{
	int result = 0;
	uint32_t i;
	unsigned k;

	for (i = 0; i < region->geo.slots; i++) {
		if (!region->view[i].life || i == region->index)
			continue;
		for (k = 0; k < WIRE_ENDPOINTS; k++) {
			uint32_t kind = 0, state = other_state(region, i, k, name, &kind) & 3;

			if (state == ENDPOINT_FIRM ||
				(state == ENDPOINT_TENTATIVE && i < region->index))
				return -EADDRINUSE;
			if (state == ENDPOINT_TENTATIVE)
				result = -EAGAIN;
		}
	}
	return result;
}

static void publish(struct msg_listener *listener, enum endpoint_state state)
{
	// Pairs with the acquire in other_state.
	region_store_release32(&listener->wire->state, listener->generation << 2 | state);
	presence_changed(listener->region);
}

int endpoint_listen(struct msg_region *region, const char *text,
	const struct msg_channel_options *options, enum wire_kind kind,
	struct msg_listener **result)
{
	struct msg_listener *listener;
	char name[WIRE_NAME];
	unsigned i, k, waits = 0;
	int err;

	err = name_copy(name, text);
	if (err)
		return err;
	if (!presence_check_self(region))
		return region->error;
	for (i = WIRE_ENDPOINTS, k = 0; k < WIRE_ENDPOINTS; k++) {
		if (!region->listener[k])
			i = i == WIRE_ENDPOINTS ? k : i;
		else if (name_equal(region->listener[k]->name, name))
			return -EADDRINUSE;
	}
	if (i == WIRE_ENDPOINTS)
		return -ENOSPC;
	listener = context_alloc(region->context, sizeof(*listener));
	if (!listener)
		return -ENOMEM;
	listener->region = region;
	listener->index = i;
	listener->kind = kind;
	listener->generation = ++region->endpoint_generation[i] & 0xffffff;
	listener->wire = &region->slot->endpoint[i];
	if (options)
		listener->options = *options;
	for (k = 0; k < WIRE_NAME; k++)
		listener->name[k] = name[k];

	name_write(listener->wire->name, name);
	region_store32(&listener->wire->kind, kind);
	region_store64(&listener->wire->refusal, 0);
	publish(listener, ENDPOINT_TENTATIVE);
	// Ours must be visible before we look; relax is a barrier where the fence is none.
	region_fence();
	context_relax(region->context);
	for (;;) {
		presence_scan(region);
		err = region->error ? region->error : judge(region, name);
		if (err != -EAGAIN)
			break;
		// It stands still, or means to keep the name from us.
		if (++waits == WAITS) {
			err = -EADDRINUSE;
			break;
		}
		wait_pause(region->context, 50 * NS_PER_US);
	}
	if (err) {
		if (!region->error)
			publish(listener, ENDPOINT_FREE);
		context_free(region->context, listener);
		return err;
	}
	publish(listener, ENDPOINT_FIRM);
	region->listener[i] = listener;
	presence_wake_all(region);
	*result = listener;
	return 0;
}

int msg_listen(struct msg_region *region, const char *name,
	const struct msg_channel_options *options, struct msg_listener **listener)
{
	return endpoint_listen(region, name, options, KIND_MESSAGES, listener);
}

void msg_unlisten(struct msg_listener *listener)
{
	struct msg_region *region;

	if (!listener)
		return;
	region = listener->region;
	if (!region->gone && presence_check_self(region)) {
		publish(listener, ENDPOINT_FREE);
		presence_wake_all(region);
	}
	region->listener[listener->index] = NULL;
	context_free(region->context, listener);
}
