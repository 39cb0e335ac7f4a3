/* lease_lines.c: see leases_impl.h; lease_times.h has what the two sides say. */
#include <stdio.h>
#include <string.h>

#include "mailhook/clock.h"
#include "mailhook/imap/leases_impl.h"
#include "mailhook/imap/position.h"
#include "mailhook/work/log.h"

#define LEAVE_MS 8000      /* so long a mailbox that is to leave may take to its message */
#define SAVE_EVERY_MS 1000 /* of one mailbox's position */
#define UNSAVED_MS 5000    /* the same where the ledger is away */
#define READ_EVERY_S 60    /* how exactly others know when a mailbox was read */

/* -- saying -------------------------------------------------------------------------------------------------------- */

void
leases_say_position(struct leases *l, size_t i)
{
	const struct conf *c = l->im->conf;
	struct lease *b = &l->boxes[i];
	struct mh_err err = { 0 };
	struct buf text;

	b->last_saves = atomic_load(&l->slots[i].saves);
	b->saved = true;
	b->save_ms = clock_boot_ms() + SAVE_EVERY_MS;
	buf_init(&text, MH_IMAP_POSITION_BYTES);
	const enum mh_status status = position_export(c->state_dir, c->mailboxes[i].name, &text, &err);
	if (status == MH_OK) {
		cJSON *j = cJSON_CreateObject();

		lease_pipe_say(&l->pipe, j,
		    j != NULL && json_add_string(j, "position", c->mailboxes[i].name) &&
			json_add_span(j, "text", buf_span(&text)));
	} else if (status != MH_SKIP) {
		log_event(LOG_WARNING, "mailbox", NULL, "mailbox %s: its position is not handed on: %s",
		    c->mailboxes[i].name, err.text);
	}
	buf_release(&text);
}

static bool
add_read(struct leases *l, size_t i, cJSON *list, bool whole)
{
	const int64_t last_ok = atomic_load(&l->slots[i].last_ok), age_s = clock_now() - last_ok;
	struct lease *b = &l->boxes[i];

	if (!b->held || last_ok == 0 || last_ok == b->told_ok || (!whole && last_ok - b->told_ok < READ_EVERY_S))
		return true;
	b->told_ok = last_ok;
	cJSON *one = cJSON_CreateObject();
	return one != NULL && cJSON_AddItemToArray(list, one) &&
	       json_add_string(one, "name", l->im->conf->mailboxes[i].name) &&
	       json_add_integer(one, "age_s",
		   age_s < 0           ? 0
		   : age_s < INT32_MAX ? age_s
				       : INT32_MAX);
}

void
leases_say_seen(struct leases *l, bool whole)
{
	cJSON *j = cJSON_CreateObject();
	bool ok = j != NULL && json_add_integer(j, "seen", l->asked);
	cJSON *list = ok ? cJSON_AddArrayToObject(j, "read") : NULL;

	ok = list != NULL;
	for (size_t i = 0; i < l->n && ok; i++)
		ok = add_read(l, i, list, whole);
	lease_pipe_say(&l->pipe, j, ok);
}

/* Position first: whoever comes next begins with it. */
void
leases_give(struct leases *l, size_t i)
{
	struct lease *b = &l->boxes[i];
	cJSON *j = cJSON_CreateObject();
	cJSON *list = j == NULL ? NULL : cJSON_AddArrayToObject(j, "give");
	cJSON *name = cJSON_CreateString(l->im->conf->mailboxes[i].name);

	leases_say_position(l, i);
	lease_pipe_say(&l->pipe, j,
	    list != NULL && name != NULL && cJSON_AddItemToArray(list, name) &&
		json_add_string(j, "again",
		    b->done   ? "never"
		    : b->rest ? "late"
			      : "soon"));
	b->held = b->leaving = b->rest = false;
	atomic_store(&l->slots[i].lease_end_ms, 1);
	atomic_store(&l->slots[i].leave, 0);
}

void
leases_say_watch(struct leases *l)
{
	const struct conf *c = l->im->conf;
	cJSON *j = cJSON_CreateObject();
	bool ok = j != NULL && json_add_string(j, "life", l->life);
	cJSON *list = ok ? cJSON_AddArrayToObject(j, "watch") : NULL;

	ok = list != NULL;
	for (size_t i = 0; i < c->n_mailboxes && ok; i++) {
		cJSON *one = cJSON_CreateObject();

		ok = one != NULL && cJSON_AddItemToArray(list, one) &&
		     json_add_string(one, "name", c->mailboxes[i].name) &&
		     json_add_string(one, "prefer", l->once ? NULL : c->mailboxes[i].prefer);
	}
	lease_pipe_say(&l->pipe, j, ok);
	l->known = false;
}

/* -- hearing ------------------------------------------------------------------------------------------------------- */

static size_t
number_of(const struct leases *l, const char *name)
{
	size_t i = 0;

	while (i < l->n && (name == NULL || strcmp(l->im->conf->mailboxes[i].name, name) != 0))
		i++;
	return i;
}

void
leases_leave(struct leases *l, size_t i)
{
	if (l->boxes[i].leaving)
		return;
	l->boxes[i].leaving = true;
	l->boxes[i].leave_by_ms = clock_boot_ms() + LEAVE_MS;
	atomic_store(&l->slots[i].leave, 1);
}

static void
hear_grant(struct leases *l, const cJSON *j)
{
	const size_t i = number_of(l, json_string(j, "grant"));
	const char *text = json_string(j, "position");
	struct mh_err err = { 0 };
	bool own = false;

	if (i == l->n || text == NULL || !json_bool(j, "own", &own))
		return;
	struct lease *b = &l->boxes[i];
	if (b->held && clock_boot_ms() < b->end_ms) /* it never ended: another other side only says it again */
		return;
	b->held = true;
	b->end_ms = 0;
	b->failing_ms = 0;
	b->told_ok = 0;
	b->saved = false;
	if (b->running) { /* it is being ended, for having lost what is ours again now; till then it may write its position */
		leases_leave(l, i);
		return;
	}
	const enum mh_status status =
	    position_import(l->im->conf->state_dir, &l->im->conf->mailboxes[i], own, span_of(text), &err);
	if (status != MH_OK)
		log_event(LOG_WARNING, "mailbox", NULL, "mailbox %s: where the last node was is not known: %s",
		    l->im->conf->mailboxes[i].name, err.text);
}

static bool
names(const cJSON *list, const char *name)
{
	const cJSON *item;

	cJSON_ArrayForEach(item, list)
	{
		if (cJSON_IsString(item) && strcmp(item->valuestring, name) == 0)
			return true;
	}
	return false;
}

static void
hear_others(struct leases *l, const cJSON *others)
{
	const cJSON *item;

	for (size_t i = 0; i < l->n; i++)
		l->slots[i].elsewhere[0] = '\0';
	cJSON_ArrayForEach(item, others)
	{
		const size_t i = number_of(l, json_string(item, "name"));
		const char *node = json_string(item, "node");

		if (i < l->n && node != NULL)
			(void)snprintf(l->slots[i].elsewhere, sizeof(l->slots[i].elsewhere), "%s", node);
	}
}

static void
hear_round(struct leases *l, const cJSON *j)
{
	const cJSON *held = json_array(j, "held"), *wanted = json_array(j, "wanted"), *others = json_array(j, "others");
	int64_t end_ms = 0;

	if (!json_integer(j, "end_ms", 1, INT64_MAX, &end_ms))
		return;
	for (size_t i = 0; i < l->n; i++) {
		struct lease *b = &l->boxes[i];
		const char *name = l->im->conf->mailboxes[i].name;

		if (!b->held)
			continue;
		if (!names(held, name)) { /* it came to its end, and may be another's */
			b->held = b->leaving = false;
			atomic_store(&l->slots[i].lease_end_ms, 1);
			continue;
		}
		b->end_ms = end_ms;
		atomic_store(&l->slots[i].lease_end_ms, end_ms);
		if (names(wanted, name))
			leases_leave(l, i);
	}
	hear_others(l, others);
	for (size_t i = 0; i < l->n && l->trouble[0] != '\0'; i++)
		if (!l->boxes[i].running)
			l->slots[i].words[0] = '\0';
	if (l->trouble[0] != '\0')
		log_event(LOG_NOTICE, "leases", NULL, "it is known again which mailboxes are this node's");
	l->trouble[0] = '\0';
	l->known = true;
	l->back_off_ms = LEASES_START_FIRST_MS;
}

static void
hear_trouble(struct leases *l, const char *words)
{
	if (l->trouble[0] == '\0')
		log_event(LOG_WARNING, "leases", NULL, "mailboxes cannot be held: %s", words);
	(void)snprintf(l->trouble, sizeof(l->trouble), "%s", words);
	for (size_t i = 0; i < l->n; i++)
		if (!l->boxes[i].running &&
		    clock_boot_ms() >= l->boxes[i].end_ms) /* nobody else writes these words now */
			(void)snprintf(
			    l->slots[i].words, sizeof(l->slots[i].words), "no node may be sure of it: %s", words);
}

void
leases_hear_line(void *user, const cJSON *j)
{
	struct leases *l = user;
	const char *trouble = json_string(j, "trouble"), *unsaved = json_string(j, "unsaved");
	const size_t i = number_of(l, unsaved);

	if (json_string(j, "grant") != NULL) {
		hear_grant(l, j);
	} else if (json_array(j, "held") != NULL) {
		hear_round(l, j);
	} else if (json_integer(j, "ask", 1, INT64_MAX, &l->asked)) {
		leases_say_seen(l, false);
	} else if (trouble != NULL) {
		hear_trouble(l, trouble);
	} else if (i < l->n) {
		l->boxes[i].saved = false;
		l->boxes[i].save_ms = clock_boot_ms() + UNSAVED_MS;
	}
}
