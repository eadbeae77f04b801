// SPDX-License-Identifier: BSD-2-Clause
/*
 * Waiting: poll a while, then sleep. The order that loses no wake-up (modelled in tests/model/):
 *
 *   sleeper                                     sender
 *   wait_ops.prepare                            publishes (ring_publish, channel_set_state, ...)
 *   mark_asleep: asleep becomes odd             full fence
 *   full fence                                  asleep odd, and not the value rung for last?
 *   looks at everything again                   then: rings, once per value
 *   wait_ops.sleep_until, or cancel
 *   mark_awake: asleep becomes even
 *
 * Behind it stands a backing timer: a sleep never lasts longer than backing_ns, so that a missing
 * fence or a lost doorbell costs time and not a hang. Such rescues are counted.
 */
#include "msg/pattern.h"
#include "msg/transfer.h"

#define POLLS_PER_RELAX 16
#define POLLS_PER_CLOCK 64
#define SCAN_NS         (20 * NS_PER_US)
#define LOOK_NS         NS_PER_MS
#define WAITS_PER_CLOCK 16
#define SPIN_MAX_NS     (200 * NS_PER_US)
#define SPIN_PROBE_NS   (100 * NS_PER_US)
#define PROBE_EVERY     64
/* Times backing_ns, when nothing has come for long: while doorbells come, and while not. */
#define LONGEST_BACKING 5
#define LONGEST_POLL    2
#define RESCUE_GRACE_NS (2 * NS_PER_MS)

// Looks for senders that wait for the space our receivers gave back.
static void settle(struct msg_region *region)
{
	uint32_t i, left = region->channels_held;

	for (i = 0; left && i < region->geo.channels; i++)
		if (region->channel[i]) {
			channel_settle(region->channel[i]);
			left--;
		}
}

void context_scan(struct msg_context *context, bool live_only)
{
	struct msg_region *region;

	for (region = context->regions; region; region = region->next) {
		if (region->error)
			continue;
		if (live_only)
			presence_scan_live(region);
		else
			presence_scan(region);
		settle(region);
		buffers_reap(region);
		pools_tend(region);
		patterns_tend(region);
	}
	context->last_scan_ns = context_now(context);
}

static void mark_asleep(struct msg_context *context)
{
	struct msg_region *region;

	for (region = context->regions; region; region = region->next)
		if (!region->error && region->slot) {
			region->asleep = (region->asleep + 1) | 1;
			region_store32(&region->slot->asleep, region->asleep);
		}
	// Ours must be visible before we look again: pairs with the fence in presence_wake and
	// channel_published.
	region_fence();
}

static void mark_awake(struct msg_context *context)
{
	struct msg_region *region;

	for (region = context->regions; region; region = region->next)
		if (!region->error && region->slot) {
			region->asleep++;
			region_store_release32(&region->slot->asleep, region->asleep);
		}
}

// Figures of a sleep, in the region for whoever looks.
static void count_sleep(struct msg_context *context, bool rescue)
{
	struct msg_region *region;

	for (region = context->regions; region; region = region->next)
		if (!region->error && region->slot) {
			region_store64(&region->slot->sleeps, ++region->sleeps);
			if (rescue)
				region_store64(&region->slot->rescues, ++region->rescues);
		}
}

// The word that a process without doorbells sleeps on, if its context has just that one region.
static volatile uint32_t *sleep_word(const struct msg_context *context, uint32_t *value)
{
	struct msg_region *region = context->regions;

	if (!region || region->next || !region->ops.shared_words || region->error || !region->slot)
		return NULL;
	*value = region_load32(&region->slot->poke);
	return &region->slot->poke;
}

// Is there a peer whose ring would not end our sleep?
static bool context_unheard(const struct msg_context *context)
{
	const struct msg_region *region;
	uint32_t value;
	bool word = sleep_word(context, &value);

	for (region = context->regions; region; region = region->next)
		if (region->unheard || (!region->ops.vectors && !word))
			return true;
	return false;
}

// Of our own silence, a quarter of the death time counts for the others' (presence.c): who sleeps longer
// than that hears too late of a death.
static uint64_t longest_silence(const struct msg_context *context)
{
	uint64_t longest = MSG_FOREVER;
	const struct msg_region *region;

	for (region = context->regions; region; region = region->next)
		if (!region->error && region->geo.death_ns / 4 < longest)
			longest = region->geo.death_ns / 4;
	return longest;
}

// What the look before a sleep took is given back, too, and may be what somebody waits for.
static void settle_all(struct msg_context *context)
{
	struct msg_region *region;

	for (region = context->regions; region; region = region->next)
		if (!region->error)
			settle(region);
}

// A sleep begins: only what others release from now on can end it.
static void expect_room(struct msg_context *context)
{
	struct msg_region *region;
	uint32_t i, left;

	for (region = context->regions; region; region = region->next) {
		left = region->channels_held;
		for (i = 0; left && i < region->geo.channels; i++) {
			struct msg_channel *channel = region->channel[i];

			if (!channel)
				continue;
			channel->want_from = channel->tx.released;
			left--;
		}
	}
	context->unannounced = false;
}

static bool room_unannounced(const struct msg_context *context)
{
	const struct msg_region *region;
	uint32_t i;

	for (region = context->regions; region; region = region->next)
		for (i = 0; i < region->geo.channels && !region->error; i++)
			if (region->channel[i] && region->channel[i]->wants &&
				channel_room_unannounced(region->channel[i]))
				return true;
	return context->unannounced;
}

// One sleep. True: ready. deadline: when it would be, without anybody's doorbell.
static bool sleep_once(struct msg_context *context, wait_condition *ready, void *arg,
	uint64_t until, uint64_t deadline, bool heard)
{
	const struct msg_wait_ops *ops = context->ops;
	enum msg_sleep_result result;
	bool done, rescue = false;
	uint64_t slept;
	volatile uint32_t *word;
	uint32_t value = 0;
	uint64_t work;

	ops->prepare(ops->arg);
	word = sleep_word(context, &value);
	mark_asleep(context);
	context_scan(context, context->live_only);
	if (ready(arg)) {
		ops->cancel(ops->arg);
		mark_awake(context);
		return true;
	}
	work = context->work;
	settle_all(context);
	expect_room(context);
	slept = context_now(context);
	result = ops->sleep_until(ops->arg, until, word, value);
	context->storm.asleep_ns += context_now(context) - slept;
	context->slept = true;
	done = ready(arg);
	if (result == MSG_SLEEP_TIMER && done && heard && context_now(context) < deadline &&
		!room_unannounced(context)) {
		// The doorbell may be on its way: still marked, so that it will come if it is to
		// come.
		settle_all(context);
		ops->prepare(ops->arg);
		rescue = ops->sleep_until(ops->arg, context_now(context) + RESCUE_GRACE_NS, word,
				 value) == MSG_SLEEP_TIMER;
	}
	mark_awake(context);
	count_sleep(context, rescue);
	context_scan(context, context->live_only);
	done = done || ready(arg);
	if (result == MSG_SLEEP_NOTIFIED && !done && context->work == work)
		storm_vain(context);
	return done;
}

// -EINTR: a pattern did something, but not what we wait for; more may follow soon.
static int sleep_phase(struct msg_context *context, wait_condition *ready, void *arg,
	uint64_t deadline)
{
	const struct msg_wait_ops *ops = context->ops;
	uint64_t backing = ops->backing_ns ? ops->backing_ns : 20 * NS_PER_MS;
	uint64_t poll = ops->poll_ns ? ops->poll_ns : NS_PER_MS;
	uint64_t often = LONGEST_POLL * backing, longest = LONGEST_BACKING * backing;
	uint64_t silence = longest_silence(context), work = context->work;

	for (;;) {
		uint64_t now = context_now(context), step, until;
		bool heard = !context_unheard(context);

		if (now >= deadline)
			return -ETIMEDOUT;
		// Less and less often, the longer nothing comes: an idle guest should cost nothing.
		if (heard) {
			step = backing;
			backing = 2 * backing < longest ? 2 * backing : longest;
		} else {
			step = poll;
			poll = poll + poll / 8 < often ? poll + poll / 8 : often;
		}
		step = storm_step(context, now, step);
		if (step > silence)
			step = silence;
		heard = heard && !context->storm.muted;
		until = now + step < deadline ? now + step : deadline;
		if (sleep_once(context, ready, arg, until, deadline, heard))
			return 0;
		if (context->work != work)
			return -EINTR;
	}
}

/* How long to poll. Where it doesn't pay (the peer needs our core, or messages are rare) the budget
 * halves with every vain try down to nothing; now and then a longer try finds out whether that has
 * changed. */
static uint64_t spin_budget(struct msg_context *context)
{
	if (context->spin_option == MSG_FOREVER)
		return MSG_FOREVER;
	if (context->spin_option)
		return context->spin_option == MSG_SPIN_NEVER ? 0 : context->spin_option;
	if (context->spin_ns >= SPIN_MIN_NS)
		return context->spin_ns;
	if (++context->spin_skips < PROBE_EVERY)
		return 0;
	context->spin_skips = 0;
	return SPIN_PROBE_NS;
}

static void spin_succeeded(struct msg_context *context, uint64_t took)
{
	uint64_t worth = 2 * took + 10 * NS_PER_US;

	if (worth > SPIN_MAX_NS)
		worth = SPIN_MAX_NS;
	// Up at once, down slowly.
	if (worth > context->spin_ns)
		context->spin_ns = worth;
	else
		context->spin_ns -= (context->spin_ns - worth) / 16;
}

static void spin_failed(struct msg_context *context)
{
	context->spin_ns /= 2;
}

// True: ready.
static bool spin_phase(struct msg_context *context, wait_condition *ready, void *arg,
	uint64_t start, uint64_t deadline)
{
	uint64_t now = start, budget = spin_budget(context), work = context->work;
	unsigned n;

	for (n = 1; now - start < budget && now < deadline; n++) {
		if (ready(arg)) {
			spin_succeeded(context, now - start);
			return true;
		}
		region_pace();
		if (n % POLLS_PER_RELAX == 0)
			context_relax(context);
		if (n % POLLS_PER_CLOCK)
			continue;
		now = context_now(context);
		if (context->work != work) {
			work = context->work;
			spin_succeeded(context, now - start);
			start = now;
		}
		if (now - context->last_scan_ns >= SCAN_NS)
			context_scan(context, context->live_only);
	}
	if (budget)
		spin_failed(context);
	return false;
}

int wait_for(struct msg_context *context, wait_condition *ready, void *arg, uint64_t deadline)
{
	uint64_t now;
	int err;

	context->slept = false;
	if (ready(arg))
		return 0;
	now = context_now(context);
	// Not at every call: it costs a cache line for each slot.
	if (now >= deadline || now - context->last_scan_ns >= SCAN_NS) {
		context_scan(context, context->live_only);
		if (ready(arg))
			return 0;
		if (now >= deadline)
			return -EAGAIN;
	}
	for (;;) {
		if (spin_phase(context, ready, arg, now, deadline))
			return 0;
		err = sleep_phase(context, ready, arg, deadline);
		if (err != -EINTR)
			return err;
		now = context_now(context);
	}
}

int wait_for_channel(struct msg_context *context, wait_condition *ready, void *arg,
	uint64_t deadline)
{
	int err;

	context->live_only = true;
	err = wait_for(context, ready, arg, deadline);
	context->live_only = false;
	return err;
}

void wait_pause(struct msg_context *context, uint64_t ns)
{
	const struct msg_wait_ops *ops = context->ops;
	uint64_t end = context_now(context) + ns;

	do {
		if (ns < 100 * NS_PER_US) {
			context_relax(context);
			continue;
		}
		ops->prepare(ops->arg);
		ops->sleep_until(ops->arg, end, NULL, 0);
	} while (context_now(context) < end);
}

/* ---- msg_wait ---- */

struct wait_set {
	struct msg_wait_item *items;
	unsigned count;
	uint64_t next_timer;
	struct msg_context *context;
	bool channels_only;
};

static bool item_ready(struct wait_set *set, struct msg_wait_item *item)
{
	switch (item->type) {
	case MSG_WAIT_RECV: return channel_readable(item->channel);
	case MSG_WAIT_SEND: return channel_writable(item->channel);
	case MSG_WAIT_ACCEPT: return listener_waiting(item->listener);
	case MSG_WAIT_EVENT: return presence_event_waiting(item->region);
	case MSG_WAIT_TIMER: return context_now(set->context) >= item->at;
	case MSG_WAIT_PATTERN: return pattern_ready(item->pattern);
	}
	return false;
}

static bool set_ready(void *arg)
{
	struct wait_set *set = arg;
	unsigned i;

	for (i = 0; i < set->count; i++)
		if (item_ready(set, &set->items[i]))
			return true;
	return false;
}

static struct msg_context *item_context(const struct msg_wait_item *item)
{
	switch (item->type) {
	case MSG_WAIT_RECV:
	case MSG_WAIT_SEND: return item->channel->region->context;
	case MSG_WAIT_ACCEPT: return item->listener->region->context;
	case MSG_WAIT_EVENT: return item->region->context;
	case MSG_WAIT_PATTERN: return ((struct pattern *)item->pattern)->region->context;
	case MSG_WAIT_TIMER: break;
	}
	return NULL;
}

// A sender that waits for space says so in its block before it sleeps.
static void set_want(struct wait_set *set, bool want)
{
	unsigned i;

	for (i = 0; i < set->count; i++)
		if (set->items[i].type == MSG_WAIT_SEND)
			channel_want(set->items[i].channel, WANT_ROOM, want);
}

// What the waiting is for, before it begins. Returns when the next timer ends it.
static uint64_t set_prepare(struct wait_set *set, uint64_t deadline)
{
	uint64_t until = deadline;
	unsigned i;

	for (i = 0; i < set->count; i++) {
		struct msg_wait_item *item = &set->items[i];

		if (item->type == MSG_WAIT_TIMER)
			until = item->at < until ? item->at : until;
		else if (!set->context)
			set->context = item_context(item);
		if (item->type == MSG_WAIT_ACCEPT || item->type == MSG_WAIT_EVENT ||
			(item->type == MSG_WAIT_PATTERN && !pattern_channels_only(item->pattern)))
			set->channels_only = false;
		item->ready = false;
	}
	return until;
}

// Before that, a pattern among the items has something to do by itself.
static uint64_t set_due(const struct wait_set *set, uint64_t until)
{
	unsigned i;

	for (i = 0; i < set->count; i++)
		if (set->items[i].type == MSG_WAIT_PATTERN) {
			uint64_t due = pattern_due(set->items[i].pattern);

			until = due < until ? due : until;
		}
	return until;
}

// What is always ready, as an ended channel is, must not keep us from ever looking around.
static void look_around(struct msg_context *context, bool live_only)
{
	if (++context->waits % WAITS_PER_CLOCK == 0 &&
		context_now(context) - context->last_scan_ns >= LOOK_NS)
		context_scan(context, live_only);
}

static int set_wait(struct wait_set *set, uint64_t until)
{
	bool waited = false;
	uint64_t due;
	int err;

	look_around(set->context, set->channels_only);
	set_want(set, true);
	do {
		due = set_due(set, until);
		err = (set->channels_only ? wait_for_channel : wait_for)(set->context, set_ready,
			set, due);
		// What a pattern had to do took us beyond the deadline.
		if (err == -EAGAIN && waited)
			err = -ETIMEDOUT;
		waited = true;
	} while (err && due < until);
	set_want(set, false);
	return err;
}

int msg_wait(struct msg_wait_item *items, unsigned count, uint64_t deadline)
{
	struct wait_set set = { .items = items, .count = count, .channels_only = true };
	uint64_t until = set_prepare(&set, deadline);
	unsigned i;
	int ready = 0, err;

	if (!set.context) {
		// Only timers: nothing of a region can end the wait.
		if (until == MSG_FOREVER)
			return -EINVAL;
		err = msg_now_ns() >= deadline ? -EAGAIN : -ETIMEDOUT;
		msg_sleep_until(until);
	} else {
		err = set_wait(&set, until);
	}
	for (i = 0; i < count; i++) {
		items[i].ready = items[i].type == MSG_WAIT_TIMER ?
			msg_now_ns() >= items[i].at : item_ready(&set, &items[i]);
		ready += items[i].ready;
		if (items[i].ready &&
			(items[i].type == MSG_WAIT_RECV || items[i].type == MSG_WAIT_SEND))
			channel_woken(items[i].channel);
	}
	return ready ? ready : err == -EAGAIN ? -EAGAIN : -ETIMEDOUT;
}
