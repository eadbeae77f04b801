/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Private state of the message layer and the functions between its files. Nothing in here lies in a
 * region; what was read from one is a checked copy.
 */
#ifndef MSG_INTERNAL_H
#define MSG_INTERNAL_H

#include <errno.h>
#include "msg/layout.h"
#include "msg/port.h"
#include "msg/region_access.h"
#include "msg/ring.h"

#define NS_PER_US 1000ull
#define NS_PER_MS 1000000ull

/* Wake-ups for nothing; see storm.c. */
struct storm {
	bool on, muted;
	uint64_t count;          /* of storms */
	uint64_t vain;           /* wake-ups by a doorbell that found nothing */
	uint64_t vain_before;    /* ... when this storm began */
	uint64_t window_ns, in_window;
	uint64_t asleep_ns;      /* of the window */
	unsigned quiet;          /* windows of the trial so far */
	uint64_t since_ns, muted_ns;
};

struct msg_context {
	const struct msg_wait_ops *ops;
	struct msg_region *regions;
	unsigned count;
	uint64_t spin_ns;        /* what polling before a sleep may cost at present */
	unsigned spin_skips;     /* sleeps since polling was last tried */
	uint64_t spin_option;    /* struct msg_options */
	uint64_t last_scan_ns;
	unsigned waits;          /* calls of msg_wait */
	bool slept;              /* in the last wait_for */
	bool unannounced;        /* a channel no longer wanted had channel_room_unannounced */
	bool live_only;          /* the wait under way is for a channel: see presence_scan_live */
	struct storm storm;
	uint64_t work;           /* what patterns did by themselves, in whatever wait */
};

/* Reports of damage in the log; see fault.c. */
struct fault_window {
	uint64_t since_ns;       /* of the first line */
	unsigned lines;          /* shown */
	uint64_t held;           /* not shown */
};

/* What this peer knows of one slot. */
struct peer_view {
	uint64_t claim;          /* as last looked at; 0: look again */
	uint64_t life;           /* the live holder, initialised; 0: none */
	uint64_t told_life;      /* of whom the app knows */
	uint32_t changes;
	uint32_t last_rung;      /* value of `asleep` for which we rang */
	uint32_t peer_id, vectors, abilities;
	uint32_t told_id, former_id;
	unsigned told_end;       /* how the life in told_life ended: enum claim_state; 0: lives */
	uint16_t asked[WIRE_ENDPOINTS]; /* by endpoint: the listener has looked at the blocks before
				   * that one since the slot changed last */
	uint32_t former_epoch;   /* of the last one that the app was told is gone; 0: none */
	uint64_t heart_claim;    /* whose heart is watched */
	uint64_t beat;
	uint64_t still_ns;       /* how long it has not changed */
	struct fault_window said; /* of whoever held it */
	char name[WIRE_NAME];
	char told_name[WIRE_NAME];
	char former_name[WIRE_NAME];
};

struct untold {
	struct msg_peer peer;
	struct msg_fault fault;
};
#define FAULTS_KEPT 8u

struct msg_region {
	struct msg_context *context;
	struct msg_region *next;
	struct msg_region_ops ops;
	struct geometry geo;
	uint8_t *base;
	struct wire_header *header;
	struct wire_slot *slot;  /* mine */
	uint32_t index;          /* of my slot */
	uint64_t life;           /* my claim */
	int error;               /* 0, -ENODEV, -ESTALE */
	bool leaving, gone, server_lost, evicted;
	bool watched;            /* the app asks for events */
	uint64_t leave_asked, leave_by; /* when the device shall leave, and when we do so */
	bool told_leaving, told_gone, told_server_lost, told_evicted;
	bool unheard;            /* a live peer can't ring us: wait by timer */
	uint32_t asleep;         /* what we wrote */
	uint32_t changes;
	uint64_t last_heart_ns;  /* when the hearts were looked at */
	uint64_t watched_ns;     /* how long they were, as far as it counts */
	uint64_t last_scan_ns;   /* when all slots were looked at */
	uint32_t *live;          /* [live_count] slots that were held then */
	uint32_t live_count;
	uint64_t sleeps, rescues, resets;
	struct untold untold[FAULTS_KEPT + 1]; /* of channels that are gone before their faults were told */
	unsigned untold_count;   /* the oldest first */
	struct fault_window said;
	bool faults;             /* some window is open */
	struct msg_beat beat;
	bool beating;
	struct peer_view *view;        /* [geo.slots] */
	struct msg_channel **channel;  /* [geo.channels] by control block */
	uint32_t channels_held;        /* how many of them there are */
	uint32_t *generation;          /* [geo.channels] the last used of each control block */
	bool *deed_used;               /* [geo.deeds] */
	struct msg_listener *listener[WIRE_ENDPOINTS];
	uint32_t ask_first;      /* the slot whose turn it is to be answered */
	uint32_t endpoint_generation[WIRE_ENDPOINTS];
	struct pool *pools;
	uint64_t pools_since;    /* since then no buffer was taken */
	bool pools_used;         /* one was, since pools_tend looked last */
	struct msg_buffer *buffers; /* that aren't free yet */
	unsigned flights;        /* buffers that receivers have not released yet */
	struct pattern *patterns; /* msg/pattern.h */
	struct msg_group *group; /* the one that we are in */
	uint32_t producers;      /* opened so far; see msg/patterns/queue_produce.c */
	char name[WIRE_NAME];
	bool named_default;
};

#define DEED_SHARED UINT32_MAX

struct msg_listener {
	struct msg_region *region;
	unsigned index;
	enum wire_kind kind;
	struct msg_topic *topic; /* KIND_TOPIC: what it is the name of */
	uint32_t generation;
	struct wire_endpoint *wire;
	struct msg_channel_options options;
	char name[WIRE_NAME];
};

/* A buffer that was sent and not yet released. */
struct flight {
	uint32_t end;            /* position behind its record */
	struct msg_buffer *buffer;
	struct flight *next;
};

struct msg_channel {
	struct msg_region *region;
	struct ring_tx tx;
	struct ring_rx rx;
	const uint64_t *claim;   /* of my slot */
	uint64_t life;           /* what stands there while it is ours */
	int error;               /* nothing goes on: -EPIPE, -ECONNRESET, -ENODEV, -ESTALE, or 0 */
	int send_error;          /* nothing can be sent: as error, or -EPIPE while draining */
	enum wire_kind kind;
	struct msg_topic *topic; /* publisher's side of a subscription */
	uint32_t options;        /* enum wire_option */
	uint64_t topic_start, topic_number; /* publisher's side: where the subscription began */
	bool opened;             /* both rings are known */
	bool lingering;          /* closed by the app: waiting for the other side to let go */
	bool peer_ended;         /* the other side sends no more: drain, then -EPIPE */
	bool fault_told;
	uint32_t blocked_len;    /* that the last try to send found no room for */
	unsigned empty_polls;    /* since the last look around */
	uint32_t index, generation; /* my control block */
	uint32_t limit;          /* largest payload that my ring takes */
	struct wire_channel *mine;
	const struct wire_channel *theirs;
	uint64_t their_status;   /* as last seen */
	uint32_t their_index, their_generation;
	uint32_t peer_slot;
	uint64_t peer_life;
	const uint32_t *peer_asleep;
	struct peer_view *view;
	struct msg_peer peer;    /* as it was at the opening */
	uint32_t fenced;         /* rx.released when last fenced; see transfer.c */
	/* Views: the ends of viewed records, oldest first, free-running indices. */
	uint32_t view_end[MSG_BATCH_MAX];
	uint64_t view_bytes[MSG_BATCH_MAX];
	unsigned viewed_first, viewed_next;
	/* The run that is being received: private copies, read once. Its record is given back
	 * whole. */
	uint64_t run_header;
	const uint8_t *run_next; /* its next message */
	uint32_t run_size;       /* of each message */
	uint32_t run_left;       /* messages not yet taken; 0: no run */
	uint64_t stream_offset;  /* bytes of the oldest message already read by msg_read */
	unsigned wants;          /* enum want_reason: `want` is set as long as there is one */
	uint32_t want_from;      /* tx.released when that began, or the last sleep since */
	unsigned deed;           /* of my ring; DEED_SHARED: of somebody else */
	uint64_t ring_offset;
	uint32_t ring_size;
	uint64_t sent, sent_bytes, received, received_bytes;
	uint64_t doorbells, suppressed, wakeups, full_waits, empty_waits;
	uint64_t pending_sent, pending_bytes; /* reserved, not committed */
	uint64_t left_unreleased, left_unreleased_bytes; /* when the region was left or gone */
	struct flight *flights, **flights_end;
	struct msg_fault fault;
	void *user;
};

/* ---- context ---- */
REGION_INLINE uint64_t context_now(const struct msg_context *context)
{
	return context->ops->now(context->ops->arg);
}

REGION_INLINE void context_relax(const struct msg_context *context)
{
	context->ops->relax(context->ops->arg);
}

void *context_alloc(struct msg_context *context, size_t size);
void context_free(struct msg_context *context, void *memory);
void context_zero(void *memory, size_t size);
/* printf without a library: %s %u %x (uint64_t). */
void context_report(struct msg_context *context, int level, const char *format, ...);

REGION_INLINE void *region_pointer(const struct msg_region *region, uint64_t offset)
{
	return region->base + offset;
}

REGION_INLINE struct wire_slot *region_slot(const struct msg_region *region, uint32_t index)
{
	return region_pointer(region, region->geo.slot_offset +
		(uint64_t)index * region->geo.slot_stride);
}

REGION_INLINE uint64_t *slot_deed(const struct msg_region *region, uint32_t slot, uint32_t index)
{
	return (uint64_t *)(region_slot(region, slot) + 1) + index;
}

REGION_INLINE struct wire_channel *slot_channel(const struct msg_region *region, uint32_t slot,
	uint32_t index)
{
	return (struct wire_channel *)slot_deed(region, slot, region->geo.deeds) + index;
}

REGION_INLINE uint64_t region_offset(const struct msg_region *region, const void *pointer)
{
	return (uint64_t)((const uint8_t *)pointer - region->base);
}

/* Names in the region: 48 bytes, read once into a terminated copy. */
void name_read(char name[WIRE_NAME], const char *wire);
void name_write(char *wire, const char name[WIRE_NAME]);
/* 0 and a NUL-padded copy, or -EINVAL: empty or longer than MSG_NAME_MAX. */
int name_copy(char name[WIRE_NAME], const char *text);
bool name_equal(const char a[WIRE_NAME], const char b[WIRE_NAME]);

/* ---- format.c ---- */
/* Makes sure that the region is formatted and fills region->geo. Blocks until the deadline. */
int format_attach(struct msg_region *region, const struct msg_options *options, uint64_t deadline);
/* Is the format still the one that we attached to? */
bool format_unchanged(const struct msg_region *region);
/* Is it of our version still? */
bool format_ours(const struct msg_region *region);
/* Is the region formatted anew, or somebody about to? Else what is there is nobody's format. */
bool format_replaced(const struct msg_region *region);

/* ---- presence.c ---- */
int presence_join(struct msg_region *region, uint64_t deadline);
void presence_leave(struct msg_region *region);
void presence_stop_beating(struct msg_region *region);
/* Looks at every slot; updates the views, and the channels and listeners that they concern. The
 * hearts are looked at only when it is time. */
void presence_scan(struct msg_region *region);
/* The same for the slots that were held at the last full scan, with a full one now and then: each slot is
 * a page of its own, and a guest's emulated TLB has few entries. */
void presence_scan_live(struct msg_region *region);
/* Is this slot still ours? If not, everything of the region ends with -ESTALE. */
bool presence_check_self(struct msg_region *region);
/* Wakes the holder of a slot if it sleeps and we didn't ring for this sleep yet (or force). The
 * caller has published before. True: rang. */
bool presence_wake(struct msg_region *region, uint32_t slot, bool force);
void presence_wake_all(struct msg_region *region);
/* Tells the others that something in our slot changed. */
void presence_changed(struct msg_region *region);
bool presence_event_waiting(struct msg_region *region);
void presence_describe(const struct msg_region *region, uint32_t slot, struct msg_peer *peer);
/* Rings unconditionally. */
void presence_ring(struct msg_region *region, struct peer_view *view, uint32_t slot);

/* ---- region.c ---- */
void region_withdraw(struct msg_region *region);

/* ---- land.c ---- */
/* Takes bytes of land. 0, *deed and *offset; -ENOSPC; -EMSGSIZE: more than there ever is. */
int land_claim(struct msg_region *region, uint64_t bytes, unsigned *deed, uint64_t *offset);
void land_release(struct msg_region *region, unsigned deed);
uint64_t land_free(struct msg_region *region);
/* Does [offset, offset + len) lie within one firm deed of that slot? */
bool land_belongs(const struct msg_region *region, uint32_t slot, uint64_t offset, uint64_t len);
/* Does a live peer wait for a group's call that the slot's former member failed, and hear of it only there?
 * The line must stay until it has. */
bool verdict_awaited(const struct msg_region *region, uint32_t slot);
/* Does a live peer still refer to that life of slot: by a control block, or in a group? */
bool land_referred(const struct msg_region *region, uint32_t slot, uint64_t life);

/* ---- endpoint.c ---- */
struct endpoint_place {
	uint32_t slot, index, generation, kind;
	uint64_t life;
};
bool endpoint_find(struct msg_region *region, const char name[WIRE_NAME],
	struct endpoint_place *place);
/* msg_listen for channels of a kind. */
int endpoint_listen(struct msg_region *region, const char *name,
	const struct msg_channel_options *options, enum wire_kind kind,
	struct msg_listener **listener);

/* ---- channel.c ---- */
void channel_check(struct msg_channel *channel);
void channel_peer_gone(struct msg_channel *channel);
/* From now on nothing can be sent. */
void channel_send_ends(struct msg_channel *channel, int error);
void channel_end(struct msg_channel *channel, int error);
void channel_fault(struct msg_channel *channel, const char *what, const void *where, uint64_t seen);
/* At the end of the region: no word is written any more. */
void channel_forget(struct msg_channel *channel);
void channel_set_state(struct msg_channel *channel, enum channel_state state);
/* All channels of the region that have to do with the slot. */
void channels_check_slot(struct msg_region *region, uint32_t slot);
bool listener_waiting(struct msg_listener *listener);

/* ---- transfer.c ---- */
bool channel_readable(struct msg_channel *channel);
bool channel_writable(struct msg_channel *channel);
/* Fence and look for a sender that waits for the space we gave back. */
void channel_settle(struct msg_channel *channel);
/* What a sender waits for that its receiver gives back. Each has one user at a time, who ends
 * his own and leaves the others'. */
enum want_reason {
	WANT_ROOM  = 1 << 0, /* a call of the app's: room, or a buffer of this channel */
	WANT_LAND  = 1 << 1, /* a call of the app's: whichever buffer (buffers_want) */
	WANT_LATER = 1 << 2, /* letters that go out when they can (letter_post) */
};
/* Begins or ends one: the only writer of `want` once the channel is open. Nobody needs a fence:
 * only who sleeps must be rung, and before that it looks again behind the fence of mark_asleep. */
void channel_want(struct msg_channel *channel, enum want_reason why, bool want);
/* Was there, in the last sleep, room that nobody had to ring for? The receiver looks for who waits
 * after each quarter of the ring, or with the message behind it; until then only the timer finds it,
 * late and by the rules. */
bool channel_room_unannounced(const struct msg_channel *channel);
void channel_write_figures(struct msg_channel *channel);

/* ---- topic.c ---- */
/* The subscriber's side asks with these options: what the publisher's shall say. */
void topic_offer(struct msg_topic *topic, struct msg_channel *channel, uint32_t options);
/* The publisher's side of a subscription is freed. */
void topic_forget_channel(struct msg_topic *topic, struct msg_channel *channel);

/* ---- buffer.c ---- */
int64_t buffer_send_copy(struct msg_channel *channel, const void *data, size_t len,
	uint64_t deadline);
/* Puts the pieces that the receiver released back. */
void buffer_reap(struct msg_channel *channel);
/* Takes back what the receivers of all channels have released. */
void buffers_reap(struct msg_region *region);
/* Who waits for any buffer to land must be rung by whoever releases one: says so on all channels on
 * which some are under way; or no more. */
void buffers_want(struct msg_region *region, bool want);
void buffer_drop_flights(struct msg_channel *channel);
void pools_free(struct msg_region *region);
/* Gives the land of pools back that no buffer is in. False: there was none. */
bool pools_spare(struct msg_region *region);
/* The same where land is scarce and no buffer has been taken for a while: somebody else may want it. */
void pools_tend(struct msg_region *region);

/* ---- fault.c ---- */
/* For msg_next_event; no more than FAULTS_KEPT and one of our own. */
void fault_keep(struct msg_region *region, const struct msg_peer *peer, const struct msg_fault *fault);
/* May a report of damage by who holds that slot take a line of the log? Else it is counted. */
bool fault_shown(struct msg_region *region, uint32_t slot);
/* Once, when this peer finds that its place is no longer its own: reports what it sees there, unless
 * that came about by the rules. */
void fault_explain_eviction(struct msg_region *region);
/* Says how many had none, when it is time. */
void faults_tend(struct msg_region *region, uint64_t now);
/* The same at the end of the region, at once. */
void faults_end(struct msg_region *region);

/* ---- storm.c ---- */
/* A doorbell ended a sleep, and there was nothing. */
void storm_vain(struct msg_context *context);
/* How long the next sleep may be that would last step. */
uint64_t storm_step(struct msg_context *context, uint64_t now, uint64_t step);

/* ---- wait.c ---- */
typedef bool wait_condition(void *arg);
/* 0: the condition is true; -EAGAIN: the deadline had passed; -ETIMEDOUT. */
int wait_for(struct msg_context *context, wait_condition *ready, void *arg, uint64_t deadline);
/* The same for a condition that only peers with open channels can make true. */
int wait_for_channel(struct msg_context *context, wait_condition *ready, void *arg,
	uint64_t deadline);
/* A spin budget below which polling is left alone. */
#define SPIN_MIN_NS 500

/* How often to look for one thing, and at neither clock nor anything else, before wait_for. */
REGION_INLINE unsigned wait_polls(const struct msg_context *context)
{
	bool pays = context->spin_option ? context->spin_option != MSG_SPIN_NEVER :
					   context->spin_ns >= SPIN_MIN_NS;

	return pays ? 500 : 16;
}

/* Looks around in all regions, and settles what our receivers owe their senders. */
void context_scan(struct msg_context *context, bool live_only);
/* A plain pause of about ns, without looking at anything. */
void wait_pause(struct msg_context *context, uint64_t ns);

#endif
