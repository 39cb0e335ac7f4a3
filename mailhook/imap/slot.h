/* slot.h: what a mailbox's process tells its supervisor. */
#ifndef MAILHOOK_IMAP_SLOT_H
#define MAILHOOK_IMAP_SLOT_H

#include <stdatomic.h>
#include <stdint.h>

/* What a mailbox's process tells its supervisor; in shared memory, written by one and read by the other. */
struct slot {
	_Atomic int64_t overdue_ms;     /* monotonic: who is silent for longer hangs */
	_Atomic int64_t last_ok;        /* UTC: all that was there was read */
	_Atomic uint32_t in_hand;       /* the UID whose bytes are being read: a crash then was its doing */
	_Atomic uint32_t suspect;       /* set by the supervisor behind such a crash */
	_Atomic uint32_t filing, again; /* messages that wait to be filed, or that the server would not give */
	_Atomic uint64_t taken;
	_Atomic int watching; /* logged in, and nothing is behind */
	/* Where nodes share the mailboxes; set by the supervisor: */
	_Atomic int64_t
	    lease_end_ms;   /* by clock_boot_ms: from then on the mailbox may be another's; 0: it is ours alone */
	_Atomic int leave;  /* another node is to have it: end with the message at hand */
	char elsewhere[65]; /* the node that watches it instead; supervisor's own */
	/* and by the mailbox's process: */
	_Atomic int at_rest;    /* nothing is being done that must not be broken off; "leave" is looked at behind it */
	_Atomic uint32_t saves; /* of the position */
	char words[200];        /* why it ended, or what is refused; whole when the process has ended */
};

#endif
