// SPDX-License-Identifier: BSD-2-Clause
#include "cpu/vectors.h"
#include <errno.h>
#include <isthmus/log.h>
#include <stddef.h>
#include "cpu/apic.h"
#include "cpu/fpu.h"
#include "cpu/lock.h"
#include "cpu/trap.h"

struct binding {
	void (*handler)(void *arg); /* NULL: free */
	void *arg;
	const char *owner;
	unsigned flags;
	uint64_t count;
};

static struct binding bindings[256];
static uint64_t strays;
static struct cpu_lock lock; /* of who holds what; a handler is bound before its source can fire */
/* Goes round, so that a late interrupt of a vector given back finds nobody rather than another. */
static int next_vector = VECTOR_FIRST;

static void bind(int vector, const char *owner, void (*handler)(void *arg), void *arg,
		 unsigned flags)
{
	struct binding *b = &bindings[vector];

	b->handler = handler;
	b->arg = arg;
	b->owner = owner;
	b->flags = flags;
}

int vector_alloc(const char *owner, void (*handler)(void *arg), void *arg, unsigned flags)
{
	uint64_t saved = cpu_lock_acquire(&lock);
	int found = -ENOSPC;

	for (int i = VECTOR_FIRST; i <= VECTOR_LAST && found < 0; i++) {
		int vector = next_vector;

		next_vector = vector == VECTOR_LAST ? VECTOR_FIRST : vector + 1;
		if (bindings[vector].handler == NULL) {
			bindings[vector].count = 0;
			bind(vector, owner, handler, arg, flags);
			found = vector;
		}
	}
	cpu_lock_release(&lock, saved);
	return found;
}

void vector_free(int vector)
{
	uint64_t saved;

	if (vector < VECTOR_FIRST || vector > VECTOR_LAST)
		return;
	saved = cpu_lock_acquire(&lock);
	bind(vector, NULL, NULL, NULL, 0);
	cpu_lock_release(&lock, saved);
}

void vector_bind(int vector, const char *owner, void (*handler)(void *arg), void *arg)
{
	bind(vector, owner, handler, arg, 0);
}

unsigned vector_available(void)
{
	unsigned count = 0;

	for (int i = VECTOR_FIRST; i <= VECTOR_LAST; i++)
		count += bindings[i].handler == NULL;
	return count;
}

const char *vector_owner(int vector)
{
	return vector >= 0 && vector < 256 ? bindings[vector].owner : NULL;
}

uint64_t vector_count(int vector)
{
	return vector >= 0 && vector < 256 ? bindings[vector].count : 0;
}

uint64_t vector_strays(void)
{
	return strays;
}

static void dispatch_stray(int vector)
{
	if (strays++ == 0)
		log_warn("cpu: interrupt at vector 0x%x, which nobody holds; more are only counted",
			 (unsigned)vector);
	/* What came from no device (an int instruction) is not the APIC's to end. */
	if (apic_ready() && apic_in_service(vector))
		apic_end_interrupt();
}

void vector_dispatch(struct trap_frame *frame)
{
	int vector = (int)frame->vector;
	struct binding *b = &bindings[vector];

	b->count++;
	if (b->handler == NULL) {
		dispatch_stray(vector);
		return;
	}
	if (b->flags & VECTOR_SAVES_FPU) {
		fpu_save();
		b->handler(b->arg);
		fpu_restore();
	} else {
		b->handler(b->arg);
	}
	/* Neither the 8259's vectors nor the spurious one are ever in service in the APIC. */
	if (vector >= VECTOR_FIRST && vector != VECTOR_APIC_SPURIOUS)
		apic_end_interrupt();
}
