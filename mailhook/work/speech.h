/* speech.h: what a command says: lines for a person, or with --json one object that has them as the list "said" beside
 * what else it tells. */
#ifndef MAILHOOK_WORK_SPEECH_H
#define MAILHOOK_WORK_SPEECH_H

#include "mailhook/json.h"

struct speech {
	cJSON *j, *said;  /* own; NULL: lines are printed at once */
	bool json, whole; /* whole: no memory ran out */
};

void speech_open(struct speech *s, bool json);
void speech_release(struct speech *s);
/* One line; "\n" is put behind it. What comes from outside is escaped by the caller. */
void speech_say(struct speech *s, const char *fmt, ...) MH_PRINTF(2, 3);
/* Keys of the object; without --json nothing. */
void speech_integer(struct speech *s, const char *key, int64_t value);
void speech_string(struct speech *s, const char *key, const char *value); /* NULL: null */
void speech_bool(struct speech *s, const char *key, bool value);
/* An object more in that list of the object; NULL: without --json, or no memory. */
cJSON *speech_item(struct speech *s, const char *list);
/* Prints the object, without --json nothing. MH_RETRY: no memory; what was to be told is done. */
enum mh_status speech_end(struct speech *s, struct mh_err *err);

/* Whatever is printed from here on, by our own programs too, becomes lines of "said" where speech_hear() is called.
 * Without --json nothing happens.
 *   errors  MH_RETRY no such file can be made: nothing is heard */
enum mh_status speech_listen(struct speech *s, int *ret_keep, struct mh_err *err);
void speech_hear(struct speech *s, int keep);

#endif
