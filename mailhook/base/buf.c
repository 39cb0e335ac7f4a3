/* buf.c: a byte buffer that is born with its maximum. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mailhook/mailhook.h"

void
buf_init(struct buf *b, size_t max)
{
	*b = (struct buf){ .max = max };
}

void
buf_release(struct buf *b)
{
	free(b->p);
	*b = (struct buf){ .max = b->max };
}

void
buf_clear(struct buf *b)
{
	b->n = 0;
	b->failed = false;
	if (b->p != NULL)
		b->p[0] = '\0';
}

/* Makes room for n more bytes and a NUL. */
static bool
make_room(struct buf *b, size_t n)
{
	if (b->failed)
		return false;
	if (b->n > b->max || n > b->max - b->n) {
		b->failed = true;
		return false;
	}
	if (n < b->cap - b->n && b->p != NULL)
		return true;

	size_t cap = b->cap < 256 ? 256 : b->cap;
	while (cap - b->n <= n)
		cap = cap > SIZE_MAX / 2 ? SIZE_MAX : cap * 2;

	char *p = realloc(b->p, cap);
	if (p == NULL) {
		b->failed = true;
		return false;
	}
	b->p = p;
	b->cap = cap;
	return true;
}

void
buf_put(struct buf *b, struct mh_span s)
{
	if (!make_room(b, s.n))
		return;
	if (s.n > 0)
		memcpy(b->p + b->n, s.p, s.n);
	b->n += s.n;
	b->p[b->n] = '\0';
}

void
buf_puts(struct buf *b, const char *s)
{
	buf_put(b, span_of(s));
}

void
buf_put_text(struct buf *b, struct mh_span s)
{
	while (s.n > 0) {
		const size_t n = s.p[0] == '\0' ? 0 : utf8_sequence(s);

		if (n == 0)
			buf_puts(b, "\xEF\xBF\xBD");
		else
			buf_put(b, span_head(s, n));
		s = span_from(s, n == 0 ? 1 : n);
	}
}

void
buf_putc(struct buf *b, char c)
{
	buf_put(b, (struct mh_span){ &c, 1 });
}

void
buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	const int n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);

	if (n < 0 || !make_room(b, (size_t)n)) {
		b->failed = true;
		return;
	}
	va_start(ap, fmt);
	(void)vsnprintf(b->p + b->n, (size_t)n + 1, fmt, ap);
	va_end(ap);
	b->n += (size_t)n;
}

bool
buf_ok(const struct buf *b)
{
	return !b->failed;
}

struct mh_span
buf_span(const struct buf *b)
{
	return (struct mh_span){ b->p == NULL ? "" : b->p, b->n };
}
