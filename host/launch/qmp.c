// SPDX-License-Identifier: BSD-2-Clause
#include "host/launch/qmp.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "host/launch/screen.h"

#define LISTEN_TRIES	10
#define LISTEN_PAUSE_MS 50
#define LINE_MAX_BYTES (16u << 20) /* QEMU's answers are far shorter */

/* The next line into `*message`: 1, 0 when the time was up, -1 with one line. */
static int receive(struct qmp *q, uint64_t end_ns, json_t **message, struct text *error)
{
	for (;;) {
		char *line_end = q->in.n ? memchr(q->in.s, '\n', q->in.n) : NULL;
		uint64_t now = screen_now();
		struct pollfd p = { .fd = q->fd, .events = POLLIN };
		char bytes[4096];
		ssize_t n;

		if (line_end) {
			size_t used = (size_t)(line_end - q->in.s) + 1;

			*message = json_loadb(q->in.s, used, 0, NULL);
			q->in.n -= used;
			memmove(q->in.s, q->in.s + used, q->in.n + 1);
			if (json_is_object(*message))
				return 1;
			json_decref(*message);
			text_addf(error, "%s: what answers on its QMP socket isn't a QEMU", q->name);
			return -1;
		}
		/* An ivshmem-server, for one, never ends its line. */
		if (q->in.n && q->in.s[0] != '{') {
			text_addf(error, "%s: what answers on its QMP socket isn't a QEMU", q->name);
			return -1;
		}
		if (now >= end_ns)
			return 0;
		if (poll(&p, 1, (int)((end_ns - now) / 1000000) + 1) < 0 && errno != EINTR) {
			text_addf(error, "%s: %s", q->name, strerror(errno));
			return -1;
		}
		if (!p.revents)
			continue;
		n = recv(q->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n <= 0 || q->in.n > LINE_MAX_BYTES) {
			text_addf(error, "%s: its QEMU has ended", q->name);
			return -1;
		}
		text_add(&q->in, bytes, (size_t)n);
	}
}

/* Receives once more; what isn't an event goes to `*answer`. As receive(). */
static int receive_answer(struct qmp *q, uint64_t end_ns, json_t **answer, struct text *error)
{
	json_t *message;
	int got = receive(q, end_ns, &message, error);

	*answer = NULL;
	if (got == 1 && json_object_get(message, "event"))
		json_array_append_new(q->events, message);
	else if (got == 1)
		*answer = message;
	return got;
}

/* Send all; with the first byte goes a descriptor, where there is one. */
static bool send_all(int socket, const char *bytes, size_t n, int fd)
{
	union {
		char space[CMSG_SPACE(sizeof(int))];
		struct cmsghdr aligned;
	} control = { .space = { 0 } };

	for (size_t sent = 0; sent < n;) {
		struct iovec iov = { .iov_base = (char *)bytes + sent, .iov_len = n - sent };
		struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
		ssize_t now;

		if (fd >= 0) {
			m.msg_control = control.space;
			m.msg_controllen = sizeof(control.space);
			*CMSG_FIRSTHDR(&m) = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof(int)),
				.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS };
			memcpy(CMSG_DATA(CMSG_FIRSTHDR(&m)), &fd, sizeof(fd));
		}
		now = sendmsg(socket, &m, MSG_NOSIGNAL);
		if (now < 0 && errno == EINTR)
			continue;
		if (now < 0)
			return false;
		sent += (size_t)now;
		fd = -1;
	}
	return true;
}

static json_t *execute(struct qmp *q, const char *command, json_t *arguments, int fd, struct text *error)
{
	uint64_t end = screen_now() + QMP_PATIENCE_NS;
	json_t *request = json_pack("{s:s}", "execute", command), *answer = NULL, *result;
	char *text;
	size_t n;

	if (arguments)
		json_object_set_new(request, "arguments", arguments);
	text = json_dumps(request, JSON_COMPACT);
	json_decref(request);
	n = strlen(text);
	text[n] = '\n'; /* in the place of the NUL: its length is known */
	if (!send_all(q->fd, text, n + 1, fd)) {
		text_addf(error, "%s: its QEMU has ended", q->name);
		free(text);
		return NULL;
	}
	free(text);
	while (!answer) {
		int got = receive_answer(q, end, &answer, error);

		if (got == 0)
			text_addf(error, "%s: its QEMU didn't answer %s within %llu s", q->name, command,
				  QMP_PATIENCE_NS / 1000000000ull);
		if (got < 1)
			return NULL;
	}
	result = json_incref(json_object_get(answer, "return"));
	if (!result) {
		const char *why = json_string_value(
			json_object_get(json_object_get(answer, "error"), "desc"));

		text_addf(error, "%s: %s: %s", q->name, command, why ? why : "an answer without sense");
	}
	json_decref(answer);
	return result;
}

json_t *qmp_do(struct qmp *q, const char *command, json_t *arguments, struct text *error)
{
	return execute(q, command, arguments, -1, error);
}

bool qmp_give_fd(struct qmp *q, int fd, const char *label, struct text *error)
{
	json_t *result = execute(q, "getfd", json_pack("{s:s}", "fdname", label), fd, error);

	json_decref(result);
	return result != NULL;
}

int qmp_pid(const struct qmp *q)
{
	struct ucred peer = { 0 };
	socklen_t n = sizeof(peer);

	return getsockopt(q->fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) ? 0 : peer.pid;
}

bool qmp_tell(struct qmp *q, const char *command, json_t *arguments, struct text *error)
{
	json_t *result = qmp_do(q, command, arguments, error);

	json_decref(result);
	return result != NULL;
}

char *qmp_property(struct qmp *q, const char *object, const char *property)
{
	struct text error = { 0 };
	json_t *value = qmp_do(q, "qom-get", json_pack("{s:s, s:s}", "path", object, "property", property),
			       &error);
	char *result = NULL;

	if (json_is_string(value))
		result = text_copy(json_string_value(value));
	else if (json_is_integer(value))
		result = text_format("%lld", (long long)json_integer_value(value));
	json_decref(value);
	text_free(&error);
	return result;
}

static bool is_event(json_t *event, const char *name, const char *key, const char *value)
{
	const char *is = json_string_value(json_object_get(event, "event"));
	const char *has = key ? json_string_value(json_object_get(json_object_get(event, "data"), key)) : NULL;

	return is && strcmp(is, name) == 0 && (!key || (has && strcmp(has, value) == 0));
}

int qmp_wait(struct qmp *q, const char *event, const char *key, const char *value, uint64_t timeout_ns,
	     struct text *error)
{
	uint64_t end = screen_now() + timeout_ns;

	for (;;) {
		json_t *stray;
		int got;

		for (size_t i = 0; i < json_array_size(q->events); i++) {
			if (!is_event(json_array_get(q->events, i), event, key, value))
				continue;
			json_array_remove(q->events, i);
			return 1;
		}
		got = receive_answer(q, end, &stray, error);
		json_decref(stray);
		if (got < 1)
			return got;
	}
}

bool qmp_open(struct qmp *q, const char *path, const char *name, struct text *error)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	bool connected = false;
	json_t *greeting;
	int got;

	*q = (struct qmp){ .fd = -1, .name = name, .events = json_array() };
	if (strlen(path) >= sizeof(a.sun_path)) {
		text_addf(error, "%s: the path is too long for a socket (%zu bytes)", path,
			  sizeof(a.sun_path) - 1);
		return false;
	}
	memcpy(a.sun_path, path, strlen(path) + 1);
	q->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	/* A QEMU that begins has made its socket a moment before it listens on it. */
	for (int tries = 0; tries < LISTEN_TRIES && q->fd >= 0 && !connected; tries++) {
		connected = connect(q->fd, (struct sockaddr *)&a, sizeof(a)) == 0;
		if (!connected && errno != ECONNREFUSED)
			break;
		if (!connected)
			poll(NULL, 0, LISTEN_PAUSE_MS);
	}
	if (!connected) {
		text_addf(error, "%s: no VM listens there (%s); name one of `isthmus run --dir DIR` as "
			  "DIR/GUEST", path, strerror(errno));
		if (q->fd >= 0)
			close(q->fd);
		q->fd = -1;
		return false;
	}
	/* QEMU serves one client at a time: the next one waits unanswered. */
	got = receive(q, screen_now() + QMP_PATIENCE_NS, &greeting, error);
	if (got == 0)
		text_addf(error, "%s: somebody else speaks to its QMP socket", name);
	if (got < 1)
		return false;
	json_decref(greeting);
	return qmp_tell(q, "qmp_capabilities", NULL, error);
}

void qmp_close(struct qmp *q)
{
	if (q->fd >= 0)
		close(q->fd);
	text_free(&q->in);
	json_decref(q->events);
	*q = QMP_NONE;
}
