/* opener.h: a process that opens sockets to the resolvers and does nothing else, so that the judge need not be able to.
 *
 * A filter of system calls cannot look at addresses: who may call connect() may reach anybody. So the judge, before it
 * has the mail, forks an opener, which knows the resolvers. One byte asks it for a socket that is connected to one of
 * them, and SCM_RIGHTS brings that. Neither has use for the other's end: the opener ends with the judge's descriptor,
 * and with the judge; without an opener a judge has no answer of DNS.
 */
#ifndef MAILHOOK_VERIFY_OPENER_H
#define MAILHOOK_VERIFY_OPENER_H

#include <sys/types.h>

#include "mailhook/verify/dns.h"

struct opener {
	int fd;    /* own */
	pid_t pid; /* a child */
};

/* Forks the opener of the resolvers that d knows now. It has this one socket and no other descriptor.
 *   errors  MH_RETRY */
enum mh_status opener_start(struct opener *ret, const struct dns *d, struct mh_err *err);
/* The dns_opener of dns.h that asks one. Waits for its answer, which comes at once. */
int opener_open(void *opener, size_t server, bool stream);
/* Closes the descriptor and waits for the end. */
void opener_end(struct opener *o);

/* From here on sockets of IPv4 and IPv6 can be opened, connected and handed on; nothing else. False: not possible. */
bool opener_shut_in(void);

#endif
