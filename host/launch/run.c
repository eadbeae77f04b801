// SPDX-License-Identifier: BSD-2-Clause
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "host/launch/commands.h"
#include "host/launch/dryrun.h"
#include "host/launch/options.h"
#include "host/launch/outcome.h"
#include "host/launch/plan.h"
#include "host/launch/supervise.h"

static bool print_commands(struct plan *p, const char *dir, struct text *error)
{
	struct text out = { 0 };
	char *fresh = NULL;

	/* In memory, like a real run's regions; the number only has to be free when they are pasted. */
	if (!dir)
		dir = fresh = text_format("/dev/shm/isthmus-%ld", (long)getpid());
	if (!plan_place(p, dir, false, error)) {
		free(fresh);
		return false;
	}
	dryrun_commands(p, dir, &out);
	fputs(out.s, stdout);
	text_free(&out);
	free(fresh);
	if (fflush(stdout)) {
		text_add_str(error, "can't write the commands");
		return false;
	}
	return true;
}

int command_run(int argc, char **argv)
{
	struct text error = { 0 };
	struct run_options o;
	struct plan p = { 0 };
	int status = EXIT_TOOL;

	if (!run_options_parse(argc, argv, &o, &error))
		goto done;
	if (o.help) {
		fputs(run_options_help, stdout);
		status = 0;
		goto done;
	}
	if (!plan_make(&p, &o, &error))
		goto done;
	if (!o.dry_run)
		status = supervise_run(&p);
	else if (print_commands(&p, o.dir, &error))
		status = 0;
done:
	if (error.n)
		fprintf(stderr, "isthmus: %s\n", error.s);
	plan_free(&p);
	run_options_free(&o);
	text_free(&error);
	return status;
}
