// SPDX-License-Identifier: BSD-2-Clause
/*
 * A link's channels: how its ends find each other, greet and send. See link.h and link_end.h.
 *
 *   phase     the connecting end                       the listening end
 *   SEEKING   asks the listener of the name            waits for a request
 *   GREETING  HELLO sent, waits for ANSWER             waits for HELLO; ANSWER sent, waits for GO
 *   UP        records flow                             records flow
 *   BROKEN    the two memories don't fit: nothing goes on before msg_link_restart
 *
 * A channel that ends leads back to SEEKING. Each end numbers its records through all channels,
 * and keeps those that the other has not released; a greeting says which one each wants next.
 * Sessions have random names, so that an end that was put back to an earlier state is found out:
 * it doesn't know the last one. The connecting end may have missed the ANSWER of some sessions
 * that the listening end has completed; those it remembers as tried. The listening end may have missed
 * the GO of the last one that it answered; any earlier one it has got, or it never comes.
 */
#include "msg/patterns/link_end.h"

#include "msg/transfer.h"

#define GREETING_NS (5000 * NS_PER_MS)

static void link_break(struct msg_link *link, int error)
{
	link->phase = LINK_BROKEN;
	link->error = error;
}

/* ---- the channel ---- */

void link_drop(struct link_seat *seat)
{
	struct msg_link *link = seat->link;

	seat->view.data = NULL;
	if (seat->asking)
		connect_abandon(&seat->connecting);
	seat->asking = false;
	msg_close(seat->channel);
	seat->channel = NULL;
	if (link->phase != LINK_BROKEN)
		link->phase = LINK_SEEKING;
}

static uint64_t random_name(const struct msg_region *region)
{
	const struct msg_wait_ops *ops = region->context->ops;
	// A guest that was put back to an earlier state draws the same number, but in another life.
	uint64_t name = ops->random(ops->arg) ^ region->life * 0x9e3779b97f4a7c15u;

	return name ? name : 1;
}

static void channel_found(struct link_seat *seat, struct msg_channel *channel)
{
	seat->channel = channel;
	seat->heard_hello = seat->said_hello = false;
	seat->greet_until = context_now(link_region(seat->link)->context) + GREETING_NS;
	seat->link->phase = LINK_GREETING;
}

// Goes on if this is true.
static bool seek(struct link_seat *seat)
{
	struct msg_link *link = seat->link;
	struct msg_region *region = link_region(link);
	struct msg_channel *channel;
	int err;

	if (link->listens) {
		err = seat->listener ? msg_accept(seat->listener, &channel, 0) : -EAGAIN;
	} else {
		if (!seat->asking && context_now(region->context) < seat->retry_ns)
			return false;
		err = seat->asking ? 0 : connect_begin(&seat->connecting, region, link->name, NULL,
			KIND_LINK);
		seat->asking = !err;
		if (!err)
			err = connect_step(&seat->connecting, &channel);
	}
	if (!err) {
		seat->asking = false;
		channel_found(seat, channel);
		return true;
	}
	if (err == -EAGAIN || region->error)
		return false;
	if (seat->asking)
		connect_abandon(&seat->connecting);
	seat->asking = false;
	if (err == -EPROTOTYPE)
		link_break(link, err);
	seat->retry_ns = context_now(region->context) + LINK_RETRY_NS;
	return false;
}

static bool send_head(struct link_seat *seat, enum link_record type)
{
	struct link_head head = { type, 0 };

	return !msg_trysend(seat->channel, &head, sizeof(head));
}

/* ---- greeting ---- */

static bool send_hello(struct link_seat *seat, enum link_record type)
{
	struct msg_link *link = seat->link;
	struct link_hello hello = {
		.head = { type, 0 },
		.conversation = link->conversation,
		.session = link->session,
		.last_session = link->last_session,
		.expected = link->expected,
		.oldest = link->store.first_number,
		.next = link->store.next_number,
	};

	// The ring is empty: it fits, unless the channel is over.
	return !msg_trysend(seat->channel, &hello, sizeof(hello));
}

static void say_hello(struct link_seat *seat)
{
	struct msg_link *link = seat->link;
	unsigned i;

	if (!link->conversation)
		link->conversation = random_name(link_region(link));
	link->session = random_name(link_region(link));
	if (link->tries == LINK_TRIED_MAX) {
		for (i = 1; i < LINK_TRIED_MAX; i++)
			link->tried[i - 1] = link->tried[i];
		link->tries--;
	}
	link->tried[link->tries++] = link->session;
	seat->said_hello = send_hello(seat, LINK_HELLO);
}

// Do the other end's numbers fit mine?
static bool numbers_fit(const struct msg_link *link, const struct link_hello *hello)
{
	return hello->expected >= link->store.first_number &&
	       hello->expected <= link->store.next_number && hello->oldest <= link->expected &&
	       link->expected <= hello->next;
}

static bool was_tried(const struct msg_link *link, uint64_t session)
{
	unsigned i;

	for (i = 0; i < link->tries; i++)
		if (link->tried[i] == session)
			return true;
	return false;
}

static void go_up(struct msg_link *link, uint64_t peer_expected)
{
	link_store_rewind(&link->store, peer_expected);
	link->channels++;
	link->phase = LINK_UP;
}

static void reset(struct link_seat *seat)
{
	send_head(seat, LINK_RESET);
	link_break(seat->link, -ECONNRESET);
}

// At the listening end.
static void take_hello(struct link_seat *seat, const struct link_hello *hello)
{
	struct msg_link *link = seat->link;

	if (link->conversation && hello->conversation != link->conversation) {
		// The other one has begun anew, and waits until this app has heard of it.
		link_break(link, -ECONNRESET);
		return;
	}
	if (!hello->conversation || !hello->session || !numbers_fit(link, hello) ||
		(hello->last_session != link->confirmed && hello->last_session != link->last_session)) {
		reset(seat);
		return;
	}
	link->conversation = hello->conversation;
	link->session = hello->session;
	link->confirmed = hello->last_session;
	link->peer_expected = hello->expected;
	seat->heard_hello = true;
	if (send_hello(seat, LINK_ANSWER))
		link->last_session = link->session;
}

// At the connecting end.
static void take_answer(struct link_seat *seat, const struct link_hello *hello)
{
	struct msg_link *link = seat->link;

	if (hello->conversation != link->conversation || hello->session != link->session ||
		!numbers_fit(link, hello) || (hello->last_session != link->last_session &&
			!was_tried(link, hello->last_session))) {
		reset(seat);
		return;
	}
	if (!send_head(seat, LINK_GO))
		return; // the channel is over
	link->last_session = link->session;
	link->tries = 0;
	go_up(link, hello->expected);
}

static void greet(struct link_seat *seat, const struct link_head *head, const struct msg_span *view)
{
	struct msg_link *link = seat->link;
	struct msg_region *region = link_region(link);
	struct link_hello hello;

	if (head->type == LINK_RESET && (seat->heard_hello || !link->listens)) {
		link_break(link, -ECONNRESET);
	} else if (head->type == LINK_GO && link->listens && seat->heard_hello) {
		link->confirmed = link->session;
		go_up(link, link->peer_expected);
	} else if (head->type == (link->listens ? LINK_HELLO : LINK_ANSWER) && !seat->heard_hello &&
		view->len == sizeof(hello)) {
		region_copy_out(region->context->ops->copy_out, &hello, view->data, sizeof(hello));
		if (!presence_check_self(region))
			return;
		if (link->listens)
			take_hello(seat, &hello);
		else
			take_answer(seat, &hello);
	} else {
		// Nothing that a link says: whoever it is, the conversation isn't harmed.
		link_drop(seat);
	}
}

/* ---- records ---- */

// What is on its way goes out as far as there is room; the rest when there is, whatever the app
// waits for.
void link_push(struct link_seat *seat)
{
	struct msg_link *link = seat->link;
	struct msg_channel *channel = seat->channel;
	struct link_kept *k;
	int err = 0;

	while ((k = link_store_unsent(&link->store))) {
		err = msg_trysend(channel, &k->head, k->size);
		if (err == -EMSGSIZE)
			link_break(link, err);
		if (err)
			break;
		if (link->store.cursor_number < link->highest)
			link->again++;
		else
			link->highest = link->store.cursor_number + 1;
		link_store_sent(&link->store, channel->tx.published);
	}
	channel_want(channel, WANT_LATER, err == -EAGAIN);
	channel_want(channel, WANT_ROOM, link->for_space);
}

void link_see_released(struct link_seat *seat)
{
	struct msg_channel *channel = seat->channel;

	// What is dropped is gone: who was taken for dead may have read another's word.
	if (!channel->region->error && !channel->error && seat->link->phase == LINK_UP &&
		channel_update_released(channel) && presence_check_self(channel->region))
		link_store_released(&seat->link->store, channel->tx.released);
}

// How a record begins; of one that is too short type 0. False: nobody knows whose it is.
static bool read_head(const struct link_seat *seat, const struct msg_span *view,
	struct link_head *head)
{
	struct msg_region *region = link_region(seat->link);

	*head = (struct link_head){ 0 };
	// Not as words: a liar's record may lie anywhere.
	if (view->len >= sizeof(*head))
		region_copy_out(region->context->ops->copy_out, head, view->data, sizeof(*head));
	// Who was taken for dead reads others' bytes, by which nothing may be judged.
	return presence_check_self(region);
}

// The next record, if there is one. False: nothing more to do now.
static bool pull(struct link_seat *seat)
{
	struct msg_link *link = seat->link;
	struct msg_span view;
	struct link_head head;
	int got;

	if (seat->view.data)
		return false;
	got = msg_peek(seat->channel, &view, 1, 0);
	if (got == -EAGAIN || (got < 0 && link_region(link)->error))
		return false;
	if (got < 0) {
		// The last word counts: the other end may have received all, and gone for good.
		link_see_released(seat);
		link_drop(seat);
		return true;
	}
	if (!read_head(seat, &view, &head))
		return false;
	if (link->phase == LINK_UP && (head.type == LINK_DATA || head.type == LINK_END) &&
		head.number <= link->expected) {
		if (head.number == link->expected) {
			seat->view = view;
			seat->head = head;
			return false;
		}
		link->duplicates++;
	} else if (link->phase == LINK_UP) {
		// RESET comes here, too: the listening end awaits no answer to its greeting.
		link_break(link, -ECONNRESET);
	} else {
		greet(seat, &head, &view);
	}
	if (seat->channel)
		msg_release(seat->channel, 1);
	return true;
}

void link_taken(struct link_seat *seat)
{
	msg_release(seat->channel, 1);
	seat->view.data = NULL;
	seat->link->expected++;
}

void link_advance(struct msg_link *link)
{
	struct link_seat *seat = link->seat;
	bool more = true;

	while (more && !link_region(link)->error && link->phase != LINK_BROKEN) {
		if (link->phase == LINK_SEEKING) {
			more = seek(seat);
			continue;
		}
		if (link->phase == LINK_GREETING && !link->listens && !seat->said_hello)
			say_hello(seat);
		more = pull(seat);
		if (link->phase == LINK_GREETING && !more &&
			context_now(link_region(link)->context) >= seat->greet_until)
			link_drop(seat);
		if (link->phase == LINK_UP && seat->channel) {
			link_see_released(seat);
			link_push(seat);
		}
		if (seat->view.data && seat->head.type == LINK_END) {
			link_taken(seat);
			link->peer_finished = true;
			more = true;
		}
	}
	if (link->phase == LINK_BROKEN && seat->channel && !link_region(link)->error)
		link_drop(seat);
}

