// SPDX-License-Identifier: BSD-2-Clause
// See pattern.h.
#include "msg/pattern.h"

void *pattern_create(struct msg_region *region, const struct pattern_ops *ops, size_t size)
{
	struct pattern *pattern = context_alloc(region->context, size);

	if (!pattern)
		return NULL;
	pattern->region = region;
	pattern->ops = ops;
	pattern->next = region->patterns;
	region->patterns = pattern;
	return pattern;
}

void pattern_destroy(struct pattern *pattern)
{
	struct msg_region *region = pattern->region;
	struct pattern **link = &region->patterns;

	while (*link && *link != pattern)
		link = &(*link)->next;
	if (*link)
		*link = pattern->next;
	context_free(region->context, pattern);
}

void patterns_forget(struct msg_region *region)
{
	while (region->patterns) {
		struct pattern *pattern = region->patterns;

		pattern->ops->forget(pattern);
		if (region->patterns == pattern)
			pattern_destroy(pattern);
	}
}

void patterns_tend(struct msg_region *region)
{
	struct pattern *pattern;

	// Nobody but tend itself takes a pattern that has one out of the list meanwhile.
	for (pattern = region->patterns; pattern && !region->error; pattern = pattern->next)
		if (pattern->ops->tend)
			pattern->ops->tend(pattern);
}

void patterns_part(struct msg_region *region)
{
	struct pattern *pattern;

	for (pattern = region->patterns; pattern; pattern = pattern->next)
		if (pattern->ops->part)
			pattern->ops->part(pattern);
}

bool pattern_ready(void *arg)
{
	struct pattern *pattern = arg;

	return pattern->ops->step(pattern);
}

uint64_t pattern_due(struct pattern *pattern)
{
	return pattern->ops->due ? pattern->ops->due(pattern) : MSG_FOREVER;
}

bool pattern_channels_only(struct pattern *pattern)
{
	return pattern->ops->channels_only && pattern->ops->channels_only(pattern);
}

int pattern_wait(struct pattern *pattern, uint64_t deadline)
{
	struct msg_context *context = pattern->region->context;
	bool first = true;

	for (;;) {
		uint64_t due, until;
		int err;

		if (pattern_ready(pattern))
			return 0;
		due = pattern_due(pattern);
		until = due < deadline ? due : deadline;
		err = (pattern_channels_only(pattern) ? wait_for_channel : wait_for)(context,
			pattern_ready, pattern, until);
		if (!err)
			return 0;
		if (context_now(context) >= deadline)
			return first && err == -EAGAIN ? -EAGAIN : -ETIMEDOUT;
		first = false;
	}
}
