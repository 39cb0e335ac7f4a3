/* mailboxes_test.c: what two workers on one ledger make of mailboxes that each, one or none of their nodes reads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "mailhook/work/ledger/mailbox_leases.h"
#include "mailhook/work/mailboxes.h"
#include "tests/room.h"

#define BOX(name)                                                                                                      \
	"mailbox \"" name "\" { url = \"imaps://imap.example.com/INBOX\" user = \"" name                               \
	"\" password_file = \"@/none\" "                                                                               \
	"silent = 1h }\n"
#define HOUR INT64_C(3600)

struct two {
	struct room r;     /* node alpha: mailboxes both and left */
	struct work other; /* node beta: mailboxes both and right; on the same ledger */
	struct db_engine engine;
};

static void
complain(void *user, const char *line)
{
	(void)user;
	(void)fprintf(stderr, "%s\n", line);
}

static void
set_up(struct two *t)
{
	struct mh_err err = { 0 };
	char path[200];

	room_open(&t->r, BOX("both") BOX("left"));
	(void)snprintf(t->r.w.node, sizeof(t->r.w.node), "alpha");
	t->engine = *t->r.w.db->engine;
	t->engine.local = false; /* as a ledger that nodes share */
	t->r.w.db->engine = &t->engine;

	(void)snprintf(path, sizeof(path), "%s/beta.conf", t->r.dir);
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	(void)fprintf(f, "state_dir = \"%s/beta\"\n", t->r.dir);
	for (const char *p = BOX("both") BOX("right"); *p != '\0'; p++)
		(void)fprintf(f, "%s", *p == '@' ? t->r.dir : (const char[]){ *p, '\0' });
	assert_int_equal(fclose(f), 0);
	t->other = t->r.w;
	(void)snprintf(t->other.node, sizeof(t->other.node), "beta");
	if (conf_load(path, complain, NULL, &t->other.conf, &err) != MH_OK)
		fail_msg("%s", err.text);
}

static void
tear_down(struct two *t)
{
	conf_free(t->other.conf);
	room_close(&t->r);
}

static void
at(struct two *t, int64_t after_s)
{
	room_set_time(&t->r, ROOM_NOW + after_s);
}

/* Both workers look, as they do once a minute. */
static void
look(struct two *t)
{
	struct work *const works[] = { &t->r.w, &t->other };

	for (size_t i = 0; i < 2; i++) {
		struct mh_err err = { 0 };
		struct arena a;

		arena_init(&a, 1 << 20);
		if (mailboxes_cases(works[i], &a, t->r.now, &err) != MH_OK)
			fail_msg("%s", err.text);
		arena_release(&a);
	}
}

static struct mailbox_row
row(struct two *t, struct work *w, const char *name, struct arena *a)
{
	struct mailbox_rows rows = { 0 };
	struct mh_err err = { 0 };

	arena_init(a, 1 << 20);
	if (mailboxes_look(w, a, t->r.now, &rows, &err) != MH_OK)
		fail_msg("%s", err.text);
	for (size_t i = 0; i < rows.n; i++)
		if (strcmp(rows.items[i].box->name, name) == 0)
			return rows.items[i];
	fail_msg("no mailbox %s", name);
	return (struct mailbox_row){ 0 };
}

static void
hold(struct two *t, const char *node, const char *name, int64_t read)
{
	const struct mailbox_holder who = { node, "life" };
	const struct mailbox_names names = { &name, 1 };
	struct mh_err err = { 0 };
	struct db *db = t->r.w.db;

	assert_int_equal(ledger_mailbox_add(db, &names, &err), MH_OK);
	assert_int_equal(ledger_mailbox_take(db, &who, &names, t->r.now, 0, t->r.now + 30, &err), MH_OK);
	if (read != 0)
		assert_int_equal(
		    ledger_mailbox_note_read(db, &who, &(struct mailbox_read){ name, read }, 1, &err), MH_OK);
}

static int64_t
cases(struct two *t, const char *name, const char *state)
{
	char sql[200];

	(void)snprintf(sql, sizeof(sql),
	    "SELECT count(*) FROM cases WHERE kind = '" KIND_MAILBOX "' AND resource = '%s' AND state = '%s'", name,
	    state);
	return room_count(&t->r, sql);
}

static void
one_that_another_watches_is_not_silent_here(void **state)
{
	struct two t;
	struct arena a;

	(void)state;
	set_up(&t);
	look(&t);
	at(&t, 3 * HOUR);
	hold(&t, "beta", "both", t.r.now - 60);
	const struct mailbox_row here = row(&t, &t.r.w, "both", &a);
	assert_string_equal(here.node, "beta");
	assert_true(here.known && here.attended && !here.silent && !here.watching);
	assert_int_equal(here.silence_s, 60);
	arena_release(&a);
	const struct mailbox_row there = row(&t, &t.other, "both", &a);
	assert_null(there.node);
	assert_true(there.attended && !there.silent);
	arena_release(&a);
	look(&t);
	assert_int_equal(cases(&t, "both", "open"), 0);
	assert_int_equal(cases(&t, "left", "open"), 1);
	assert_int_equal(cases(&t, "right", "open"), 1);
	tear_down(&t);
}

static void
one_that_nobody_reads_is_one_case(void **state)
{
	struct two t;
	struct arena a;

	(void)state;
	set_up(&t);
	hold(&t, "beta", "both", ROOM_NOW);
	look(&t);
	at(&t, HOUR + 60);
	const struct mailbox_row r = row(&t, &t.r.w, "both", &a);
	assert_true(r.silent && !r.attended && r.node == NULL);
	arena_release(&a);
	look(&t);
	look(&t);
	assert_int_equal(cases(&t, "both", "open"), 1);

	/* who holds it without reading it changes nothing; who reads it does */
	hold(&t, "alpha", "both", 0);
	look(&t);
	assert_int_equal(cases(&t, "both", "open"), 1);
	at(&t, HOUR + 180);
	hold(&t, "gamma", "both", t.r.now); /* a node that neither of them knows */
	assert_string_equal(row(&t, &t.other, "both", &a).node, "gamma");
	arena_release(&a);
	look(&t);
	assert_int_equal(cases(&t, "both", "open"), 0);
	assert_int_equal(cases(&t, "both", "closed"), 1);

	at(&t, 3 * HOUR); /* silent again, it is another case */
	look(&t);
	assert_int_equal(cases(&t, "both", "open"), 1);
	tear_down(&t);
}

static void
one_of_another_node_is_its_business(void **state)
{
	struct two t;

	(void)state;
	set_up(&t);
	hold(&t, "beta", "right", ROOM_NOW);
	hold(&t, "alpha", "left", ROOM_NOW);
	look(&t);
	at(&t, 2 * HOUR);
	look(&t);
	look(&t);
	assert_int_equal(cases(&t, "right", "open"), 1);
	assert_int_equal(cases(&t, "left", "open"), 1);
	const char *notes = room_text(&t.r, "SELECT value FROM meta WHERE name = 'mailboxes'");
	assert_non_null(strstr(notes, "left 2025-11-06T09:00:00Z alarmed\n"));
	assert_non_null(strstr(notes, "right 2025-11-06T09:00:00Z alarmed\n"));

	/* nobody has it any more: its row goes, and with it the case */
	struct mh_err err = { 0 };
	assert_int_equal(ledger_mailbox_drop(t.r.w.db, "beta", "right", t.r.now, &err), MH_OK);
	struct arena a;
	arena_init(&a, 1 << 20);
	assert_int_equal(mailboxes_cases(&t.r.w, &a, t.r.now, &err), MH_OK);
	arena_release(&a);
	assert_int_equal(cases(&t, "right", "closed"), 1);
	assert_int_equal(cases(&t, "left", "open"), 1);
	tear_down(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_that_another_watches_is_not_silent_here),
		cmocka_unit_test(one_that_nobody_reads_is_one_case),
		cmocka_unit_test(one_of_another_node_is_its_business),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
