/* ticket_marks.h: facts of a mail that look like the number of a ticket, and what ticket systems look for in a mail. */
#ifndef TESTS_TICKET_MARKS_H
#define TESTS_TICKET_MARKS_H

#include <regex.h>

#include "mailhook/mailhook.h"

/* Sources: RT, Interface/Email.pm (EmailSubjectTagRegex); Redmine, mail_handler.rb; Zammad, number/increment.rb; OTRS,
 * Ticket/Number/Base.pm; GLPI, mailcollector; osTicket, class.mailfetch.php; Jira's mail handler; ServiceNow, watermarks
 * and numbers; Bugzilla, email_in.pl. Roughly: what is found here need not be taken there. */
static const struct ticket_mark {
	const char *name, *account, *resource;
	const char *look;  /* extended regular expression, case ignored */
	const char *shown; /* of a proven mail */
} ticket_marks[] = {
	{ "RT", "123456789012", "[example.com #12]", "\\[[^]]+[[:space:]]+#[0-9]+[[:space:]]*\\]",
	    "((example.com No. 12))" },
	{ "Redmine", "octocat", "[Bug #12]", "\\[[^]]*#[0-9]+\\]", "((Bug No. 12))" },
	{ "Zammad", "octocat", "Ticket#100012", "Ticket#[[:space:]]*[0-9]+", "(TicketNo. 100012)" },
	{ "OTRS", "octocat", "Ticket#: 2025100012", "Ticket#:[[:space:]]{0,2}[0-9]+", "(TicketNo. : 2025100012)" },
	{ "GLPI", "octocat", "[GLPI #0000012]", "\\[.+#[0-9]+\\]", "((GLPI No. 0000012))" },
	{ "osTicket", "octocat", "#100012", "#[0-9a-z]+", "(No. 100012)" },
	{ "Freshdesk", "octocat", "[#12]", "\\[#[0-9]+\\]", "((No. 12))" },
	{ "Jira", "octocat", "OPS-12", "OPS-[0-9]+", "(OPS- 12)" },
	{ "Jira, a project with a digit", "octocat", "AB2-123", "AB2-[0-9]+", "(AB2- 123)" },
	{ "Jira, in the account", "ops-12", NULL, "ops-[0-9]+", "account ops- 12 " },
	{ "Jira, where the name of a host is", "ops-12.example.com", NULL, "ops-[0-9]+",
	    "account ops- 12.example.com " },
	{ "ServiceNow, a number", "octocat", "INC0010012", "INC[0-9]+", "(INC 0010012)" },
	{ "ServiceNow, a watermark", "octocat", "Ref:MSG0000012", "Ref:(MSG|[A-Z]{3})[0-9]+", "(Ref:MSG 0000012)" },
	{ "Bugzilla", "octocat", "[Bug 12]", "\\[Bug [0-9]+\\]", "((Bug 12))" },
	{ "no number of a ticket", "123456789012", "python3.9", "#|\\[example", "(python3.9)" },
};

/* A Subject on one line. */
static inline void
subject_unfold(struct mh_span mail, struct buf *ret)
{
	struct mh_span rest = span_from(mail, span_find(mail, MH_LIT("\nSubject: "), 0) + 1), line;
	bool first = true;

	buf_clear(ret);
	while (span_line(&rest, &line) && (first || line.p[0] == ' ')) {
		buf_put(ret, line);
		first = false;
	}
}

static inline bool
mark_found(const char *look, const char *text)
{
	regex_t re;

	if (regcomp(&re, look, REG_EXTENDED | REG_ICASE | REG_NOSUB) != 0)
		return true;
	const bool found = regexec(&re, text, 0, NULL, 0) == 0;
	regfree(&re);
	return found;
}

#endif
