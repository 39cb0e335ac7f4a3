/* screen.c: see screen.h. Source of the grammar: RFC 3501 sections 7 and 9. */
#include "mailhook/imap/screen.h"

#include <stdio.h>
#include <string.h>

#define MAX_DEPTH 6         /* of lists: FETCH's own, BODY[HEADER.FIELDS (...)], FLAGS (...) */
#define MAX_OUT (20u << 20) /* a SEARCH line; all else is read by libetpan as it is vetted */
#define FIRST_LINE_BYTES (8u << 10)

/* Where in "(NAME VALUE NAME VALUE)" a FETCH is. */
enum { AT_NAME, AT_VALUE };

void
screen_init(struct screen *s)
{
	*s = (struct screen){ .limits = { 0, FIRST_LINE_BYTES, 0, FIRST_LINE_BYTES } };
	buf_init(&s->out, MAX_OUT);
	buf_init(&s->line, FIRST_LINE_BYTES);
}

void
screen_release(struct screen *s)
{
	buf_release(&s->out);
	buf_release(&s->line);
}

void
screen_begin(struct screen *s, const struct screen_limits *limits)
{
	s->limits = *limits;
	s->line.max = limits->line_bytes;
	s->bytes = 0;
	s->end = SCREEN_OPEN;
	s->behind = false;
	s->code[0] = s->words[0] = '\0';
}

/* -- words and numbers -------------------------------------------------------------------------------------------- */

/* RFC 3501 nz-number and number: 32 bits. libetpan's own reader wraps around. */
static bool
is_number(struct mh_span s)
{
	uint64_t n = 0;

	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9' || i >= 10)
			return false;
		n = n * 10 + (uint64_t)(s.p[i] - '0');
	}
	return s.n > 0 && n <= UINT32_MAX;
}

static bool
has_only_text(struct mh_span s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7F)
			return false;
	return true;
}

/* "{123}" at a line's end: a literal of so many bytes follows. False: none. */
static bool
literal_at_end(struct mh_span line, uint64_t *ret, bool *ret_wrong)
{
	size_t at = line.n;
	uint64_t n = 0;

	*ret_wrong = false;
	if (line.n < 3 || line.p[line.n - 1] != '}')
		return false;
	at--;
	while (at > 0 && line.p[at - 1] >= '0' && line.p[at - 1] <= '9')
		at--;
	if (at == 0 || line.p[at - 1] != '{' || at == line.n - 1)
		return false;
	if (at >= 2 && line.p[at - 2] == '~') { /* RFC 3516's binary literal: nobody asked for one */
		*ret_wrong = true;
		return true;
	}
	for (; at < line.n - 1; at++) {
		if (n > UINT32_MAX)
			*ret_wrong = true;
		else
			n = n * 10 + (uint64_t)(line.p[at] - '0');
	}
	*ret_wrong = *ret_wrong || n > UINT32_MAX;
	*ret = n;
	return true;
}

/* -- status lines ------------------------------------------------------------------------------------------------- */

/* Keeps code and words of "[CODE ...] text", and puts out of it what may pass: "[UIDVALIDITY 1] x". */
static void
put_status_text(struct screen *s, struct mh_span text)
{
	struct mh_span inside = MH_NONE, rest = text;

	s->code[0] = '\0';
	if (span_starts(text, MH_LIT("["))) {
		const size_t end = span_find(text, MH_LIT("]"), 0);

		if (end != SIZE_MAX) {
			inside = span_from(span_head(text, end), 1);
			rest = span_from(text, end + 1);
		}
	}
	(void)mh_escape(s->words, sizeof(s->words), span_trim(rest));

	const struct mh_span name = span_word(&inside);
	if (name.n == 0) {
		buf_puts(&s->out, " x\r\n");
		return;
	}
	(void)mh_escape(s->code, sizeof(s->code), name);
	if ((span_ieq(name, MH_LIT("UIDVALIDITY")) || span_ieq(name, MH_LIT("UIDNEXT"))) && is_number(inside))
		buf_printf(
		    &s->out, " [%s %.*s] x\r\n", name.n == 7 ? "UIDNEXT" : "UIDVALIDITY", (int)inside.n, inside.p);
	else if (span_ieq(name, MH_LIT("READ-ONLY")))
		buf_puts(&s->out, " [READ-ONLY] x\r\n");
	else if (span_ieq(name, MH_LIT("READ-WRITE")))
		buf_puts(&s->out, " [READ-WRITE] x\r\n");
	else
		buf_puts(&s->out, " x\r\n");
}

/* "OK", "NO", "BAD" in any case; SCREEN_OPEN: none of them. */
static enum screen_end
end_of(struct mh_span name)
{
	return span_ieq(name, MH_LIT("OK"))    ? SCREEN_OK
	       : span_ieq(name, MH_LIT("NO"))  ? SCREEN_NO
	       : span_ieq(name, MH_LIT("BAD")) ? SCREEN_BAD
					       : SCREEN_OPEN;
}

static const char *const end_names[] = { "", "OK", "NO", "BAD" };

static enum mh_status
tagged(struct screen *s, struct mh_span line, struct mh_err *err)
{
	struct mh_span rest = line;
	const struct mh_span tag = span_word(&rest), name = span_word(&rest);
	const enum screen_end end = end_of(name);
	char shown[60];

	if (tag.n == 0 || tag.n > 20 || end == SCREEN_OPEN || !has_only_text(tag))
		return mh_fail(
		    err, MH_BAD, "the server does not speak IMAP: \"%s\"", mh_escape(shown, sizeof(shown), line));
	buf_printf(&s->out, "%.*s %s", (int)tag.n, tag.p, end_names[end]);
	put_status_text(s, rest);
	s->end = end;
	return MH_OK;
}

/* -- data --------------------------------------------------------------------------------------------------------- */

static bool
may_be_fetched(struct mh_span name)
{
	static const char *const names[] = { "UID", "FLAGS", "RFC822.SIZE", "INTERNALDATE" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (span_ieq(name, span_of(names[i])))
			return true;
	return false;
}

/* Length of an item's name at the start of s, a section "BODY[HEADER.FIELDS (FROM)]<0>" whole; 0: not one of ours. */
static size_t
item_name(struct mh_span s)
{
	if (span_istarts(s, MH_LIT("BODY["))) {
		const size_t close = span_find(s, MH_LIT("]"), 0);

		if (close == SIZE_MAX)
			return 0;
		const struct mh_span behind = span_from(s, close + 1);
		const size_t end = span_starts(behind, MH_LIT("<")) ? span_find(behind, MH_LIT(">"), 0) : SIZE_MAX;
		if (end == SIZE_MAX)
			return close + 1;
		return is_number(span_head(span_from(behind, 1), end - 1)) ? close + 1 + end + 1 : 0;
	}
	const char *blank = s.n == 0 ? NULL : memchr(s.p, ' ', s.n);
	const size_t n = blank == NULL ? s.n : (size_t)(blank - s.p);
	return may_be_fetched(span_head(s, n)) ? n : 0;
}

/* Offset behind the quoted string that starts at s[0]; 0: it has no end in this line, which RFC 3501 forbids. */
static size_t
behind_quoted(struct mh_span s)
{
	for (size_t i = 1; i < s.n; i++) {
		if (s.p[i] == '\\')
			i++;
		else if (s.p[i] == '"')
			return i + 1;
	}
	return 0;
}

/* One line of a FETCH's list or of a LIST: balanced, shallow, and of items that were asked for. It may end in a literal,
 * which is a value, and the next line goes on behind it.
 *   errors  MH_SKIP an item that was not asked for */
static enum mh_status
look_at_list(struct screen *s, struct mh_span line, bool fetch, struct mh_err *err)
{
	char shown[40];

	for (size_t i = 0; i < line.n;) {
		const struct mh_span rest = span_from(line, i);
		const char c = line.p[i];

		if (fetch && s->depth == 1 && s->fetch_place == AT_NAME && c != ' ' && c != ')') {
			const size_t n = item_name(rest);

			if (n == 0)
				return mh_fail(err, MH_SKIP, "the server sends what was not asked for: \"%s\"",
				    mh_escape(shown, sizeof(shown), rest));
			i += n;
			s->fetch_place = AT_VALUE;
			if (i >= line.n || line.p[i] != ' ')
				return mh_fail(err, MH_BAD, "the server sends a FETCH without a value");
			i++;
			continue;
		}
		size_t step = 1;
		if (c == '(' && ++s->depth > MAX_DEPTH)
			return mh_fail(err, MH_LIMIT, "the server nests lists deeper than %d", MAX_DEPTH);
		if (c == '(' && s->depth == 1)
			s->fetch_place = AT_NAME;
		if (c == ')' && s->depth-- == 0)
			return mh_fail(err, MH_BAD, "the server closes a list that is not open");
		if (c == ' ' && s->depth == 1)
			s->fetch_place = AT_NAME;
		if (c == '"') {
			step = behind_quoted(rest);
			if (step == 0)
				return mh_fail(err, MH_BAD, "the server sends a string without end");
		}
		i += step;
	}
	return MH_OK;
}

enum { CLASS_HIDDEN, CLASS_PLAIN, CLASS_FETCH, CLASS_LIST };

/* What a line that begins with "* " is; status lines are dealt with here.
 *   out     *ret_class: what is to be done with it; *ret_text: it was a status line, so no literal ends it */
static enum mh_status
untagged(struct screen *s, struct mh_span line, int *ret_class, bool *ret_text, struct mh_err *err)
{
	struct mh_span rest = span_from(line, 2);
	const struct mh_span first = span_word(&rest);
	const enum screen_end end = end_of(first);

	*ret_class = CLASS_HIDDEN;
	*ret_text = true;
	if (end != SCREEN_OPEN) {
		buf_printf(&s->out, "* %s", end_names[end]);
		put_status_text(s, rest);
		return MH_OK;
	}
	if (span_ieq(first, MH_LIT("BYE"))) {
		(void)mh_escape(s->words, sizeof(s->words), rest);
		return mh_fail(err, MH_RETRY, "the server ends the connection: %s", s->words);
	}
	if (span_ieq(first, MH_LIT("PREAUTH")))
		return mh_fail(err, MH_BAD, "the server lets in without a login, as nobody should");
	*ret_text = false;
	if (is_number(first)) {
		const struct mh_span what = span_word(&rest);

		if (span_ieq(what, MH_LIT("EXISTS"))) {
			s->news = true;
			buf_printf(&s->out, "* %.*s EXISTS\r\n", (int)first.n, first.p);
		} else if (span_ieq(what, MH_LIT("FETCH")) && (s->limits.want & SCREEN_FETCH) != 0) {
			*ret_class = CLASS_FETCH;
		}
		return MH_OK;
	}
	if (span_ieq(first, MH_LIT("SEARCH")) && (s->limits.want & SCREEN_SEARCH) != 0) {
		for (size_t i = 0; i < rest.n; i++)
			if (rest.p[i] != ' ' && (rest.p[i] < '0' || rest.p[i] > '9'))
				return mh_fail(err, MH_BAD, "the server's SEARCH holds no number");
		*ret_class = CLASS_PLAIN;
	} else if (span_ieq(first, MH_LIT("CAPABILITY")) && (s->limits.want & SCREEN_CAPABILITY) != 0) {
		*ret_class = CLASS_PLAIN;
	} else if (span_ieq(first, MH_LIT("LIST")) && (s->limits.want & SCREEN_LIST) != 0) {
		*ret_class = CLASS_LIST;
	}
	return MH_OK;
}

/* The first line of a response. */
static enum mh_status
first_line(struct screen *s, struct mh_span line, int *ret_class, bool *ret_text, struct mh_err *err)
{
	*ret_class = CLASS_HIDDEN;
	*ret_text = true;
	if (span_starts(line, MH_LIT("* ")))
		return untagged(s, line, ret_class, ret_text, err);
	if (!span_starts(line, MH_LIT("+")))
		return tagged(s, line, err);
	if ((s->limits.want & SCREEN_CHALLENGE) != 0) {
		buf_put(&s->out, line);
		buf_puts(&s->out, "\r\n");
	} else {
		buf_puts(&s->out, "+ x\r\n");
	}
	return MH_OK;
}

/* A whole line, without its line end. */
static enum mh_status
take_line(struct screen *s, struct mh_span line, struct mh_err *err)
{
	int class = s->hidden ? CLASS_HIDDEN : s->fetch_place >= 0 ? CLASS_FETCH : CLASS_LIST;
	bool text = false, wrong = false;
	uint64_t literal = 0;
	enum mh_status status = MH_OK;

	if (memchr(line.p, '\0', line.n) != NULL)
		return mh_fail(err, MH_BAD, "the server sends a NUL in a line");
	if (!s->inside) {
		s->depth = 0;
		status = first_line(s, line, &class, &text, err);
		if (status != MH_OK || text)
			return status;
		s->fetch_place = class == CLASS_FETCH ? AT_NAME : -1;
		s->hidden = class == CLASS_HIDDEN;
	} else if (class == CLASS_FETCH && s->depth == 1) {
		s->fetch_place = AT_VALUE; /* the literal was one */
	}
	if (class == CLASS_FETCH || class == CLASS_LIST)
		status = look_at_list(s, line, class == CLASS_FETCH, err);
	if (status == MH_SKIP && !s->inside) { /* told of its own accord, and nothing of it has passed */
		class = CLASS_HIDDEN;
		s->hidden = true;
		s->depth = 0;
		status = MH_OK;
	}
	if (status != MH_OK)
		return status == MH_SKIP ? MH_BAD : status;
	s->inside = literal_at_end(line, &literal, &wrong);
	if (s->inside && (wrong || literal > s->limits.literal_bytes || class == CLASS_PLAIN))
		return mh_fail(err, MH_LIMIT, "the server sends a literal that is larger than was asked for");
	if (!s->inside && s->depth != 0 && !s->hidden)
		return mh_fail(err, MH_BAD, "the server leaves a list open");
	s->literal_left = s->inside ? literal : 0;
	if (!s->hidden) {
		buf_put(&s->out, line);
		buf_puts(&s->out, "\r\n");
	}
	return MH_OK;
}

/* As much of the literal as is there. */
static size_t
take_literal(struct screen *s, struct mh_span bytes)
{
	const size_t n = bytes.n < s->literal_left ? bytes.n : (size_t)s->literal_left;

	s->literal_left -= n;
	if (!s->hidden)
		buf_put(&s->out, span_head(bytes, n));
	return n;
}

/* The line that ends in these bytes, or its beginning, which is kept. */
static enum mh_status
take_some_line(struct screen *s, struct mh_span *bytes, struct mh_err *err)
{
	const char *lf = memchr(bytes->p, '\n', bytes->n);
	struct mh_span piece = lf == NULL ? *bytes : span_head(*bytes, (size_t)(lf - bytes->p));

	*bytes = span_from(*bytes, lf == NULL ? bytes->n : piece.n + 1);
	if (piece.n > s->limits.line_bytes - (s->line.n < s->limits.line_bytes ? s->line.n : s->limits.line_bytes))
		return mh_fail(err, MH_LIMIT, "the server sends a line of more than %zu bytes", s->limits.line_bytes);
	if (lf == NULL || s->line.n > 0) {
		buf_put(&s->line, piece);
		if (!buf_ok(&s->line))
			return mh_fail(err, MH_RETRY, "no memory for a line of the server");
		piece = buf_span(&s->line);
	}
	if (lf == NULL)
		return MH_OK;
	if (piece.n > 0 && piece.p[piece.n - 1] == '\r')
		piece.n--;
	const enum mh_status status = piece.n == 0 && !s->inside
					  ? mh_fail(err, MH_BAD, "the server sends an empty line")
					  : take_line(s, piece.n == 0 ? MH_LIT("") : piece, err);
	buf_clear(&s->line);
	if (s->line.cap > FIRST_LINE_BYTES) /* of a SEARCH: the process may idle for weeks now */
		buf_release(&s->line);
	return status;
}

enum mh_status
screen_feed(struct screen *s, struct mh_span bytes, struct mh_err *err)
{
	enum mh_status status = MH_OK;

	s->bytes += bytes.n;
	if (s->bytes > s->limits.answer_bytes)
		return mh_fail(err, MH_LIMIT, "the server's answer is longer than %zu bytes", s->limits.answer_bytes);
	while (status == MH_OK && bytes.n > 0) {
		s->behind = s->behind || s->end != SCREEN_OPEN;
		if (s->literal_left > 0)
			bytes = span_from(bytes, take_literal(s, bytes));
		else
			status = take_some_line(s, &bytes, err);
		if (status == MH_OK && !buf_ok(&s->out))
			status = mh_fail(err, MH_RETRY, "no memory for the server's answer");
	}
	return status;
}

size_t
screen_take(struct screen *s, char *dst, size_t n)
{
	const struct mh_span left = span_head(span_from(buf_span(&s->out), s->out_at), n);

	if (left.n > 0)
		memcpy(dst, left.p, left.n);
	s->out_at += left.n;
	if (s->out_at == s->out.n) {
		s->out_at = 0;
		buf_clear(&s->out);
	}
	return left.n;
}

bool
screen_empty(const struct screen *s)
{
	return s->out.n == s->out_at && s->line.n == 0 && s->literal_left == 0 && !s->inside;
}
