#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Mutants of msg/: each changes a place or two in a copy; the simulator must fail on each of them.

Usage: mutants.py ROOT COMPILER [--slow | NAME...]

--slow: those that need so many seeds that they are no part of the default run.

A mutant whose place is no longer there, or is there more than once, is a failure: mend the list."""
import concurrent.futures
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

SEEDS = 20000  # the budget of each
SLOW_SEEDS = 100000
SLOW = ["refuses-when-gone", "no-fence-look-around", "end-before-drained"]
# Seen once, by the seed for whose sake they were put in, which scenarios that came later have moved: nobody
# knows how many seeds they need now. Run by name only.
RARE = ["judges-when-gone", "claims-when-gone", "scans-when-gone", "released-after-generation",
        "block-of-another-blamed", "head-read-as-words", "answers-the-dead",
        "answers-when-gone", "land-of-the-dead", "tail-not-checked", "opens-the-dead",
        "evicted-reads-on", "closes-when-gone", "evicted-begins-work", "queue-nobody-follows",
        "queue-waits-for-the-dead", "evicted-reads-a-part", "group-ticket-not-compared",
        "gathers-without-rest", "group-founder-wakes-nobody",
        "queue-window-of-results", "gathers-when-gone", "group-in-two-tables",
        "group-not-looked-again", "group-root-not-looked-at", "group-verdict-forgotten"]

# name: [(file, the place as it stands, what it becomes)...]
MUTANTS = {
    "no-fence-publish": [("transfer.h",
         "\t// The record must be visible before we look: pairs with the fence in mark_asleep.\n"
         "\tregion_fence();\n", "")],
    "no-fence-sleep": [("wait.c",
         "\t// channel_published.\n"
         "\tregion_fence();\n",
         "")],
    "no-fence-land": [("land.c",
         "\tregion_fence();\n"
         "\tcontext_relax(region->context);\n",
         "")],
    "no-fence-name": [("endpoint.c",
         "\tregion_fence();\n"
         "\tcontext_relax(region->context);\n",
         "")],
    "sleep-without-mark": [("wait.c",
         "\t\t\tregion_store32(&region->slot->asleep, region->asleep);\n",
         "")],
    "sleep-without-look": [("wait.c",
         "\tif (ready(arg)) {\n"
         "\t\tops->cancel",
         "\tif (0) {\n"
         "\t\tops->cancel")],
    "asleep-same-value": [("wait.c",
         "\t\t\tregion->asleep++;\n",
         "\t\t\tregion->asleep--;\n")],
    "next-header-not-cleared": [("ring.h",
         "\tif (__builtin_expect(ring_header_valid(region_load64(word), position), 0))\n"
         "\t\tregion_store64(word, 0);\n", "\t(void)position, (void)word;\n")],
    "next-header-thought-clear": [("ring.h",
         "\ttx->clean = RING_UNCLEAN; /* the payload may go there, even if it is discarded then "
         "*/\n", "")],
    "released-after-generation": [("channel.c",
         "\tregion_store32(&channel->mine->released, channel->rx.released);\n"
         "\t// Pairs with the look at it in channel_update_released: from here on `released` "
         "counts.\n"
         "\tregion_store_release32(&channel->mine->peer_generation, channel->their_generation);\n",
         "\tregion_store_release32(&channel->mine->peer_generation, channel->their_generation);\n"
         "\tregion_store32(&channel->mine->released, channel->rx.released);\n")],
    "block-of-another-blamed": [("transfer.c",
         "\tif (STATUS_GENERATION(status) != channel->their_generation ||\n"
         "\t\tSTATUS_STATE(status) == CHANNEL_FREE) {\n\t\tif (!channel->lingering)",
         "\tif (!status) {\n\t\tif (!channel->lingering)")],
    "first-header-first": [("ring.h",
         "\tif (tx->newest == tx->published)\n"
         "\t\ttx->first = header;\n"
         "\telse\n",
         "\tif (tx->newest == tx->published)\n"
         "\t\ttx->first = header;\n"
         "\tif (1)\n")],
    "room-not-rounded": [("ring.h",
         "\tuint32_t end = (tx->tail + ring_record(len) + RING_LINE - 1) & ~(RING_LINE - 1);",
         "\tuint32_t end = tx->tail + ring_record(len);")],
    "room-one-too-many": [("ring.h",
         "\treturn end - tx->released <= tx->mask + 1;",
         "\treturn end - tx->released <= tx->mask + 1 + RING_LINE;")],
    "position-not-in-header": [("ring.h",
         "\treturn (uint32_t)(word >> 40) == ((position >> 4) & 0xffffff) && (word >> 32 & "
         "0xf);",
         "\treturn (void)position, (word >> 32 & 0xf);")],
    "released-before-read": [("transfer.c",
         "\tif (len > size)\n"
         "\t\treturn -EMSGSIZE;\n"
         "\tregion_copy_out(",
         "\tif (len > size)\n"
         "\t\treturn -EMSGSIZE;\n"
         "\tregion_store_release32(&channel->mine->released, ring_after(channel->rx.head, "
         "header));\n"
         "\tregion_copy_out(")],
    "ring-not-checked": [("channel.c",
         "\t\t!land_belongs(region, channel->peer_slot, offset - front,\n"
         "\t\t\tfront + ring_footprint(size)))",
         "\t\t0)")],
    "hearts-not-watched": [("presence.c",
         "\t\tif (view->still_ns >= region->geo.death_ns) {",
         "\t\tif (0) {")],
    "hearts-too-strict": [("presence.c",
         "\t\tview->still_ns += elapsed;",
         "\t\tview->still_ns += 16 * elapsed;")],
    "epoch-not-raised": [("presence.c",
         "\tepoch = epoch + 1 ? epoch + 1 : 1;",
         "\tepoch = epoch ? epoch : 1;")],
    "claim-not-compared": [("presence.c",
         "\tif (!region_cas64(&slot->claim, claim, life))\n"
         "\t\treturn false;",
         "\tregion_store64(&slot->claim, life);")],
    "clears-a-successor": [("presence.c",
         "\t\tif (region_load64(&slot->claim) != region->life)\n"
         "\t\t\treturn false;\n"
         "\t\tregion_store64(word, 0);",
         "\t\tregion_store64(word, 0);")],
    "slot-not-cleared": [("presence.c",
         "\t\tregion_store64(word, 0);",
         "")],
    "slot-reused-too-soon": [("presence.c",
         "\treturn !claim || !land_referred(region, index, CLAIM_WITH(claim, CLAIM_HELD));",
         "\treturn region != NULL || index;")],
    "eviction-not-noticed": [("transfer.c",
         "\tif (!channel_slot_ours(channel)) {\n"
         "\t\tpresence_check_self(channel->region);\n"
         "\t\treturn channel->error;\n"
         "\t}\n"
         "\tchannel_count_received",
         "\tchannel_count_received")],
    "land-not-judged": [("land.c",
         "\twhile ((verdict = judge(region, index, *first, n)) == VERDICT_WAIT) {",
         "\twhile ((verdict = VERDICT_OURS) == VERDICT_WAIT) {")],
    "land-both-win": [("land.c",
         "\t\tverdict = DEED_STATE(all[i].deed) == DEED_TENTATIVE && all[i].slot > "
         "region->index ?\n"
         "\t\t\tVERDICT_WAIT : VERDICT_LOST;",
         "\t\tverdict = DEED_STATE(all[i].deed) == DEED_TENTATIVE ?\n"
         "\t\t\tVERDICT_OURS : VERDICT_LOST;")],
    "land-of-the-dead": [("land.c",
         "\t       land_referred(region, slot, CLAIM_WITH(claim, CLAIM_HELD));",
         "\t       0;")],
    "land-not-returned": [("land.c",
         "\t\tregion_store_release64(slot_deed(region, region->index, index), DEED_NONE);",
         "\t\treturn;")],
    "linger-not": [("channel.c",
         "\tif (region->error)\n\t\tchannel_forget(channel);\n\telse\n"
         "\t\tlinger_check(channel);",
         "\tchannel_destroy(channel);")],
    "linger-for-ever": [("channel.c",
         "\tif (channel->lingering) {\n"
         "\t\tif (!channel->region->error)\n"
         "\t\t\tlinger_check(channel);\n"
         "\t\treturn;",
         "\tif (channel->lingering) {\n"
         "\t\treturn;")],
    "buffer-freed-early": [("buffer.c",
         "\tif (buffer->held || buffer->busy)\n",
         "\tif (buffer->held)\n")],
    "settle-forgotten": [("wait.c",
         "\t\t\t\tchannel_settle(region->channel[i]);",
         "\t\t\t\t(void)0;")],
    "want-forgotten": [("transfer.c",
         "\tregion_store32(&channel->mine->want, 1);\n",
         "")],
    "end-before-drained": [("transfer.c",
         "\treturn channel->peer_ended && !ring_poll(&channel->rx) ? -EPIPE : -EAGAIN;",
         "\treturn channel->peer_ended ? -EPIPE : -EAGAIN;"),
        ("transfer.c",
         "\t\treturn !channel->error && ring_poll(&channel->rx) ? 0 : err;",
         "\t\treturn err;")],
    "length-not-checked": [("ring.h",
         "\treturn ring_header_length(header) <= ring_limit(rx->mask + 1) &&\n"
         "\t       ring_after(rx->head, header) - rx->released <= rx->mask + 1;",
         "\treturn rx->mask && header;")],
    "run-not-checked": [("transfer.c",
         "\tif (!count || bytes > length || ring_run_offset(bytes) + bytes != length) {",
         "\tif (!count) {")],
    "no-fence-settle": [("transfer.c",
         "\t// What we released must be visible before we look: pairs with the fence in "
         "mark_asleep.\n"
         "\tregion_fence();\n",
         "")],
    "no-fence-wake": [("presence.c",
         "\tregion_fence();\n"
         "\tasleep =",
         "\tasleep =")],
    "released-not-checked": [("ring.h",
         "\tif (seen - tx->released > tx->published - tx->released || seen % RING_ALIGN)\n"
         "\t\treturn false;\n",
         "")],
    "name-both-win": [("endpoint.c",
         "\t\t\tif (state == ENDPOINT_TENTATIVE)\n"
         "\t\t\t\tresult = -EAGAIN;\n",
         "")],
    "generation-ignored": [("channel.c",
         "\tif (STATUS_GENERATION(status) != channel->their_generation ||\n"
         "\t\tSTATUS_STATE(status) == CHANNEL_FREE) {",
         "\tif (0) {")],
    "answers-the-dead": [("open.c",
         "for ever.\n\t\tpresence_scan(region);\n"
         "\t\treturn -EAGAIN;",
         "for ever.\n\t\treturn -EAGAIN;")],
    "answers-when-gone": [("open.c",
         "\tif (region->error) {\n\t\tchannel_destroy(channel);\n"
         "\t\treturn region->error;\n\t}\n", "")],
    "buffer-not-checked": [("transfer.c",
         "\tif (!land_belongs(channel->region, channel->peer_slot, offset, *len)) {",
         "\tif (0) {")],
    "fault-told-twice": [("region.c",
         "\t\tchannel->fault_told = true;\n",
         "")],
    "looks-when-gone": [("transfer.c",
         "\treturn channel->error || channel->run_left || channel->peer_ended ||\n"
         "\t\tring_poll(&channel->rx);",
         "\treturn channel->run_left || ring_poll(&channel->rx) || channel->error ||\n"
         "\t\tchannel->peer_ended;")],
    "receives-when-gone": [("transfer.c",
         "\t\treturn !channel->error && ring_poll(&channel->rx) ? 0 : err;",
         "\t\treturn ring_poll(&channel->rx) && !channel->error ? 0 : err;")],
    "wakes-when-gone": [("presence.c",
         "\tif (region->error)\n"
         "\t\treturn false;\n"
         "\tregion_fence();",
         "\tregion_fence();")],
    "judges-when-gone": [("land.c",
         "\t\twait_pause(region->context, 50 * NS_PER_US);\n"
         "\t\tif (region->error)\n"
         "\t\t\tbreak;\n",
         "\t\twait_pause(region->context, 50 * NS_PER_US);\n")],
    "claims-when-gone": [("land.c",
         "\tif (region->error)\n\t\treturn region->error;\n\tall = collect_all",
         "\tall = collect_all")],
    "refuses-when-gone": [("open.c",
         "\tif (listener->region->error)\n"
         "\t\treturn;\n"
         "\tregion_store_release64(",
         "\tregion_store_release64(")],
    "leave-tells-eviction": [("presence.c",
         "\tregion_cas64(&region->slot->claim, region->life, CLAIM_WITH(region->life, "
         "CLAIM_LEFT));\n"
         "\twake_seen(region);",
         "\tregion_cas64(&region->slot->claim, region->life, CLAIM_WITH(region->life, "
         "CLAIM_LEFT));\n"
         "\tpresence_wake_all(region);")],
    "no-fence-look-around": [("presence.c",
         "\tregion_fence();\n"
         "\tpresence_scan(region);\n"
         "\twake_seen(region);",
         "\tpresence_scan(region);\n"
         "\twake_seen(region);")],
    "held-buffer-leaks": [("buffer.c",
         "\twhile (region->buffers) {",
         "\twhile (0) {")],
    "stream-offset-kept": [("stream.c",
         "\t\tchannel_step(channel, header);\n"
         "\t\tchannel->stream_offset = 0;",
         "\t\tchannel_step(channel, header);")],
    "views-given-back-at-once": [("transfer.c",
         "\t\tchannel->view_end[slot] = channel->rx.head;",
         "\t\tchannel->view_end[slot] = channel->rx.head;\n"
         "\t\tring_give_back(&channel->rx, &channel->mine->released, channel->rx.head);")],
    "run-given-back-early": [("array.c",
         "\tregion_copy_out(channel->region->context->ops->copy_out, data, from, "
         "(uint64_t)size * n);\n"
         "\tchannel_step(channel, header);",
         "\tring_give_back(&channel->rx, &channel->mine->released, "
         "ring_after(channel->rx.head, header));\n"
         "\tregion_copy_out(channel->region->context->ops->copy_out, data, from, "
         "(uint64_t)size * n);\n"
         "\tchannel_step(channel, header);")],
    "run-taken-forgotten": [("region.c",
         "\tif (in_first < 2 || left >= in_ring)",
         "\tif (1)")],
    "death-cuts-off": [("channel.c",
         "\tif (!channel_peer_alive(channel)) {\n"
         "\t\tchannel->peer_ended = true;\n"
         "\t\tchannel_send_ends(channel, -EPIPE);\n"
         "\t\treturn;",
         "\tif (!channel_peer_alive(channel)) {\n"
         "\t\tchannel_end(channel, -EPIPE);\n"
         "\t\treturn;")],
    "heart-beats-on": [("unplug.c",
         "\tpresence_stop_beating(region);\n",
         "")],
    "scans-when-gone": [("presence.c",
         "\tfor (i = 0; i < region->geo.slots && !region->error; i++)\n"
         "\t\tif (slot_scan(region, i))",
         "\tfor (i = 0; i < region->geo.slots; i++)\n\t\tif (slot_scan(region, i))")],
    "opens-the-dead": [("open.c",
         "before this channel\n\t// counted as open.\n\tchannel_check(channel);\n",
         "before this channel\n\t// counted as open.\n")],
    "evicted-reads-on": [("transfer.c",
         "\t\treturn channel->error == -ESTALE ? -ESTALE : 0;", "\t\treturn 0;")],
    "evicted-reads-a-part": [("stream.c",
         "\t\t\tif (channel->error || channel_slot_ours(channel))\n\t\t\t\tbreak;\n",
         "\t\t\tbreak;\n")],
    "closes-when-gone": [("channel.c",
         "\tif (region->error)\n\t\tchannel_forget(channel);\n\telse\n"
         "\t\tlinger_check(channel);", "\tlinger_check(channel);")],
    # ---- topics
    "topic-no-fence-publish": [("patterns/topic.c",
         "\t// before anything that follows is overwritten.\n\tregion_fence();\n", "")],
    "topic-tail-not-moved": [("patterns/topic.c",
         "\tset_tail(topic, tail);\n\treturn true;", "\ttopic->tail = tail;\n\treturn true;")],
    "topic-not-compared": [("patterns/subscribe.c",
         "\tif (!dropping(sub))\n\t\treturn true;\n\tregion_order_loads();", "\tif (1)\n"
         "\t\treturn true;\n\tregion_order_loads();")],
    "topic-loss-not-told": [("patterns/subscribe.c",
         "\t\t*mark = (struct msg_topic_mark){ found->number, lost };",
         "\t\t*mark = (struct msg_topic_mark){ found->number, 0 };")],
    "topic-want-forgotten": [("patterns/topic.c",
         "\tif (!channel->region->error && !channel->error)\n"
         "\t\tregion_store32(&channel->mine->want, want);\n", "")],
    "topic-dead-hold-it-up": [("patterns/topic.c",
         "\tif (channel->send_error || !channel_update_released(channel) || "
         "channel->send_error)\n\t\treturn topic->newest;\n",
         "\tchannel_update_released(channel);\n"),
        ("patterns/topic.c", "\tfor (i = topic->count; i-- > 0;) {", "\tfor (i = 0; i-- > 0;) {")],
    "topic-oldest-for-latest": [("patterns/subscribe.c",
         "sub->policy == MSG_TOPIC_LATEST || tries >= PATIENT_TRIES", "tries >= PATIENT_TRIES")],
    "tail-not-checked": [("patterns/subscribe.c",
         "\tif ((int64_t)(region_load_acquire64(&sub->wire->newest) - tail) >= 0)", "\tif (1)")],
    "publishes-when-gone": [("patterns/topic.c",
         "\tif (region->error)\n\t\treturn region->error;\n\tif (topic->policy",
         "\tif (topic->policy")],
    "subscription-counted": [("region.c",
         "\tif (!tx->data || *position == tx->published)", "\tif (*position == tx->published)")],
    # ---- calls
    "evicted-takes-replies": [("patterns/letter.c",
         "\treturn region->error;\n}\n\nvoid letter_figure", "\treturn 0;\n}\n\nvoid letter_figure")],
    "call-shows-the-evicted": [("patterns/call.c",
         "\t\tentry = caller->view_entry;\n\t\terr = letter_ours(caller->pattern.region);\n",
         "\t\tentry = caller->view_entry;\n")],
    "call-late-reply-taken": [("patterns/call.c",
         "entry->generation == generation && entry->state == ENTRY_WAITING ?",
         "entry->state == ENTRY_WAITING ?")],
    "call-ends-twice": [("patterns/call.c",
         "\t\t\tcaller->stats.cancelled++;\n\t\t\tentry_end(caller, entry, -ETIMEDOUT);",
         "\t\t\tcaller->stats.cancelled++;\n\t\t\tentry_end(caller, entry, -ETIMEDOUT);\n"
         "\t\t\tentry->state = ENTRY_WAITING;")],
    "call-reply-not-kept": [("patterns/call.c",
         "\tgive_back(caller, view);\n\tentry_end(caller, entry, result);",
         "\tgive_back(caller, view);\n\tif (caller->tells)\n"
         "\t\tentry_end(caller, entry, result);")],
    "call-dead-server-waited-for": [("patterns/call.c",
         "\tif (n < 0 && n != -ENOBUFS)\n\t\tend_all(caller, n);\n\telse\n",
         "\tif (n >= 0)\n")],
    "caller-keeps-due": [("patterns/call.c",
         "\tcaller->earliest = MSG_FOREVER;\n\tfor (i = 0; i < caller->count; i++) {",
         "\tfor (i = 0; i < caller->count; i++) {")],
    "request-shown-too-long": [("patterns/serve.c",
         "\tclient->valid = client->more;\n\tclient->more = false;", "\tclient->more = false;")],
    "head-read-as-words": [("patterns/letter.c",
         "\tregion_copy_out(channel->region->context->ops->copy_out, view->head, span.data, "
         "8 * words);",
         "\tfor (n = 0; n < (int)words; n++)\n"
         "\t\tview->head[n] = region_load64((const uint64_t *)span.data + n);")],
    # ---- queues
    "queue-held-forgotten": [("patterns/queue_members.c",
         "\t\tif (item->known)\n\t\t\titem_wait(d, item, true);\n\t\telse\n"
         "\t\t\titem_free(d, item);\n\t}\n\t// Results of its",
         "\t\tlist_remove(&item->place);\n\t\titem->worker = NULL;\n\t}\n\t// Results of its")],
    "queue-not-marked": [("patterns/queue_members.c",
         "\t\tif (item->known)\n\t\t\titem_wait(d, item, true);\n\t\telse\n"
         "\t\t\titem_free(d, item);\n\t}\n\t// Results of its",
         "\t\tif (item->known)\n\t\t\titem_wait(d, item, false);\n\t\telse\n"
         "\t\t\titem_free(d, item);\n\t}\n\t// Results of its")],
    "queue-before-forgotten": [("patterns/queue_produce.c",
         "\t\tput->before = true;\n", "")],
    "queue-not-put-again": [("patterns/queue_produce.c",
         "\t*producer->sent.end = local;\n\tproducer->local.first = producer->sent.first;\n", "")],
    "queue-held-not-told": [("patterns/queue_work.c",
         "\t\t} else if (job->state != JOB_FREE) {\n", "\t\t} else if (job->state == JOB_DONE) {\n")],
    "queue-return-forgotten": [("patterns/queue_members.c",
         "\tif (item && item->state == ITEM_GIVEN && item->worker == member) {\n\t\tif (item->known)",
         "\tif (item && item->state == ITEM_GIVEN && item->worker == member) {\n\t\tif (!item)")],
    "queue-window-ignored": [("patterns/queue_dispatch.c",
         "\t\t\tmember->count + member->strays < member->window &&\n", "")],
    "queue-newest-first": [("patterns/queue_dispatch.c",
         "again ? d->again.next : d->waiting.next", "again ? d->again.next : d->waiting.prev")],
    "queue-nobody-follows": [("patterns/queue_dispatch.c",
         "\tif (d->looked && d->looked == region->context->last_scan_ns && !foreign_news(d))\n",
         "\tif (d->looked && !foreign_news(d))\n")],
    "queue-window-of-results": [("patterns/queue_dispatch.c",
         "\t\t\tmember->count + member->unsafe + member->strays < 2 * member->window &&\n", "")],
    "queue-safe-forgotten": [("patterns/queue_items.c",
         "\tif (item->worker)\n\t\tlist_move(&item->worker->safe, &item->place);\n\telse\n\t\titem_free",
         "\titem_free")],
    "queue-waits-for-the-dead": [("patterns/queue_members.c",
         "\t\tif (member->waits && member->channel->peer_ended) {", "\t\tif (0) {")],
    "evicted-begins-work": [("patterns/queue_work.c",
         "\tif (!err)\n\t\terr = letter_ours(worker->pattern.region);\n\tif (err)\n\t\treturn err;\n"
         "\tif (!worker->ready)", "\tif (err)\n\t\treturn err;\n\tif (!worker->ready)")],
    # ---- groups
    "group-waits-for-nobody": [("patterns/group.c",
         "if (i != group->rank && !member_done(group, &group->members[i]))", "if (0)")],
    "group-waits-for-the-dead": [("patterns/gather.c",
         "\t\t\tregion_load64(&slot->group.generation) != group->generation ||\n"
         "\t\t\tregion_load_acquire64(&slot->claim) != member->life;",
         "\t\t\tregion_load64(&slot->group.generation) != group->generation;")],
    "group-dead-not-counted": [("patterns/group.c",
         "\treturn err ? err : count_missing(group);", "\treturn err;")],
    "group-verdict-forgotten": [("patterns/group.c",
         "\tif (done >> ahead & 1)\n\t\tgroup->failed = true;\n", "")],
    "group-no-fence-verdict": [("patterns/group.c",
         "\tregion_fence();\n\tif (all_done(group))", "\tif (all_done(group))")],
    "group-nobody-woken": [("patterns/group.c",
         "\tif (all_done(group))\n\t\tgroup_wake(group);\n", "")],
    "group-root-not-looked-at": [("patterns/group.c",
         "\tgroup->in_time = region_load_acquire64(&region_slot(region, root->slot)->claim) == root->life;",
         "\tgroup->in_time = true;")],
    "group-not-looked-again": [("patterns/group.c",
         "\tgroup->length = length;\n\treturn root_entered(group) ? 0 : -EPIPE;",
         "\tgroup->length = length;\n\treturn 0;")],
    "group-step-before-bytes": [("patterns/group.c",
         "\tgroup->length = len;\n\tenter_call(group, call);\n", "\tgroup->length = len;\n"),
        ("patterns/group.c",
         "\tint err = msg_buffer_alloc(region, len, &group->buffer);\n\tvoid *to;\n\n"
         "\tif (err)\n\t\treturn err;\n",
         "\tint err = msg_buffer_alloc(region, len, &group->buffer);\n\tvoid *to;\n\n"
         "\tif (err)\n\t\treturn err;\n\tenter_call(group, call);\n")],
    "group-ticket-not-compared": [("patterns/gather.c",
         "\t\t\tif (g->other[k].slot == slot && g->other[k].life == life &&\n"
         "\t\t\t\tg->other[k].ticket == ticket)",
         "\t\t\tif (g->other[k].slot == slot && g->other[k].life == life)")],
    "group-in-two-tables": [("patterns/gather.c",
         "\t       !find_table(g, slot, life, ticket, &generation) &&\n", "\t       !(generation = 0) &&\n")],
    "gathers-without-rest": [("patterns/gather.c",
         "\t\tif (err)\n\t\t\twait_pause(context, NS_PER_MS);\n", "")],
    "group-founder-wakes-nobody": [("patterns/gather.c",
         "waits for us to move.\n\tpresence_wake_all(g->region);\n", "waits for us to move.\n")],
    "gathers-when-gone": [("patterns/gather.c",
         "i < g->region->geo.slots && !g->region->error; i++) {\n\t\t*generation",
         "i < g->region->geo.slots; i++) {\n\t\t*generation"),
        ("patterns/gather.c", "\t\t\treturn g->region->error ? g->region->error :\n", "\t\t\treturn\n")],
}

# What names whoever uses what mutants change in a header.
USERS = {"ring.h": r"\bring_\w+\(", "transfer.h": r"\bchannel_(published|publish)\("}
FLAGS = ["-std=gnu11", "-O1", "-w", '-DMSG_INTERPOSE="tests/sim/access.inc"']
JOBS = 2
LIMIT_S = 600


def compile_all(compiler, root, work, files):
    """Objects of the files, with root's copies found first."""
    objects = []
    for path in files:
        out = os.path.join(work, os.path.basename(os.path.dirname(path)) + "_" +
                           os.path.basename(path)[:-2] + ".o")
        subprocess.run([compiler, *FLAGS, f"-I{work}", f"-I{root}", f"-I{root}/include", "-c",
                        path, "-o", out], check=True)
        objects.append(out)
    return objects


def mutate(root, work, name):
    """A copy of msg/ in work with the mutant's places changed. None, or why not."""
    shutil.copytree(os.path.join(root, "msg"), os.path.join(work, "msg"))
    for file, place, becomes in MUTANTS[name]:
        path = os.path.join(work, "msg", file)
        with open(path, encoding="utf-8") as f:
            text = f.read()
        if text.count(place) != 1:
            return f"stands {text.count(place)} times in msg/{file}: {place.strip()!r}"
        with open(path, "w", encoding="utf-8") as f:
            f.write(text.replace(place, becomes))
    return None


def affected(work, files):
    """The sources that a change of these files concerns."""
    top = os.path.join(work, "msg")
    sources = sorted(glob.glob(os.path.join(top, "**/*.c"), recursive=True))
    if all(f.endswith(".c") for f in files):
        return [s for s in sources if os.path.relpath(s, top) in files]
    assert set(files) <= set(USERS)
    users = re.compile("|".join(USERS[f] for f in files))
    return [s for s in sources if users.search(open(s, encoding="utf-8").read())]


def run(compiler, root, base, name):
    """(caught, what was seen)"""
    seeds = SLOW_SEEDS if name in SLOW + RARE else SEEDS
    with tempfile.TemporaryDirectory(prefix="isthmus-mutant-") as work:
        wrong = mutate(root, work, name)
        if wrong:
            return False, wrong
        changed = affected(work, {file for file, _, _ in MUTANTS[name]})
        try:
            objects = compile_all(compiler, root, work, changed)
        except subprocess.CalledProcessError:
            return False, "does not compile"
        replaced = {os.path.basename(o) for o in objects}
        objects += [o for o in base if os.path.basename(o) not in replaced]
        program = os.path.join(work, "sim")
        subprocess.run([compiler, *objects, "-o", program], check=True)
        try:
            done = subprocess.run([program, "--jobs", "1", "--seeds", str(seeds)],
                                  capture_output=True, text=True, timeout=LIMIT_S, check=False)
        except subprocess.TimeoutExpired:
            return False, f"neither passed nor failed in {LIMIT_S} s"
        if done.returncode == 0:
            return False, f"not seen in {seeds} seeds"
        fails = re.findall(r"^FAIL.*$", done.stdout, re.M)
        return bool(fails), fails[-1] if fails else done.stdout[-200:]


def main():
    root, compiler = sys.argv[1:3]
    names = sys.argv[3:] or [name for name in MUTANTS if name not in SLOW + RARE]
    if names == ["--slow"]:
        names = SLOW
    missed = 0
    with tempfile.TemporaryDirectory(prefix="isthmus-mutants-") as work, \
            concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        sources = sorted(glob.glob(f"{root}/msg/**/*.c", recursive=True)) + \
            sorted(glob.glob(f"{root}/tests/sim/*.c"))
        halves = list(pool.map(lambda part: compile_all(compiler, root, work, part),
                               [sources[0::2], sources[1::2]]))
        base = halves[0] + halves[1]
        for name, (caught, what) in zip(names, pool.map(
                lambda n: run(compiler, root, base, n), names)):
            print(f"{'ok  ' if caught else 'FAIL'} {name}: {what}", flush=True)
            missed += not caught
    print(f"SUMMARY {len(names)} mutants, {missed} not caught")
    return 1 if missed or not names else 0


if __name__ == "__main__":
    sys.exit(main())
