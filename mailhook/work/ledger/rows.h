/* rows.h: reading a row column by column with one look at the status at its end; inside ledger/ only. */
#ifndef MAILHOOK_WORK_LEDGER_ROWS_H
#define MAILHOOK_WORK_LEDGER_ROWS_H

#include "mailhook/work/ledger/ledger.h"

struct row {
	struct db_rows *rows;
	struct arena *a;
	struct mh_err *err;
	enum mh_status status; /* the first failure; later calls do nothing */
};

static inline const char *
row_str(struct row *r, int column)
{
	const char *s = NULL;

	if (r->status == MH_OK)
		r->status = db_get_str(r->rows, column, r->a, &s, r->err);
	return s;
}

static inline void
row_time(struct row *r, int column, bool *ret_known, int64_t *ret)
{
	*ret_known = false;
	if (r->status == MH_OK)
		r->status = db_get_time(r->rows, column, ret_known, ret, r->err);
}

static inline int
row_word(struct row *r, int column, const char *const *names, size_t n)
{
	return ledger_word(names, n, db_get_bytes(r->rows, column));
}

#define TRUST_LEVELS 3
#define PRECISIONS 3

/* No row of pauses keeps a job of that table from starting. */
#define LEDGER_NOT_PAUSED(jobs)                                                                                        \
	"AND NOT EXISTS (SELECT 1 FROM pauses p WHERE p.scope = 'all' OR (p.scope = 'action' AND p.name = " jobs       \
	".action) OR (p.scope = 'rule' AND p.name = (SELECT c.rule FROM cases c WHERE c.id = " jobs ".case_id))) "

/* The array with room for one more row, which may have moved; NULL: the arena is full, say rows_full(). */
void *rows_room(struct arena *a, void *items, size_t n, size_t *cap, size_t size);
enum mh_status rows_full(struct mh_err *err);

#endif
