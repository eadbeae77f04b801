// SPDX-License-Identifier: BSD-2-Clause
#include "host/launch/dryrun.h"

static void add_command(struct text *out, const struct words *argv)
{
	for (size_t i = 0; i < argv->n; i++) {
		if (i)
			text_add(out, " ", 1);
		quote_shell(out, argv->v[i]);
	}
}

static void add_servers(const struct plan *p, struct text *out, struct text *pids)
{
	for (size_t i = 0; i < p->n_regions; i++) {
		const struct plan_region *r = &p->regions[i];
		struct words argv = { 0 };

		if (!r->used)
			continue;
		if (r->plain) {
			text_addf(out, "truncate -s %llu ", (unsigned long long)r->size);
			quote_shell(out, r->path);
			text_add_str(out, "\n");
			continue;
		}
		plan_server_command(p, i, &argv);
		add_command(out, &argv);
		text_addf(out, " &\nserver_%zu=$!\n", i);
		text_addf(pids, " $server_%zu", i);
		words_free(&argv);
	}
	/* QEMU waits for nobody: a socket that isn't there yet is an error. */
	for (size_t i = 0; i < p->n_regions; i++) {
		const struct plan_region *r = &p->regions[i];

		if (!r->used || r->plain)
			continue;
		text_addf(out, "while kill -0 $server_%zu && ! [ -S ", i);
		quote_shell(out, r->path);
		text_add_str(out, " ]; do sleep 0.1; done\n");
	}
	if (pids->n)
		text_add_str(out, "sleep 0.1\n");
}

void dryrun_commands(const struct plan *p, const char *dir, struct text *out)
{
	struct text pids = { 0 };

	text_add_str(out, "mkdir -m 700 ");
	quote_shell(out, dir);
	text_add_str(out, "\n");
	add_servers(p, out, &pids);
	for (size_t i = 0; i < p->n_guests; i++) {
		struct words argv = { 0 };

		if (!p->guests[i].medium)
			continue;
		plan_image_command(p, i, &argv);
		add_command(out, &argv);
		text_add_str(out, "\n");
		words_free(&argv);
	}
	for (size_t i = 0; i < p->n_guests; i++) {
		struct words argv = { 0 };

		plan_guest_command(p, i, &argv);
		add_command(out, &argv);
		text_addf(out, " </dev/null &\nguest_%zu=$!\n", i);
		words_free(&argv);
		if (p->guests[i].gdb) {
			text_add_str(out, "# in another terminal: ");
			plan_gdb_command(p, i, out);
			text_add_str(out, "\n");
		}
	}
	for (size_t i = 0; i < p->n_guests; i++)
		text_addf(out, "wait $guest_%zu; echo \"%s: QEMU exited with $? (33 is success)\"\n", i,
			  p->guests[i].name);
	if (pids.n)
		text_addf(out, "kill%s; wait%s\n", pids.s, pids.s);
	text_add_str(out, "rm -r ");
	quote_shell(out, dir);
	/* What lies elsewhere: see plan_place(). */
	for (size_t i = 0; i < p->n_regions; i++) {
		if (!p->huge_page || !p->regions[i].used || !p->regions[i].plain)
			continue;
		text_add(out, " ", 1);
		quote_shell(out, p->regions[i].path);
	}
	text_add_str(out, "\n");
	text_free(&pids);
}
