// SPDX-License-Identifier: BSD-2-Clause
// The log's formatter: what handlers and panics may call. Integers, strings and characters only.
#include <isthmus/log.h>
#include <stdbool.h>
#include <stdint.h>

struct output {
	char *buffer;
	size_t size;
	size_t length; /* of the whole text, written or not */
};

/* One conversion as it stands between % and its letter. */
struct conversion {
	bool left, zero, alternate;
	int width;
	int precision; /* -1: none */
	int size;      /* in bytes, of an integer */
};

static void put(struct output *out, char c)
{
	if (out->length + 1 < out->size)
		out->buffer[out->length] = c;
	out->length++;
}

static void put_repeated(struct output *out, char c, int count)
{
	while (count-- > 0)
		put(out, c);
}

static void put_padded(struct output *out, const struct conversion *conv, const char *text,
		       int length)
{
	if (!conv->left)
		put_repeated(out, ' ', conv->width - length);
	for (int i = 0; i < length; i++)
		put(out, text[i]);
	if (conv->left)
		put_repeated(out, ' ', conv->width - length);
}

static void put_number(struct output *out, const struct conversion *conv, uint64_t value,
		       unsigned base, bool upper, const char *sign)
{
	const char *digits = upper ? "0123456789ABCDEF" : "0123456789abcdef";
	char text[24]; /* 20 digits of 2^64 - 1, or "0x" and 16 */
	int length = 0, first = sizeof(text), prefix = 0;

	do {
		text[--first] = digits[value % base];
		value /= base;
	} while (value != 0);
	while (sign[prefix])
		prefix++;
	length = (int)sizeof(text) - first + prefix;

	if (!conv->left && !conv->zero)
		put_repeated(out, ' ', conv->width - length);
	for (int i = 0; i < prefix; i++)
		put(out, sign[i]);
	if (!conv->left && conv->zero)
		put_repeated(out, '0', conv->width - length);
	for (int i = first; i < (int)sizeof(text); i++)
		put(out, text[i]);
	if (conv->left)
		put_repeated(out, ' ', conv->width - length);
}

static void put_string(struct output *out, const struct conversion *conv, const char *text)
{
	int length = 0;

	if (text == NULL)
		text = "(null)";
	while ((conv->precision < 0 || length < conv->precision) && text[length])
		length++;
	put_padded(out, conv, text, length);
}

/* Digits from *format on; stops growing where no sane width lies. */
static int parse_number(const char **format)
{
	int value = 0;

	for (; **format >= '0' && **format <= '9'; (*format)++) {
		if (value < 10000)
			value = value * 10 + (**format - '0');
	}
	return value;
}

static const char *parse_flags(const char *format, struct conversion *conv)
{
	for (;; format++) {
		if (*format == '-')
			conv->left = true;
		else if (*format == '0')
			conv->zero = true;
		else if (*format == '#')
			conv->alternate = true;
		else
			return format;
	}
}

static const char *parse_size(const char *format, struct conversion *conv)
{
	conv->size = sizeof(int);
	while (*format == 'h') {
		conv->size /= 2;
		format++;
	}
	for (; *format == 'l' || *format == 'z' || *format == 'j' || *format == 't'; format++)
		conv->size = sizeof(long);
	return format;
}

static uint64_t narrow_unsigned(uint64_t value, int size)
{
	return size >= 8 ? value : value & ((1ull << (8 * size)) - 1);
}

static int64_t narrow_signed(uint64_t value, int size)
{
	unsigned shift = 64 - 8 * (unsigned)size;

	return (int64_t)(value << shift) >> shift;
}

int log_vformat(char *buffer, size_t size, const char *format, va_list arguments)
{
	struct output out = { buffer, size, 0 };
	va_list args;

	va_copy(args, arguments);
	for (; *format; format++) {
		struct conversion conv = { .precision = -1 };
		const char *start = format;
		uint64_t value;
		int64_t number;
		char c;

		if (*format != '%') {
			put(&out, *format);
			continue;
		}
		format = parse_flags(format + 1, &conv);
		if (*format == '*') {
			conv.width = va_arg(args, int);
			if (conv.width < 0) {
				conv.left = true;
				conv.width = -conv.width;
			}
			format++;
		} else {
			conv.width = parse_number(&format);
		}
		if (*format == '.') {
			format++;
			if (*format == '*') {
				conv.precision = va_arg(args, int);
				format++;
			} else {
				conv.precision = parse_number(&format);
			}
		}
		format = parse_size(format, &conv);

		switch (*format) {
		case 'd':
		case 'i':
			value = conv.size == 8 ? va_arg(args, uint64_t) : va_arg(args, unsigned);
			number = narrow_signed(value, conv.size);
			value = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
			put_number(&out, &conv, value, 10, false, number < 0 ? "-" : "");
			break;
		case 'u':
		case 'x':
		case 'X':
			value = conv.size == 8 ? va_arg(args, uint64_t) : va_arg(args, unsigned);
			value = narrow_unsigned(value, conv.size);
			put_number(&out, &conv, value, *format == 'u' ? 10 : 16, *format == 'X',
				   !conv.alternate || !value || *format == 'u' ? "" :
				   *format == 'x' ? "0x" : "0X");
			break;
		case 'p':
			put_number(&out, &conv, (uintptr_t)va_arg(args, void *), 16, false, "0x");
			break;
		case 's':
			put_string(&out, &conv, va_arg(args, const char *));
			break;
		case 'c':
			c = (char)va_arg(args, int);
			put_padded(&out, &conv, &c, 1);
			break;
		case '%':
			put(&out, '%');
			break;
		default:
			/* Unknown: what it takes is unknown too, so show the rest as it stands. */
			for (; *start; start++)
				put(&out, *start);
			format = start - 1;
			break;
		}
	}
	va_end(args);
	if (size > 0)
		buffer[out.length < size ? out.length : size - 1] = '\0';
	return (int)out.length;
}

int log_format(char *buffer, size_t size, const char *format, ...)
{
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = log_vformat(buffer, size, format, arguments);
	va_end(arguments);
	return length;
}
