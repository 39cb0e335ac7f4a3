/* conf_value.c: what the text of a value means: numbers, times, sizes, words. */
#include <string.h>

#include "mailhook/conf_parts.h"

/* Digits at the start of text; NULL where there are none or they do not fit. */
static const char *
digits(const char *text, int64_t *ret)
{
	int64_t n = 0;
	const char *p = text;

	for (; *p >= '0' && *p <= '9'; p++)
		if (__builtin_mul_overflow(n, (int64_t)10, &n) || __builtin_add_overflow(n, (int64_t)(*p - '0'), &n))
			return NULL;
	if (p == text)
		return NULL;
	*ret = n;
	return p;
}

bool
conf_integer(const char *text, int64_t min, int64_t max, int64_t *ret)
{
	int64_t n;
	const char *end = digits(text, &n);

	if (end == NULL || *end != '\0' || n < min || n > max)
		return false;
	*ret = n;
	return true;
}

/* A number and at most one letter of units, whose factors stand in the same order. */
static bool
with_unit(const char *text, const char *units, const int64_t *factors, int64_t *ret)
{
	int64_t n;
	const char *end = digits(text, &n);

	if (end == NULL)
		return false;
	if (*end != '\0') {
		const char *unit = strchr(units, *end);
		if (unit == NULL || end[1] != '\0' || __builtin_mul_overflow(n, factors[unit - units], &n))
			return false;
	}
	*ret = n;
	return true;
}

bool
conf_duration(const char *text, int64_t *ret_s)
{
	static const int64_t factors[] = { 1, 60, 3600, MH_DAY_S };

	return with_unit(text, "smhd", factors, ret_s);
}

bool
conf_expect(const char *text, int64_t *ret_s)
{
	if (strcmp(text, "never") != 0)
		return conf_duration(text, ret_s);
	*ret_s = 0;
	return true;
}

bool
conf_instant(const char *text, int64_t *ret, bool *ret_day)
{
	char whole[MH_TIME_TEXT];

	*ret_day = strlen(text) == sizeof("2027-01-31") - 1;
	if (!*ret_day)
		return time_read(span_of(text), ret, NULL) == MH_OK;
	memcpy(whole, text, sizeof("2027-01-31") - 1);
	memcpy(whole + sizeof("2027-01-31") - 1, "T23:59:59Z", sizeof("T23:59:59Z"));
	return time_read(span_of(whole), ret, NULL) == MH_OK;
}

bool
conf_size(const char *text, int64_t *ret_bytes)
{
	static const int64_t factors[] = { 1 << 10, 1 << 20, 1 << 30 };

	return with_unit(text, "kMG", factors, ret_bytes);
}

bool
conf_word(const char *text, const char *const *words, size_t n, size_t *ret_at)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(text, words[i]) == 0) {
			*ret_at = i;
			return true;
		}
	}
	return false;
}

bool
conf_bool(const char *text, bool *ret)
{
	static const char *const words[] = { "false", "true", "no", "yes", "off", "on" };
	size_t at;

	if (!conf_word(text, words, sizeof(words) / sizeof(words[0]), &at))
		return false;
	*ret = at % 2 == 1;
	return true;
}
