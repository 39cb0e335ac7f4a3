/* notice_file.h: reads a .notice file. The build's own step and the reader of a user's folder use this same code. */
#ifndef MAILHOOK_PARSERS_NOTICE_FILE_H
#define MAILHOOK_PARSERS_NOTICE_FILE_H

#include "parsers/definition.h"

/* Reads the one notice block of a file's text.
 *   in      path: for messages and definition_info.file; complain: gets each wrong value as "FILE:LINE: what"
 *   out     ret: in the arena
 *   errors  MH_BAD something was complained of; MH_LIMIT the text or the arena is at its maximum; MH_RETRY no memory */
enum mh_status notice_file_read(const char *path, struct mh_span text, struct arena *a,
    void (*complain)(void *user, const char *line), void *user, const struct definition **ret, struct mh_err *err);

#endif
