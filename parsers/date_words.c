/* date_words.c: how months, weekdays and zones are spelled. */
#include "parsers/date_words.h"

struct spelling {
	const char *word; /* lower case */
	int number;
};

/* English; a notice is in English wherever one was seen. */
static const struct spelling english_months[] = {
	{ "jan", 1 },
	{ "january", 1 },
	{ "feb", 2 },
	{ "february", 2 },
	{ "mar", 3 },
	{ "march", 3 },
	{ "apr", 4 },
	{ "april", 4 },
	{ "may", 5 },
	{ "jun", 6 },
	{ "june", 6 },
	{ "jul", 7 },
	{ "july", 7 },
	{ "aug", 8 },
	{ "august", 8 },
	{ "sep", 9 },
	{ "sept", 9 },
	{ "september", 9 },
	{ "oct", 10 },
	{ "october", 10 },
	{ "nov", 11 },
	{ "november", 11 },
	{ "dec", 12 },
	{ "december", 12 },
};

/* What mail programs write into a forward's date line. */
static const struct spelling other_months[] = {
	{ "januar", 1 },
	{ "januari", 1 },
	{ "janv", 1 },
	{ "janvier", 1 },
	{ "februar", 2 },
	{ "févr", 2 },
	{ "février", 2 },
	{ "mär", 3 },
	{ "mrz", 3 },
	{ "märz", 3 },
	{ "mars", 3 },
	{ "avr", 4 },
	{ "avril", 4 },
	{ "mai", 5 },
	{ "juni", 6 },
	{ "juin", 6 },
	{ "juli", 7 },
	{ "juil", 7 },
	{ "juillet", 7 },
	{ "août", 8 },
	{ "okt", 10 },
	{ "oktober", 10 },
	{ "septembre", 9 },
	{ "octobre", 10 },
	{ "novembre", 11 },
	{ "dez", 12 },
	{ "dezember", 12 },
	{ "déc", 12 },
	{ "décembre", 12 },
};

static const char *const weekdays[] = { "mon", "monday", "tue", "tues", "tuesday", "wed", "wednesday", "thu", "thur",
	"thurs", "thursday", "fri", "friday", "sat", "saturday", "sun", "sunday" };

/* Hours from UTC. A zone that is not here is an error: IST alone means three different ones. */
static const struct spelling zones[] = {
	{ "utc", 0 },
	{ "gmt", 0 },
	{ "ut", 0 },
	{ "z", 0 },
	{ "est", -5 },
	{ "edt", -4 },
	{ "cst", -6 },
	{ "cdt", -5 },
	{ "mst", -7 },
	{ "mdt", -6 },
	{ "pst", -8 },
	{ "pdt", -7 },
	{ "jst", 9 },
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static bool
spelled(struct mh_span word, const struct spelling *list, size_t n, int *ret)
{
	for (size_t i = 0; i < n; i++) {
		if (span_ieq(word, span_of(list[i].word))) {
			*ret = list[i].number;
			return true;
		}
	}
	return false;
}

bool
date_month(struct mh_span word, bool other_languages, int *ret)
{
	return spelled(word, english_months, COUNT(english_months), ret) ||
	       (other_languages && spelled(word, other_months, COUNT(other_months), ret));
}

bool
date_is_weekday(struct mh_span word)
{
	for (size_t i = 0; i < COUNT(weekdays); i++)
		if (span_ieq(word, span_of(weekdays[i])))
			return true;
	return false;
}

bool
date_zone(struct mh_span word, int *ret_hours)
{
	return spelled(word, zones, COUNT(zones), ret_hours);
}
