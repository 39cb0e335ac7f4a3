/* mailbox_leases_test.c: who may watch a mailbox, when nodes ask for it in every order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "mailhook/work/ledger/mailbox_leases.h"
#include "tests/room.h"

#define NOW ROOM_NOW
#define GRACE 8
#define LEASE 30

static const struct mailbox_holder a = { "alpha", "a0" }, b = { "beta", "b0" }, a_again = { "alpha", "a1" };

static struct mailbox_names
names_of(const char **items, size_t n)
{
	return (struct mailbox_names){ items, n };
}

enum what { END, TAKE, RENEW, RELEASE, RELEASE_ALL, WANT, SAVE, DROP, FORGET };

struct step {
	enum what what;
	const struct mailbox_holder *who;
	int64_t after_s;    /* since NOW */
	const char *holder; /* "NODE LIFE" of the row then; "": nobody's or lapsed; NULL: no row */
	enum mh_status
	    comes; /* of SAVE; of WANT: MH_OK it was asked for, MH_SKIP it was asked for already or is ours */
};

struct row {
	const char *name;
	struct step steps[12];
};

static const struct row rows[] = {
	{ "a free one is taken, and held", { { TAKE, &a, 0, "alpha a0", 0 }, { TAKE, &b, 29, "alpha a0", 0 } } },
	{ "another takes it when the lease has ended, not before",
	    { { TAKE, &a, 0, "alpha a0", 0 }, { TAKE, &b, 29, "alpha a0", 0 }, { TAKE, &b, 30, "beta b0", 0 } } },
	{ "renewed, it lasts longer", { { TAKE, &a, 0, "alpha a0", 0 }, { RENEW, &a, 20, "alpha a0", 0 },
					  { TAKE, &b, 49, "alpha a0", 0 }, { TAKE, &b, 50, "beta b0", 0 } } },
	{ "one that has ended is not renewed",
	    { { TAKE, &a, 0, "alpha a0", 0 }, { RENEW, &a, 30, "", 0 }, { TAKE, &b, 31, "beta b0", 0 } } },
	{ "one that has ended may be taken again",
	    { { TAKE, &a, 0, "alpha a0", 0 }, { TAKE, &a, 31, "alpha a0", 0 }, { TAKE, &b, 60, "alpha a0", 0 } } },
	{ "nobody renews another's", { { TAKE, &a, 0, "alpha a0", 0 }, { RENEW, &b, 20, "alpha a0", 0 },
					 { TAKE, &b, 30, "beta b0", 0 }, { RENEW, &a, 31, "beta b0", 0 } } },
	{ "another life of one name is another",
	    { { TAKE, &a, 0, "alpha a0", 0 }, { TAKE, &a_again, 5, "alpha a0", 0 },
		{ RENEW, &a_again, 5, "alpha a0", 0 }, { SAVE, &a_again, 5, "alpha a0", MH_SKIP },
		{ RELEASE, &a_again, 5, "alpha a0", 0 }, { TAKE, &a_again, 30, "alpha a1", 0 } } },
	{ "given up, it is another's at once",
	    { { TAKE, &a, 0, "alpha a0", 0 }, { RELEASE, &a, 3, "", 0 }, { TAKE, &b, 3, "beta b0", 0 } } },
	{ "all given up", { { TAKE, &a, 0, "alpha a0", 0 }, { RELEASE_ALL, &b, 3, "alpha a0", 0 },
			      { RELEASE_ALL, &a, 3, "", 0 }, { TAKE, &b, 3, "beta b0", 0 } } },
	{ "nobody gives up another's", { { TAKE, &a, 0, "alpha a0", 0 }, { RELEASE, &b, 3, "alpha a0", 0 } } },
	{ "asked for, it goes to who asked",
	    { { TAKE, &a, 0, "alpha a0", 0 }, { WANT, &b, 1, "alpha a0", MH_OK }, { WANT, &b, 2, "alpha a0", MH_SKIP },
		{ RELEASE, &a, 3, "", 0 }, { TAKE, &a, 3, "", 0 }, { TAKE, &a, 10, "", 0 },
		{ TAKE, &b, 10, "beta b0", 0 } } },
	{ "who asked and does not come has lost it",
	    { { TAKE, &a, 0, "alpha a0", 0 }, { WANT, &b, 1, "alpha a0", MH_OK }, { RELEASE, &a, 3, "", 0 },
		{ TAKE, &a, 11, "alpha a0", 0 }, { RELEASE, &a, 12, "", 0 }, { TAKE, &a, 12, "alpha a0", 0 } } },
	{ "asked for, it goes on being renewed",
	    { { TAKE, &a, 0, "alpha a0", 0 }, { WANT, &b, 1, "alpha a0", MH_OK }, { RENEW, &a, 20, "alpha a0", 0 },
		{ TAKE, &b, 49, "alpha a0", 0 } } },
	{ "nobody asks for a free one, or for his own",
	    { { TAKE, &a, 0, "alpha a0", 0 }, { WANT, &a, 1, "alpha a0", MH_SKIP }, { RELEASE, &a, 2, "", 0 },
		{ WANT, &b, 2, "", MH_SKIP } } },
	{ "who has it writes its position, also late",
	    { { TAKE, &a, 0, "alpha a0", 0 }, { SAVE, &a, 40, "", MH_OK }, { SAVE, &b, 40, "", MH_SKIP },
		{ TAKE, &b, 41, "beta b0", 0 }, { SAVE, &a, 42, "beta b0", MH_SKIP },
		{ SAVE, &b, 42, "beta b0", MH_OK } } },
	{ "dropped by who held it last and gave it up long before",
	    { { TAKE, &a, 0, "alpha a0", 0 }, { DROP, &a, 0, "alpha a0", 0 }, { RELEASE, &a, 5, "", 0 },
		{ DROP, &b, 5, "", 0 }, { DROP, &a, 4, "alpha a0", 0 }, { DROP, &a, 5, NULL, 0 } } },
	{ "not dropped where another took it",
	    { { TAKE, &a, 0, "alpha a0", 0 }, { RELEASE, &a, 5, "", 0 }, { TAKE, &b, 5, "beta b0", 0 },
		{ RELEASE, &b, 6, "", 0 }, { DROP, &a, 100, "", 0 } } },
	{ "forgotten when it was nobody's for long",
	    { { TAKE, &a, 0, "alpha a0", 0 }, { FORGET, &b, 29, "alpha a0", 0 }, { FORGET, &b, 30, NULL, 0 } } },
};

static void
assert_holder(struct room *r, const struct row *row, size_t at, const char *wanted, int64_t now)
{
	struct mailbox_lease_rows rows_now = { 0 };
	struct mh_err err = { 0 };
	struct arena arena;
	char found[80] = "";

	arena_init(&arena, 1 << 20);
	if (ledger_mailbox_leases(r->w.db, &arena, &rows_now, &err) != MH_OK)
		fail_msg("%s", err.text);
	const struct mailbox_lease_row *l = mailbox_lease_of(&rows_now, "ops");
	if (l != NULL && l->until > now)
		(void)snprintf(found, sizeof(found), "%s %s", l->node, l->life);
	if ((l == NULL) != (wanted == NULL) || (wanted != NULL && strcmp(found, wanted) != 0))
		fail_msg("%s: step %zu: \"%s\", not \"%s\"", row->name, at, l == NULL ? "no row" : found,
		    wanted == NULL ? "no row" : wanted);
	arena_release(&arena);
}

static enum mh_status
do_step(struct db *db, const struct step *s, struct mh_err *err)
{
	const char *item = "ops";
	const struct mailbox_names names = names_of(&item, 1);
	const int64_t now = NOW + s->after_s;
	bool asked = false;

	switch (s->what) {
	case TAKE:
		return ledger_mailbox_take(db, s->who, &names, now, GRACE, now + LEASE, err);
	case RENEW:
		return ledger_mailbox_renew(db, s->who, now, now + LEASE, err);
	case RELEASE:
		return ledger_mailbox_release(db, s->who, &names, now, err);
	case RELEASE_ALL:
		return ledger_mailbox_release(db, s->who, NULL, now, err);
	case WANT:
		return ledger_mailbox_want(db, s->who->node, &names, now, &asked, err) != MH_OK ? MH_BAD
		       : asked                                                                  ? MH_OK
												: MH_SKIP;
	case SAVE:
		return ledger_mailbox_save(db, s->who, item, MH_LIT("here"), err);
	case DROP:
		return ledger_mailbox_drop(db, s->who->node, item, now, err);
	case FORGET:
		return ledger_mailbox_forget(db, now, err);
	case END:
		break;
	}
	return MH_BAD;
}

static void
whoever_may_has_it(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *item = "ops";
		const struct mailbox_names names = names_of(&item, 1);
		struct room r;
		struct mh_err err = { 0 };

		room_open(&r, "");
		assert_int_equal(ledger_mailbox_add(r.w.db, &names, &err), MH_OK);
		assert_holder(&r, &rows[i], 0, "", NOW);
		for (size_t k = 0; rows[i].steps[k].what != END; k++) {
			const struct step *s = &rows[i].steps[k];
			const enum mh_status status = do_step(r.w.db, s, &err);

			if (status != s->comes)
				fail_msg(
				    "%s: step %zu: status %d, not %d: %s", rows[i].name, k, status, s->comes, err.text);
			assert_holder(&r, &rows[i], k, s->holder, NOW + s->after_s);
		}
		room_close(&r);
	}
}

#define MANY 250 /* more than a statement takes */

static void
many_are_few_statements(void **state)
{
	static char text[MANY][16];
	const char *items[MANY];
	const struct mailbox_names all = names_of(items, MANY);
	struct mailbox_lease_rows leases = { 0 };
	struct mailbox_positions positions = { 0 };
	struct mailbox_read reads[MANY];
	struct mh_err err = { 0 };
	struct arena arena;
	struct room r;
	bool asked = false;

	(void)state;
	room_open(&r, "");
	arena_init(&arena, 16 << 20);
	for (size_t i = 0; i < MANY; i++) {
		(void)snprintf(text[i], sizeof(text[i]), "box-%03zu", i);
		items[i] = text[i];
		reads[i] = (struct mailbox_read){ text[i], NOW + (int64_t)i };
	}
	assert_int_equal(ledger_mailbox_add(r.w.db, &all, &err), MH_OK);
	assert_int_equal(ledger_mailbox_add(r.w.db, &all, &err), MH_OK);
	assert_int_equal(ledger_mailbox_take(r.w.db, &a, &all, NOW, GRACE, NOW + 30, &err), MH_OK);
	assert_int_equal(ledger_mailbox_save(r.w.db, &a, "box-249", MH_LIT("there"), &err), MH_OK);
	if (ledger_mailbox_note_read(r.w.db, &a, reads, MANY, &err) != MH_OK)
		fail_msg("%s", err.text);
	assert_int_equal(
	    ledger_mailbox_note_read(r.w.db, &b, &(struct mailbox_read){ "box-000", NOW + 999 }, 1, &err), MH_OK);
	assert_int_equal(ledger_mailbox_renew(r.w.db, &a, NOW + 10, NOW + 40, &err), MH_OK);
	assert_int_equal(ledger_mailbox_want(r.w.db, "beta", &all, NOW + 10, &asked, &err), MH_OK);
	assert_true(asked);

	assert_int_equal(ledger_mailbox_leases(r.w.db, &arena, &leases, &err), MH_OK);
	assert_int_equal(leases.n, MANY);
	for (size_t i = 0; i < MANY; i++) {
		const struct mailbox_lease_row *l = &leases.items[i];

		assert_string_equal(l->mailbox, text[i]);
		assert_string_equal(l->node, "alpha");
		assert_string_equal(l->wanted, "beta");
		assert_int_equal(l->until, NOW + 40);
		assert_true(l->has_read);
		assert_int_equal(l->read, NOW + (int64_t)i);
	}
	assert_int_equal(ledger_mailbox_positions(r.w.db, &a, &all, &arena, &positions, &err), MH_OK);
	assert_int_equal(positions.n, MANY);
	for (size_t i = 0; i < MANY; i++)
		assert_string_equal(
		    positions.items[i].text, strcmp(positions.items[i].mailbox, "box-249") == 0 ? "there" : "");
	assert_int_equal(ledger_mailbox_positions(r.w.db, &b, &all, &arena, &positions, &err), MH_OK);
	assert_int_equal(positions.n, 0);

	assert_int_equal(ledger_mailbox_release(r.w.db, &a, &all, NOW + 11, &err), MH_OK);
	assert_int_equal(ledger_mailbox_take(r.w.db, &b, &all, NOW + 11, GRACE, NOW + 41, &err), MH_OK);
	assert_int_equal(ledger_mailbox_positions(r.w.db, &b, &all, &arena, &positions, &err), MH_OK);
	assert_int_equal(positions.n, MANY);
	assert_int_equal(room_count(&r, "SELECT count(*) FROM mailbox_leases WHERE wanted IS NOT NULL"), 0);
	arena_release(&arena);
	room_close(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whoever_may_has_it),
		cmocka_unit_test(many_are_few_statements),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
