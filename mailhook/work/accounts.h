/* accounts.h: the accounts file: account, name, owner's mail, environment, assignee; one line an account. */
#ifndef MAILHOOK_WORK_ACCOUNTS_H
#define MAILHOOK_WORK_ACCOUNTS_H

#include "mailhook/conf.h"

struct account_row {
	const char *account, *name, *owner, *environment, *assignee; /* NULL: empty */
	size_t line;
};
struct accounts {
	struct account_row *rows; /* sorted by account */
	size_t n;
	size_t wrong;       /* lines that were complained of and skipped */
	struct arena arena; /* own */
};

/* Reads it. Empty lines, '#' lines and a heading (a first line that begins with "account") are skipped; fields may be
 * quoted, within a line. The account is 12 digits, the owner empty or a plain address. A wrong line is complained of as
 * FILE:LINE and skipped; of several lines of one account the first counts, and the others are wrong.
 *   errors  MH_SKIP there is no such file; MH_RETRY it could not be read */
enum mh_status accounts_load(
    const char *path, conf_complain *complain, void *user, struct accounts **ret, struct mh_err *err);
void accounts_free(struct accounts *a);
const struct account_row *accounts_find(const struct accounts *a, const char *account); /* both may be NULL */

#endif
