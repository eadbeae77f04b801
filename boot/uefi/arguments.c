// SPDX-License-Identifier: BSD-2-Clause
/*
 * The guest's command line: what `isthmus image ... -- args` built in (section .cmdline), then
 * what this boot adds through LoadOptions. Source: UEFI 2.10, 9.1; UEFI Shell 2.2, 6.2.
 */
#include "boot/uefi/stub.h"

#define LINE_MAX	4096		/* bytes of UTF-8, NUL included: what boot_info holds */

/* Present on programs that the UEFI shell starts, whose LoadOptions begin with their own name. */
static EFI_GUID shell_parameters_guid = { 0x752f3136, 0x4e16, 0x4fdc,
	{ 0xa2, 0x2a, 0xe5, 0xf4, 0x68, 0x12, 0xf4, 0xca } };

struct line {
	char *text;
	size_t length;
	bool cut;
};

static void add(struct line *l, char c)
{
	if (l->length < LINE_MAX - 1)
		l->text[l->length++] = c;
	else
		l->cut = true;
}

static void add_code_point(struct line *l, uint32_t c)
{
	if (c < 0x80) {
		add(l, (char)c);
	} else if (c < 0x800) {
		add(l, (char)(0xc0 | c >> 6));
		add(l, (char)(0x80 | (c & 0x3f)));
	} else if (c < 0x10000) {
		add(l, (char)(0xe0 | c >> 12));
		add(l, (char)(0x80 | (c >> 6 & 0x3f)));
		add(l, (char)(0x80 | (c & 0x3f)));
	} else {
		add(l, (char)(0xf0 | c >> 18));
		add(l, (char)(0x80 | (c >> 12 & 0x3f)));
		add(l, (char)(0x80 | (c >> 6 & 0x3f)));
		add(l, (char)(0x80 | (c & 0x3f)));
	}
}

static void add_built_in(struct line *l, const EFI_LOADED_IMAGE *self)
{
	size_t size;
	const char *text = find_section(self, ".cmdline", &size);

	for (size_t i = 0; text && i < size && text[i]; i++)
		add(l, text[i]);
}

/*
 * Number of UCS-2 units in LoadOptions if they are a text, which nothing promises: firmware hands
 * boot options' binary data over in the same place.
 */
static size_t options_length(const EFI_LOADED_IMAGE *self)
{
	const CHAR16 *text = self->LoadOptions;
	size_t units = self->LoadOptionsSize / sizeof(CHAR16), n = 0;

	if (!text || self->LoadOptionsSize % sizeof(CHAR16))
		return 0;
	for (; n < units && text[n]; n++)
		if (text[n] < ' ' && text[n] != '\t' && text[n] != '\n' && text[n] != '\r')
			return 0;
	return n;
}

/* The end of the first word, with "..." as the shell groups it. */
static size_t skip_word(const CHAR16 *text, size_t n)
{
	bool quoted = false;
	size_t i = 0;

	for (; i < n && (quoted || text[i] != ' '); i++)
		if (text[i] == '"')
			quoted = !quoted;
	return i;
}

static void add_options(struct line *l, const EFI_LOADED_IMAGE *self, EFI_HANDLE handle)
{
	const CHAR16 *text = self->LoadOptions;
	size_t n = options_length(self), i = 0;
	void *shell;

	if (n && !EFI_ERROR(firmware->BootServices->HandleProtocol(handle, &shell_parameters_guid,
			&shell)))
		i = skip_word(text, n);
	while (i < n && text[i] == ' ')
		i++;
	if (i < n && l->length)
		add(l, ' ');
	for (; i < n; i++) {
		uint32_t c = text[i];

		if (c >= 0xd800 && c < 0xdc00 && i + 1 < n && (text[i + 1] & 0xfc00) == 0xdc00)
			c = 0x10000 + ((c & 0x3ff) << 10) + (text[++i] & 0x3ff);
		else if (c >= 0xd800 && c < 0xe000)
			c = 0xfffd;	/* half of a pair: the replacement character */
		add_code_point(l, c);
	}
}

EFI_STATUS collect_arguments(const EFI_LOADED_IMAGE *self, EFI_HANDLE handle,
	struct handover *handover)
{
	struct line l = { .text = allocate_low(LINE_MAX, "the command line") };

	if (!l.text)
		return EFI_OUT_OF_RESOURCES;
	add_built_in(&l, self);
	add_options(&l, self, handle);
	if (l.cut)
		return fail(EFI_BAD_BUFFER_SIZE, "the guest's arguments are longer than %d bytes",
			LINE_MAX - 1);
	handover->command_line = (uintptr_t)l.text;
	return EFI_SUCCESS;
}
