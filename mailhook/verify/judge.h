/* judge.h: the verifier's own process: one question, one mail, one answer (ask.h says how they look). */
#ifndef MAILHOOK_VERIFY_JUDGE_H
#define MAILHOOK_VERIFY_JUDGE_H

#include <stdbool.h>

/* Reads the question and the mail, shuts itself in, and answers. The exit code: 0, 2 the question is wrong, 75. */
int judge_main(void);

/* From here on no file, no program, no socket but those that an opener gives, no more memory than a mail needs. False:
 * not possible. */
bool judge_shut_in(void);

#endif
