/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The other processors of a guest (QEMU's -smp). They sleep until an app asks for them: none is
 * brought up before the first cpu_start(), and a guest that never asks carries nothing of this.
 *
 * Each CPU runs on a stack of its own above a guard page, with its own stacks for interrupts and
 * faults, its own timer and its own floating-point state; clock_sleep_until() lets it sleep alone.
 * malloc(), stdio and the log may be used by several at once; errno, and what C keeps in hidden
 * statics (strtok, rand, asctime...), is shared by all and so not safe. A device's interrupts come to
 * the CPU that asked for them unless pci_msix_set_cpu() or ivshmem_set_cpu() sends them elsewhere.
 * The message layer is one CPU's: the one that opened it. Open devices before the first cpu_start():
 * what an ivshmem_open() changes in a CPU's memory types, later CPUs take over and earlier ones don't.
 *
 * exit() or a return from main() ends the guest whatever the others do, and so does a panic on any.
 * Guests only: processes have threads.
 */
#ifndef ISTHMUS_CPU_H
#define ISTHMUS_CPU_H

#include <stdbool.h>

#define CPU_MAX 64 /* of more than these the rest stays asleep */

/* How many CPUs there are, the one that booted included; ones that failed to start not. */
unsigned cpu_count(void);

/* Which of them this is: 0 is the one that booted. */
unsigned cpu_index(void);

/*
 * Has run(arg) run on a CPU that has nothing to do, brings one up if none of those that are up is free, and
 * returns its index, 1..CPU_MAX - 1. When run() returns, that CPU sleeps and may be given other work.
 * Bringing one up takes some 10 ms, giving work to a sleeping one microseconds. Any CPU may call it,
 * interrupt handlers may not. -EAGAIN: all are busy, or there is only one; -ENOMEM: no RAM for its stacks,
 * or none below 1 MiB to start it from; -EIO: one was called and did not come (it is not tried again).
 * The last two log a line.
 */
int cpu_start(void (*run)(void *arg), void *arg);

/* Is it at work? False for an index that is none. Of CPU 0, always. */
bool cpu_is_busy(unsigned cpu);

/*
 * Sleeps until that CPU has nothing to do: what its work wrote can be seen then. One CPU waits for
 * another at a time. -EINVAL: CPU 0, this CPU, or an index that is none.
 */
int cpu_wait(unsigned cpu);

#endif
