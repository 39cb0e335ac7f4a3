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

/* The present row into *dst, which is zeroed and as large as the list's items; a failure stands in r. */
typedef void row_reader(struct row *r, void *dst);

struct row_list {
	row_reader *read;
	size_t size; /* of an item */
	void *items; /* in the arena */
	size_t n, cap;
};
#define ROW_LIST(type, reader)                                                                                         \
	{                                                                                                              \
		.read = (reader), .size = sizeof(type)                                                                 \
	}

/* Puts all rows of a query behind those that list has.
 *   errors  those of db.h; what list holds then is of no use */
enum mh_status rows_all(struct db *db, const char *sql, const struct db_value *args, size_t n_args, struct arena *a,
    struct row_list *list, struct mh_err *err);

/* Of a list of numbers. */
static inline void
row_id(struct row *r, void *dst)
{
	*(int64_t *)dst = db_get_int(r->rows, 0);
}

#endif
