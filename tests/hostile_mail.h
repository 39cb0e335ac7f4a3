/* hostile_mail.h: mails that broke other readers, made on demand; the unit, sandbox and end-to-end tests share them.
 *
 * build/tests/hostile-mail NAME prints one on stdout, --list prints the names, one a line.
 */
#ifndef MAILHOOK_TESTS_HOSTILE_MAIL_H
#define MAILHOOK_TESTS_HOSTILE_MAIL_H

#include "mailhook/mailhook.h"

struct hostile_mail {
	const char *name, *what;
	void (*write)(struct buf *b); /* appends the whole mail; the largest is below HOSTILE_MAIL_BYTES */
	unsigned limits;              /* enum mail_limit bits that reading it must set, and no others */
};

#define HOSTILE_MAIL_BYTES ((size_t)48 << 20)

extern const struct hostile_mail hostile_mails[];
extern const size_t n_hostile_mails;

#endif
