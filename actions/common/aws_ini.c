/* aws_ini.c: ~/.aws/config and ~/.aws/credentials. Source: AWS CLI, "Configuration and credential file settings". */
#include <string.h>

#include "actions/common/aws_impl.h"

/* "[profile  'ops']" is section "profile ops". */
static bool
is_section(struct mh_span inside, const char *section)
{
	struct mh_span wanted = span_of(section);

	inside = span_trim(inside);
	if (!span_starts(wanted, MH_LIT("profile ")))
		return span_eq(inside, wanted);
	if (!span_starts(inside, MH_LIT("profile")))
		return false;
	wanted = span_from(wanted, 8);
	inside = span_from(inside, 7);
	if (inside.n == 0 || (inside.p[0] != ' ' && inside.p[0] != '\t')) /* "profiler" */
		return false;
	inside = span_trim(inside);
	if (inside.n >= 2 && (inside.p[0] == '"' || inside.p[0] == '\'') && inside.p[inside.n - 1] == inside.p[0])
		inside = span_from(span_head(inside, inside.n - 1), 1);
	return span_eq(inside, wanted);
}

/* Walks all lines; key NULL: is the section there? */
static struct mh_span
look(struct mh_span text, const char *section, const char *key)
{
	struct mh_span line, found = MH_NONE;
	bool here = false;

	while (span_line(&text, &line)) {
		const struct mh_span trimmed = span_trim(line);

		if (trimmed.n == 0 || trimmed.p[0] == '#' || trimmed.p[0] == ';')
			continue;
		if (trimmed.p[0] == '[') {
			const size_t end = span_find(trimmed, MH_LIT("]"), 0);

			here = end != SIZE_MAX && is_section(span_from(span_head(trimmed, end), 1), section);
			if (here && key == NULL)
				return trimmed;
			continue;
		}
		const size_t equals = span_find(trimmed, MH_LIT("="), 0);
		if (!here || key == NULL || equals == SIZE_MAX || line.p[0] == ' ' || line.p[0] == '\t')
			continue;
		if (span_ieq(span_trim(span_head(trimmed, equals)), span_of(key)))
			found = span_trim(span_from(trimmed, equals + 1));
	}
	return found.n == 0 ? MH_NONE : found;
}

struct mh_span
aws_ini_get(struct mh_span text, const char *section, const char *key)
{
	return look(text, section, key);
}

bool
aws_ini_has(struct mh_span text, const char *section)
{
	return look(text, section, NULL).p != NULL;
}

enum mh_status
aws_split(struct mh_span command, const char **words, size_t max, struct arena *a, struct mh_err *err)
{
	char *out = arena_alloc(a, 2 * command.n + 2), quote = '\0';
	size_t n = 0;
	bool in_word = false;

	if (out == NULL)
		return mh_fail(err, MH_RETRY, "no memory for a command");
	for (size_t i = 0; i < command.n; i++) {
		const char c = command.p[i];

		if (quote == '\0' && (c == ' ' || c == '\t')) {
			if (in_word)
				*out++ = '\0';
			in_word = false;
			continue;
		}
		if (!in_word) {
			if (n + 1 >= max)
				return mh_fail(err, MH_BAD, "a command of more than %zu words", max - 1);
			words[n++] = out;
			in_word = true;
		}
		/* within '...' a backslash is a backslash; within "..." it escapes itself and the quote */
		if (c == '\\' && quote != '\'' && i + 1 < command.n &&
		    (quote == '\0' || command.p[i + 1] == '"' || command.p[i + 1] == '\\'))
			*out++ = command.p[++i];
		else if (quote == '\0' && (c == '"' || c == '\''))
			quote = c;
		else if (quote != '\0' && c == quote)
			quote = '\0';
		else
			*out++ = c;
	}
	*out = '\0';
	words[n] = NULL;
	if (quote != '\0' || n == 0)
		return mh_fail(err, MH_BAD, "a command with a quote that is not closed, or without a word");
	return MH_OK;
}
