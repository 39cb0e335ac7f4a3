/* postgresql_value.c: values on their way to a PostgreSQL server and back.
 *
 * Types of parameters are left to the server, which takes them from where they stand. Text and bytes go as they are
 * (binary format: no quoting, no hexadecimal digits), integers as digits, so that any integer type takes them. Answers come
 * in binary format: integers in network byte order.
 */
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mailhook/work/ledger/postgresql_impl.h"

/* Numbers of types, the same in every server (pg_type.dat). */
#define OID_BOOL 16
#define OID_BYTEA 17
#define OID_NAME 19
#define OID_INT8 20
#define OID_INT2 21
#define OID_INT4 23
#define OID_TEXT 25
#define OID_VARCHAR 1043

#define MAX_FIELD_BYTES ((size_t)1 << 30) /* what a server takes in one field */

static bool
room(struct pg_args *a, size_t n)
{
	const size_t one =
	    sizeof(*a->values) + sizeof(*a->mended) + sizeof(*a->lengths) + sizeof(*a->formats) + sizeof(*a->numbers);

	if (n == 0)
		return true;
	a->block = calloc(n, one);
	if (a->block == NULL)
		return false;
	/* by falling alignment */
	a->values = a->block;
	a->mended = (struct buf *)(a->values + n);
	a->lengths = (int *)(a->mended + n);
	a->formats = a->lengths + n;
	a->numbers = (char(*)[24])(a->formats + n);
	a->n = n;
	return true;
}

static enum mh_status
set(struct pg_args *a, size_t i, const struct db_value *v, struct mh_err *err)
{
	struct mh_span s = v->bytes;

	a->formats[i] = 1;
	switch (v->type) {
	case DB_NULL:
		return MH_OK;
	case DB_INTEGER:
		(void)snprintf(a->numbers[i], sizeof(a->numbers[i]), "%" PRId64, v->integer);
		a->values[i] = a->numbers[i];
		a->formats[i] = 0;
		return MH_OK;
	case DB_TEXT:
		/* SQLite keeps any bytes as text; a server refuses these, and with them the whole transaction */
		if (!utf8_text(s)) {
			buf_init(&a->mended[i], 3 * s.n + 1);
			buf_put_text(&a->mended[i], s);
			if (!buf_ok(&a->mended[i]))
				return mh_fail(err, MH_RETRY, "no memory for a value of the ledger");
			s = buf_span(&a->mended[i]);
		}
		break;
	case DB_BLOB:
		break;
	}
	if (s.n >= MAX_FIELD_BYTES)
		return mh_fail(err, MH_RETRY, "ledger: a value of %zu bytes is too long", s.n);
	a->values[i] = s.n == 0 ? "" : s.p;
	a->lengths[i] = (int)s.n;
	return MH_OK;
}

enum mh_status
pg_args_set(struct pg_args *a, const struct db_value *args, size_t n_args, struct mh_err *err)
{
	enum mh_status status = MH_OK;

	if (!room(a, n_args))
		return mh_fail(err, MH_RETRY, "no memory for a question to the ledger");
	for (size_t i = 0; i < n_args && status == MH_OK; i++)
		status = set(a, i, &args[i], err);
	return status;
}

void
pg_args_release(struct pg_args *a)
{
	for (size_t i = 0; i < a->n; i++)
		buf_release(&a->mended[i]);
	free(a->block);
	*a = (struct pg_args){ .n = 0 };
}

enum mh_status
pg_types(const PGresult *r, struct mh_err *err)
{
	for (int i = 0; i < PQnfields(r); i++) {
		switch (PQftype(r, i)) {
		case OID_BOOL:
		case OID_BYTEA:
		case OID_INT2:
		case OID_INT4:
		case OID_INT8:
		case OID_NAME:
		case OID_TEXT:
		case OID_VARCHAR:
			break;
		default:
			return mh_fail(err, MH_BAD, "ledger: column %d of an answer is of type %u, which is not known",
			    i, PQftype(r, i));
		}
	}
	return MH_OK;
}

enum db_type
pg_type(const PGresult *r, int row, int column)
{
	if (PQgetisnull(r, row, column))
		return DB_NULL;
	switch (PQftype(r, column)) {
	case OID_BOOL:
	case OID_INT2:
	case OID_INT4:
	case OID_INT8:
		return DB_INTEGER;
	case OID_BYTEA:
		return DB_BLOB;
	default: /* an open set: all others of ours are text */
		return DB_TEXT;
	}
}

int64_t
pg_integer(const PGresult *r, int row, int column)
{
	const unsigned char *p = (const unsigned char *)PQgetvalue(r, row, column);
	const int n = PQgetlength(r, row, column);
	uint64_t v = 0;

	if (pg_type(r, row, column) ==
	    DB_TEXT) /* as SQLite does: the number that it starts with. libpq ends it with a NUL */
		return strtoll((const char *)p, NULL, 10);
	if (pg_type(r, row, column) != DB_INTEGER || n > (int)sizeof(v))
		return 0;
	if (n > 1 && p[0] >= 0x80) /* the sign, for those that are shorter */
		v = UINT64_MAX;
	for (int i = 0; i < n; i++)
		v = v << 8 | p[i];
	return (int64_t)v;
}

struct mh_span
pg_bytes(const PGresult *r, int row, int column, char number[24])
{
	switch (pg_type(r, row, column)) {
	case DB_NULL:
		break;
	case DB_INTEGER:
		return (struct mh_span){ number, (size_t)snprintf(number, 24, "%" PRId64, pg_integer(r, row, column)) };
	case DB_TEXT:
	case DB_BLOB:
		return (struct mh_span){ PQgetvalue(r, row, column), (size_t)PQgetlength(r, row, column) };
	}
	return MH_NONE;
}
