/* date_words.h: the words of a date. For date.c. */
#ifndef MAILHOOK_PARSERS_DATE_WORDS_H
#define MAILHOOK_PARSERS_DATE_WORDS_H

#include "mailhook/mailhook.h"

/* 1 to 12. other_languages: also what mail programs write into a forward's date line. */
bool date_month(struct mh_span word, bool other_languages, int *ret);
bool date_is_weekday(struct mh_span word); /* in English */
/* Hours from UTC. False where a zone is not known, or means several, as IST. */
bool date_zone(struct mh_span word, int *ret_hours);

#endif
