/* message.c: a message as its signer saw it: fields as raw bytes in their order, and the body. */
#include <string.h>

#include "mailhook/verify/verify_impl.h"

/* The line at the start of *rest with its end; *ret_line is without it. A CR belongs to the end only before a LF. */
static bool
next_line(struct mh_span *rest, struct mh_span *ret_line)
{
	if (rest->n == 0)
		return false;

	const char *lf = memchr(rest->p, '\n', rest->n);
	size_t n = lf == NULL ? rest->n : (size_t)(lf - rest->p);

	*ret_line = (struct mh_span){ rest->p, n };
	if (lf != NULL && n > 0 && rest->p[n - 1] == '\r')
		ret_line->n--;
	*rest = span_from(*rest, lf == NULL ? n : n + 1);
	return true;
}

/* The length of a field name at the start of a line, 0 where there is none. Blanks before the colon are refused: they
 * are obsolete, and verifiers disagree about them. */
static size_t
name_length(struct mh_span line)
{
	size_t n = 0;

	while (n < line.n && line.p[n] > ' ' && line.p[n] <= '~' && line.p[n] != ':')
		n++;
	return n < line.n && line.p[n] == ':' ? n : 0;
}

static bool
clean_line(struct mh_span line)
{
	return line.n == 0 || (memchr(line.p, '\0', line.n) == NULL && memchr(line.p, '\r', line.n) == NULL);
}

/* The header's fields; counts only where fields is NULL. */
static size_t
read_fields(struct mh_span rest, struct verify_field *fields, struct verify_mail *m)
{
	const char *const start = rest.p;
	struct mh_span line;
	size_t n = 0;

	while (next_line(&rest, &line) && line.n > 0) {
		const bool folded = line.p[0] == ' ' || line.p[0] == '\t';
		const size_t n_name = folded ? 0 : name_length(line);

		if ((size_t)(line.p - start) + line.n > MH_MAX_HEADER_BYTES)
			m->malformed = "the header is larger than mailhook reads";
		else if (!clean_line(line))
			m->malformed = "the header holds a NUL or a bare CR";
		else if (folded ? n == 0 : n_name == 0)
			m->malformed = "a line of the header is no field";
		else if (n == MH_MAX_FIELDS && !folded)
			m->malformed = "the header has more fields than mailhook reads";
		if (m->malformed != NULL)
			return 0;

		n += !folded;
		if (fields != NULL) {
			struct verify_field *f = &fields[n - 1];
			if (!folded)
				*f = (struct verify_field){ .name = span_head(line, n_name), .raw = line };
			f->raw.n = (size_t)(line.p - f->raw.p) + line.n;
			f->value = span_from(f->raw, f->name.n + 1);
		}
	}
	m->body = rest;
	return n;
}

enum mh_status
message_split(struct mh_span raw, struct arena *a, struct verify_mail *ret, struct mh_err *err)
{
	struct verify_mail m = { .body = MH_LIT("") };
	struct mh_span line;

	/* One line in front, as a delivery into an mbox writes it; the reader passes over the same. */
	if (span_starts(raw, MH_LIT("From ")) || span_starts(raw, MH_LIT(">From ")))
		next_line(&raw, &line);
	if (raw.n > MH_MAX_MESSAGE_BYTES)
		m.malformed = "the message is larger than mailhook reads";

	const size_t n = m.malformed == NULL ? read_fields(raw, NULL, &m) : 0;
	if (n == 0 && m.malformed == NULL)
		m.malformed = "there is no header";
	if (m.malformed == NULL) {
		m.fields = arena_array(a, n, sizeof(*m.fields));
		if (m.fields == NULL)
			return mh_fail(err, MH_LIMIT, "no room for %zu header fields", n);
		m.n_fields = read_fields(raw, m.fields, &m);
	}
	*ret = m;
	return MH_OK;
}

size_t
message_count(const struct verify_mail *m, const char *name)
{
	const struct mh_span wanted = span_of(name);
	size_t n = 0;

	for (size_t i = 0; i < m->n_fields; i++)
		n += m->fields[i].name.n == wanted.n && span_ieq(m->fields[i].name, wanted);
	return n;
}

const struct verify_field *
message_field(const struct verify_mail *m, const char *name)
{
	const struct mh_span wanted = span_of(name);

	for (size_t i = 0; i < m->n_fields; i++)
		if (span_ieq(m->fields[i].name, wanted))
			return &m->fields[i];
	return NULL;
}
