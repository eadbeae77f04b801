// SPDX-License-Identifier: BSD-2-Clause
// msg's regions on a guest: each is an ivshmem device, whose vector 0 is msg's.
#include "port/port.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <isthmus/clock.h>
#include <isthmus/guest.h>
#include <isthmus/ivshmem.h>
#include <isthmus/log.h>

#include "cpu/timer.h"
#include "cpu/tlb.h"

#define MSG_VECTOR 0
#define MIN_SIZE   65536u

/* How long an app's delay lets msg leave before the device is taken off whatever happens. */
#define HARD_EXTRA_NS 1000000000ull

struct port_region {
	struct ivshmem *device;
	struct msg_region *joined; /* NULL while msg_join is under way */
	volatile bool asked;       /* the device shall leave, or was taken off */
	bool told;
	unsigned index;
	struct msg_beat *beat;
	struct timer heart;
	struct port_region *next;
};

static struct port_region *attached;

/* Interrupt context. A late interrupt moves the next beat, so that beats don't bunch. */
static void heart_fired(void *arg)
{
	struct port_region *region = arg;

	msg_beat_once(region->beat);
	timer_start(&region->heart, clock_now_ns() + region->beat->period_ns);
}

static int region_beat_start(void *arg, struct msg_beat *beat)
{
	struct port_region *region = arg;

	region->beat = beat;
	region->heart.fire = heart_fired;
	region->heart.arg = region;
	timer_start(&region->heart, clock_now_ns());
	return 0;
}

static void region_beat_stop(void *arg, struct msg_beat *beat)
{
	struct port_region *region = arg;

	(void)beat;
	timer_stop(&region->heart);
}

static void region_notify(void *arg, uint32_t peer_id, uint32_t vector)
{
	struct port_region *region = arg;

	if (peer_id <= UINT16_MAX && vector < IVSHMEM_VECTORS_MAX)
		ivshmem_notify(region->device, (uint16_t)peer_id, (uint16_t)vector);
}

/* Interrupt context. */
static void unplug_asked(void *arg)
{
	struct port_region *region = arg;

	region->asked = true;
	port_attention = true;
	port_wake(NULL);
}

/* True: there is more to do, later. */
static bool region_attend(struct port_region *region)
{
	if (!region->asked)
		return false;
	if (!region->joined)
		return true;
	if (!region->told) {
		region->told = true;
		msg_region_leaving(region->joined);
	}
	if (!ivshmem_is_gone(region->device)) {
		uint64_t by = msg_region_leave_by(region->joined);

		if (clock_now_ns() < by) {
			ivshmem_delay_unplug(region->device, by + HARD_EXTRA_NS);
			return true;
		}
		msg_region_depart(region->joined);
		ivshmem_detach(region->device);
	} else {
		msg_region_gone(region->joined);
	}
	region->asked = false;
	return false;
}

/* On the owner's thread. What is called here asks for the time again. */
void port_attend(void)
{
	static bool inside;
	bool more = false;

	if (inside)
		return;
	inside = true;
	port_attention = false;
	for (struct port_region *region = attached; region; region = region->next)
		more |= region_attend(region);
	if (more)
		port_attention = true;
	inside = false;
}

/* A masked vector's rings are kept pending as one, and delivered at the end. */
void port_mute(void *unused, bool on)
{
	(void)unused;
	for (struct port_region *region = attached; region; region = region->next) {
		if (ivshmem_is_gone(region->device) || !ivshmem_has_doorbell(region->device))
			continue;
		if (on)
			ivshmem_mask(region->device, MSG_VECTOR);
		else
			ivshmem_unmask(region->device, MSG_VECTOR);
	}
}

static void region_close(void *arg)
{
	struct port_region *region = arg, **link = &attached;

	if (ivshmem_is_leaving(region->device)) {
		ivshmem_close(region->device);
	} else {
		if (ivshmem_has_doorbell(region->device))
			ivshmem_clear_handler(region->device, MSG_VECTOR);
		ivshmem_on_unplug(region->device, NULL, NULL);
	}
	while (*link != region)
		link = &(*link)->next;
	*link = region->next;
	free(region);
}

/* "" and NULL are the first device; else a decimal index and nothing else. */
static int parse_index(const char *where, unsigned *index)
{
	char *end;
	unsigned long value;

	*index = 0;
	if (!where || !*where)
		return 0;
	errno = 0;
	value = strtoul(where, &end, 10);
	if (*where < '0' || *where > '9' || *end || errno || value > UINT32_MAX)
		return -EINVAL;
	*index = (unsigned)value;
	return 0;
}

/* Opens the device and fills ops, which then own the region. */
static int bind_device(unsigned index, struct msg_region_ops *ops)
{
	struct port_region *region;
	struct ivshmem *device;
	int error = ivshmem_open(index, &device);

	if (error)
		return error;
	region = calloc(1, sizeof(*region));
	if (!region)
		return -ENOMEM;
	region->device = device;
	region->index = index;
	*ops = (struct msg_region_ops){
		.base = ivshmem_region(device),
		.size = ivshmem_size(device),
		.peer_id = MSG_NO_ID,
		.arg = region,
		.beat_start = region_beat_start,
		.beat_stop = region_beat_stop,
		.close = region_close,
	};
	if (ivshmem_has_doorbell(device)) {
		error = ivshmem_set_handler(device, MSG_VECTOR, port_wake, NULL, 0);
		if (error) {
			free(region);
			return error;
		}
		ops->peer_id = ivshmem_id(device);
		ops->vectors = ivshmem_vectors(device);
		ops->notify = region_notify;
	}
	region->next = attached;
	attached = region;
	ivshmem_on_unplug(device, unplug_asked, region);
	return 0;
}

/* Why an attach failed, for who reads the console. */
static void say_why(unsigned index, uint64_t size, const char *name, int error)
{
	if (size < MIN_SIZE)
		log_error("msg: region %u has %u bytes; messages need at least %u", index,
			(unsigned)size, MIN_SIZE);
	else if (name && strlen(name) > MSG_NAME_MAX)
		log_error("msg: the peer name %s is longer than %u bytes", name, MSG_NAME_MAX);
	else if (error != -ENODEV)
		log_error("msg: can't join region %u: %s", index, msg_strerror(error));
}

int msg_await(const char *where, uint64_t deadline)
{
	unsigned index;
	int error = parse_index(where, &index);

	return error ? error : ivshmem_await(index, deadline);
}

int msg_attach(const char *where, const struct msg_options *options, struct msg_region **out)
{
	struct msg_options wishes = options ? *options : (struct msg_options){ 0 };
	struct msg_context *context;
	struct msg_region_ops ops;
	unsigned index;
	int error = parse_index(where, &index);

	if (error) {
		log_error("msg: no such region: \"%s\"; in a guest it is the index of an ivshmem device, "
			  "0 for the first", where);
		return error;
	}
	for (struct port_region *other = attached; other; other = other->next) {
		if (other->index == index) {
			log_error("msg: region %u is attached already", index);
			return -EBUSY;
		}
	}
	if (!wishes.name)
		wishes.name = guest_option("name");
	context = port_context();
	if (!context)
		return -ENOMEM;
	error = bind_device(index, &ops);
	if (error)
		return error;
	cpu_tlb_make_room(ops.base, ops.size);
	/* Held from here on, as long as joining may take. */
	if (ivshmem_is_gone(((struct port_region *)ops.arg)->device))
		error = -ENODEV;
	else
		error = msg_join(context, &ops, &wishes, out);
	if (error) {
		say_why(index, ops.size, wishes.name, error);
		region_close(ops.arg);
		return error;
	}
	((struct port_region *)ops.arg)->joined = *out;
	if (port_attention)
		port_attend();
	return 0;
}
