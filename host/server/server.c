// SPDX-License-Identifier: BSD-2-Clause
#include "server.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/client/ivshmem_protocol.h"
#include "report.h"

#define SERVER_RETRY_MS   20 /* between tries when the kernel lacks something */
#define SERVER_ACCEPT_MAX 64 /* connections in a row before the others get their turn */

void server_raise_file_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == limit.rlim_max)
		return;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		report_warning("cannot raise the limit on open files: %s", strerror(errno));
}

static sigset_t ending_signals(bool daemon)
{
	struct sigaction hangup;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	/* The terminal goes: so does a foreground server, unless nohup said otherwise. */
	if (!daemon && sigaction(SIGHUP, NULL, &hangup) == 0 && hangup.sa_handler != SIG_IGN)
		sigaddset(&set, SIGHUP);
	return set;
}

void server_hold_signals(bool daemon)
{
	sigset_t set = ending_signals(daemon);

	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	if (daemon)
		signal(SIGHUP, SIG_IGN);
}

static int watch(struct server *server, int fd, void *data)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = data};

	return epoll_ctl(server->epoll, EPOLL_CTL_ADD, fd, &event);
}

int server_init(struct server *server, struct listener *listener, int region, unsigned int vectors,
	bool sticky, bool daemon)
{
	sigset_t set = ending_signals(daemon);
	int err;

	*server = (struct server){.listener = listener};
	server->epoll = epoll_create1(EPOLL_CLOEXEC);
	server->signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	server->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
	err = clients_init(&server->clients, vectors, sticky, region, server->epoll);
	if (server->epoll >= 0 && server->signals >= 0 && server->spare >= 0 && !err &&
		watch(server, listener->fd, listener) == 0 &&
		watch(server, server->signals, &server->signals) == 0)
		return 0;
	report_error("cannot start: %s", strerror(err ? -err : errno));
	server_release(server);
	return -1;
}

void server_release(struct server *server)
{
	clients_release(&server->clients);
	if (server->epoll >= 0)
		close(server->epoll);
	if (server->signals >= 0)
		close(server->signals);
	if (server->spare >= 0)
		close(server->spare);
}

/* With no descriptor left, gives up the spare one for as long as it takes to refuse somebody. */
static void refuse_with_spare(struct server *server)
{
	int sock;

	if (server->spare >= 0)
		close(server->spare);
	sock = accept4(server->listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (sock >= 0) {
		report_warning(
			"refused a client: out of file descriptors with %u clients here; raise the "
			"limit (ulimit -Hn) or use fewer vectors",
			server->clients.count);
		clients_refuse(sock, IVSHMEM_PROTOCOL_REFUSED_FILES);
	}
	server->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
	server->full = sock < 0 || server->spare < 0;
}

static void accept_clients(struct server *server)
{
	for (int i = 0; i < SERVER_ACCEPT_MAX; i++) {
		int sock = accept4(server->listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (sock >= 0) {
			clients_join(&server->clients, sock);
			clients_reap(&server->clients);
		} else if (errno == EMFILE || errno == ENFILE) {
			refuse_with_spare(server);
			return;
		} else if (errno == ENOMEM || errno == ENOBUFS) {
			server->full = true;
			return;
		} else if (errno == EAGAIN) {
			return;
		} /* else that one connection failed; the next may not */
	}
}

/* While accepting is hopeless, don't let epoll report the waiting connection again and again. */
static void watch_listener(struct server *server, bool on)
{
	struct epoll_event event = {.events = on ? EPOLLIN : 0, .data.ptr = server->listener};

	epoll_ctl(server->epoll, EPOLL_CTL_MOD, server->listener->fd, &event);
}

static int ending_signal(struct server *server)
{
	struct signalfd_siginfo info;

	if (read(server->signals, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return 0;
	return (int)info.ssi_signo;
}

int server_run(struct server *server)
{
	struct epoll_event events[64];
	bool paused = false;
	int signo = 0;

	while (!signo) {
		bool retry = server->clients.any_starved || paused, newcomers = paused;
		int count = epoll_wait(server->epoll, events, 64, retry ? SERVER_RETRY_MS : -1);

		if (count < 0 && errno != EINTR) {
			report_error("cannot go on: epoll: %s", strerror(errno));
			return -1;
		}
		for (int i = 0; i < count; i++) {
			if (events[i].data.ptr == server->listener)
				newcomers = true;
			else if (events[i].data.ptr == &server->signals)
				signo = ending_signal(server);
			else
				clients_handle(
					&server->clients, events[i].data.ptr, events[i].events);
		}
		if (server->clients.any_starved)
			clients_retry(&server->clients);
		/* Those who go make room for those who come. */
		clients_reap(&server->clients);
		if (newcomers && !signo) {
			server->full = false;
			accept_clients(server);
		}
		if (paused != server->full) {
			paused = server->full;
			watch_listener(server, !paused);
		}
	}
	report_info("signal %d: ending, with %u clients", signo, server->clients.count);
	return 0;
}
