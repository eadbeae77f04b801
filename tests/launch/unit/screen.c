// SPDX-License-Identifier: BSD-2-Clause
#include "tests/launch/unit/unit.h"

#include <fcntl.h>
#include <unistd.h>

#include "host/launch/screen.h"

/* A screen whose two sides are pipes, read back after the fact. */
struct fixture {
	struct screen s;
	int out[2], err[2];
	struct stream a, b;
	char text[70000];
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	assert_int_equal(pipe2(f->out, O_NONBLOCK), 0);
	assert_int_equal(pipe2(f->err, O_NONBLOCK), 0);
	screen_init(&f->s, f->out[1], f->err[1]);
	assert_false(f->s.colour[0] || f->s.colour[1] || f->s.same_terminal);
	stream_init(&f->a, &f->s, "a", 0, '|', 0);
	stream_init(&f->b, &f->s, "bob", 0, '|', 1);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 2; i++) {
		close(f->out[i]);
		close(f->err[i]);
	}
	free(f);
	return 0;
}

static const char *shown(struct fixture *f)
{
	ssize_t n = read(f->out[0], f->text, sizeof(f->text) - 1);

	f->text[n > 0 ? n : 0] = '\0';
	return f->text;
}

static void feed(struct stream *st, const char *s)
{
	stream_write(st, s, strlen(s), 0);
}

static void lines_carry_names(void **state)
{
	struct fixture *f = *state;

	feed(&f->a, "one\ntwo\n\n");
	feed(&f->b, "three\n");
	assert_string_equal(shown(f), "a   | one\na   | two\na   |\nbob | three\n");
}

static void lines_of_two_sources_do_not_mix(void **state)
{
	struct fixture *f = *state;

	feed(&f->a, "on");
	feed(&f->b, "thr");
	feed(&f->a, "e\n");
	feed(&f->b, "ee\n");
	assert_string_equal(shown(f), "a   | one\nbob | three\n");
}

static void a_prompt_is_shown_after_a_while(void **state)
{
	struct fixture *f = *state;

	feed(&f->a, "name? ");
	assert_int_equal(stream_tick(&f->a, STREAM_QUIET_NS - 1), STREAM_QUIET_NS);
	assert_string_equal(shown(f), "");
	assert_int_equal(stream_tick(&f->a, STREAM_QUIET_NS), UINT64_MAX);
	assert_string_equal(shown(f), "a   | name? ");
	assert_int_equal(stream_tick(&f->a, 10 * STREAM_QUIET_NS), UINT64_MAX);
	assert_string_equal(shown(f), "");
	/* The same source goes on in its line... */
	feed(&f->a, "bob\n");
	assert_string_equal(shown(f), "bob\n");
	/* ...and another one ends it first. */
	feed(&f->a, "again? ");
	stream_tick(&f->a, STREAM_QUIET_NS);
	feed(&f->b, "me\n");
	assert_string_equal(shown(f), "a   | again? \nbob | me\n");
	feed(&f->a, "yes\n");
	assert_string_equal(shown(f), "a   | yes\n");
}

static void the_end_closes_the_line(void **state)
{
	struct fixture *f = *state;

	feed(&f->a, "no newline");
	stream_end(&f->a);
	assert_string_equal(shown(f), "a   | no newline\n");
	feed(&f->a, "prompt> ");
	stream_tick(&f->a, STREAM_QUIET_NS);
	stream_end(&f->a);
	assert_string_equal(shown(f), "a   | prompt> \n");
	stream_end(&f->a);
	assert_string_equal(shown(f), "");
}

static void carriage_returns_end_lines_once(void **state)
{
	struct fixture *f = *state;

	feed(&f->a, "dos\r\n10%\r20%\r\r\n\r\nx\r");
	stream_end(&f->a);
	assert_string_equal(shown(f), "a   | dos\na   | 10%\na   | 20%\na   |\na   | x\n");
	/* Cut between \r and \n. */
	feed(&f->a, "cut\r");
	feed(&f->a, "\n");
	assert_string_equal(shown(f), "a   | cut\n");
}

static void nothing_a_terminal_obeys_gets_through(void **state)
{
	struct fixture *f = *state;
	char all[256];

	feed(&f->a, "\033]0;title\a\b\177\x9b\n");
	assert_string_equal(shown(f), "a   | \\x1b]0;title\\x07\\x08\\x7f\\x9b\n");
	for (int c = 0; c < 256; c++)
		all[c] = (char)c;
	stream_write(&f->a, all, sizeof(all), 0);
	stream_end(&f->a);
	for (const char *p = shown(f); *p; p++) {
		if ((*p < ' ' || *p > '~') && *p != '\n' && *p != '\t')
			fail_msg("byte 0x%02x came through", (unsigned char)*p);
	}
}

static void colours_and_cursors_are_left_out(void **state)
{
	struct fixture *f = *state;

	feed(&f->a, "\033[1;31mred\033[0m \033[2J\033[01;01H\033[=3h\033[?25lx\033[0 qy\n");
	assert_string_equal(shown(f), "a   | red xy\n");
	/* Cut anywhere. */
	feed(&f->a, "\033");
	feed(&f->a, "[3");
	feed(&f->a, "1mred\n");
	assert_string_equal(shown(f), "a   | red\n");
	/* What is none is shown, and what follows is what it is. */
	feed(&f->a, "\033x \033\033[m \033[3\nz \033[\xc3\xbc \033c\n");
	assert_string_equal(
		shown(f), "a   | \\x1bx \\x1b \\x1b[3\na   | z \\x1b[\xc3\xbc \\x1bc\n");
	feed(&f->a, "\033[1234567890123456789012345678901234567890m\n");
	assert_string_equal(shown(f), "a   | \\x1b[1234567890123456789012345678901234567890m\n");
	feed(&f->a, "\033[1");
	stream_end(&f->a);
	assert_string_equal(shown(f), "a   | \\x1b[1\n");
}

static void utf8_passes_where_it_is_text(void **state)
{
	struct fixture *f = *state;

	feed(&f->a, "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x8c\x8d\n");
	assert_string_equal(shown(f), "a   | gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x8c\x8d\n");
	/* Cut anywhere, it is put together again. */
	feed(&f->a, "\xe2");
	feed(&f->a, "\x82");
	feed(&f->a, "\xac\n");
	assert_string_equal(shown(f), "a   | \xe2\x82\xac\n");
	/* C1 control, right-to-left override, overlong, surrogate, beyond Unicode, broken, lone. */
	feed(&f->a, "\xc2\x9b \xe2\x80\xae \xe0\x80\xaf \xed\xa0\x80 \xf4\x90\x80\x80 \xe2\x82x "
		    "\xac\n");
	assert_string_equal(shown(f),
		"a   | \\xc2\\x9b \\xe2\\x80\\xae \\xe0\\x80\\xaf \\xed\\xa0\\x80 "
		"\\xf4\\x90\\x80\\x80 \\xe2\\x82x \\xac\n");
	feed(&f->a, "\xe2\x82");
	stream_end(&f->a);
	assert_string_equal(shown(f), "a   | \\xe2\\x82\n");
}

static void long_lines_come_in_pieces(void **state)
{
	struct fixture *f = *state;
	size_t n = 0, lines = 0;

	for (int i = 0; i < 10000; i++)
		feed(&f->a, "x");
	feed(&f->a, "\033\n");
	for (const char *p = shown(f); *p; p++) {
		n += *p == 'x';
		lines += *p == '\n';
	}
	/* "\x1b" brings one x of its own. */
	assert_int_equal(n, 10001);
	assert_int_equal(lines, 3);
}

static void colour_stays_with_the_name(void **state)
{
	struct fixture *f = *state;

	f->s.colour[0] = true;
	feed(&f->a, "one\n");
	feed(&f->b, "two\n");
	assert_string_equal(shown(f), "\033[36ma   |\033[0m one\n\033[33mbob |\033[0m two\n");
}

static void a_full_pipe_does_not_hold_what_is_urgent(void **state)
{
	struct fixture *f = *state;
	int urgent[2];

	assert_int_equal(pipe(urgent), 0);
	assert_int_equal(write(urgent[1], "!", 1), 1);
	f->s.interrupt = urgent[0];
	while (write(f->out[1], "................................", 32) > 0)
		;
	feed(&f->a, "this is dropped and doesn't block\n");
	f->s.interrupt = -1;
	f->s.give_up_ns = screen_now() + 20000000;
	feed(&f->a, "this waits 20 ms and is dropped\n");
	assert_false(f->s.broken);
	close(urgent[0]);
	close(urgent[1]);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(lines_carry_names),
		TEST(lines_of_two_sources_do_not_mix),
		TEST(a_prompt_is_shown_after_a_while),
		TEST(the_end_closes_the_line),
		TEST(carriage_returns_end_lines_once),
		TEST(nothing_a_terminal_obeys_gets_through),
		TEST(colours_and_cursors_are_left_out),
		TEST(utf8_passes_where_it_is_text),
		TEST(long_lines_come_in_pieces),
		TEST(colour_stays_with_the_name),
		TEST(a_full_pipe_does_not_hold_what_is_urgent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
