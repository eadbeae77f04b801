// SPDX-License-Identifier: BSD-2-Clause
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "host/client/ivshmem_protocol.h"
#include "size.h"

enum { OPTION_MEMFD = 0x100, OPTION_HUGEPAGES, OPTION_STICKY_IDS, OPTION_READY_FD };

static const char short_options[] = ":hvFp:S:m:M:l:n:";

static const struct option long_options[] = {
	{"help", no_argument, NULL, 'h'},
	{"verbose", no_argument, NULL, 'v'},
	{"foreground", no_argument, NULL, 'F'},
	{"pid-file", required_argument, NULL, 'p'},
	{"socket", required_argument, NULL, 'S'},
	{"shm-dir", required_argument, NULL, 'm'},
	{"shm-name", required_argument, NULL, 'M'},
	{"size", required_argument, NULL, 'l'},
	{"vectors", required_argument, NULL, 'n'},
	{"memfd", no_argument, NULL, OPTION_MEMFD},
	{"hugepages", required_argument, NULL, OPTION_HUGEPAGES},
	{"sticky-ids", no_argument, NULL, OPTION_STICKY_IDS},
	{"ready-fd", required_argument, NULL, OPTION_READY_FD},
	{NULL, 0, NULL, 0},
};

void options_print_help(FILE *out, const char *program)
{
	fprintf(out,
		"Usage: %s [OPTION]...\n"
		"Gives QEMU's ivshmem-doorbell devices their shared memory, ids and interrupts.\n"
		"  -h, --help             show this help\n"
		"  -v, --verbose          say what happens (needs -F)\n"
		"  -F, --foreground       stay in the foreground (default: become a daemon)\n"
		"  -p, --pid-file FILE    PID file (used in daemon mode only)\n"
		"                         default " OPTIONS_DEFAULT_PID_FILE "\n"
		"  -S, --socket PATH      Unix socket to listen on\n"
		"                         default " OPTIONS_DEFAULT_SOCKET "\n"
		"  -M, --shm-name NAME    POSIX shared memory object to use\n"
		"                         default " OPTIONS_DEFAULT_SHM_NAME "\n"
		"  -m, --shm-dir DIR      make the shared memory a file in DIR, such as a "
		"hugetlbfs\n"
		"      --memfd            make it anonymous memory that nobody can resize\n"
		"      --hugepages PAGE   such memory in huge pages of that size: 2M, 1G\n"
		"  -l, --size SIZE        bytes of shared memory, rounded up to a power of two;\n"
		"                         suffixes K M G T P E, as in 16M; default 4M\n"
		"  -n, --vectors N        interrupt vectors for each peer, 0 to %d; default %d\n"
		"      --sticky-ids       keep the id and eventfds of a client that leaves for the "
		"next\n"
		"                         one, and tell nobody that it has left\n"
		"      --ready-fd FD      write a line feed to FD once clients can connect\n"
		"Of -M, -m, --memfd and --hugepages the last one wins.\n",
		program, IVSHMEM_PROTOCOL_VECTORS_MAX, OPTIONS_DEFAULT_VECTORS);
}

__attribute__((format(printf, 2, 3))) static enum options_outcome bad(
	char error[256], const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(error, 256, format, args);
	va_end(args);
	return OPTIONS_BAD;
}

/* Decimal, 0x hexadecimal or 0 octal, as QEMU's server reads numbers. */
static int parse_number(const char *text, unsigned long limit, unsigned int *value)
{
	unsigned long number;
	char *end;

	if (*text < '0' || *text > '9')
		return -EINVAL; /* strtoul would take blanks and signs */
	errno = 0;
	number = strtoul(text, &end, 0);
	if (*end)
		return -EINVAL;
	if (errno || number > limit)
		return -ERANGE;
	*value = (unsigned int)number;
	return 0;
}

static enum options_outcome parse_size(const char *text, struct options *options, char error[256])
{
	uint64_t bytes = 0;
	char largest[32];
	int err = size_parse(text, &bytes);

	if (err == -EINVAL)
		return bad(error,
			"-l %.80s: not a size; write bytes, or a suffix as in 512K, 16M, 4G", text);
	if (!err && bytes == 0)
		return bad(error,
			"-l %.80s: the region can't be empty; it begins at one page, as in "
			"-l 4K",
			text);
	options->size = err ? 0 : size_round(bytes);
	if (!options->size)
		return bad(error, "-l %.80s: too large; a region has at most %s", text,
			size_format(SIZE_LARGEST, largest));
	return OPTIONS_RUN;
}

static bool is_shm_name(const char *name)
{
	name += strspn(name, "/"); /* shm_open(3) wants one, and takes none or several */
	return *name && strlen(name) <= NAME_MAX && !strchr(name, '/');
}

static enum options_outcome parse_one(
	int option, char *value, struct options *options, char error[256])
{
	unsigned int number;
	int err;

	switch (option) {
	case 'h':
		return OPTIONS_HELP;
	case 'v':
		options->verbose = true;
		break;
	case 'F':
		options->foreground = true;
		break;
	case 'p':
		if (!*value)
			return bad(error, "-p: the name of the PID file is empty");
		options->pid_file = value;
		break;
	case 'S':
		if (!*value || strlen(value) >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
			return bad(error, "-S %.120s: the path of a Unix socket has 1 to %zu bytes",
				value, sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1);
		options->socket_path = value;
		break;
	case 'm':
		options->region = OPTIONS_REGION_DIR;
		options->shm_dir = value;
		break;
	case 'M':
		if (!is_shm_name(value))
			return bad(error,
				"-M %.120s: not the name of a shared memory object, which has 1 to "
				"%d bytes and no slash inside; a directory is given with -m",
				value, NAME_MAX);
		options->region = OPTIONS_REGION_SHM;
		options->shm_name = value;
		break;
	case OPTION_MEMFD:
		options->region = OPTIONS_REGION_MEMFD;
		options->huge_page = 0;
		break;
	case OPTION_HUGEPAGES:
		if (size_parse(value, &options->huge_page) || options->huge_page < 1u << 16 ||
			(options->huge_page & (options->huge_page - 1)))
			return bad(error, "--hugepages %.80s: not the size of huge pages, such as 2M or 1G",
				value);
		options->region = OPTIONS_REGION_MEMFD;
		break;
	case 'l':
		return parse_size(value, options, error);
	case 'n':
		err = parse_number(value, IVSHMEM_PROTOCOL_VECTORS_MAX, &number);
		if (err)
			return bad(error, "-n %.80s: %s; 0 to %d vectors are possible", value,
				err == -EINVAL ? "not a number" : "too many",
				IVSHMEM_PROTOCOL_VECTORS_MAX);
		options->vectors = number;
		break;
	case OPTION_STICKY_IDS:
		options->sticky_ids = true;
		break;
	case OPTION_READY_FD:
		if (parse_number(value, 1 << 20, &number))
			return bad(
				error, "--ready-fd %.80s: not the number of an open file", value);
		options->ready_fd = (int)number;
		break;
	}
	return OPTIONS_RUN;
}

enum options_outcome options_parse(int argc, char **argv, struct options *options, char error[256])
{
	enum options_outcome outcome;
	int option;

	*options = (struct options){
		.pid_file = OPTIONS_DEFAULT_PID_FILE,
		.socket_path = OPTIONS_DEFAULT_SOCKET,
		.region = OPTIONS_REGION_SHM,
		.shm_name = OPTIONS_DEFAULT_SHM_NAME,
		.size = OPTIONS_DEFAULT_SIZE,
		.vectors = OPTIONS_DEFAULT_VECTORS,
		.ready_fd = -1,
	};
	error[0] = '\0';
	optind = 0; /* glibc: begin anew */
	opterr = 0;
	while ((option = getopt_long(argc, argv, short_options, long_options, NULL)) != -1) {
		if (option == ':')
			return bad(error, "%.80s needs a value; see -h", argv[optind - 1]);
		if (option == '?' && optopt && optopt < OPTION_MEMFD)
			return bad(error, "unknown option -%c; see -h", optopt);
		if (option == '?')
			return bad(error, "%.80s: no such option, or it takes no value; see -h",
				argv[optind - 1]);
		outcome = parse_one(option, optarg, options, error);
		if (outcome != OPTIONS_RUN)
			return outcome;
	}
	if (optind < argc)
		return bad(error, "%.120s: all arguments are options; see -h", argv[optind]);
	if (options->verbose && !options->foreground)
		return bad(error, "-v needs -F: a daemon has nowhere to print to");
	return OPTIONS_RUN;
}
