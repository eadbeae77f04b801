// SPDX-License-Identifier: BSD-2-Clause
#include "host/launch/accel.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool has_word(const char *line, const char *word)
{
	size_t n = strlen(word);

	for (const char *p = line; (p = strstr(p, word)); p += n) {
		if ((p == line || strchr(" \t:", p[-1])) && (!p[n] || strchr(" \t\n", p[n])))
			return true;
	}
	return false;
}

bool accel_kvm_works(const char *kvm_device, const char *cpuinfo)
{
	int fd = open(kvm_device ? kvm_device : "/dev/kvm", O_RDWR | O_CLOEXEC);
	char *line = NULL;
	bool found = false;
	size_t cap = 0;
	FILE *f;

	if (fd < 0)
		return false;
	close(fd);
	f = fopen(cpuinfo ? cpuinfo : "/proc/cpuinfo", "re");
	if (!f)
		return false;
	while (!found && getline(&line, &cap, f) > 0) {
		if (strncmp(line, "flags", 5) == 0)
			found = has_word(line, "vmx") || has_word(line, "svm");
	}
	free(line);
	fclose(f);
	return found;
}

const char *accel_default(void)
{
	const char *named = getenv("ISTHMUS_ACCEL");

	if (named && *named)
		return named;
	return accel_kvm_works(NULL, NULL) ? "kvm" : "tcg,thread=multi";
}
