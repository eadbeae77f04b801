// SPDX-License-Identifier: BSD-2-Clause
// Sources: Intel SDM volume 3, table 6-1 (exceptions), figures "Error Code" and "Page-Fault Error
// Code".
#include "cpu/names.h"
#include <isthmus/log.h>

#define VECTOR_PAGE_FAULT 14

#define NULL_PAGE_SIZE 4096

static const struct {
	const char *name, *mnemonic;
	bool has_error;
} exceptions[32] = {
	[0] = { "divide error", "#DE", false },
	[1] = { "debug", "#DB", false },
	[2] = { "non-maskable interrupt", "NMI", false },
	[3] = { "breakpoint", "#BP", false },
	[4] = { "overflow", "#OF", false },
	[5] = { "bound range exceeded", "#BR", false },
	[6] = { "invalid opcode", "#UD", false },
	[7] = { "device not available", "#NM", false },
	[8] = { "double fault", "#DF", true },
	[9] = { "coprocessor segment overrun", "#9", false },
	[10] = { "invalid TSS", "#TS", true },
	[11] = { "segment not present", "#NP", true },
	[12] = { "stack-segment fault", "#SS", true },
	[13] = { "general protection", "#GP", true },
	[14] = { "page fault", "#PF", true },
	[15] = { "reserved exception 15", "#15", false },
	[16] = { "x87 floating-point error", "#MF", false },
	[17] = { "alignment check", "#AC", true },
	[18] = { "machine check", "#MC", false },
	[19] = { "SIMD floating-point exception", "#XM", false },
	[20] = { "virtualization exception", "#VE", false },
	[21] = { "control protection", "#CP", true },
	[22] = { "reserved exception 22", "#22", false },
	[23] = { "reserved exception 23", "#23", false },
	[24] = { "reserved exception 24", "#24", false },
	[25] = { "reserved exception 25", "#25", false },
	[26] = { "reserved exception 26", "#26", false },
	[27] = { "reserved exception 27", "#27", false },
	[28] = { "hypervisor injection", "#HV", false },
	[29] = { "VMM communication", "#VC", true },
	[30] = { "security exception", "#SX", true },
	[31] = { "reserved exception 31", "#31", false },
};

const char *name_of_exception(unsigned vector)
{
	return vector < 32 ? exceptions[vector].name : "interrupt";
}

const char *name_of_exception_short(unsigned vector)
{
	return vector < 32 ? exceptions[vector].mnemonic : "?";
}

bool name_has_error(unsigned vector)
{
	return vector < 32 && exceptions[vector].has_error;
}

/* Append to a text of which *length bytes are there. */
static void append(char *text, size_t size, size_t *length, const char *part)
{
	if (*length < size)
		*length += (size_t)log_format(text + *length, size - *length, "%s%s",
					      *length ? ", " : "", part);
}

static void name_page_fault(char *text, size_t size, uint64_t error)
{
	static const struct {
		uint64_t bit;
		const char *set;
	} rest[] = {
		{ 1 << 2, "from user mode" },
		{ 1 << 3, "reserved bit set in a page table" },
		{ 1 << 5, "protection key" },
		{ 1 << 6, "shadow stack" },
		{ 1 << 15, "SGX" },
	};
	size_t length = 0;

	append(text, size, &length,
	       error & 1 << 4 ? "execution" : error & 1 << 1 ? "write" : "read");
	append(text, size, &length,
	       error & 1 << 0 ? "page present but protected" : "page not mapped");
	for (unsigned i = 0; i < sizeof(rest) / sizeof(rest[0]); i++) {
		if (error & rest[i].bit)
			append(text, size, &length, rest[i].set);
	}
}

/* Selector form: bit 0 EXT, bit 1 IDT, bit 2 LDT, index from bit 3 on. */
static void name_selector(char *text, size_t size, uint64_t error)
{
	const char *table = error & 1 << 1 ? "IDT" : error & 1 << 2 ? "LDT" : "GDT";

	if (error == 0) {
		log_format(text, size, "no selector: an address that isn't canonical, "
			   "or what this instruction may not do");
		return;
	}
	log_format(text, size, "%s entry 0x%x%s", table, (unsigned)(error >> 3 & 0x1fff),
		   error & 1 ? ", while delivering another event" : "");
}

void name_error(char *text, size_t size, unsigned vector, uint64_t error)
{
	static const char *const control[] = {
		"", "near return", "far return or iret", "missing endbranch",
		"rstorssp", "setssbsy",
	};

	if (size > 0)
		text[0] = '\0';
	switch (vector) {
	case VECTOR_PAGE_FAULT:
		name_page_fault(text, size, error);
		break;
	case 10:
	case 11:
	case 12:
	case 13:
		name_selector(text, size, error);
		break;
	case 21:
		if ((error & 0x7fff) < sizeof(control) / sizeof(control[0]))
			log_format(text, size, "%s", control[error & 0x7fff]);
		break;
	}
}

void name_flags(char *text, size_t size, uint64_t rflags)
{
	static const struct {
		unsigned bit;
		const char *name;
	} flags[] = {
		{ 0, "CF" }, { 2, "PF" }, { 4, "AF" }, { 6, "ZF" }, { 7, "SF" }, { 8, "TF" },
		{ 9, "IF" }, { 10, "DF" }, { 11, "OF" }, { 14, "NT" }, { 16, "RF" },
		{ 18, "AC" }, { 21, "ID" },
	};
	size_t length = 0;

	if (size > 0)
		text[0] = '\0';
	for (unsigned i = 0; i < sizeof(flags) / sizeof(flags[0]) && length < size; i++) {
		if (rflags >> flags[i].bit & 1)
			length += (size_t)log_format(text + length, size - length, "%s%s",
						     length ? " " : "", flags[i].name);
	}
}

bool name_is_code(const struct cpu_image *image, uintptr_t address)
{
	return address >= image->base && address < image->text_end;
}

const char *name_find_symbol(const struct cpu_image *image, uintptr_t address, size_t *distance)
{
	uint64_t low = 0, high = image->symbol_count;
	uintptr_t offset = address - image->base;

	if (!name_is_code(image, address) || high == 0 || offset < image->symbols[0])
		return NULL;
	/* symbols[low] <= offset < symbols[high] */
	while (high - low > 1) {
		uint64_t middle = low + (high - low) / 2;

		if (image->symbols[middle] <= offset)
			low = middle;
		else
			high = middle;
	}
	*distance = offset - image->symbols[low];
	/* Names are not indexed: a panic has the time, and images are smaller. */
	const char *name = image->symbol_names;

	for (; low; low--)
		while (*name++)
			;
	return name;
}

void name_code(char *text, size_t size, const struct cpu_image *image, uintptr_t address,
	       bool is_return)
{
	size_t distance;
	const char *name = name_find_symbol(image, address - is_return, &distance);

	if (name)
		log_format(text, size, "%.80s+0x%zx", name, distance + is_return);
	else
		log_format(text, size, "0x%lx", (unsigned long)address);
}

int name_find_guard(const struct cpu_stack *stack, uintptr_t address)
{
	for (int i = 0; i < CPU_STACKS; i++) {
		if (address >= stack[i].guard && address < stack[i].bottom)
			return i;
	}
	return -1;
}

int name_find_stack(const struct cpu_stack *stack, uintptr_t address)
{
	for (int i = 0; i < CPU_STACKS; i++) {
		if (address >= stack[i].bottom && address < stack[i].top)
			return i;
	}
	return -1;
}

const char *name_of_stack(unsigned kind)
{
	static const char *const names[CPU_STACKS] = {
		[CPU_STACK_MAIN] = "main", [CPU_STACK_INTERRUPT] = "interrupt",
		[CPU_STACK_EXCEPTION] = "exception", [CPU_STACK_NMI] = "NMI",
		[CPU_STACK_DOUBLE_FAULT] = "double-fault",
		[CPU_STACK_MACHINE_CHECK] = "machine-check",
	};

	return kind < CPU_STACKS ? names[kind] : "unknown";
}

void name_place(char *text, size_t size, const struct cpu_image *image,
		const struct cpu_stack *stack, uintptr_t address)
{
	char code[NAME_MAX_TEXT];
	int kind;

	if (address < NULL_PAGE_SIZE) {
		log_format(text, size, "null pointer");
	} else if (address >> 47 != 0 && address >> 47 != 0x1ffff) {
		log_format(text, size, "not canonical");
	} else if (name_is_code(image, address)) {
		name_code(code, sizeof(code), image, address, false);
		log_format(text, size, "text of %s", code);
	} else if ((kind = name_find_guard(stack, address)) >= 0) {
		log_format(text, size, "guard of the %s stack", name_of_stack((unsigned)kind));
	} else if ((kind = name_find_stack(stack, address)) >= 0) {
		log_format(text, size, "%s stack", name_of_stack((unsigned)kind));
	} else if (address >= image->base && address < image->rodata_end) {
		log_format(text, size, "read-only data of the image");
	} else if (address >= image->base && address < image->end) {
		log_format(text, size, "data of the image");
	} else {
		log_format(text, size, "outside the image");
	}
}
