// SPDX-License-Identifier: BSD-2-Clause
/* Any text as a topology: the outcome is one that can be run, or one line that says what is wrong. */
#include <stdlib.h>
#include <string.h>

#include "host/launch/topology.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool truth)
{
	if (!truth)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *copy = malloc(size ? size : 1); /* exactly so long: no byte behind it may be read */
	struct topology t;
	struct text error = { 0 };

	must(copy != NULL);
	memcpy(copy, data, size);
	if (topology_parse(copy, size, "fuzz.topo", &t, &error)) {
		must(t.n_guests >= 1 && t.n_guests <= TOPOLOGY_GUESTS_MAX);
		must(t.n_regions <= TOPOLOGY_REGIONS_MAX);
		for (size_t i = 0; i < t.n_regions; i++) {
			must(topology_name_ok(t.regions[i].name));
			must(!topology_check_size(t.regions[i].size));
			must(t.regions[i].vectors <= TOPOLOGY_VECTORS_MAX);
		}
		for (size_t i = 0; i < t.n_guests; i++) {
			must(topology_name_ok(t.guests[i].name) && t.guests[i].app);
			must(t.guests[i].n_on <= TOPOLOGY_ON_MAX);
			for (unsigned int k = 0; k < t.guests[i].n_on; k++)
				must(t.guests[i].on[k] < t.n_regions);
		}
		topology_free(&t);
	} else {
		must(error.s && strstr(error.s, "fuzz.topo") && !strchr(error.s, '\n'));
		must(!t.regions && !t.guests);
	}
	text_free(&error);
	free(copy);
	return 0;
}
