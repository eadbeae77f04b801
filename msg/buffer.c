// SPDX-License-Identifier: BSD-2-Clause
/*
 * Messages larger than a ring takes. A pool is one deed of land, cut into blocks by its owner
 * alone, who keeps the books in private memory; only a descriptor {offset, length} travels, as a
 * RING_BUFFER record. No release message is needed: when the receiver gives the record back, it
 * has given the buffer back. A buffer may be under way on several channels; its block is free when
 * the app and all of them let go.
 */
#include "msg/transfer.h"

#define BLOCK_ALIGN  64u
#define POOL_IDLE_NS (500 * NS_PER_MS)

struct block {
	uint64_t offset, size;
	bool used;
	struct block *next;      /* by offset */
};

struct pool {
	struct pool *next;
	unsigned deed;
	struct block *blocks;
};

struct msg_buffer {
	struct msg_region *region;
	struct pool *pool;
	struct block *block;
	size_t len;
	unsigned busy;           /* flights */
	bool held;               /* by the app */
	struct msg_buffer *next, **link; /* all of the region's */
};

static struct pool *pool_create(struct msg_region *region, uint64_t size, int *err)
{
	struct pool *pool = context_alloc(region->context, sizeof(*pool));
	struct block *block = context_alloc(region->context, sizeof(*block));

	*err = -ENOMEM;
	if (pool && block)
		*err = land_claim(region, size, &pool->deed, &block->offset);
	if (*err) {
		context_free(region->context, pool);
		context_free(region->context, block);
		return NULL;
	}
	block->size = size;
	pool->blocks = block;
	pool->next = region->pools;
	region->pools = pool;
	return pool;
}

static void pool_destroy(struct msg_region *region, struct pool **link)
{
	struct pool *pool = *link;

	*link = pool->next;
	land_release(region, pool->deed);
	while (pool->blocks) {
		struct block *block = pool->blocks;

		pool->blocks = block->next;
		context_free(region->context, block);
	}
	context_free(region->context, pool);
}

void pools_free(struct msg_region *region)
{
	// What the app still holds goes with the region.
	while (region->buffers) {
		struct msg_buffer *buffer = region->buffers;

		region->buffers = buffer->next;
		context_free(region->context, buffer);
	}
	while (region->pools)
		pool_destroy(region, &region->pools);
}

static bool pool_empty(const struct pool *pool)
{
	return !pool->blocks->used && !pool->blocks->next;
}

// Small buffers share a pool of this size; four rings are a peer's fair part of the land.
static uint64_t pool_size(const struct msg_region *region)
{
	return 4 * (uint64_t)region->geo.default_ring;
}

// Gives unused pools back, all but keep of the small ones: others need the land, too. False: there
// were none.
static bool pools_trim(struct msg_region *region, unsigned keep)
{
	struct pool **link = &region->pools;
	bool found = false;

	while (*link) {
		bool empty = pool_empty(*link);

		if (!empty || (keep && (*link)->blocks->size <= pool_size(region))) {
			keep -= empty;
			link = &(*link)->next;
		} else {
			pool_destroy(region, link);
			found = true;
		}
	}
	return found;
}

bool pools_spare(struct msg_region *region)
{
	return pools_trim(region, 0);
}

void pools_tend(struct msg_region *region)
{
	// The look around before this one: its time is known, and near enough.
	uint64_t now = region->context->last_scan_ns;

	if (!region->pools || region->pools_used) {
		region->pools_used = false;
		region->pools_since = now;
	} else if (now - region->pools_since >= POOL_IDLE_NS) {
		region->pools_since = now;
		if (!region->error && land_free(region) < region->geo.land_size / 4)
			pools_spare(region);
	}
}

static struct block *pool_take(struct msg_region *region, struct pool *pool, uint64_t size)
{
	struct block *block, *rest;

	for (block = pool->blocks; block; block = block->next) {
		if (block->used || block->size < size)
			continue;
		if (block->size > size) {
			rest = context_alloc(region->context, sizeof(*rest));
			if (!rest)
				return NULL;
			rest->offset = block->offset + size;
			rest->size = block->size - size;
			rest->next = block->next;
			block->next = rest;
			block->size = size;
		}
		block->used = true;
		return block;
	}
	return NULL;
}

static void pool_give(struct msg_region *region, struct pool *pool, struct block *block)
{
	struct block *at;

	block->used = false;
	for (at = pool->blocks; at; at = at->next)
		while (!at->used && at->next && !at->next->used) {
			struct block *gone = at->next;

			at->size += gone->size;
			at->next = gone->next;
			context_free(region->context, gone);
		}
	pools_trim(region, 1);
}

void buffers_reap(struct msg_region *region)
{
	uint32_t i;

	for (i = 0; region->flights && i < region->geo.channels; i++)
		if (region->channel[i] && region->channel[i]->flights)
			buffer_reap(region->channel[i]);
}

void buffers_want(struct msg_region *region, bool want)
{
	uint32_t i;

	for (i = 0; i < region->geo.channels; i++) {
		struct msg_channel *channel = region->channel[i];

		if (channel && (channel->flights || !want))
			channel_want(channel, WANT_LAND, want);
	}
}

static int take(struct msg_region *region, uint64_t size, struct msg_buffer *buffer)
{
	uint64_t chunk = pool_size(region);
	struct pool *pool;
	int err = 0;

	for (pool = region->pools; pool; pool = pool->next) {
		buffer->block = pool_take(region, pool, size);
		if (buffer->block)
			break;
	}
	if (!pool && size < chunk)
		pool = pool_create(region, chunk, &err);
	if (!pool)
		pool = pool_create(region, size, &err);
	if (!pool)
		return err;
	if (!buffer->block)
		buffer->block = pool_take(region, pool, size);
	buffer->pool = pool;
	return buffer->block ? 0 : -ENOMEM;
}

static uint64_t block_size(size_t len)
{
	return len ? (len + BLOCK_ALIGN - 1) & ~(uint64_t)(BLOCK_ALIGN - 1) : BLOCK_ALIGN;
}

int msg_buffer_alloc(struct msg_region *region, size_t len, struct msg_buffer **result)
{
	struct msg_buffer *buffer;
	int err;

	if (!presence_check_self(region))
		return region->error;
	if (len > region->geo.land_size)
		return -EMSGSIZE;
	buffer = context_alloc(region->context, sizeof(*buffer));
	if (!buffer)
		return -ENOMEM;
	buffers_reap(region);
	err = take(region, block_size(len), buffer);
	if (err) {
		context_free(region->context, buffer);
		return err;
	}
	region->pools_used = true;
	buffer->region = region;
	buffer->len = len;
	buffer->held = true;
	buffer->next = region->buffers;
	buffer->link = &region->buffers;
	if (buffer->next)
		buffer->next->link = &buffer->next;
	region->buffers = buffer;
	*result = buffer;
	return 0;
}

void *msg_buffer_data(struct msg_buffer *buffer)
{
	return region_pointer(buffer->region, buffer->block->offset);
}

static void buffer_put(struct msg_buffer *buffer)
{
	struct msg_region *region = buffer->region;

	if (buffer->held || buffer->busy)
		return;
	*buffer->link = buffer->next;
	if (buffer->next)
		buffer->next->link = buffer->link;
	pool_give(region, buffer->pool, buffer->block);
	context_free(region->context, buffer);
}

static void flight_end(struct msg_channel *channel)
{
	struct flight *flight = channel->flights;

	channel->flights = flight->next;
	channel->region->flights--;
	if (!channel->flights)
		channel->flights_end = &channel->flights;
	flight->buffer->busy--;
	buffer_put(flight->buffer);
	context_free(channel->region->context, flight);
}

void buffer_reap(struct msg_channel *channel)
{
	if (!channel->region->error && !channel->error && channel->opened &&
		!channel_update_released(channel))
		return;
	while (channel->flights && (int32_t)(channel->tx.released - channel->flights->end) >= 0)
		flight_end(channel);
}

void buffer_drop_flights(struct msg_channel *channel)
{
	while (channel->flights)
		flight_end(channel);
}

int msg_buffer_send(struct msg_channel *channel, struct msg_buffer *buffer, size_t len,
	uint64_t deadline)
{
	struct flight *flight;
	uint64_t *payload;
	int err;

	if (len > buffer->len || buffer->region != channel->region)
		return -EINVAL;
	err = channel_may_send(channel);
	if (!err)
		err = channel_room(channel, 16, deadline);
	if (err)
		return err;
	flight = context_alloc(channel->region->context, sizeof(*flight));
	if (!flight)
		return -ENOMEM;
	payload = (uint64_t *)ring_reserve(&channel->tx, 16, RING_BUFFER);
	region_store64(payload, buffer->block->offset);
	region_store64(payload + 1, len);
	flight->end = channel->tx.tail;
	flight->buffer = buffer;
	*channel->flights_end = flight;
	channel->flights_end = &flight->next;
	channel->region->flights++;
	buffer->busy++;
	channel_publish(channel, 1 + channel->pending_sent, len + channel->pending_bytes);
	channel->pending_sent = channel->pending_bytes = 0;
	return 0;
}

unsigned msg_buffer_busy(struct msg_buffer *buffer)
{
	buffers_reap(buffer->region);
	return buffer->busy;
}

void msg_buffer_free(struct msg_buffer *buffer)
{
	if (!buffer)
		return;
	buffer->held = false;
	buffer_put(buffer);
}

// Has the receiver released a buffer of this channel, or is there no more hope?
static bool flight_landed(void *arg)
{
	struct msg_channel *channel = arg;
	if (channel->send_error || !channel->flights || !channel_update_released(channel))
		return true;
	return (int32_t)(channel->tx.released - channel->flights->end) >= 0;
}

int64_t buffer_send_copy(struct msg_channel *channel, const void *data, size_t len,
	uint64_t deadline)
{
	struct msg_region *region = channel->region;
	struct msg_buffer *buffer;
	int err = channel_may_send(channel);

	while (!err) {
		err = msg_buffer_alloc(region, len, &buffer);
		if (err != -ENOSPC || !channel->flights || !deadline)
			break;
		// What we sent before fills the land: it will come back.
		channel_want(channel, WANT_ROOM, true);
		err = wait_for_channel(region->context, flight_landed, channel, deadline);
		channel_want(channel, WANT_ROOM, false);
		if (!err)
			channel_woken(channel);
		if (channel->send_error)
			err = channel->send_error;
	}
	if (err)
		return err;
	region_copy_in(region->context->ops->copy_in, msg_buffer_data(buffer), data, len);
	err = msg_buffer_send(channel, buffer, len, deadline);
	msg_buffer_free(buffer);
	return err ? err : (int64_t)len;
}
