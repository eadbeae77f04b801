// SPDX-License-Identifier: BSD-2-Clause
// What the regions of one thread have in common, and small helpers without a library.
#include <stdarg.h>
#include "msg/internal.h"

struct msg_context *msg_context_create(const struct msg_wait_ops *ops)
{
	struct msg_context *context = ops->alloc(ops->arg, sizeof(*context));

	if (!context)
		return NULL;
	context->ops = ops;
	context->spin_ns = 20 * NS_PER_US;
	return context;
}

void msg_context_destroy(struct msg_context *context)
{
	if (context)
		context->ops->free(context->ops->arg, context);
}

unsigned msg_context_regions(const struct msg_context *context)
{
	return context->count;
}

void *context_alloc(struct msg_context *context, size_t size)
{
	return context->ops->alloc(context->ops->arg, size);
}

void context_free(struct msg_context *context, void *memory)
{
	context->ops->free(context->ops->arg, memory);
}

void context_zero(void *memory, size_t size)
{
	volatile uint8_t *p = memory;

	while (size--)
		*p++ = 0;
}

static unsigned put_number(char *to, uint64_t value, unsigned base)
{
	char digits[20];
	unsigned n = 0, i;

	do {
		digits[n++] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value);
	for (i = 0; i < n; i++)
		to[i] = digits[n - 1 - i];
	return n;
}

void context_report(struct msg_context *context, int level, const char *format, ...)
{
	char line[256];
	unsigned n = 0;
	va_list args;

	if (!context->ops->report)
		return;
	va_start(args, format);
	for (; *format && n < sizeof(line) - 24; format++) {
		if (*format != '%') {
			line[n++] = *format;
			continue;
		}
		format++;
		if (*format == 's') {
			const char *s = va_arg(args, const char *);

			// Names come from the region: nothing in them may reach a terminal as is.
			for (; *s && n < sizeof(line) - 24; s++)
				line[n++] = *s >= ' ' && *s < 127 ? *s : '?';
		} else {
			n += put_number(line + n, va_arg(args, uint64_t), *format == 'x' ? 16 : 10);
		}
	}
	va_end(args);
	line[n] = 0;
	context->ops->report(context->ops->arg, level, line);
}

void name_read(char name[WIRE_NAME], const char *wire)
{
	bool ended = false;
	unsigned i;

	for (i = 0; i < WIRE_NAME; i += 8) {
		uint64_t word = region_load64((const uint64_t *)(wire + i));
		unsigned k;

		for (k = 0; k < 8; k++, word >>= 8) {
			char c = (char)(word & 0xff);

			ended = ended || !c || i + k == WIRE_NAME - 1;
			name[i + k] = ended ? 0 : c;
		}
	}
}

void name_write(char *wire, const char name[WIRE_NAME])
{
	unsigned i, k;

	for (i = 0; i < WIRE_NAME; i += 8) {
		uint64_t word = 0;

		for (k = 0; k < 8; k++)
			word |= (uint64_t)(uint8_t)name[i + k] << (8 * k);
		region_store64((uint64_t *)(wire + i), word);
	}
}

int name_copy(char name[WIRE_NAME], const char *text)
{
	unsigned n = 0;

	if (!text || !text[0])
		return -EINVAL;
	for (; text[n]; n++) {
		if (n == MSG_NAME_MAX)
			return -EINVAL;
		name[n] = text[n];
	}
	for (; n < WIRE_NAME; n++)
		name[n] = 0;
	return 0;
}

bool name_equal(const char a[WIRE_NAME], const char b[WIRE_NAME])
{
	unsigned i;

	for (i = 0; i < WIRE_NAME && a[i] == b[i]; i++)
		if (!a[i])
			return true;
	return i == WIRE_NAME;
}

const char *msg_strerror(int64_t result)
{
	if (result >= 0)
		return "no error";
	switch (-result) {
	case EAGAIN: return "nothing to do at once";
	case ETIMEDOUT: return "deadline passed";
	case EPIPE: return "the peer closed, left or died";
	case ECONNRESET: return "channel reset: an impossible value was found in the region";
	case ECONNREFUSED: return "the listener had no room";
	case EPROTOTYPE: return "the listener under that name takes channels of another kind";
	case ECANCELED: return "the call was cancelled";
	case EADDRINUSE: return "another live peer listens under that name";
	case ENODEV: return "no such device or region, or it is gone";
	case ESTALE: return "this peer was taken for dead while it was stopped, or its place overwritten; "
			    "attach again";
	case EINVAL: return "invalid argument";
	case ENOSPC: return "no slot, channel or memory of the region left";
	case ENOMEM: return "no private memory left";
	case EMSGSIZE: return "message too large";
	case EPROTO: return "live peers of another format version are there";
	case ENOBUFS: return "too many at once: take or give back some first";
	case ENOENT: return "no such entry";
	case EBUSY: return "still in use";
	}
	return "system error";
}
