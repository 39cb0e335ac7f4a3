/* lease_times.h: how the supervisor and "mailhook-work leases" speak of mailboxes that nodes share, and when what is due.
 *
 * Two pipes, one JSON object a line. The supervisor says
 *   {"life":HEX,"watch":[{"name":"ops","prefer":"a"}]} what it has; first, and again after each reload. prefer: the node
 *                                                      that is to have it back whenever it returns, or null
 *   {"seen":N,"read":[{"name":"ops","age_s":3}]}       the answer to question N, without which nothing is renewed: a
 *                                                      supervisor that hangs loses its mailboxes
 *   {"position":"ops","text":"..."}                    to be kept for whoever comes next
 *   {"give":["ops"],"again":"soon|late|never"}         they are not watched any more; behind their position. late: only
 *                                                      where no other node takes them, whichever should have them
 * and the other side
 *   {"ask":N}                                          before each round
 *   {"grant":"ops","own":true,"position":"..."}        from the next round on it may be watched. own: this node wrote that
 *   {"end_ms":T,"held":["ops"],"wanted":["ops"],"others":[{"name":"b","node":"beta"}]}
 *                                                      held: until T of clock_boot_ms(), if it was granted. wanted:
 *                                                      another node is to have it back. others: who watches the rest
 *   {"unsaved":"ops"}                                  the position could not be kept
 *   {"trouble":"words"}                                nothing can be renewed now
 *   {"busy":"words"}                                   it lives, and what it does takes long
 * The end of the supervisor's pipe, which its mailboxes' processes hold too, is the end of all of them: what is held
 * then is given up.
 */
#ifndef MAILHOOK_IMAP_LEASE_TIMES_H
#define MAILHOOK_IMAP_LEASE_TIMES_H

#include <stdint.h>

/* All follow from one: how long a lease lasts, by the ledger's clock. */
struct lease_times {
	int64_t lease_s;
	int64_t renew_ms; /* this often it is renewed */
	int64_t look_ms;  /* this often others' are looked at */
	int64_t grace_s;  /* so long a mailbox that was asked back is kept for who asked */
	int64_t
	    hold_ms; /* since before it was asked for: so long the holder counts on it. Instants of the ledger are whole
			     seconds, and whoever must be ended is ended before the end */
	int64_t yield_ms;    /* a mailbox that this node could not read for so long is left to others, */
	int64_t rest_s;      /* where one takes it within that time */
	int64_t patience_ms; /* so long the supervisor waits for a word before it starts the other side anew */
};

/* MAILHOOK_LEASE_S in the environment, 4 to 30, makes it shorter for tests. */
struct lease_times lease_times(void);

#endif
