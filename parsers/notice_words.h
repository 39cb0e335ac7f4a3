/* notice_words.h: what a .notice file that is wrong would know its mail by. */
#ifndef MAILHOOK_PARSERS_NOTICE_WORDS_H
#define MAILHOOK_PARSERS_NOTICE_WORDS_H

#include "parsers/definition.h"

/* Makes of a file that notice_file_read refused a definition that claims mail and reads none: such mail is unrecognised,
 * where it would be lost without a word.
 *   in      path: for the definition's name; text: the file, or as much of it as was read
 *   out     ret: in the arena; blind, without a pattern
 *   errors  MH_SKIP no phrase and no sender is found in it; MH_LIMIT the arena is full */
enum mh_status notice_words(
    const char *path, struct mh_span text, struct arena *a, const struct definition **ret, struct mh_err *err);

#endif
