// SPDX-License-Identifier: BSD-2-Clause
#include "ids.h"

#include <errno.h>
#include <stdlib.h>

int ids_init(struct ids *ids, unsigned int limit, bool sticky)
{
	/* Untouched pages of this cost nothing. */
	struct id_slot *slots = calloc(limit, sizeof(*slots));

	*ids = (struct ids){.slots = slots, .limit = limit, .sticky = sticky};
	return slots ? 0 : -ENOMEM;
}

void ids_release(struct ids *ids)
{
	for (unsigned int id = 0; id < ids->count; id++)
		vectors_put(ids->slots[id].vectors);
	free(ids->slots);
	*ids = (struct ids){.slots = NULL};
}

int ids_take(struct ids *ids, unsigned int vectors, uint64_t oldest_joined)
{
	struct id_slot *slot;
	unsigned int id;

	for (id = 0; id < ids->count; id++) {
		slot = &ids->slots[id];
		if (!slot->taken && (ids->sticky || slot->left_at < oldest_joined))
			break;
	}
	if (id == ids->limit)
		return -EUSERS;
	slot = &ids->slots[id];
	if (slot->vectors) {
		vectors_drain(slot->vectors);
	} else {
		slot->vectors = vectors_create(vectors);
		if (!slot->vectors)
			return -errno;
	}
	slot->taken = true;
	if (id == ids->count)
		ids->count++;
	return (int)id;
}

void ids_leave(struct ids *ids, unsigned int id, uint64_t now)
{
	ids->slots[id].left_at = now;
	ids_give_back(ids, id);
}

void ids_give_back(struct ids *ids, unsigned int id)
{
	struct id_slot *slot = &ids->slots[id];

	slot->taken = false;
	if (!ids->sticky) {
		vectors_put(slot->vectors);
		slot->vectors = NULL;
	}
}

bool ids_known_since(const struct ids *ids, unsigned int id, uint64_t joined)
{
	return ids->slots[id].left_at > joined;
}

struct vectors *ids_vectors(const struct ids *ids, unsigned int id)
{
	return ids->slots[id].vectors;
}
