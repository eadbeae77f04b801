/* SPDX-License-Identifier: BSD-2-Clause */
/* What peers do with topics, calls, queues, groups and links. */
#ifndef TESTS_SIM_APP_PATTERN_H
#define TESTS_SIM_APP_PATTERN_H

#include "tests/sim/app.h"

/* ---- app_topic.c ---- */
void topic_open(struct place *place);
void topic_round(struct place *place);
/* Appends what to wait for; how many. */
unsigned topic_items(struct place *place, struct msg_wait_item *items);
bool topic_work(const struct place *place);
void topic_tidy(struct place *place);

/* ---- app_call.c ---- */
void call_open(struct place *place);
void call_round(struct place *place);
unsigned call_items(struct place *place, struct msg_wait_item *items);
bool call_work(const struct place *place);
void call_tidy(struct place *place);

/* ---- app_queue.c ---- */
void queue_open(struct place *place);
void queue_round(struct place *place);
unsigned queue_items(struct place *place, struct msg_wait_item *items);
bool queue_work(const struct place *place);
void queue_tidy(struct place *place);

/* ---- app_group.c ---- */
void group_round(struct place *place);
bool group_work(const struct place *place);
void group_tidy(struct place *place);

/* ---- app_link.c ---- */
/* At the begin and the end of a peer's life. */
void post_begin(struct app *app);
void post_end(struct app *app);
/* The region was joined. */
void post_entered(struct place *place);
void post_round(struct place *place);
unsigned post_items(struct place *place, struct msg_wait_item *items);
/* msg_wait said that this is ready. */
void post_ready(struct app *app, const void *pattern);
bool post_work(struct app *app);
void post_tidy(struct place *place);
/* The region was left. */
void post_left(struct place *place);

#endif
