/* date.h: the dates of notices, read strictly: a date that could mean two days, or none, is an error and never a guess.
 *
 * Own, not strptime: that one takes any word for a zone, reads 31 February as 2 March, and follows the locale.
 */
#ifndef MAILHOOK_PARSERS_DATE_H
#define MAILHOOK_PARSERS_DATE_H

#include "mailhook/mailhook.h"

enum date_order {
	DATE_NO_ORDER,
	DATE_MONTH_FIRST,
	DATE_DAY_FIRST
}; /* what 09/07/2026 means, where a definition says */

struct date {
	int64_t when;      /* UTC seconds; without a time of day, the last second of that day */
	bool has_time;     /* a time of day was there; minutes without seconds are :00 */
	struct mh_span at; /* the bytes that were read */
};

/* Reads the date that text begins with; what stands behind it does not matter.
 *   in      text: UTF-8; any white space between the words; a weekday is not checked (AWS's own sample has a wrong one)
 *   errors  MH_SKIP no date begins here; MH_BAD "ambiguous date ...", "impossible date ...", "unknown zone ...",
 *           "no zone ...", "no year ..."
 *   source  "Tue Feb 03 04:05:06 UTC 2026", "Nov 14, 2024 at 23:59:59 UTC", "August 22, 2024",
 *           "Thu, 20 May 2021 08:00:00 GMT", "2026-10-02", "2026-09-27 06:16 (UTC)", "2019-12-22T18:43:48Z",
 *           "12 Nov 19 04:23 +0000", "2020/01/01 12:00 (JST)", all seen in notices */
enum mh_status date_read(struct mh_span text, enum date_order order, struct date *ret, struct mh_err *err);

/* Reads a Date field, or the date line of a forward in English, German, French or Japanese: no zone is taken as UTC,
 * which is wrong by less than the day that stated days may differ by.
 *   errors  MH_SKIP, MH_BAD as above */
enum mh_status date_read_header(struct mh_span text, int64_t *ret_when, struct mh_err *err);

/* Whether a date stands anywhere in text, also one that date_read refuses. */
bool date_somewhere(struct mh_span text);

#endif
