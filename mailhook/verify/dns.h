/* dns.h: TXT records for keys: one question at a time to the configured resolver, within one deadline.
 *
 * The sending is our own, not res_nsend(): glibc reads an answer over TCP without any timeout. Names, questions and
 * answers are put together and taken apart by the C library's res_nmkquery() and ns_*() functions.
 */
#ifndef MAILHOOK_VERIFY_DNS_H
#define MAILHOOK_VERIFY_DNS_H

#include <sys/socket.h>

#include "mailhook/mailhook.h"

#define DNS_MAX_SERVERS 3      /* as resolv.conf(5) */
#define DNS_MAX_NAME_BYTES 253 /* RFC 1035 2.3.4, as text */
#define DNS_MAX_LOOKUPS 64     /* of one message: more is an attack on whoever answers */
#define DNS_MAX_ALIASES 8      /* CNAMEs from a name to its record */
#define DNS_DEADLINE_MS 4000   /* all lookups of one message */

struct dns_known { /* what was asked already: a key is often needed twice */
	struct mh_span name, text;
	struct mh_err err;
	struct dns_known *next;
};

/* Opens a socket that is connected to a resolver: TCP where stream is set, else UDP; never waits for it.
 *   out     the descriptor, or -1 and errno */
typedef int dns_opener(void *user, size_t server, bool stream);

struct dns {
	struct sockaddr_storage servers[DNS_MAX_SERVERS];
	socklen_t lengths[DNS_MAX_SERVERS];
	size_t n;
	dns_opener *opener; /* NULL: dns_open(); dns_init() leaves it so */
	void *opener_user;
	int64_t deadline_ms; /* monotonic; 0: DNS_DEADLINE_MS from the first lookup */
	size_t lookups;
	struct dns_known *known; /* in the arena of the lookups */
};

/* Finds the resolvers.
 *   in      resolver: "ADDRESS", "ADDRESS:PORT" or "[ADDRESS]:PORT"; NULL: those of /etc/resolv.conf, read here and
 *           never again
 *   errors  MH_BAD not an address; MH_RETRY there is none */
enum mh_status dns_init(struct dns *d, const char *resolver, struct mh_err *err);

/* The one TXT record of a name, its strings joined: the verify_txt of verify.h. Aliases are followed in the answer.
 *   in      dns: a struct dns; name: labels of letters, digits, '-' and '_', without the last dot
 *   errors  MH_SKIP there is no such name or no TXT record; MH_BAD several records, or no name that DNS could have;
 *           MH_RETRY no answer by the deadline, or one that says no more than that it failed */
enum mh_status dns_txt(void *dns, const char *name, struct arena *a, struct mh_span *ret_text, struct mh_err *err);

/* Opens one here; a server that d has not is EINVAL. */
int dns_open(const struct dns *d, size_t server, bool stream);

/* Reads one answer. Pure.
 *   errors  those of dns_txt; MH_LIMIT it is cut: ask again over TCP */
enum mh_status dns_answer_read(
    struct mh_span answer, const char *name, struct arena *a, struct mh_span *ret_text, struct mh_err *err);
/* The answer belongs to the question: its number, its kind, its one question. */
bool dns_answers(struct mh_span answer, struct mh_span question);

#endif
