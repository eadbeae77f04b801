// SPDX-License-Identifier: BSD-2-Clause
// See letter.h.
#include "msg/patterns/letter.h"

#define DESCRIPTOR 16u /* payload of a RING_BUFFER record */

size_t letter_limit(const struct msg_channel *channel, unsigned words)
{
	return channel->limit - 8 * words;
}

static bool letter_parted(const struct msg_channel *channel, const struct letter *letter)
{
	return letter->buffer || letter->len > letter_limit(channel, letter->words);
}

// A payload that needs as much room as all records of the letter.
static uint32_t letter_room(const struct msg_channel *channel, const struct letter *letter)
{
	if (letter_parted(channel, letter))
		return ring_record(8 * letter->words) + ring_record(DESCRIPTOR) - RING_HEADER;
	return 8 * letter->words + (uint32_t)letter->len;
}

bool letter_fits(struct msg_channel *channel, const struct letter *letter)
{
	uint32_t room = letter_room(channel, letter);

	return channel->send_error || ring_fits(&channel->tx, room) ||
		!channel_update_released(channel) || ring_fits(&channel->tx, room);
}

int letter_send(struct msg_channel *channel, const struct letter *letter)
{
	bool parted = letter_parted(channel, letter);
	uint64_t *to;
	unsigned i;
	void *data;
	int err = channel_may_send(channel);

	if (err)
		return err;
	if (!letter_fits(channel, letter)) {
		channel_empty(channel);
		return channel->send_error ? channel->send_error : -EAGAIN;
	}
	if (channel->send_error)
		return channel->send_error;
	err = msg_reserve(channel, 8 * letter->words + (parted ? 0 : letter->len), &data, 0);
	if (err)
		return err;
	to = data;
	region_store64(to, letter->head[0] | (parted ? LETTER_BODY : 0));
	for (i = 1; i < letter->words; i++)
		region_store64(to + i, letter->head[i]);
	if (letter->buffer) {
		err = msg_buffer_send(channel, letter->buffer, letter->len, 0);
	} else if (parted) {
		int64_t sent = buffer_send_copy(channel, letter->data, letter->len, 0);

		err = sent < 0 ? (int)sent : 0;
	} else {
		region_copy_in(channel->region->context->ops->copy_in, to + letter->words,
			letter->data, letter->len);
		err = msg_commit(channel);
	}
	if (err)
		msg_discard(channel);
	else
		channel->region->context->work++;
	return err;
}

int letter_post(struct msg_channel *channel, const struct letter *letter)
{
	int err = letter_send(channel, letter);

	channel_want(channel, WANT_LATER, err == -EAGAIN);
	return err;
}

int letter_peek(struct msg_channel *channel, unsigned words, struct letter_view *view)
{
	struct msg_span span;
	int n;

	view->views = 0;
	if (!channel_readable(channel))
		return 0;
	// A letter is viewed whole or not at all.
	if (channel->viewed_next - channel->viewed_first > MSG_BATCH_MAX - 2)
		return -ENOBUFS;
	n = msg_peek(channel, &span, 1, 0);
	if (n < 1)
		return n == -EAGAIN ? 0 : n;
	view->views = 1;
	channel->region->context->work++;
	view->where = span.data;
	if (span.len < 8 * words) {
		channel_fault(channel, "message without the head of its kind", span.data, span.len);
		return channel->error ? channel->error : -ECONNRESET;
	}
	// A hostile peer's message may lie at any address.
	region_copy_out(channel->region->context->ops->copy_out, view->head, span.data, 8 * words);
	view->body.data = (uint8_t *)span.data + 8 * words;
	view->body.len = span.len - 8 * words;
	if (!(view->head[0] & LETTER_BODY))
		return 1;
	// Both were published at once.
	n = view->body.len ? 0 : msg_peek(channel, &view->body, 1, 0);
	if (n == 1) {
		view->views = 2;
		return 1;
	}
	if (n < 0 && n != -EAGAIN && n != -EPIPE)
		return n;
	channel_fault(channel, "a body was announced and isn't there", span.data, view->head[0]);
	return channel->error ? channel->error : -ECONNRESET;
}

void letter_release(struct msg_channel *channel, struct letter_view *view)
{
	if (view->views)
		msg_release(channel, view->views);
	view->views = 0;
}

int letter_ours(struct msg_region *region)
{
	if (!region->error && region_load64(&region->slot->claim) != region->life)
		presence_check_self(region);
	return region->error;
}

void letter_figure(struct msg_channel *channel, unsigned i, uint64_t value)
{
	if (!channel->region->error && channel_slot_ours(channel))
		region_store64(i < 3 ? &channel->mine->figure[i] :
			&channel->mine->figure_more[i - 3], value);
}
