// SPDX-License-Identifier: BSD-2-Clause
/*
 * A chat among all peers of a region, guests and processes: who is there, who comes, leaves and
 * dies, and what they say. Lines typed go to all the others.
 *
 * Every two chatters share a channel, which the one that joined later opens to the endpoint of
 * the earlier one, "chat/EPOCH": epochs are never used twice, so a chatter that was restarted is
 * a new one.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <sys/time.h>
#include <unistd.h>
#include <isthmus/msg.h>

#define MAX_PEERS 256
#define MAX_SAYS  16
#define LINE_MAX_BYTES 400
#define MS 1000000ull
#define LOOK_NS (20 * MS)	/* between two looks at what is typed */
#define KNOCK_NS (200 * MS)	/* one try to reach a peer, which may not be in the chat */
#define KNOCK_EVERY_NS (1000 * MS)
#define PATIENCE_NS (2000 * MS)	/* with a peer that doesn't read */

static const char usage[] =
	"usage: chat [--name NAME] [--wait N] [--say TEXT]... [--hear N] [--timeout SECONDS]\n"
	"  --name NAME        who I am (default: isthmus.name, or $ISTHMUS_NAME in a process)\n"
	"  --wait N           say nothing before N others are there\n"
	"  --say TEXT         say this; may be repeated\n"
	"  --hear N           leave when that has been said and N lines have been heard\n"
	"  --timeout SECONDS  give up then, with status 1\n"
	"What is typed is said, too; /who shows who is there, /quit or the end of input leaves.\n";

struct chatter {
	struct msg_peer peer;
	struct msg_channel *channel; /* NULL: not reached yet, or ended */
	bool ended;
	uint64_t next_knock;
};

struct chat {
	const char *name;
	const char *says[MAX_SAYS];
	unsigned int say_count, said, wait, heard, hear;
	bool scripted, typing, leaving;
	uint64_t limit;
	struct msg_region *region;
	struct msg_listener *listener;
	struct chatter chatters[MAX_PEERS];
	unsigned int count;
	char typed[LINE_MAX_BYTES];
	size_t typed_length;
};

/* What comes from others is shown as text: no control bytes. */
static const char *printable(char *text)
{
	for (char *c = text; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 127)
			*c = '?';
	return text;
}

static unsigned int reached(const struct chat *chat)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < chat->count; i++)
		n += chat->chatters[i].channel != NULL;
	return n;
}

static struct chatter *find(struct chat *chat, uint32_t epoch)
{
	for (unsigned int i = 0; i < chat->count; i++)
		if (chat->chatters[i].peer.epoch == epoch)
			return &chat->chatters[i];
	return NULL;
}

static void forget(struct chat *chat, struct chatter *who)
{
	msg_close(who->channel);
	*who = chat->chatters[--chat->count];
}

static struct chatter *add(struct chat *chat, const struct msg_peer *peer)
{
	struct chatter *who = find(chat, peer->epoch);

	if (who || peer->self || chat->count == MAX_PEERS)
		return who;
	who = &chat->chatters[chat->count++];
	*who = (struct chatter){ .peer = *peer };
	printable(who->peer.name);
	return who;
}

static void enters(struct chatter *who, struct msg_channel *channel)
{
	who->channel = channel;
	printf("* %s is here\n", who->peer.name);
}

/* Everything that came from this one. */
static void listen_to(struct chat *chat, struct chatter *who)
{
	char line[LINE_MAX_BYTES + 1];

	while (who->channel) {
		int64_t length = msg_tryrecv(who->channel, line, sizeof(line) - 1);

		if (length == -EAGAIN)
			return;
		if (length < 0) {
			/* That it left or died is an event, which comes as well. */
			if (length != -EPIPE)
				printf("* no more from %s: %s\n", who->peer.name,
					msg_strerror(length));
			msg_close(who->channel);
			who->channel = NULL;
			who->ended = true;
			return;
		}
		line[length] = 0;
		printf("%s: %s\n", who->peer.name, printable(line));
		chat->heard++;
	}
}

static void say(struct chat *chat, const char *line)
{
	for (unsigned int i = 0; i < chat->count; i++) {
		struct chatter *who = &chat->chatters[i];
		int error;

		if (!who->channel)
			continue;
		error = msg_send(who->channel, line, strlen(line), msg_now_ns() + PATIENCE_NS);
		if (error == -ETIMEDOUT)
			printf("* %s doesn't read: it misses \"%s\"\n", who->peer.name, line);
	}
}

static void show_peers(struct chat *chat)
{
	struct msg_peer self;

	msg_self(chat->region, &self);
	printf("* %s (you)\n", printable(self.name));
	for (unsigned int i = 0; i < chat->count; i++)
		printf("* %s%s\n", chat->chatters[i].peer.name,
		       chat->chatters[i].channel ? "" : " (not in the chat)");
}

static void line_typed(struct chat *chat)
{
	chat->typed[chat->typed_length] = 0;
	chat->typed_length = 0;
	if (!strcmp(chat->typed, "/quit"))
		chat->leaving = true;
	else if (!strcmp(chat->typed, "/who"))
		show_peers(chat);
	else if (chat->typed[0])
		say(chat, chat->typed);
}

/* What has been typed by now; never blocks. */
static void read_typed(struct chat *chat)
{
	while (chat->typing && !chat->leaving) {
		struct timeval none = { 0, 0 };
		fd_set set;
		char c;

		FD_ZERO(&set);
		FD_SET(STDIN_FILENO, &set);
		if (select(STDIN_FILENO + 1, &set, NULL, NULL, &none) != 1)
			return;
		if (read(STDIN_FILENO, &c, 1) != 1) {
			chat->typing = false;
			chat->leaving = !chat->scripted; /* a script goes on without a terminal */
		} else if (c == '\n' || chat->typed_length == sizeof(chat->typed) - 1) {
			line_typed(chat);
		} else {
			chat->typed[chat->typed_length++] = c;
		}
	}
}

/* Opens channels to those that joined before me. */
static void knock(struct chat *chat)
{
	struct msg_peer self;

	msg_self(chat->region, &self);
	for (unsigned int i = 0; i < chat->count; i++) {
		struct chatter *who = &chat->chatters[i];
		uint64_t now = msg_now_ns();
		struct msg_channel *channel;
		char endpoint[32];

		if (who->channel || who->ended || who->peer.epoch > self.epoch ||
			now < who->next_knock)
			continue;
		snprintf(endpoint, sizeof(endpoint), "chat/%u", (unsigned int)who->peer.epoch);
		if (!msg_connect(chat->region, endpoint, NULL, &channel, now + KNOCK_NS))
			enters(who, channel);
		who->next_knock = msg_now_ns() + KNOCK_EVERY_NS;
	}
}

/* Takes the channels of those that joined after me. */
static void open_door(struct chat *chat)
{
	struct msg_channel *channel;

	while (!msg_accept(chat->listener, &channel, 0)) {
		struct msg_peer peer;
		struct chatter *who;

		msg_channel_peer(channel, &peer);
		who = add(chat, &peer);
		if (who && !who->channel && !who->ended)
			enters(who, channel);
		else
			msg_close(channel);
	}
}

/* Who came and went; false when I can't go on. */
static bool read_events(struct chat *chat)
{
	struct msg_event event;

	while (msg_next_event(chat->region, &event) > 0) {
		struct chatter *who = find(chat, event.peer.epoch);

		switch (event.type) {
		case MSG_EVENT_JOINED:
			add(chat, &event.peer);
			break;
		case MSG_EVENT_LEFT:
		case MSG_EVENT_DIED:
			if (!who)
				break;
			if (who->channel || who->ended) {
				listen_to(chat, who); /* last words */
				printf("* %s %s\n", who->peer.name,
				       event.type == MSG_EVENT_LEFT ? "left" : "died");
			}
			forget(chat, who);
			break;
		case MSG_EVENT_FAULT:
			printf("* %s breaks the rules: %s\n", printable(event.peer.name),
			       event.fault.what);
			break;
		case MSG_EVENT_SERVER_LOST:
			printf("* the server is gone: nobody new can come\n");
			break;
		case MSG_EVENT_REGION_LEAVING:
		case MSG_EVENT_REGION_GONE:
		case MSG_EVENT_EVICTED:
			printf("* this peer is out of the region\n");
			return false;
		}
	}
	return true;
}

static void wait_for_more(struct chat *chat)
{
	static struct msg_wait_item items[MAX_PEERS + 2];
	uint64_t deadline = msg_now_ns() + (chat->typing ? LOOK_NS : KNOCK_EVERY_NS);
	unsigned int n = 0;

	items[n++] = (struct msg_wait_item){ .type = MSG_WAIT_EVENT, .region = chat->region };
	items[n++] = (struct msg_wait_item){ .type = MSG_WAIT_ACCEPT, .listener = chat->listener };
	for (unsigned int i = 0; i < chat->count; i++)
		if (chat->chatters[i].channel)
			items[n++] = (struct msg_wait_item){
				.type = MSG_WAIT_RECV, .channel = chat->chatters[i].channel,
			};
	msg_wait(items, n, deadline < chat->limit ? deadline : chat->limit);
}

static int talk(struct chat *chat)
{
	while (!chat->leaving) {
		if (msg_now_ns() >= chat->limit) {
			fprintf(stderr, "chat: time is up: %u others, %u lines heard\n",
				reached(chat), chat->heard);
			return 1;
		}
		if (!read_events(chat))
			return 1;
		open_door(chat);
		knock(chat);
		for (unsigned int i = 0; i < chat->count; i++)
			listen_to(chat, &chat->chatters[i]);
		while (chat->said < chat->say_count && reached(chat) >= chat->wait)
			say(chat, chat->says[chat->said++]);
		read_typed(chat);
		if (chat->scripted && chat->hear && chat->said == chat->say_count &&
		    chat->heard >= chat->hear)
			return 0;
		if (!chat->leaving)
			wait_for_more(chat);
	}
	return 0;
}

/* 0: go on; 1: help was shown; -1 after one line that says what is wrong. */
static int read_options(struct chat *chat, int argc, char **argv)
{
	for (int i = 1; i < argc; i += 2) {
		const char *option = argv[i], *value = i + 1 < argc ? argv[i + 1] : NULL;
		char *end = NULL;
		unsigned long number = value ? strtoul(value, &end, 10) : 0;
		bool is_number =
			value && *value >= '0' && *value <= '9' && !*end && number < 1000000;

		if (!strcmp(option, "--help")) {
			fputs(usage, stdout);
			return 1;
		} else if (!strcmp(option, "--name") && value) {
			chat->name = value;
		} else if (!strcmp(option, "--say") && value && chat->say_count < MAX_SAYS) {
			chat->says[chat->say_count++] = value;
		} else if (!strcmp(option, "--wait") && is_number) {
			chat->wait = (unsigned int)number;
		} else if (!strcmp(option, "--hear") && is_number) {
			chat->hear = (unsigned int)number;
		} else if (!strcmp(option, "--timeout") && is_number) {
			chat->limit = msg_now_ns() + number * 1000 * MS;
		} else {
			fprintf(stderr, "chat: %s%s%s: not understood; --help lists the options\n",
				option, value ? " " : "", value ? value : "");
			return -1;
		}
	}
	chat->scripted = chat->hear || chat->say_count;
	return 0;
}

int main(int argc, char **argv)
{
	static struct chat chat = { .limit = MSG_FOREVER, .typing = true };
	struct msg_options options = { 0 };
	struct msg_peer self;
	char endpoint[32];
	int status = read_options(&chat, argc, argv), error;

	if (status)
		return status < 0 ? 2 : 0;
	setvbuf(stdout, NULL, _IOLBF, 0);
	options.name = chat.name;
	error = msg_attach(NULL, &options, &chat.region);
	if (error) {
		fprintf(stderr, "chat: can't join: %s\n", msg_strerror(error));
		return 1;
	}
	msg_self(chat.region, &self);
	snprintf(endpoint, sizeof(endpoint), "chat/%u", (unsigned int)self.epoch);
	error = msg_listen(chat.region, endpoint, NULL, &chat.listener);
	if (error) {
		fprintf(stderr, "chat: can't listen: %s\n", msg_strerror(error));
		status = 1;
	} else {
		printf("* you are %s\n", printable(self.name));
		status = talk(&chat);
	}
	msg_leave(chat.region);
	return status;
}
