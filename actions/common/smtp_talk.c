/* smtp_talk.c: commands and replies in their order. Source: RFC 5321 4.2 */
#include "actions/common/smtp_talk.h"

#include <stdio.h>

const char *const smtp_stage_names[SMTP_AT_OTHER + 1] = {
	[SMTP_AT_GREETING] = "greeting",
	[SMTP_AT_HELLO] = "hello",
	[SMTP_AT_STARTTLS] = "STARTTLS",
	[SMTP_AT_AUTH] = "login",
	[SMTP_AT_SENDER] = "sender",
	[SMTP_AT_RECIPIENT] = "recipient",
	[SMTP_AT_DATA] = "DATA",
	[SMTP_AT_TEXT] = "mail",
	[SMTP_AT_OTHER] = "command",
};

void
smtp_talk_command(struct smtp_talk *t, struct mh_span line)
{
	static const struct {
		struct mh_span head;
		enum smtp_stage at;
	} commands[] = {
		{ { "EHLO ", 5 }, SMTP_AT_HELLO },
		{ { "HELO ", 5 }, SMTP_AT_HELLO },
		{ { "STARTTLS", 8 }, SMTP_AT_STARTTLS },
		{ { "AUTH ", 5 }, SMTP_AT_AUTH },
		{ { "MAIL FROM:", 10 }, SMTP_AT_SENDER },
		{ { "RCPT TO:", 8 }, SMTP_AT_RECIPIENT },
		{ { "DATA", 4 }, SMTP_AT_DATA },
		{ { "NOOP", 4 }, SMTP_AT_OTHER },
	};

	if (span_eq(span_trim(line), MH_LIT("QUIT")))
		t->over = true;
	if (t->over)
		return;
	t->fresh = true;
	t->answered = false;
	if (t->at == SMTP_AT_AUTH && t->last.code == 334)
		return; /* a response to a challenge, which could look like anything */
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (span_starts(line, commands[i].head)) {
			t->at = commands[i].at;
			t->n_recipients += t->at == SMTP_AT_RECIPIENT;
			t->logged_in |= t->at == SMTP_AT_AUTH;
			return;
		}
}

/* Servers quote the line that they do not understand, and a login is such a line where they lost the thread. */
static bool
holds_secret(const struct smtp_talk *t, struct mh_span line)
{
	for (size_t i = 0; i < SMTP_TALK_SECRETS; i++)
		if (t->secrets[i].n > 0 && span_find(line, t->secrets[i], 0) != SIZE_MAX)
			return true;
	return false;
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

void
smtp_talk_reply(struct smtp_talk *t, struct mh_span line)
{
	line = span_trim(line);
	if (t->over || line.n < 3 || line.p[0] < '2' || line.p[0] > '5' || !is_digit(line.p[1]) || !is_digit(line.p[2]))
		return;
	t->tls_heard = t->tls;
	t->last.code = (line.p[0] - '0') * 100 + (line.p[1] - '0') * 10 + (line.p[2] - '0');
	if (t->fresh && holds_secret(t, line))
		(void)snprintf(t->last.words, sizeof(t->last.words), "%d with words that hold the login", t->last.code);
	else if (t->fresh)
		(void)mh_escape(t->last.words, sizeof(t->last.words), line);
	t->fresh = false;
	if (line.n > 3 && line.p[3] == '-')
		return;
	t->fresh = t->answered = true;
	t->tls = t->tls || (t->at == SMTP_AT_STARTTLS && t->last.code == 220);
	if (t->at == SMTP_AT_RECIPIENT && t->n_recipients > 0 && t->n_recipients <= SMTP_MAX_RECIPIENTS)
		t->recipients[t->n_recipients - 1] = t->last;
	if (t->at == SMTP_AT_DATA && t->last.code == 354) {
		t->at = SMTP_AT_TEXT;
		t->answered = false;
	}
}
