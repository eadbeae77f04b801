// SPDX-License-Identifier: BSD-2-Clause
/* isthmus plug, isthmus unplug: regions of running guests come and go. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/launch/commands.h"
#include "host/launch/outcome.h"
#include "host/launch/topology.h"
#include "host/launch/vm.h"

#define TIMEOUT_S 30

static const char plug_help[] =
	"usage: isthmus plug DIR/GUEST REGION [--vectors N]\n"
	"\n"
	"Plugs a region into a running guest of `isthmus run --dir DIR`. REGION is the name of one of that run, or\n"
	"the path of an ivshmem-server's socket or of a file to be a plain region.\n"
	"\n"
	"  --vectors N    vectors of a region with a server (default 2)\n";

static const char unplug_help[] =
	"usage: isthmus unplug DIR/GUEST [DEVICE] [--timeout S]\n"
	"\n"
	"Asks a running guest of `isthmus run --dir DIR` to let an ivshmem device go, and waits until it has.\n"
	"\n"
	"  DEVICE         its id, as shm0 (the first region); can be left out where there is one device\n"
	"  --timeout S    wait so many seconds for the guest (default 30)\n";

/* Words into at most two, and one option with a number. 1: go on; 0: helped; -1: one line. */
static int parse(int argc, char **argv, const char *help, const char *option, unsigned int *number,
		 unsigned int max, const char *words[2], struct text *error)
{
	size_t n = strlen(option), count = 0;

	words[0] = words[1] = NULL;
	for (int i = 0; i < argc; i++) {
		const char *word = argv[i], *value = NULL;
		unsigned long long v;

		if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
			fputs(help, stdout);
			return 0;
		}
		if (strncmp(word, option, n) == 0 && word[n] == '=') {
			value = word + n + 1;
		} else if (strcmp(word, option) == 0) {
			value = i + 1 < argc ? argv[++i] : "";
		} else if (word[0] == '-' || count == 2) {
			text_addf(error, "'%s' is too much; --help shows the usage", word);
			return -1;
		} else {
			words[count++] = word;
			continue;
		}
		if (!parse_number(value, 1, max, &v)) {
			text_addf(error, "%s '%s': wants a number from 1 to %u", option, value, max);
			return -1;
		}
		*number = (unsigned int)v;
	}
	return 1;
}

static int finish(struct vm *vm, struct text *error)
{
	int status = error->n ? EXIT_TOOL : 0;

	if (error->n)
		fprintf(stderr, "isthmus: %s\n", error->s);
	vm_close(vm);
	text_free(error);
	return status;
}

int command_plug(int argc, char **argv)
{
	struct vm_device d = { .vectors = TOPOLOGY_VECTORS_DEFAULT };
	struct vm vm = { .qmp = QMP_NONE };
	struct text error = { 0 };
	const char *words[2];
	int go = parse(argc, argv, plug_help, "--vectors", &d.vectors, TOPOLOGY_VECTORS_MAX, words, &error);

	if (go == 1 && !words[1])
		text_add_str(&error, "plug wants a guest and a region; see `isthmus plug --help`");
	else if (go == 1 && vm_open(&vm, words[0], &error) && vm_find_region(&vm, words[1], &d, &error) &&
		 vm_plug(&vm, &d, &error))
		printf("%s: plugged in %s (%s)%s%s\n", vm.name, d.id, d.path, d.bus ? " behind " : "",
		       d.bus ? d.bus : "");
	vm_device_free(&d);
	return finish(&vm, &error);
}

int command_unplug(int argc, char **argv)
{
	struct vm_device devices[VM_DEVICES_MAX], *d = NULL;
	struct vm vm = { .qmp = QMP_NONE };
	unsigned int timeout_s = TIMEOUT_S;
	struct text error = { 0 };
	const char *words[2];
	int n = 0, go = parse(argc, argv, unplug_help, "--timeout", &timeout_s, 86400, words, &error);

	if (go == 1 && !words[0])
		text_add_str(&error, "unplug wants a guest; see `isthmus unplug --help`");
	else if (go == 1 && vm_open(&vm, words[0], &error))
		n = vm_devices(&vm, devices, &error);
	for (int i = 0; i < n; i++) {
		if (words[1] ? strcmp(devices[i].id, words[1]) == 0 : n == 1)
			d = &devices[i];
	}
	if (go == 1 && !error.n && !d) {
		if (words[1])
			text_addf(&error, "%s: has no ivshmem device '%s'", vm.name, words[1]);
		else
			text_addf(&error, "%s: has %s", vm.name,
				  n ? "several ivshmem devices; name one of" : "no ivshmem device");
		for (int i = 0; i < n; i++)
			text_addf(&error, "%s %s", words[1] && i == 0 ? "; there is" : "", devices[i].id);
	}
	if (d) {
		printf("%s: asking the guest to let %s go\n", vm.name, d->id);
		fflush(stdout);
		if (vm_unplug(&vm, d, timeout_s, &error))
			printf("%s: %s is out\n", vm.name, d->id);
	}
	while (n > 0)
		vm_device_free(&devices[--n]);
	return finish(&vm, &error);
}
