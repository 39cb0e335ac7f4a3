/* told.c: see told.h. */
#include "mailhook/work/told.h"

#include <string.h>

#include "mailhook/work/ledger/credentials.h"
#include "mailhook/work/log.h"

#define TOLD_ARENA_BYTES ((size_t)16 << 20)
#define TOLD_KEEP_S 43200 /* the same again within that time needs no write */

/* What was told before; NULL: nothing. */
static const struct credential_row *
find(const struct credential_rows *rows, const char *action, const char *name)
{
	for (size_t i = 0; i < rows->n; i++)
		if (strcmp(rows->items[i].action, action) == 0 && strcmp(rows->items[i].name, name) == 0)
			return &rows->items[i];
	return NULL;
}

static enum mh_status
hear_in(struct work *w, struct arena *a, const struct credential_row *c, struct mh_err *err)
{
	struct credential_rows rows = { 0 };
	enum mh_status status = ledger_credentials(w->db, a, &rows, err);

	if (status != MH_OK)
		return status;
	const struct credential_row *old = find(&rows, c->action, c->name);
	const bool news = old == NULL || old->has_expires != c->has_expires || old->precision != c->precision ||
			  (c->has_expires && old->expires != c->expires);
	if (!news && c->told >= old->asked && c->told - old->asked < TOLD_KEEP_S && old->told == old->asked)
		return MH_OK;
	w->credentials_told = w->credentials_told || news;
	return ledger_credential_put(w->db, c, err);
}

void
told_hear(struct work *w, const char *action, const struct credential_line *line, int64_t now)
{
	const struct credential_row c = { .action = action,
		.name = line->name,
		.has_expires = line->has_expires,
		.expires = line->expires,
		.precision = line->day ? MH_DAY : MH_SECOND,
		.told = now,
		.asked = now };
	const struct log_about about = { .action = action };
	struct mh_err err = { 0 };
	struct arena a;

	arena_init(&a, TOLD_ARENA_BYTES);
	if (hear_in(w, &a, &c, &err) != MH_OK)
		log_event(LOG_WARNING, "credential", &about, "action %s: what it told of a credential is lost: %s",
		    action, err.text);
	arena_release(&a);
}

enum mh_status
told_all(struct work *w, const char *action, int64_t since, struct mh_err *err)
{
	w->credentials_told = true; /* what is not told of any more may have a case */
	return ledger_credentials_forget(w->db, action, since, err);
}

enum mh_status
told_ask(struct work *w, int64_t now, struct arena *a, const struct conf_action **ret, struct mh_err *err)
{
	const char *name = NULL;
	enum mh_status status = ledger_credentials_stale(w->db, now - TOLD_ASK_S, now, a, &name, err);

	if (status != MH_OK)
		return status;
	*ret = conf_action(w->conf, name);
	if (*ret == NULL) { /* own.c forgets it */
		w->credentials_told = true;
		return mh_fail(err, MH_SKIP, "action \"%s\" is not configured any more", name);
	}
	return ledger_credentials_asked(w->db, name, now, err);
}
