// SPDX-License-Identifier: BSD-2-Clause
/*
 * Working. Each item that was given to this worker is an entry of a table of twice the window.
 *
 *   entry     what happens                              becomes
 *   FREE      GIVE                                      READY
 *   READY     msg_worker_take                           TAKEN
 *   TAKEN     msg_worker_done                           DONE: told to the dispatcher
 *   TAKEN     msg_worker_return                         BACK: told to the dispatcher, then FREE
 *   DONE      SAFE                                      FREE
 *
 * To another dispatcher READY and TAKEN ones are told as held, DONE ones again as done; BACK ones are
 * forgotten, since it doesn't know that we had them.
 */
#include "msg/patterns/queue.h"

#define STALL_NS (5 * NS_PER_MS)

enum job_state {
	JOB_FREE = 0,
	JOB_READY,
	JOB_TAKEN,
	JOB_DONE,
	JOB_BACK,
};

struct job {
	enum job_state state;
	bool tell;                /* the dispatcher has to be told */
	bool told;                /* ... and was, before REPORTED: no more about it until then */
	bool before;
	unsigned deliveries;
	uint32_t generation;
	struct item_id id;
	void *data;               /* the item; DONE: the result */
	size_t len;
	uint64_t order;           /* READY: when it came */
};

struct msg_worker {
	struct pattern pattern;
	struct queue_link link;
	struct job *jobs;
	uint32_t window, count;
	uint32_t ready, held, unsafe, tells; /* jobs READY; READY or TAKEN; DONE or BACK; to be told */
	uint64_t session, order;
	bool reported;
	uint64_t stalled;         /* no memory of the region: tried again then; 0: not */
	struct msg_queue_stats stats;
};

static void job_free(struct msg_worker *worker, struct job *job)
{
	context_free(worker->pattern.region->context, job->data);
	job->data = NULL;
	worker->tells -= job->tell;
	job->tell = false;
	job->state = JOB_FREE;
}

static void job_tell(struct msg_worker *worker, struct job *job)
{
	worker->tells += !job->tell;
	job->tell = true;
}

static void session_begin(struct msg_worker *worker)
{
	uint32_t i;

	worker->session = worker->link.connects;
	worker->reported = false;
	worker->stalled = 0;
	for (i = 0; i < worker->count; i++) {
		struct job *job = &worker->jobs[i];

		job->told = false;
		if (job->state == JOB_BACK) {
			worker->unsafe--;
			job_free(worker, job);
		} else if (job->state != JOB_FREE) {
			job_tell(worker, job);
		}
	}
}

static struct job *job_find(struct msg_worker *worker, struct item_id id, enum job_state state)
{
	uint32_t i;

	for (i = 0; i < worker->count; i++)
		if (worker->jobs[i].state == state && item_same(worker->jobs[i].id, id))
			return &worker->jobs[i];
	return NULL;
}

// False: more than was granted.
static bool take_item(struct msg_worker *worker, const struct letter_view *view)
{
	struct job *job = worker->jobs;

	while (job < worker->jobs + worker->count && job->state != JOB_FREE)
		job++;
	if (worker->held >= worker->window || job == worker->jobs + worker->count)
		return false;
	job->id = (struct item_id){ view->head[1], view->head[2] };
	job->before = view->head[0] & QUEUE_BEFORE;
	job->deliveries = QUEUE_DELIVERIES(view->head[0]);
	if (!++job->generation)
		job->generation = 1;
	job->data = queue_copy(worker->pattern.region, view->body.data, view->body.len);
	// What a dead worker read may be anything: it is no work.
	if (letter_ours(worker->pattern.region)) {
		context_free(worker->pattern.region->context, job->data);
		job->data = NULL;
		return true;
	}
	job->len = view->body.len;
	job->order = worker->order++;
	if (!job->data) {
		// Somebody else may have the memory for it.
		job->state = JOB_BACK;
		worker->unsafe++;
		job_tell(worker, job);
		return true;
	}
	job->state = JOB_READY;
	worker->ready++;
	worker->held++;
	worker->stats.redelivered += job->before;
	return true;
}

static bool take_letter(struct msg_worker *worker, const struct letter_view *view)
{
	struct job *job;

	if (LETTER_TYPE(view->head[0]) == QUEUE_GIVE)
		return take_item(worker, view);
	if (LETTER_TYPE(view->head[0]) != QUEUE_SAFE)
		return false;
	job = job_find(worker, (struct item_id){ view->head[1], view->head[2] }, JOB_DONE);
	if (!job)
		return false;
	worker->unsafe--;
	worker->stats.done++;
	job_free(worker, job);
	return true;
}

static int tell_one(struct msg_worker *worker, struct job *job)
{
	enum queue_type type = job->state == JOB_DONE ? QUEUE_DONE :
			       job->state == JOB_BACK ? QUEUE_RETURN : QUEUE_HELD;
	struct letter letter = { .words = QUEUE_WORDS,
		.head = { type, job->id.life, job->id.number } };
	int err;

	if (job->state == JOB_DONE) {
		letter.data = job->data;
		letter.len = job->len;
	}
	err = link_send(&worker->link, &letter);
	worker->stalled = 0;
	if (err && err != -EAGAIN)
		worker->stalled = context_now(worker->pattern.region->context) + STALL_NS;
	if (err)
		return err;
	job->tell = false;
	job->told = true;
	worker->tells--;
	if (job->state == JOB_BACK) {
		worker->unsafe--;
		job_free(worker, job);
	}
	return 0;
}

static void tell_all(struct msg_worker *worker)
{
	struct letter reported = { .words = QUEUE_WORDS, .head = { QUEUE_REPORTED } };
	uint32_t i;

	for (i = 0; i < worker->count && worker->tells; i++) {
		struct job *job = &worker->jobs[i];

		if (job->tell && (worker->reported || !job->told) && tell_one(worker, job))
			return;
	}
	if (worker->reported || link_send(&worker->link, &reported))
		return;
	worker->reported = true;
	// What became done meanwhile.
	if (worker->tells)
		tell_all(worker);
}

static void advance(struct msg_worker *worker)
{
	struct letter_view view;

	if (!link_step(&worker->link) || worker->link.error)
		return;
	if (worker->session != worker->link.connects)
		session_begin(worker);
	if (worker->stalled && context_now(worker->pattern.region->context) >= worker->stalled)
		worker->stalled = 0;
	while (link_peek(&worker->link, &view)) {
		if (!take_letter(worker, &view)) {
			link_fault(&worker->link, "not an item or receipt for this worker", &view, 0);
			return;
		}
		letter_release(worker->link.channel, &view);
	}
	if (worker->link.state == LINK_UP)
		tell_all(worker);
	worker->stats.outstanding = worker->held;
	link_figures(&worker->link, &worker->stats);
}

static bool step(struct pattern *pattern)
{
	struct msg_worker *worker = (struct msg_worker *)pattern;

	advance(worker);
	return worker->ready || link_fails(&worker->link);
}

static uint64_t due(struct pattern *pattern)
{
	struct msg_worker *worker = (struct msg_worker *)pattern;
	uint64_t when = link_due(&worker->link);

	return worker->link.state == LINK_UP && worker->stalled && worker->stalled < when ?
		worker->stalled : when;
}

static bool channels_only(struct pattern *pattern)
{
	return ((struct msg_worker *)pattern)->link.state == LINK_UP;
}

static void forget(struct pattern *pattern)
{
	struct msg_worker *worker = (struct msg_worker *)pattern;
	uint32_t i;

	for (i = 0; worker->jobs && i < worker->count; i++)
		context_free(pattern->region->context, worker->jobs[i].data);
	context_free(pattern->region->context, worker->jobs);
	pattern_destroy(pattern);
}

static const struct pattern_ops worker_ops = {
	.step = step, .due = due, .channels_only = channels_only, .forget = forget,
};

int msg_worker_open(struct msg_region *region, const char *name,
	const struct msg_queue_options *options, struct msg_worker **result)
{
	uint32_t window = options && options->window ? options->window : 2;
	struct msg_worker *worker;
	int err;

	if (window > MSG_QUEUE_WINDOW_MAX)
		return -EINVAL;
	worker = pattern_create(region, &worker_ops, sizeof(*worker));
	if (!worker)
		return -ENOMEM;
	worker->window = window;
	worker->count = 2 * window;
	worker->jobs = context_alloc(region->context, worker->count * sizeof(*worker->jobs));
	err = worker->jobs ? link_begin(&worker->link, region, name, options,
		QUEUE_HEAD(QUEUE_WORKER, window), 0) : -ENOMEM;
	if (err) {
		forget(&worker->pattern);
		return err;
	}
	advance(worker);
	*result = worker;
	return 0;
}

void msg_worker_close(struct msg_worker *worker)
{
	if (!worker)
		return;
	link_end(&worker->link);
	forget(&worker->pattern);
}

int msg_worker_take(struct msg_worker *worker, struct msg_work *work, uint64_t deadline)
{
	struct job *job = NULL;
	uint32_t i;
	int err = pattern_wait(&worker->pattern, deadline);

	// Whom another took for dead shall not begin what is that one's work by now.
	if (!err)
		err = letter_ours(worker->pattern.region);
	if (err)
		return err;
	if (!worker->ready)
		return link_tell(&worker->link);
	for (i = 0; i < worker->count; i++)
		if (worker->jobs[i].state == JOB_READY &&
			(!job || worker->jobs[i].order < job->order))
			job = &worker->jobs[i];
	job->state = JOB_TAKEN;
	worker->ready--;
	*work = (struct msg_work){
		.token = (uint64_t)job->generation << 32 | (uint64_t)(job - worker->jobs + 1),
		.data = job->data,
		.len = job->len,
		.redelivered = job->before,
		.deliveries = job->deliveries,
	};
	return 0;
}

static struct job *job_taken(struct msg_worker *worker, uint64_t token)
{
	uint32_t index = (uint32_t)token - 1;
	struct job *job = &worker->jobs[index < worker->count ? index : 0];

	return index < worker->count && job->generation == token >> 32 && job->state == JOB_TAKEN ?
		job : NULL;
}

static void job_over(struct msg_worker *worker, struct job *job, enum job_state state)
{
	job->state = state;
	worker->held--;
	worker->unsafe++;
	job_tell(worker, job);
	advance(worker);
}

int msg_worker_done(struct msg_worker *worker, uint64_t token, const void *result, size_t len)
{
	struct job *job = job_taken(worker, token);
	void *copy;

	if (!job)
		return worker->link.error ? worker->link.error : -ENOENT;
	if (len > worker->pattern.region->geo.land_size)
		return -EMSGSIZE;
	copy = queue_copy(worker->pattern.region, result, len);
	if (!copy)
		return -ENOMEM;
	context_free(worker->pattern.region->context, job->data);
	job->data = copy;
	job->len = len;
	job_over(worker, job, JOB_DONE);
	return 0;
}

int msg_worker_return(struct msg_worker *worker, uint64_t token)
{
	struct job *job = job_taken(worker, token);

	if (!job)
		return worker->link.error ? worker->link.error : -ENOENT;
	job_over(worker, job, JOB_BACK);
	return 0;
}

static bool flushed(void *arg)
{
	struct msg_worker *worker = arg;

	advance(worker);
	return link_fails(&worker->link) || !worker->unsafe;
}

int msg_worker_flush(struct msg_worker *worker, uint64_t deadline)
{
	struct msg_context *context = worker->pattern.region->context;
	int err;

	do {
		uint64_t when = due(&worker->pattern);

		err = wait_for(context, flushed, worker, when < deadline ? when : deadline);
	} while (err && context_now(context) < deadline);
	return err ? err : worker->unsafe ? link_tell(&worker->link) : 0;
}

void msg_worker_stats(struct msg_worker *worker, struct msg_queue_stats *stats)
{
	*stats = worker->stats;
	stats->outstanding = worker->held;
	stats->connects = worker->link.connects;
}
