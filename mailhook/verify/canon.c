/* canon.c: the canonical forms of RFC 6376 section 3.4, for mail with CRLF and with LF alike. */
#include <string.h>

#include "mailhook/verify/verify_impl.h"

#define STAGE_BYTES 16384 /* what is hashed at once: a call a line costs more than the hash */

static bool
is_wsp(char c)
{
	return c == ' ' || c == '\t';
}

/* -- header ------------------------------------------------------------------------------------------------------- */

static void
put_simple(struct buf *b, struct mh_span raw)
{
	while (raw.n > 0) {
		const char *lf = memchr(raw.p, '\n', raw.n);
		size_t n = lf == NULL ? raw.n : (size_t)(lf - raw.p);

		buf_put(b, span_head(raw, lf != NULL && n > 0 && lf[-1] == '\r' ? n - 1 : n));
		if (lf != NULL)
			buf_puts(b, "\r\n");
		raw = span_from(raw, lf == NULL ? n : n + 1);
	}
}

/* Name in lower case, the value unfolded, runs of blanks as one space, none at either end. */
static void
put_relaxed(struct buf *b, struct mh_span raw)
{
	const char *colon = raw.n == 0 ? NULL : memchr(raw.p, ':', raw.n);
	const size_t n_name = colon == NULL ? raw.n : (size_t)(colon - raw.p);
	bool gap = false, begun = false;
	char chunk[512];
	size_t used = 0;

	for (size_t i = 0; i < n_name; i++) {
		if (used == sizeof(chunk)) {
			buf_put(b, (struct mh_span){ chunk, used });
			used = 0;
		}
		chunk[used++] = raw.p[i] >= 'A' && raw.p[i] <= 'Z' ? (char)(raw.p[i] - 'A' + 'a') : raw.p[i];
	}
	buf_put(b, (struct mh_span){ chunk, used });
	buf_putc(b, ':');
	used = 0;
	for (size_t i = n_name + 1; i < raw.n; i++) {
		const char c = raw.p[i];

		if (c == '\r' || c == '\n')
			continue;
		if (is_wsp(c)) {
			gap = begun;
			continue;
		}
		if (used > sizeof(chunk) - 2) {
			buf_put(b, (struct mh_span){ chunk, used });
			used = 0;
		}
		if (gap)
			chunk[used++] = ' ';
		chunk[used++] = c;
		gap = false;
		begun = true;
	}
	buf_put(b, (struct mh_span){ chunk, used });
}

void
canon_field(struct buf *b, struct mh_span raw, enum canon canon)
{
	if (canon == CANON_SIMPLE)
		put_simple(b, raw);
	else
		put_relaxed(b, raw);
}

/* -- body --------------------------------------------------------------------------------------------------------- */

struct stage {
	EVP_MD_CTX *hash;
	bool ok;
	size_t n, blank_lines; /* blank lines are held back until text follows: those at the end do not count */
	bool any;
	char p[STAGE_BYTES];
};

static void
stage_flush(struct stage *s)
{
	s->ok = s->ok && EVP_DigestUpdate(s->hash, s->p, s->n) == 1;
	s->n = 0;
}

static void
stage_put(struct stage *s, const char *p, size_t n)
{
	if (n > STAGE_BYTES - s->n) {
		stage_flush(s);
		if (n > STAGE_BYTES) {
			s->ok = s->ok && EVP_DigestUpdate(s->hash, p, n) == 1;
			return;
		}
	}
	memcpy(s->p + s->n, p, n);
	s->n += n;
}

static void
stage_blank_lines(struct stage *s)
{
	for (; s->blank_lines > 0; s->blank_lines--)
		stage_put(s, "\r\n", 2);
	s->any = true;
}

static void
body_simple(struct stage *s, struct mh_span line)
{
	if (line.n == 0) {
		s->blank_lines++;
		return;
	}
	stage_blank_lines(s);
	stage_put(s, line.p, line.n);
	stage_put(s, "\r\n", 2);
}

static void
body_relaxed(struct stage *s, struct mh_span line)
{
	while (line.n > 0 && is_wsp(line.p[line.n - 1]))
		line.n--;
	if (line.n == 0) {
		s->blank_lines++;
		return;
	}
	stage_blank_lines(s);
	for (size_t at = 0; at < line.n;) {
		size_t room = STAGE_BYTES - s->n;

		if (room == 0) {
			stage_flush(s);
			room = STAGE_BYTES;
		}
		const size_t end = line.n - at < room ? line.n : at + room;
		char *to = s->p + s->n;
		for (; at < end; at++) {
			const char c = line.p[at];

			/* The first of a run of blanks is the one that stays. */
			if (!is_wsp(c))
				*to++ = c;
			else if (at == 0 || !is_wsp(line.p[at - 1]))
				*to++ = ' ';
		}
		s->n = (size_t)(to - s->p);
	}
	stage_put(s, "\r\n", 2);
}

static bool
all_crlf(struct mh_span body)
{
	struct mh_span rest = body;

	while (rest.n > 0) {
		const char *lf = memchr(rest.p, '\n', rest.n);

		if (lf == NULL)
			return true;
		if (lf == body.p || lf[-1] != '\r')
			return false;
		rest = span_from(rest, (size_t)(lf - rest.p) + 1);
	}
	return true;
}

static void
body_lines(struct stage *s, struct mh_span body, enum canon canon)
{
	/* As it came over the wire, all but its end is its own simple form, and need not be copied. */
	if (canon == CANON_SIMPLE && all_crlf(body)) {
		while (body.n >= 2 && body.p[body.n - 2] == '\r' && body.p[body.n - 1] == '\n')
			body.n -= 2;
		s->ok = s->ok && (body.n == 0 || EVP_DigestUpdate(s->hash, body.p, body.n) == 1);
		body.n = 0;
	}
	while (body.n > 0) {
		const char *lf = memchr(body.p, '\n', body.n);
		const size_t n = lf == NULL ? body.n : (size_t)(lf - body.p);
		const struct mh_span line = { body.p, lf != NULL && n > 0 && lf[-1] == '\r' ? n - 1 : n };

		if (canon == CANON_SIMPLE)
			body_simple(s, line);
		else
			body_relaxed(s, line);
		body = span_from(body, lf == NULL ? n : n + 1);
	}
	if (!s->any && canon == CANON_SIMPLE) /* an empty body is one line end, in simple only */
		stage_put(s, "\r\n", 2);
	stage_flush(s);
}

static void
free_hash(EVP_MD_CTX **ctx)
{
	EVP_MD_CTX_free(*ctx);
}

enum mh_status
canon_body(struct verify_mail *m, enum canon canon, unsigned char ret_hash[SHA256_BYTES], struct mh_err *err)
{
	if (!m->hashed[canon]) {
		MH_AUTO(free_hash) EVP_MD_CTX *hash = EVP_MD_CTX_new();
		struct stage s;

		s.hash = hash;
		s.n = s.blank_lines = 0;
		s.any = false;
		s.ok = hash != NULL && EVP_DigestInit_ex(hash, EVP_sha256(), NULL) == 1;
		if (s.ok)
			body_lines(&s, m->body, canon);
		if (!s.ok || EVP_DigestFinal_ex(hash, m->body_hash[canon], NULL) != 1)
			return mh_fail(err, MH_LIMIT, "no memory to hash the body");
		m->hashed[canon] = true;
	}
	memcpy(ret_hash, m->body_hash[canon], SHA256_BYTES);
	return MH_OK;
}
