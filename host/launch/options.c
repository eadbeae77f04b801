// SPDX-License-Identifier: BSD-2-Clause
#include "host/launch/options.h"

#include <string.h>

#include "host/launch/topology.h"

const char run_options_help[] =
	"usage: isthmus run APP|TOPOLOGY [-n N] [options] [-- ARG...]\n"
	"\n"
	"Boots guests that share memory and shows what they say. APP is the name of an app or a file that\n"
	"`isthmus image` made, TOPOLOGY a name or a .topo file; words after -- go to every guest.\n"
	"\n"
	"  -n N              so many guests\n"
	"  --timeout S       end the run after S seconds, with status 124\n"
	"  --machine M       pc, q35 (default) or microvm\n"
	"  --mem MIB         RAM of each guest (default 64; 128 under OVMF); M and G may follow\n"
	"  --size SIZE       size of each shared region (default 4M)\n"
	"  --vectors N       interrupt vectors of each peer (default 2, at most 256)\n"
	"  --hugepages[=2M|1G]  regions in huge pages (default: of the size that the system has)\n"
	"  --hotplug H       how regions can be unplugged: native (default on q35), acpi (default on pc) or none\n"
	"  --master          a region travels with its first guest when that migrates, over the other's\n"
	"  --incoming        guests don't start: they wait for `isthmus migrate`\n"
	"  --plain           regions without interrupts and without a server (ivshmem-plain)\n"
	"  --accel A         QEMU's -accel (default: kvm where it works, else tcg,thread=multi)\n"
	"  --cpu MODEL       QEMU's -cpu\n"
	"  --smp N           CPUs of each guest (default 1)\n"
	"  --boot B          pvh (default), uefi, disk or iso; FILE.efi, .img and .iso boot as what they are\n"
	"  --bios B          seabios, qboot, ovmf, ovmf-secure (Secure Boot) or a firmware file\n"
	"  --input NAME      the guest that reads this terminal (default: the only one; none: nobody)\n"
	"  --keep-going      a failed guest doesn't end the others\n"
	"  --gdb[=NAME]      hold NAME (default: the first guest) until gdb comes; prints how\n"
	"  --log DIR         write each guest's raw output and the servers' messages to files there\n"
	"  --dir DIR         put the sockets there instead of in a private directory (removed at the end)\n"
	"  --dry-run         print the commands instead of running them\n"
	"  --qemu PATH       the QEMU to use\n"
	"  --server PATH     the ivshmem-server to use\n"
	"  --qemu-arg ARG    one more word for every QEMU; may be repeated\n"
	"\n"
	"Exit status: 0 when every guest succeeded, else the status of the guest that failed first (1 to\n"
	"100), 119 not started by its firmware, 120 no status, 121 panic, 122 QEMU failed, 123 server failed, 124 time-out, 125 isthmus\n"
	"itself, 128+N ended by signal N.\n";

enum kind { FLAG, STRING, NUMBER, MEM, SIZE, LIST, MAYBE, MAYBE_PAGE };

struct option_rule {
	const char *name;
	enum kind kind;
	size_t offset;		/* of the flag, string or number in struct run_options */
	const char *wants;
	unsigned long long min, max;
};

#define AT(field) offsetof(struct run_options, field)

static const struct option_rule rules[] = {
	{ "-n", NUMBER, AT(guests), "a number of guests", 1, TOPOLOGY_GUESTS_MAX },
	{ "--timeout", NUMBER, AT(timeout_s), "whole seconds", 1, 1000000 },
	{ "--machine", STRING, AT(machine), "pc, q35 or microvm", 0, 0 },
	{ "--mem", MEM, AT(mem_mib), "MiB, such as 64, or a number with M or G", 0, 0 },
	{ "--size", SIZE, AT(size), "a size such as 4M", 0, 0 },
	{ "--vectors", NUMBER, AT(vectors), "a number of vectors", 1, TOPOLOGY_VECTORS_MAX },
	{ "--plain", FLAG, AT(plain), NULL, 0, 0 },
	{ "--accel", STRING, AT(accel), "kvm, tcg or another of QEMU's -accel values", 0, 0 },
	{ "--cpu", STRING, AT(cpu), "a CPU model of QEMU's", 0, 0 },
	{ "--smp", NUMBER, AT(cpus), "a number of CPUs", 1, 255 },
	{ "--boot", STRING, AT(boot), "pvh, uefi, disk or iso", 0, 0 },
	{ "--bios", STRING, AT(bios), "seabios, qboot, ovmf, ovmf-secure or a file", 0, 0 },
	{ "--input", STRING, AT(input), "a guest's name, or none", 0, 0 },
	{ "--keep-going", FLAG, AT(keep_going), NULL, 0, 0 },
	{ "--hotplug", STRING, AT(hotplug), "native, acpi or none", 0, 0 },
	{ "--master", FLAG, AT(master), NULL, 0, 0 },
	{ "--incoming", FLAG, AT(incoming), NULL, 0, 0 },
	{ "--hugepages", MAYBE_PAGE, AT(hugepages), "a page size such as 2M or 1G", 0, 0 },
	{ "--gdb", MAYBE, AT(gdb), NULL, 0, 0 },
	{ "--log", STRING, AT(log), "a directory", 0, 0 },
	{ "--dir", STRING, AT(dir), "a directory that doesn't exist yet", 0, 0 },
	{ "--dry-run", FLAG, AT(dry_run), NULL, 0, 0 },
	{ "--qemu", STRING, AT(qemu), "the path of a qemu-system-x86_64", 0, 0 },
	{ "--server", STRING, AT(server), "the path of an ivshmem-server", 0, 0 },
	{ "--qemu-arg", LIST, AT(qemu_args), "one word for QEMU", 0, 0 },
	{ "--help", FLAG, AT(help), NULL, 0, 0 },
	{ "-h", FLAG, AT(help), NULL, 0, 0 },
};

static bool take_value(struct run_options *o, const struct option_rule *r, const char *value,
		       struct text *error)
{
	char *field = (char *)o + r->offset;
	unsigned long long v;
	const char *why;

	switch (r->kind) {
	case STRING:
		if (!*value)
			break;
		*(const char **)field = value;
		return true;
	case LIST:
		words_add((struct words *)field, value);
		return true;
	case NUMBER:
		if (!parse_number(value, r->min, r->max, &v)) {
			text_addf(error, "%s %s: wants %s from %llu to %llu", r->name, value, r->wants,
				  r->min, r->max);
			return false;
		}
		*(unsigned int *)field = (unsigned int)v;
		return true;
	case MEM:
		if (!topology_parse_mem(value, (unsigned int *)field))
			break;
		return true;
	case SIZE:
		if (!parse_size(value, &v))
			break;
		why = topology_check_size(v);
		if (why) {
			text_addf(error, "%s %s: %s", r->name, value, why);
			return false;
		}
		*(uint64_t *)field = v;
		return true;
	case MAYBE_PAGE:
		if (!parse_size(value, &v) || v < 1u << 16 || (v & (v - 1)))
			break;
		o->huge_page = v;
		return true;
	case FLAG:
	case MAYBE:
		break;
	}
	text_addf(error, "%s '%s': wants %s", r->name, value, r->wants);
	return false;
}

static const struct option_rule *find_rule(const char *word, size_t n)
{
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		if (strlen(rules[i].name) == n && memcmp(rules[i].name, word, n) == 0)
			return &rules[i];
	}
	return NULL;
}

bool run_options_parse(int argc, char **argv, struct run_options *o, struct text *error)
{
	*o = (struct run_options){ 0 };
	for (int i = 0; i < argc; i++) {
		const char *word = argv[i], *equals = strchr(word, '=');
		const struct option_rule *r;

		if (strcmp(word, "--") == 0) {
			while (++i < argc)
				words_add(&o->args, argv[i]);
			break;
		}
		if (word[0] != '-') {
			if (o->what) {
				text_addf(error, "run takes one APP or TOPOLOGY, not '%s' and '%s'; "
					  "arguments for the guests go after --", o->what, word);
				return false;
			}
			o->what = word;
			continue;
		}
		if (strncmp(word, "--", 2) != 0)
			equals = NULL;
		r = find_rule(word, equals ? (size_t)(equals - word) : strlen(word));
		/* -n4 as well as -n 4 */
		if (!r && word[1] == 'n' && word[2] >= '0' && word[2] <= '9') {
			if (!take_value(o, &rules[0], word + 2, error))
				return false;
			continue;
		}
		if (!r) {
			text_addf(error, "run has no option '%s'; see `isthmus run --help`", word);
			return false;
		}
		if (r->kind == FLAG || r->kind == MAYBE || r->kind == MAYBE_PAGE) {
			if (equals && r->kind == FLAG) {
				text_addf(error, "%s takes no value", r->name);
				return false;
			}
			*(bool *)((char *)o + r->offset) = true;
			if (equals && r->kind == MAYBE)
				o->gdb_guest = equals + 1;
			else if (equals && !take_value(o, r, equals + 1, error))
				return false;
			continue;
		}
		if (!equals && i + 1 == argc) {
			text_addf(error, "%s wants %s after it", r->name, r->wants);
			return false;
		}
		if (!take_value(o, r, equals ? equals + 1 : argv[++i], error))
			return false;
	}
	if (!o->what && !o->help) {
		text_add_str(error, "run wants an APP or a TOPOLOGY; `isthmus list` shows what there is");
		return false;
	}
	return true;
}

void run_options_free(struct run_options *o)
{
	words_free(&o->qemu_args);
	words_free(&o->args);
}
