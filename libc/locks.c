// SPDX-License-Identifier: BSD-2-Clause
/*
 * newlib's locks (malloc, stdio, atexit, environment, time zone), retargeted. All are recursive
 * and held by a CPU. Interrupt handlers may not use what they guard.
 */
#include <isthmus/cpu.h>
#include <stdbool.h>
#include <sys/lock.h>
#include "cpu/irq.h"

struct __lock {
	unsigned owner;		/* its cpu_index() + 1; 0: free */
	unsigned depth;		/* of the owner alone */
};

struct __lock __lock___sinit_recursive_mutex;
struct __lock __lock___sfp_recursive_mutex;
struct __lock __lock___atexit_recursive_mutex;
struct __lock __lock___at_quick_exit_mutex;
struct __lock __lock___malloc_recursive_mutex;
struct __lock __lock___env_recursive_mutex;
struct __lock __lock___tz_mutex;
struct __lock __lock___dd_hash_mutex;
struct __lock __lock___arc4random_mutex;

/* One for all streams: none has to be made or freed. */
static struct __lock stream_lock;

void __retarget_lock_init(_LOCK_T *lock)
{
	*lock = &stream_lock;
}

void __retarget_lock_init_recursive(_LOCK_T *lock)
{
	*lock = &stream_lock;
}

void __retarget_lock_close(_LOCK_T lock)
{
	(void)lock;
}

void __retarget_lock_close_recursive(_LOCK_T lock)
{
	(void)lock;
}

int __retarget_lock_try_acquire_recursive(_LOCK_T lock)
{
	unsigned self = cpu_index() + 1, nobody = 0;

	if (__atomic_load_n(&lock->owner, __ATOMIC_RELAXED) != self &&
	    !__atomic_compare_exchange_n(&lock->owner, &nobody, self, false, __ATOMIC_ACQUIRE,
		__ATOMIC_RELAXED))
		return 0;
	lock->depth++;
	return 1;
}

void __retarget_lock_acquire_recursive(_LOCK_T lock)
{
	while (!__retarget_lock_try_acquire_recursive(lock))
		cpu_relax();
}

void __retarget_lock_release_recursive(_LOCK_T lock)
{
	if (--lock->depth == 0)
		__atomic_store_n(&lock->owner, 0, __ATOMIC_RELEASE);
}

int __retarget_lock_try_acquire(_LOCK_T lock)
{
	return __retarget_lock_try_acquire_recursive(lock);
}

void __retarget_lock_acquire(_LOCK_T lock)
{
	__retarget_lock_acquire_recursive(lock);
}

void __retarget_lock_release(_LOCK_T lock)
{
	__retarget_lock_release_recursive(lock);
}
