/* front_sender.c: the envelope sender, as the mail server that starts us tells it.
 *
 *   SENDER       Postfix's aliases and Dovecot's sieve
 *   FROM         maildrop
 *   "From " line Postfix's aliases and procmail, in front of the message
 *
 * LOGNAME is the recipient's login, and no sender. Return-Path is not asked: where the server does not write it, it is
 * whatever the mail's author wrote. The answer decides whom nobody replies to, so better unknown than invented.
 */
#include <stdlib.h>
#include <string.h>

#include "mailhook/front.h"

static struct mh_span
clean(struct mh_span s)
{
	s = span_trim(s);
	if (s.n >= 2 && s.p[0] == '<' && s.p[s.n - 1] == '>')
		s = (struct mh_span){ s.p + 1, s.n - 2 };
	if (s.n > MH_MAX_ENVELOPE_BYTES)
		return MH_NONE;
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7F)
			return MH_NONE;
	if (span_ieq(s, MH_LIT("MAILER-DAEMON"))) /* how Postfix and mbox write <> */
		s.n = 0;
	return s;
}

/* "From SENDER Tue Nov 24 08:00:00 2026" */
static struct mh_span
of_from_line(struct mh_span raw)
{
	struct mh_span line;

	if (!span_starts(raw, MH_LIT("From ")) || !span_line(&raw, &line))
		return MH_NONE;
	line = span_trim(span_from(line, 5));
	if (line.n == 0 || line.p[0] == '"') /* a quoted local part may hold blanks, and then nothing is certain */
		return MH_NONE;

	const char *blank = memchr(line.p, ' ', line.n);
	return clean(span_head(line, blank == NULL ? line.n : (size_t)(blank - line.p)));
}

struct mh_span
front_sender(const char *option, struct mh_span raw)
{
	if (option != NULL)
		return clean(span_of(option));

	static const char *const names[] = { "SENDER", "FROM" };
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const char *value = getenv(names[i]);

		if (value != NULL)
			return clean(span_of(value));
	}
	return of_from_line(raw);
}
