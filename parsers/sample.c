/* sample.c: writes a sample of what a regular expression matches. */
#include "parsers/sample.h"

#include <stdlib.h>
#include <string.h>

#include "parsers/pattern.h"

#define MAX_BYTES 8192
#define MAX_NESTED 40
#define MANY 10 /* a quantifier that goes so far, or has no end, can be made to try often */

void
sample_init(struct sample *s)
{
	buf_init(&s->text, MAX_BYTES);
	s->n_runs = 0;
}

void
sample_release(struct sample *s)
{
	buf_release(&s->text);
}

/* A character that the class has, or for a negated one most likely has. */
static char
of_class(const char *r)
{
	static const char usual[] = "a0 -.,";
	const bool negated = r[1] == '^';
	const char *first = r + 1 + negated;
	const size_t n = pattern_skip_class(r);

	if (!negated) {
		if (first[0] == '\\')
			return first[1] == 'd' ? '0' : first[1] == 's' ? ' ' : first[1] == 'w' ? 'a' : first[1];
		return first[0] == '[' ? 'a' : first[0]; /* "[[:alpha:]...": mostly letters */
	}
	for (const char *c = usual; *c != '\0'; c++)
		if (memchr(first, *c, n - 2) == NULL)
			return *c;
	return '~';
}

/* The character that an escape stands for; '\0': it takes none. */
static char
of_escape(char c)
{
	switch (c) {
	case 'd':
		return '0';
	case 'w':
	case 'D':
	case 'S':
	case 'N':
		return 'a';
	case 's':
	case 'h':
	case 'R':
	case 'n':
		return ' ';
	case 'W':
		return '-';
	case 'b':
	case 'B':
	case 'A':
	case 'z':
	case 'Z':
	case 'G':
	case 'K':
		return '\0';
	default:
		return c;
	}
}

struct quantifier {
	unsigned min;
	bool many, any; /* any: there is one */
	size_t bytes;
};

static struct quantifier
quantifier_at(const char *r)
{
	struct quantifier q = { .min = 1 };

	if (r[0] == '*' || r[0] == '+' || r[0] == '?') {
		q = (struct quantifier){ .min = 1, .many = r[0] != '?', .any = true, .bytes = 1 };
	} else if (r[0] == '{' && r[1] >= '0' && r[1] <= '9') {
		char *end;
		unsigned long max;

		q.min = (unsigned)strtoul(r + 1, &end, 10);
		max = q.min;
		if (*end == ',') {
			const bool open = end[1] == '}';

			max = open ? MANY : strtoul(end + 1, &end, 10);
			end += open;
		}
		if (*end != '}')
			return (struct quantifier){ .min = 1 };
		q.any = true;
		q.many = max >= MANY && max != q.min;
		q.bytes = (size_t)(end + 1 - r);
	}
	if (q.any && (r[q.bytes] == '?' || r[q.bytes] == '+'))
		q.bytes++;
	return q;
}

/* Bytes of a group's opening; *ret_text: what it holds is part of the match. */
static size_t
opening(const char *r, bool *ret_text)
{
	*ret_text = true;
	if (r[1] != '?' && r[1] != '*')
		return 1;
	if (r[1] == '*') {
		*ret_text = false; /* a verb */
		return 2;
	}
	if (strchr(":>|", r[2]) != NULL)
		return 3;
	if ((r[2] == '<' || r[2] == 'P' || r[2] == '\'') && r[3] != '=' && r[3] != '!') {
		const char *end = strchr(r + 4, r[2] == '\'' ? '\'' : '>');

		if (end != NULL)
			return (size_t)(end + 1 - r);
	}
	*ret_text = false; /* it looks around, is a comment, or sets options */
	return 2;
}

static enum mh_status sequence(const char **r, struct sample *s, unsigned depth, struct mh_err *err);

static enum mh_status
group(const char **r, struct sample *s, unsigned depth, struct mh_err *err)
{
	const char *end = *r + pattern_skip_group(*r);
	bool text;
	const char *inside = *r + opening(*r, &text);
	const enum mh_status status = text ? sequence(&inside, s, depth + 1, err) : MH_OK;

	*r = end;
	return status;
}

/* One character, class, escape or group. */
static enum mh_status
atom(const char **r, struct sample *s, unsigned depth, struct mh_err *err)
{
	char c = **r;

	switch (c) {
	case '(':
		return group(r, s, depth, err);
	case '[':
		buf_putc(&s->text, of_class(*r));
		*r += pattern_skip_class(*r);
		return MH_OK;
	case '\\':
		c = of_escape((*r)[1]);
		*r += (*r)[1] == '\0' ? 1 : 2;
		if (c != '\0')
			buf_putc(&s->text, c);
		return MH_OK;
	case '^':
	case '$':
		break;
	default:
		buf_putc(&s->text, c == '.' ? 'a' : c);
		break;
	}
	++*r;
	return MH_OK;
}

/* As much as stands before the next '|' or ')' of this level. */
static enum mh_status
sequence(const char **r, struct sample *s, unsigned depth, struct mh_err *err)
{
	if (depth > MAX_NESTED)
		return mh_fail(err, MH_LIMIT, "a pattern is nested too deep to be tried");
	while (**r != '\0' && **r != '|' && **r != ')') {
		const size_t at = s->text.n;
		const enum mh_status status = atom(r, s, depth, err);

		if (status != MH_OK)
			return status;
		const struct quantifier q = quantifier_at(*r);
		const size_t n = s->text.n - at;

		if (q.many && n > 0 && s->n_runs < SAMPLE_MAX_RUNS)
			s->runs[s->n_runs++] = (struct sample_run){ at, n };
		for (unsigned i = 1; i < q.min && buf_ok(&s->text); i++)
			for (size_t k = 0; k < n; k++)
				buf_putc(&s->text, s->text.p[at + k]);
		*r += q.bytes;
	}
	return buf_ok(&s->text) ? MH_OK : mh_fail(err, MH_LIMIT, "a pattern asks for too much text to be tried");
}

enum mh_status
sample_write(const char *regex, struct sample *s, struct mh_err *err)
{
	buf_clear(&s->text);
	s->n_runs = 0;
	return sequence(&regex, s, 0, err);
}
