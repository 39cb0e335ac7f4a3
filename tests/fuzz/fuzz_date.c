/* fuzz_date.c: any bytes as a date: what is read lies inside the text and inside the calendar. */
#include <stdlib.h>

#include "parsers/date.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const struct mh_span text = { (const char *)data, n };
	struct date date;
	int64_t when;

	for (int order = DATE_NO_ORDER; order <= DATE_DAY_FIRST; order++) {
		if (date_read(text, (enum date_order)order, &date, NULL) != MH_OK)
			continue;
		if (date.at.n == 0 || date.at.p < text.p || date.at.n > n - (size_t)(date.at.p - text.p))
			abort();
		if (date.when < time_of_civil(1899, 12, 31, 0, 0, 0) ||
		    date.when > time_of_civil(9999, 12, 31, 23, 59, 59) + 86400)
			abort();
	}
	(void)date_read_header(text, &when, NULL);
	(void)date_somewhere(text);
	return 0;
}
