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
	char words[200];      /* why it ended, or what is refused; whole when the process has ended */
};

#endif
