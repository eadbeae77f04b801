// SPDX-License-Identifier: BSD-2-Clause
// An exception's report. Fault lines first, then everything the CPU knows.
#include "cpu/trap.h"
#include <stddef.h>
#include "cpu/backtrace.h"
#include "cpu/control.h"
#include "cpu/msr.h"
#include "cpu/names.h"
#include "cpu/others.h"
#include "cpu/percpu.h"
#include "log/panic.h"

#define VECTOR_NMI 2
#define VECTOR_BREAKPOINT 3
#define VECTOR_DOUBLE_FAULT 8
#define VECTOR_PAGE_FAULT 14

#define PAGE_FAULT_WRITE (1 << 1)
#define PAGE_FAULT_EXECUTE (1 << 4)

#define CODE_BYTES 16 /* shown from RIP on: an instruction has at most 15 */

/* The first line: what happened, to which address, in which function. */
static void print_headline(const struct trap_frame *frame, uint64_t cr2)
{
	const struct cpu_stack *stack = cpu_this()->stack;
	const struct cpu_image *image = cpu_current_image();
	const char *name = name_of_exception((unsigned)frame->vector);
	const char *mnemonic = name_of_exception_short((unsigned)frame->vector);
	char where[2 * NAME_MAX_TEXT], place[NAME_MAX_TEXT];
	const char *access;
	uintptr_t caller;
	int kind = -1;

	name_code(where, sizeof(where), image, frame->rip, false);
	if (!name_is_code(image, frame->rip) && backtrace_find_caller(frame->rsp, &caller)) {
		name_code(place, sizeof(place), image, caller, true);
		log_format(where, sizeof(where), "0x%lx, called from %s",
			   (unsigned long)frame->rip, place);
	}
	if (frame->vector == VECTOR_PAGE_FAULT)
		kind = name_find_guard(stack, cr2);
	else if (frame->vector == VECTOR_DOUBLE_FAULT)
		kind = name_find_guard(stack, frame->rsp - 1);
	if (kind >= 0) {
		panic_line("%s: stack overflow in %s: the %s stack of %lu KiB is used up",
			   image->name, where, name_of_stack((unsigned)kind),
			   (unsigned long)(stack[kind].top - stack[kind].bottom) / 1024);
		return;
	}
	if (frame->vector != VECTOR_PAGE_FAULT) {
		panic_line("%s: %s (%s) in %s", image->name, name, mnemonic, where);
		return;
	}
	access = frame->error & PAGE_FAULT_EXECUTE ? "execution of" :
		 frame->error & PAGE_FAULT_WRITE ? "write to" : "read of";
	name_place(place, sizeof(place), image, stack, cr2);
	panic_line("%s: %s (%s): %s 0x%lx (%s) in %s", image->name, name, mnemonic, access,
		   (unsigned long)cr2, place, where);
}

static void print_registers(const struct trap_frame *f, uint64_t cr2)
{
	char flags[NAME_MAX_TEXT];

	name_flags(flags, sizeof(flags), f->rflags);
	panic_line("rax %016lx  rbx %016lx  rcx %016lx", f->rax, f->rbx, f->rcx);
	panic_line("rdx %016lx  rsi %016lx  rdi %016lx", f->rdx, f->rsi, f->rdi);
	panic_line("rbp %016lx  rsp %016lx  r8  %016lx", f->rbp, f->rsp, f->r8);
	panic_line("r9  %016lx  r10 %016lx  r11 %016lx", f->r9, f->r10, f->r11);
	panic_line("r12 %016lx  r13 %016lx  r14 %016lx", f->r12, f->r13, f->r14);
	panic_line("r15 %016lx  rip %016lx  cr2 %016lx", f->r15, f->rip, cr2);
	panic_line("cr0 %016lx  cr3 %016lx  cr4 %016lx", cpu_read_cr0(), cpu_read_cr3(),
		   cpu_read_cr4());
	panic_line("efer %016lx cs %04lx ss %04lx rflags %08lx (%s)", msr_read(MSR_REG_EFER), f->cs,
		   f->ss, f->rflags, flags);
}

/* The bytes at RIP, for a disassembler; only where it is text, which can be read. */
static void print_code(uintptr_t rip)
{
	const struct cpu_image *image = cpu_current_image();
	char text[CODE_BYTES * 3 + 1];

	for (unsigned i = 0; i < CODE_BYTES && name_is_code(image, rip + i); i++) {
		log_format(text + 3 * i, sizeof(text) - 3 * i, " %02x",
			   *((const uint8_t *)rip + i));
		if (i == CODE_BYTES - 1 || !name_is_code(image, rip + i + 1))
			panic_line("code%s", text);
	}
}

void trap_handle(const struct trap_frame *frame)
{
	uint64_t cr2 = cpu_read_cr2();
	unsigned vector = (unsigned)frame->vector;
	char text[NAME_MAX_TEXT];

	if (vector == VECTOR_NMI)
		cpu_halt_if_ending();
	if (panic_enter() > 0) {
		name_code(text, sizeof(text), cpu_current_image(), frame->rip, false);
		panic_line("inside the panic: %s (%s) in %s, cr2 %016lx", name_of_exception(vector),
			   name_of_exception_short(vector), text, cr2);
		panic_die();
	}
	print_headline(frame, cr2);
	name_error(text, sizeof(text), vector, frame->error);
	if (name_has_error(vector))
		panic_line("vector %u (%s) on cpu %u, error 0x%lx%s%s%s", vector,
			   name_of_exception_short(vector), cpu_this()->index, frame->error,
			   text[0] ? " (" : "", text, text[0] ? ")" : "");
	else
		panic_line("vector %u (%s) on cpu %u, no error code", vector,
			   name_of_exception_short(vector), cpu_this()->index);
	print_registers(frame, cr2);
	print_code(frame->rip);
	backtrace_print(frame->rip, false, frame->rbp, frame->rsp);
	panic_die();
}

void trap_describe_caller(uintptr_t code, uintptr_t frame)
{
	const struct cpu_image *image = cpu_current_image();

	if (image->name == NULL)
		return; /* before cpu_init(): nothing is known, and no stack */
	panic_line("in image %s, on cpu %u", image->name, cpu_this()->index);
	backtrace_print(code, true, frame, 0);
}
