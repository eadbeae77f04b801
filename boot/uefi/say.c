// SPDX-License-Identifier: BSD-2-Clause
#include <isthmus/log.h>
#include "boot/uefi/stub.h"

/* The firmware prints UCS-2 and wants a carriage return before each line feed. */
static void print(const char *text)
{
	CHAR16 piece[64];
	size_t n = 0;

	if (!firmware->ConOut)
		return;
	for (; *text; text++) {
		if (*text == '\n')
			piece[n++] = '\r';
		piece[n++] = (unsigned char)*text;
		if (n >= sizeof(piece) / sizeof(piece[0]) - 2) {
			piece[n] = 0;
			firmware->ConOut->OutputString(firmware->ConOut, piece);
			n = 0;
		}
	}
	piece[n] = 0;
	firmware->ConOut->OutputString(firmware->ConOut, piece);
}

static void say_words(const char *format, va_list arguments, const char *end)
{
	char text[256];

	log_vformat(text, sizeof(text), format, arguments);
	print("isthmus: ");
	print(text);
	print(end);
}

void say(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	say_words(format, arguments, "\n");
	va_end(arguments);
}

static const char *status_words(EFI_STATUS status)
{
	switch (status) {
	case EFI_LOAD_ERROR: return "load error";
	case EFI_INVALID_PARAMETER: return "invalid parameter";
	case EFI_UNSUPPORTED: return "unsupported";
	case EFI_BAD_BUFFER_SIZE: return "bad buffer size";
	case EFI_BUFFER_TOO_SMALL: return "buffer too small";
	case EFI_NOT_READY: return "not ready";
	case EFI_DEVICE_ERROR: return "device error";
	case EFI_OUT_OF_RESOURCES: return "out of memory";
	case EFI_NOT_FOUND: return "not found";
	case EFI_ACCESS_DENIED: return "access denied";
	case EFI_TIMEOUT: return "timeout";
	case EFI_ABORTED: return "aborted";
	case EFI_SECURITY_VIOLATION: return "security violation";
	default: return NULL;
	}
}

EFI_STATUS fail(EFI_STATUS status, const char *format, ...)
{
	const char *words = status_words(status);
	va_list arguments;
	char end[48];

	if (words)
		log_format(end, sizeof(end), " (%s)\n", words);
	else
		log_format(end, sizeof(end), " (status %lx)\n", (unsigned long)status);
	va_start(arguments, format);
	say_words(format, arguments, end);
	va_end(arguments);
	return status;
}
