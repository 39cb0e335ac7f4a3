/* leases_impl.h: what the two files of leases.h share: leases.c decides, lease_lines.c speaks with the other side. */
#ifndef MAILHOOK_IMAP_LEASES_IMPL_H
#define MAILHOOK_IMAP_LEASES_IMPL_H

#include "mailhook/imap/lease_pipe.h"
#include "mailhook/imap/lease_times.h"
#include "mailhook/imap/leases.h"
#include "mailhook/random.h"

#define LEASES_START_FIRST_MS 250 /* before the other side is started again */

struct lease {
	bool held;    /* it was granted, and not given up since */
	bool leaving; /* it is to be given up */
	bool done;    /* with once */
	bool running; /* its process */
	bool asked;   /* that process was asked to end, or is being ended: no fault of its own */
	bool saved;   /* the position of last_saves was said, and nobody has contradicted */
	uint32_t last_saves;
	bool rest;          /* this node cannot read it now: others first */
	int64_t end_ms;     /* 0: no round has said */
	int64_t failing_ms; /* since when it could not be read; 0: it can */
	unsigned yields;    /* how often it was left for that, since it could be read last */
	int64_t leave_by_ms, save_ms, told_ok;
};

struct leases {
	const struct imap *im;
	struct slot *slots;
	struct lease *boxes; /* own */
	size_t n;
	bool once;
	sigset_t before;
	struct lease_times times;
	char life[RANDOM_HEX];
	struct lease_pipe pipe; /* own */
	int64_t start_ms, back_off_ms, began_ms;
	int64_t asked;     /* the last question */
	bool known;        /* whose the mailboxes are, since it was asked */
	char trouble[160]; /* that was logged; "": none */
};

/* The whole list, with which a new other side begins. */
void leases_say_watch(struct leases *l);
/* The answer to its last question. whole: also of mailboxes that were read again within the same minute */
void leases_say_seen(struct leases *l, bool whole);
void leases_say_position(struct leases *l, size_t i);
/* It is not watched here any more. */
void leases_give(struct leases *l, size_t i);
/* It is to be given, once its process has ended. */
void leases_leave(struct leases *l, size_t i);
void leases_hear_line(void *user, const cJSON *j);

#endif
