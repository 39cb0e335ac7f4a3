/* clock.h: the one clock. Nothing else in mailhook asks for the time of day.
 *
 * Where MAILHOOK_CLOCK_FILE is set, the time is the RFC 3339 instant on that file's first line, read at each call: so a
 * test moves time by rewriting a file, and no test waits. Deadlines of processes run on CLOCK_MONOTONIC and are real.
 */
#ifndef MAILHOOK_CLOCK_H
#define MAILHOOK_CLOCK_H

#include <stdint.h>

int64_t clock_now(void);          /* UTC seconds */
int64_t clock_monotonic_ms(void); /* for deadlines only */
int64_t clock_boot_ms(void);  /* the same, and goes on while the machine sleeps: for what others take when it is over */
const char *clock_file(void); /* the test clock's file, to be watched and handed to no action; or NULL */

#endif
