// SPDX-License-Identifier: BSD-2-Clause
/*
 * Meetings step by step: several peers in one thread, where what the others do is done when the one that
 * waits is about to sleep. Nothing depends on who is faster.
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <isthmus/msg_call.h>
#include <isthmus/msg_link.h>
#include <isthmus/msg_queue.h>
#include <isthmus/msg_topic.h>
#include "msg/internal.h"
#include "tests/msg/harness.h"

#define MEGA (1u << 20)

/* ---- refusals ---- */

// The place for a refusal is one for all: who finds another's there is told when it asks again.
static struct {
	struct msg_listener *listener;
	struct wire_slot *slot;
	unsigned refused;
} overwriting;

static void refuse_and_overwrite(void)
{
	struct msg_channel *channel;

	EQUAL(msg_accept(overwriting.listener, &channel, 0), -EAGAIN);
	if (!overwriting.slot->endpoint[0].refusal || overwriting.refused++)
		return;
	overwriting.slot->endpoint[0].refusal = 0;
}

static void refused_again(void)
{
	const char *path = test_region(MEGA);
	struct msg_region *a = test_attach_patient(path, "caller");
	struct msg_region *b = test_attach_patient(path, "plain");
	struct msg_caller *caller;

	OK(msg_listen(b, "service", NULL, &overwriting.listener));
	overwriting.slot = b->slot;
	test_at_sleep(a, refuse_and_overwrite);
	EQUAL(msg_caller_open(a, "service", NULL, &caller, in_ms(20000)), -EPROTOTYPE);
	EQUAL(overwriting.refused, 2);
	test_at_sleep(a, NULL);
	OK(msg_leave(a));
	OK(msg_leave(b));
}

/* ---- no land but what is under way ---- */

// All land of a peer is a buffer on its way to a third one: that must be told that somebody waits for it.
static struct {
	struct msg_channel *from, *to;
	unsigned sleeps;
} flight;

static void land_flight(void)
{
	struct msg_span span;

	// Not while the connecting is still going on.
	if (!flight.to || !flight.from->flights)
		return;
	EQUAL(flight.from->mine->want, 1);
	flight.sleeps++;
	EQUAL(msg_peek(flight.to, &span, 1, 0), 1);
	OK(msg_release(flight.to, 1));
}

static void fill_land(struct msg_region *region)
{
	struct msg_buffer *buffer;
	size_t len = MEGA;
	int err;

	while ((err = msg_buffer_alloc(region, len, &buffer)) == -ENOSPC || err == -EMSGSIZE)
		len -= 1024;
	OK(err);
	OK(msg_buffer_send(flight.from, buffer, len, 0));
	msg_buffer_free(buffer);
	flight.sleeps = 0;
}

static struct {
	struct msg_listener *listener;
	struct msg_server *server;
	struct msg_channel *channel;
} meeting;

static void meet(void)
{
	struct msg_request request;

	if (!meeting.channel)
		msg_accept(meeting.listener, &meeting.channel, 0);
	EQUAL(msg_server_next(meeting.server, &request, 0), -EAGAIN);
}

// A channel from there to the third.
static void fly_from(struct msg_region *region)
{
	struct msg_channel_options options = { .ring = 1024 };

	meeting.channel = flight.to = NULL;
	test_at_sleep(region, meet);
	OK(msg_connect(region, "third", &options, &flight.from, in_ms(20000)));
	while (!meeting.channel)
		meet();
	flight.to = meeting.channel;
	fill_land(region);
	test_at_sleep(region, land_flight);
}

static void lands_elsewhere(void)
{
	static uint8_t data[20000];
	const char *path = test_region(MEGA);
	struct msg_region *a = test_attach_patient(path, "caller");
	struct msg_region *b = test_attach_patient(path, "third");
	struct msg_region *c = test_attach_patient(path, "server");
	struct msg_call_result result;
	struct msg_request request;
	struct msg_caller *caller;

	OK(msg_listen(b, "third", NULL, &meeting.listener));
	OK(msg_server_open(c, "service", NULL, &meeting.server));
	test_at_sleep(a, meet);
	OK(msg_caller_open(a, "service", NULL, &caller, in_ms(20000)));
	fly_from(a);
	OK(msg_call_start(caller, data, sizeof(data), MSG_FOREVER, NULL, NULL, in_ms(20000)));
	EQUAL(flight.sleeps, 1);
	EQUAL(flight.from->mine->want, 0);
	OK(msg_server_next(meeting.server, &request, in_ms(20000)));
	msg_close(flight.from);
	msg_close(flight.to);
	// The answering side has the same trouble.
	fly_from(c);
	OK(msg_reply(meeting.server, request.token, data, sizeof(data), in_ms(20000)));
	EQUAL(flight.sleeps, 1);
	EQUAL(flight.from->mine->want, 0);
	test_at_sleep(a, NULL);
	OK(msg_call_take(caller, &result, in_ms(20000)));
	EQUAL(result.result, sizeof(data));
	OK(msg_leave(a));
	OK(msg_leave(b));
	OK(msg_leave(c));
}

/* ---- two things wanted on one channel ---- */

// A cancel and a request wait for room. When the cancel went out the request still waits, and says so.
static struct {
	struct msg_server *server;
	struct msg_caller *caller;
	struct msg_region *region;
	unsigned sleeps, served, cancelled;
} wanting;

static void serve_one(void)
{
	struct msg_request request;
	int err = msg_server_next(wanting.server, &request, 0);

	wanting.served += !err && request.type == MSG_REQUEST_CALL;
	wanting.cancelled += !err && request.type == MSG_REQUEST_CANCELLED;
}

static void make_room(void)
{
	struct wire_channel *block = slot_channel(wanting.region, wanting.region->index, 0);
	unsigned i;

	EQUAL(block->want, 1);
	// One request is shown, and given back with the next one: room for the cancel.
	if (!wanting.sleeps++)
		serve_one();
	if (wanting.sleeps < 3)
		serve_one();
	for (i = 0; wanting.sleeps == 3 && i < 100; i++)
		serve_one();
}

static void cancel_and_start(void)
{
	struct msg_call_options options = { .channel = { .ring = 1024 } };
	const char *path = test_region(MEGA);
	struct msg_region *b = test_attach_patient(path, "server");
	struct msg_region *a = test_attach_patient(path, "caller");
	static const uint8_t large[400];
	uint64_t id, first = 0;
	unsigned n = 0;

	OK(msg_server_open(b, "service", &options, &wanting.server));
	wanting.region = a;
	test_at_sleep(a, serve_one);
	OK(msg_caller_open(a, "service", &options, &wanting.caller, in_ms(20000)));
	test_at_sleep(a, make_room);
	while (!msg_call_start(wanting.caller, "", 0, MSG_FOREVER, NULL, &id, 0)) {
		first = first ? first : id;
		n++;
	}
	OK(msg_call_cancel(wanting.caller, first));
	wanting.served = 0;
	OK(msg_call_start(wanting.caller, large, sizeof(large), MSG_FOREVER, NULL, NULL,
		in_ms(20000)));
	EQUAL(wanting.sleeps, 3);
	EQUAL(slot_channel(a, a->index, 0)->want, 0);
	while (wanting.served < n + 1)
		serve_one();
	EQUAL(wanting.cancelled, 1);
	test_at_sleep(a, NULL);
	OK(msg_leave(a));
	OK(msg_leave(b));
}

/* ---- a region that goes between two looks ---- */

static struct {
	struct msg_wait_ops ops;
	uint64_t (*now)(void *arg);
	struct msg_region *region; /* that goes at the next look at the clock */
	struct msg_listener *listener;
	struct msg_channel *channel;
} going;

// What has lost its file reads as zeroes until the port knows of it; then nothing of it is touched.
static uint64_t now_gone(void *arg)
{
	struct msg_region *region = going.region;

	going.region = NULL;
	if (region) {
		msg_region_gone(region);
		CHECK(!mprotect(region->base, region->geo.size, PROT_NONE));
	}
	return going.now(arg);
}

// The other side has not looked at our answer yet, so whether it knows our ring is looked at first.
static void go_while_looking(void)
{
	struct msg_region *region = going.listener ? going.listener->region : NULL;
	struct msg_stats stats;

	if (!region || going.channel || msg_accept(going.listener, &going.channel, 0))
		return;
	OK(msg_send(going.channel, "x", 1, 0));
	CHECK(mmap(region->base, region->geo.size, PROT_READ | PROT_WRITE,
		MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
	going.region = region;
	msg_stats(going.channel, &stats);
	CHECK(!going.region);
	EQUAL(stats.sent, 1);
	EQUAL(msg_send(going.channel, "x", 1, 0), -ENODEV);
}

static void released_when_gone(void)
{
	const char *path = test_region(MEGA);
	struct msg_region *a = test_attach_patient(path, "caller");
	struct msg_region *b = test_attach_patient(path, "listener");
	struct msg_channel *channel;
	char c;

	OK(msg_listen(b, "place", NULL, &going.listener));
	test_at_sleep(a, go_while_looking);
	going.ops = *a->context->ops;
	going.now = going.ops.now;
	going.ops.now = now_gone;
	a->context->ops = &going.ops;
	OK(msg_connect(a, "place", NULL, &channel, in_ms(20000)));
	CHECK(going.channel);
	test_at_sleep(a, NULL);
	EQUAL(msg_recv(channel, &c, 1, in_ms(20000)), 1);
	msg_close(going.channel);
	EQUAL(msg_leave(b), -ENODEV);
	OK(msg_leave(a));
}

/* ---- a queue's name that something else has ---- */

static struct msg_listener *wrong;

static void refuse_queue(void)
{
	struct msg_channel *channel;

	EQUAL(msg_accept(wrong, &channel, 0), -EAGAIN);
}

// Said once for each time that they ask, and who ignores it sleeps in between. What was put stays, and they
// find the dispatcher that comes after it.
static void wrong_name(void)
{
	const char *path = test_region(MEGA);
	struct msg_region *a = test_attach_patient(path, "peer");
	struct msg_region *b = test_attach_patient(path, "other");
	struct msg_dispatcher *dispatcher;
	struct msg_producer *producer;
	struct msg_worker *worker;
	struct msg_wait_item items[3] = { { .type = MSG_WAIT_PATTERN }, { .type = MSG_WAIT_PATTERN },
		{ .type = MSG_WAIT_PATTERN } };
	struct msg_queue_result result;
	uint64_t said = msg_now_ns();
	struct msg_work work;
	unsigned i, k;

	OK(msg_producer_open(a, "queue", NULL, &producer));
	OK(msg_worker_open(a, "queue", NULL, &worker));
	items[0].pattern = producer;
	items[1].pattern = worker;
	OK(msg_producer_put(producer, "item", 5, NULL, 0));
	OK(msg_listen(b, "queue", NULL, &wrong));
	test_at_sleep(a, refuse_queue);
	EQUAL(msg_producer_flush(producer, in_ms(20000)), -EPROTOTYPE);
	EQUAL(msg_worker_take(worker, &work, in_ms(20000)), -EPROTOTYPE);
	for (i = 0; i < 4; i++) {
		OK(msg_wait(items, 2, in_ms(20000)));
		for (k = 0; k < 2; k++) {
			if (!items[k].ready)
				continue;
			EQUAL(k ? msg_worker_take(worker, &work, 0) :
				msg_producer_result(producer, &result, 0), -EPROTOTYPE);
			EQUAL(k ? msg_worker_take(worker, &work, 0) :
				msg_producer_result(producer, &result, 0), -EAGAIN);
		}
	}
	CHECK(msg_now_ns() - said >= 20 * MS);
	test_at_sleep(a, NULL);
	msg_unlisten(wrong);
	OK(msg_dispatcher_open(b, "queue", NULL, &dispatcher));
	items[2].pattern = dispatcher;
	while (msg_worker_take(worker, &work, 0) == -EAGAIN)
		OK(msg_wait(items, 3, in_ms(20000)));
	CHECK(!strcmp(work.data, "item"));
	OK(msg_leave(a));
	OK(msg_leave(b));
}

/* ---- two that serve each other ---- */

struct two {
	const char *path, *names[2];
	volatile bool *open; /* [2] */
	unsigned who;
};

// Opens a caller to the other, and does nothing else until that is open.
static void mutual_peer(struct two *two, unsigned who)
{
	struct msg_region *region = test_attach_patient(two->path, two->names[who]);
	struct msg_wait_item item = { .type = MSG_WAIT_PATTERN };
	struct msg_server *server;
	struct msg_caller *caller;

	OK(msg_server_open(region, two->names[who], NULL, &server));
	OK(msg_caller_open(region, two->names[!who], NULL, &caller, in_ms(20000)));
	two->open[who] = true;
	item.pattern = server;
	while (!two->open[!who])
		CHECK(test_late(msg_wait(&item, 1, in_ms(5))));
	OK(msg_leave(region));
}

static void mutual_second(void *arg)
{
	mutual_peer(arg, 1);
}

static void mutual(void)
{
	struct two two = { test_region(MEGA), { "first", "second" }, test_shared(2), 0 };
	pid_t pid = test_spawn(mutual_second, &two);

	mutual_peer(&two, 0);
	test_join(pid);
}

// Of plain channels one side must accept: short deadlines, and msg_accept in between.
static void *meeting_main(void *arg)
{
	struct two *two = arg;
	unsigned who = two->who;
	struct msg_region *region = test_attach_patient(two->path, two->names[who]);
	uint64_t end = in_ms(20000);
	struct msg_listener *listener;
	struct msg_channel *channel;
	char c = 0;

	OK(msg_listen(region, two->names[who], NULL, &listener));
	while (!c) {
		CHECK(msg_now_ns() < end);
		if (msg_connect(region, two->names[!who], NULL, &channel, in_ms(5)) &&
			msg_accept(listener, &channel, 0))
			continue;
		// One that the other side has given up meanwhile ends at once.
		if (!msg_send(channel, two->names[who], 1, 0))
			msg_recv(channel, &c, 1, in_ms(20000));
		msg_close(channel);
	}
	EQUAL(c, two->names[!who][0]);
	OK(msg_leave(region));
	return NULL;
}

static void meet_halfway(void)
{
	struct two first = { test_region(MEGA), { "first", "second" }, NULL, 0 };
	struct two second = first;
	pthread_t thread;

	second.who = 1;
	CHECK(!pthread_create(&thread, NULL, meeting_main, &second));
	meeting_main(&first);
	pthread_join(thread, NULL);
}

/* ---- one that answers, sends and closes while the other sleeps ---- */

static struct msg_listener *hasty;

static void answer_and_close(void)
{
	struct msg_channel *channel;

	if (msg_accept(hasty, &channel, 0))
		return;
	OK(msg_trysend(channel, "that's all", 11));
	msg_close(channel);
}

static void closed_at_once(void)
{
	const char *path = test_region(MEGA);
	struct msg_region *a = test_attach_patient(path, "asks");
	struct msg_region *b = test_attach_patient(path, "hasty");
	struct msg_region_info before, after;
	struct msg_channel *channel;
	char data[16];

	msg_region_describe(a, &before);
	OK(msg_listen(b, "hasty", NULL, &hasty));
	test_at_sleep(a, answer_and_close);
	OK(msg_connect(a, "hasty", NULL, &channel, in_ms(20000)));
	test_at_sleep(a, NULL);
	EQUAL(msg_recv(channel, data, sizeof(data), in_ms(20000)), 11);
	EQUAL(msg_recv(channel, data, sizeof(data), in_ms(20000)), -EPIPE);
	EQUAL(msg_trysend(channel, "oh", 2), -EPIPE);
	msg_close(channel);
	msg_peers(b, NULL, 0);
	msg_region_describe(a, &after);
	EQUAL(after.land_free, before.land_free);
	OK(msg_leave(a));
	OK(msg_leave(b));
}

/* ---- figures, for who looks from outside ---- */

static struct {
	struct msg_channel *a, *b;
	bool empty;
} figured;

static void answer_figured(void)
{
	if (!figured.b)
		msg_accept(hasty, &figured.b, 0);
}

static void send_or_take(void)
{
	char data[512];

	if (!figured.empty)
		OK(msg_send(figured.b, "x", 1, 0));
	while (figured.empty && msg_tryrecv(figured.b, data, sizeof(data)) > 0)
		;
}

// Sleeps that a message or space ended stand in the region when the call that slept returns.
static void live_figures(void)
{
	struct msg_channel_options options = { .ring = 1024 };
	const char *path = test_region(MEGA);
	struct msg_region *a = test_attach_patient(path, "looked at");
	struct msg_region *b = test_attach_patient(path, "other");
	struct msg_wait_item item = { .type = MSG_WAIT_RECV };
	static const char data[400];
	char into[512];
	const struct wire_channel *block;

	OK(msg_listen(b, "hasty", NULL, &hasty));
	test_at_sleep(a, answer_figured);
	OK(msg_connect(a, "hasty", &options, &figured.a, in_ms(20000)));
	while (!figured.b)
		answer_figured();
	block = figured.a->mine;
	test_at_sleep(a, send_or_take);
	item.channel = figured.a;
	EQUAL(msg_wait(&item, 1, in_ms(20000)), 1);
	EQUAL(block->wakeups, 1);
	EQUAL(msg_recv(figured.a, into, sizeof(into), 0), 1);
	EQUAL(msg_recv(figured.a, into, sizeof(into), in_ms(20000)), 1);
	EQUAL(block->wakeups, 2);
	figured.empty = true;
	while (!msg_trysend(figured.a, data, sizeof(data)))
		;
	item.type = MSG_WAIT_SEND;
	EQUAL(msg_wait(&item, 1, in_ms(20000)), 1);
	EQUAL(block->wakeups, 3);
	while (!msg_trysend(figured.a, data, sizeof(data)))
		;
	OK(msg_send(figured.a, data, sizeof(data), in_ms(20000)));
	EQUAL(block->wakeups, 4);
	test_at_sleep(a, NULL);
	OK(msg_leave(a));
	OK(msg_leave(b));
}

/* ---- a link that has more to send than there is room for ---- */

#define LINK_MEMORY (512u << 10)
#define LINK_BODY   4000

static struct {
	struct msg_link *to;
	const struct wire_channel *from;
	unsigned received;
} linked;

static char link_body[LINK_BODY];

static void link_receives(void)
{
	if (linked.received)
		return;
	EQUAL(linked.from->want, 1);
	while (msg_link_recv(linked.to, link_body, sizeof(link_body), 0) >= 0)
		linked.received++;
	OK(msg_link_send(linked.to, "x", 1, 0));
}

static void link_waits_for_room(void)
{
	const char *path = test_region(MEGA);
	struct msg_region *a = test_attach_patient(path, "one");
	struct msg_region *b = test_attach_patient(path, "other");
	uint8_t *memory = test_shared(2 * LINK_MEMORY);
	struct msg_link_stats stats = { 0 };
	struct msg_link *link;
	unsigned sent = 0;
	char c;

	OK(msg_link_open(memory, LINK_MEMORY, "link", false, &link));
	OK(msg_link_open(memory + LINK_MEMORY, LINK_MEMORY, "link", true, &linked.to));
	OK(msg_link_attach(linked.to, b));
	OK(msg_link_attach(link, a));
	while (!stats.connected) {
		TIMES_OUT(msg_link_recv(link, &c, 1, in_ms(2)));
		msg_link_stats(link, &stats);
	}
	while (!msg_link_send(link, link_body, sizeof(link_body), 0))
		sent++;
	linked.from = slot_channel(a, a->index, 0);
	test_at_sleep(a, link_receives);
	EQUAL(msg_link_recv(link, &c, 1, in_ms(20000)), 1);
	test_at_sleep(a, NULL);
	while (linked.received < sent) {
		OK(msg_link_recv(linked.to, link_body, sizeof(link_body), in_ms(20000)));
		linked.received++;
	}
	EQUAL(linked.from->want, 0);
	msg_link_close(link);
	msg_link_close(linked.to);
	OK(msg_leave(a));
	OK(msg_leave(b));
}

/* ---- one who comes to the place of one that was refused ---- */

static void refuse_one(void)
{
	struct msg_channel *channel;

	EQUAL(msg_accept(hasty, &channel, 0), -EAGAIN);
}

static void refused_before(void)
{
	struct msg_options two_slots = { .slots = 2, .death_ns = PATIENT_DEATH, .name = "listens" };
	const char *path = test_region(MEGA);
	struct msg_region *a, *b;
	struct msg_subscription *subscription;
	struct msg_channel *channel;

	OK(msg_attach(path, &two_slots, &b));
	OK(msg_listen(b, "hasty", NULL, &hasty));
	a = test_attach(path, "former");
	test_at_sleep(a, refuse_one);
	EQUAL(msg_subscribe(a, "hasty", NULL, &subscription, in_ms(20000)), -EPROTOTYPE);
	OK(msg_leave(a));
	a = test_attach(path, "latter");
	test_at_sleep(a, answer_and_close);
	OK(msg_connect(a, "hasty", NULL, &channel, in_ms(20000)));
	OK(msg_leave(a));
	OK(msg_leave(b));
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "refused_again", refused_again, 0 },
		{ "lands_elsewhere", lands_elsewhere, 0 },
		{ "cancel_and_start", cancel_and_start, 0 },
		{ "released_when_gone", released_when_gone, 0 },
		{ "wrong_name", wrong_name, 0 },
		{ "mutual", mutual, 0 },
		{ "meet_halfway", meet_halfway, 0 },
		{ "closed_at_once", closed_at_once, 0 },
		{ "live_figures", live_figures, 0 },
		{ "link_waits_for_room", link_waits_for_room, 0 },
		{ "refused_before", refused_before, 0 },
	};

	return test_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
