// SPDX-License-Identifier: BSD-2-Clause
#include "boot/options.h"

#include <isthmus/guest.h>
#include <isthmus/log.h>
#include <stdbool.h>
#include "boot/boot_info.h"
#include "boot/command_line.h"
#include "log/sink.h"
#include "platform/power.h"

#define MOST_WORDS 256
#define PREFIX "isthmus."
#define KNOWN PREFIX "log=LEVEL and " PREFIX "name=NAME"

/* linker/symbols.sh puts it beside the symbol table. */
extern const char image_name[];

static bool apply_log(const char *value)
{
	enum log_level level;

	if (log_parse_level(value, &level))
		return false;
	log_set_level(level);
	return true;
}

static bool is_not_empty(const char *value)
{
	return *value;
}

/* Every option there is. Who needs a value at another time asks guest_option() for it. */
static struct option {
	const char *name;
	bool (*apply)(const char *value);	/* false: refused */
	const char *right;			/* for the error line */
	const char *value;
} options[] = {
	{ "log", apply_log, "error, warn, info or debug", NULL },
	{ "name", is_not_empty, "this guest's name among its peers", NULL },
};

static char *words[MOST_WORDS + 2];

static bool same(const char *a, const char *b, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (a[i] != b[i] || !a[i])
			return false;
	return true;
}

static size_t length_of(const char *text)
{
	size_t n = 0;

	while (text[n])
		n++;
	return n;
}

static struct option *find_option(const char *name, size_t length)
{
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		if (length_of(options[i].name) == length && same(options[i].name, name, length))
			return &options[i];
	return NULL;
}

const char *guest_option(const char *name)
{
	struct option *option = find_option(name, length_of(name));

	return option ? option->value : NULL;
}

/* Only the first error is told. */
static void refuse(struct boot_arguments *a, const char *format, const char *what,
	const char *right)
{
	if (a->error)
		return;
	a->error = format;
	a->what[0] = what;
	a->what[1] = right;
}

/* A word that begins with PREFIX. */
static void take_option(struct boot_arguments *a, const char *word)
{
	const char *name = word + sizeof(PREFIX) - 1;
	size_t length = 0;

	while (name[length] && name[length] != '=')
		length++;

	struct option *option = find_option(name, length);

	if (!option)
		refuse(a, "boot: the runtime has no option \"%s\", only %s", word, KNOWN);
	else if (!name[length] || !option->apply(name + length + 1))
		refuse(a, "boot: option \"%s\" has no right value, which is %s", word,
			option->right);
	else
		option->value = name + length + 1;
}

struct boot_arguments boot_take_options(char *command_line, unsigned lost_bytes)
{
	static const char *const errors[] = {
		[-COMMAND_LINE_OPEN_QUOTE] = "a quotation in it does not end",
		[-COMMAND_LINE_OPEN_ESCAPE] = "it ends in a backslash",
		[-COMMAND_LINE_TOO_MANY] = "it has more than 256 words",
	};
	struct boot_arguments a = { 0 };
	int count;

	if (lost_bytes)
		refuse(&a, "boot: the command line is longer than %s bytes%s", "4095", "");
	count = command_line_split(command_line, words + 1, MOST_WORDS);
	if (count < 0)
		refuse(&a, "boot: can't take the command line apart: %s%s", errors[-count], "");

	words[a.argc++] = (char *)image_name;
	for (int i = 1; i <= count; i++) {
		if (same(words[i], PREFIX, sizeof(PREFIX) - 1))
			take_option(&a, words[i]);
		else
			words[a.argc++] = words[i];
	}
	words[a.argc] = NULL;
	a.argv = words;
	return a;
}

void boot_check_options(const struct boot_arguments *a)
{
	if (!a->error)
		return;
	log_error(a->error, a->what[0], a->what[1]);
	platform_exit(1);
}
