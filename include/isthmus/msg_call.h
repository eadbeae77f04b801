/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Calls: a request, and the reply to it. A server takes requests from any number of callers and
 * answers in whatever order and as late as it likes; a caller may have thousands of calls under
 * way. Nothing is lost between live peers, each call ends exactly once: with its reply, by its
 * deadline, by being cancelled, or with the server.
 *
 * Errors, time and threads are as in <isthmus/msg.h>. In the lists of msg_wait the handles are
 * items of type MSG_WAIT_PATTERN. Wire format: docs/wire-format.md, "Calls".
 */
#ifndef ISTHMUS_MSG_CALL_H
#define ISTHMUS_MSG_CALL_H

#include <isthmus/msg.h>

#ifdef __cplusplus
extern "C" {
#endif

struct msg_caller; /* the asking end: one channel to one server */
struct msg_server; /* the answering end: a name, and a channel to each caller */

#define MSG_CALLS_DEFAULT 1024
#define MSG_CALLS_MAX     65536

struct msg_call_options {
	struct msg_channel_options channel;
	uint32_t calls;    /* caller: calls under way at once, their results not yet taken among
			    * them; server: requests that it holds unanswered, from all callers.
			    * 0: MSG_CALLS_DEFAULT; at most MSG_CALLS_MAX. Each takes about 80 bytes
			    * of private memory. */
};

/* ---- Calling ------------------------------------------------------------------------------- */

/* Opens a channel to the server of that name; waits for one that isn't there yet. Meanwhile, as in any
 * other wait, this peer's own servers take the callers that come: two that serve each other may both
 * open callers first. (But msg_call answers nobody: who serves whom it asks uses msg_call_start, and
 * has both handles in its msg_wait.) options: may be
 * NULL. Errors of msg_connect, -EPROTOTYPE among them: what listens under that name is no server;
 * -EINVAL: more than MSG_CALLS_MAX calls. */
int msg_caller_open(struct msg_region *region, const char *name,
	const struct msg_call_options *options, struct msg_caller **caller, uint64_t deadline);

/* Closes: calls under way end without a result, and the server is told. Never blocks. The handle is
 * invalid after it, as it is after msg_leave. Safe with NULL. */
void msg_caller_close(struct msg_caller *caller);

/* The server, as it was when the channel opened. */
void msg_caller_peer(struct msg_caller *caller, struct msg_peer *peer);

/* Sends a request of len bytes, waits for its reply, copies it to reply and returns its length.
 * deadline is that of the call; the server knows it, too. Requests and replies may be of any size
 * that messages can have. Replies to other calls that come meanwhile are kept for msg_call_take, in
 * private memory.
 *   -EAGAIN      the request didn't fit at once, and the deadline had passed: nothing was sent
 *   -ETIMEDOUT   no reply until then; the server is told that none is wanted any more
 *   -EPIPE       the server left, died or closed, before or during the call
 *   -ECONNRESET  an impossible value in the region; see msg_caller_fault
 *   -ECANCELED   the server won't answer (msg_request_refuse)
 *   -EMSGSIZE    the reply is longer than size (it is dropped), or the request is larger than the
 *                region's memory could ever take
 *   -ENOBUFS     as many calls are under way as the options allow
 *   -ENOSPC      no memory of the region for a large request */
int64_t msg_call(struct msg_caller *caller, const void *request, size_t len, void *reply,
	size_t size, uint64_t deadline);

/* Starts a call and returns when the request is in the region. The result comes through
 * msg_call_take, with user in it; *id (may be NULL) names the call for msg_call_cancel.
 * call_deadline: when the call ends with -ETIMEDOUT; deadline: how long to wait for room in the
 * ring. While this waits, replies that come are moved to private memory, so that the server can't
 * be kept from reading by its own replies; see msg_call_release for the exception. Errors of
 * msg_call; on an error no call was started. */
int msg_call_start(struct msg_caller *caller, const void *request, size_t len,
	uint64_t call_deadline, void *user, uint64_t *id, uint64_t deadline);

/* The same with a buffer's first len bytes as the request, without copying. */
int msg_call_start_buffer(struct msg_caller *caller, struct msg_buffer *buffer, size_t len,
	uint64_t call_deadline, void *user, uint64_t *id, uint64_t deadline);

/* How a call ended. */
struct msg_call_result {
	uint64_t id;
	void *user;
	int64_t result;    /* length of the reply, or how the call failed: as msg_call */
	const void *data;  /* the reply, in the region or in private memory; good until the next
			    * msg_call, msg_call_take or msg_call_release on this caller, which last
			    * says whether it was good while it was looked at */
};

/* Takes the result of a call that has ended, in the order in which they end. 0 and *result;
 *   -EAGAIN, -ETIMEDOUT  none has ended, but calls are under way
 *   -ENOENT              no call is under way
 * msg_wait: ready when a call has ended. */
int msg_call_take(struct msg_caller *caller, struct msg_call_result *result, uint64_t deadline);

/* Gives back the reply that msg_call_take showed, before the next one is taken. Until then it
 * occupies the server's ring, and a msg_call_start that waits for room can't make any for the
 * server's further replies. 0; -ESTALE, -ENODEV: this peer was taken for dead, or the region went,
 * while the reply was looked at, which may have been overwritten by then: don't rely on it. */
int msg_call_release(struct msg_caller *caller);

/* Ends a call without a result. The server is told; a reply that comes nevertheless is dropped and
 * counted. Never blocks. -ENOENT: no such call, or it has ended already. */
int msg_call_cancel(struct msg_caller *caller, uint64_t id);

struct msg_call_stats {
	uint64_t outstanding; /* caller: calls that have not ended; server: requests not answered */
	uint64_t started;     /* caller: requests sent; server: requests taken */
	uint64_t answered;    /* replies taken; replies sent */
	uint64_t cancelled;   /* by the caller or by a deadline */
	uint64_t late;        /* caller: replies to calls that had ended; server: replies not sent
			       * because the call had been cancelled or its caller was gone */
};
void msg_caller_stats(struct msg_caller *caller, struct msg_call_stats *stats);

/* Why the channel was reset by this side: true and *fault, or false. */
bool msg_caller_fault(struct msg_caller *caller, struct msg_fault *fault);

/* ---- Answering ----------------------------------------------------------------------------- */

/* Takes calls under a name. Errors of msg_listen. */
int msg_server_open(struct msg_region *region, const char *name,
	const struct msg_call_options *options, struct msg_server **server);

/* Closes: all calls that were not answered end with -EPIPE at their callers. Never blocks. The
 * handle is invalid after it, as it is after msg_leave. Safe with NULL. */
void msg_server_close(struct msg_server *server);

enum msg_request_type {
	MSG_REQUEST_CALL = 1,  /* a new one; it wants exactly one msg_reply or msg_request_refuse */
	MSG_REQUEST_CANCELLED, /* one that the app holds is not wanted any more (cancelled, or its
				* caller is gone). It still wants msg_request_refuse, or a msg_reply
				* that will fail with -ECANCELED or -EPIPE. */
};

struct msg_request {
	enum msg_request_type type;
	uint64_t token;    /* names it for msg_reply; never 0 */
	const void *data;  /* the request, in the region; good until the next msg_server_next. The
			    * caller can change what is seen: copy first what must not change
			    * between check and use. If this peer is taken for dead meanwhile,
			    * others can: msg_reply fails with -ESTALE then. */
	size_t len;
	uint64_t deadline; /* until when the caller waits, on this peer's clock; MSG_FOREVER */
};

/* Takes the next request from any caller, turn by turn; new callers are accepted here. While the
 * app holds as many as the options allow, no new ones are taken and their callers wait; what
 * concerns those that it holds still comes. 0 and *request; -EAGAIN, -ETIMEDOUT: none.
 * msg_wait: ready when this would not block. */
int msg_server_next(struct msg_server *server, struct msg_request *request, uint64_t deadline);

/* Answers a request, now or later, in any order. Blocks until the reply fits into the ring to its
 * caller (whose other end has nothing to take it out before it takes results). The token is used
 * up, but for -EAGAIN, -ETIMEDOUT, -ENOSPC and -EMSGSIZE, after which the request is still held.
 *   -ENOENT     no such token
 *   -ECANCELED  the call was cancelled, or its deadline had passed there; counted as late
 *   -EPIPE      the caller left or died; counted as late
 *   -ECONNRESET its channel was reset
 *   -EAGAIN, -ETIMEDOUT, -EMSGSIZE, -ENOSPC as msg_send */
int msg_reply(struct msg_server *server, uint64_t token, const void *reply, size_t len,
	uint64_t deadline);

/* The same with a buffer's first len bytes, without copying. */
int msg_reply_buffer(struct msg_server *server, uint64_t token, struct msg_buffer *buffer,
	size_t len, uint64_t deadline);

/* Ends a request without an answer: its call ends with -ECANCELED at once. Errors of msg_reply; 0 if
 * nobody waits for it any more. */
int msg_request_refuse(struct msg_server *server, uint64_t token, uint64_t deadline);

/* Who asked. -ENOENT: no such token, or the caller is gone. */
int msg_request_peer(struct msg_server *server, uint64_t token, struct msg_peer *peer);

/* Callers that are connected now. */
unsigned msg_server_callers(struct msg_server *server);

void msg_server_stats(struct msg_server *server, struct msg_call_stats *stats);

#ifdef __cplusplus
}
#endif
#endif
