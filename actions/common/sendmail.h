/* sendmail.h: a mail handed to a sendmail program.
 *
 * Recipients are arguments, never read from the mail (-t), and stand behind "--". The envelope sender is <>, so that no
 * bounce comes back (RFC 3834 3.3). It has no idempotency key: where its answer is lost (we are killed between its start
 * and our outcome), the next attempt sends again, with the same Message-ID.
 */
#ifndef ACTIONS_COMMON_SENDMAIL_H
#define ACTIONS_COMMON_SENDMAIL_H

#include "actions/common/protocol.h"

#define SENDMAIL_MAX_RECIPIENTS 60

struct sendmail {
	const char *program;   /* absolute path */
	const char *const *to; /* plain addresses: none can be taken for an option */
	size_t n_to;
	struct mh_span mail;
};

/* Sends it once, before p's deadline; what the program writes is said.
 *   errors  MH_RETRY: it could not be run, was killed, or failed in a way that may pass; MH_BAD: refused (sysexits.h) */
enum mh_status sendmail_send(const struct sendmail *m, struct protocol *p, struct mh_err *err);
enum mh_status sendmail_check_program(const char *program, struct mh_err *err);

#endif
