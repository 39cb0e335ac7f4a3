/* child.h: one of our own programs run to its end. */
#ifndef MAILHOOK_WORK_CHILD_H
#define MAILHOOK_WORK_CHILD_H

#include "mailhook/mailhook.h"

/* Runs argv[0], a path, with our environment, standard output and standard error.
 *   in      input: its standard input; max_ms: then it is killed
 *   out     ret_code: its exit code; 128 and the signal where one ended it
 *   errors  MH_RETRY it could not be started, or did not end in time */
enum mh_status child_run(const char *const argv[], struct mh_span input, int max_ms, int *ret_code, struct mh_err *err);

#endif
