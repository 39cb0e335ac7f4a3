/* json.c: cJSON made strict. */
#include "mailhook/json.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
drop_json(cJSON **j)
{
	cJSON_Delete(*j);
	*j = NULL;
}

/* What must be known before cJSON sees a byte: it reads raw control characters, \u0000 (which would cut a string) and
 * any depth up to its own limit. One pass, outside and inside strings. */
static enum mh_status
scan(struct mh_span text, struct mh_err *err)
{
	bool in_string = false;
	unsigned depth = 0;

	for (size_t i = 0; i < text.n; i++) {
		const unsigned char c = (unsigned char)text.p[i];

		if (in_string) {
			if (c < 0x20)
				return mh_fail(err, MH_BAD, "control character in a JSON string");
			if (c == '"') {
				in_string = false;
			} else if (c == '\\') {
				if (span_starts(span_from(text, i), MH_LIT("\\u0000")))
					return mh_fail(err, MH_BAD, "NUL in a JSON string");
				i++;
			}
			continue;
		}
		if (c == '"')
			in_string = true;
		else if ((c == '{' || c == '[') && ++depth > MH_MAX_JSON_DEPTH)
			return mh_fail(err, MH_LIMIT, "JSON nested deeper than %d", MH_MAX_JSON_DEPTH);
		else if ((c == '}' || c == ']') && depth > 0)
			depth--;
		else if (c < 0x20 && c != '\t' && c != '\n' && c != '\r')
			return mh_fail(err, MH_BAD, "control character in JSON");
	}
	return MH_OK;
}

static int
by_key(const void *a, const void *b)
{
	const cJSON *const *left = a, *const *right = b;

	return strcmp((*left)->string, (*right)->string);
}

/* Keys of one object, sorted: a pair of equal ones lies side by side. */
static enum mh_status
unique_keys(const cJSON *object, struct mh_err *err)
{
	size_t n = 0;
	const cJSON *item;

	cJSON_ArrayForEach(item, object) n++;
	if (n < 2)
		return MH_OK;

	const cJSON **keys = calloc(n, sizeof(*keys));
	if (keys == NULL)
		return mh_fail(err, MH_RETRY, "no memory for JSON");

	size_t used = 0;
	enum mh_status status = MH_OK;
	cJSON_ArrayForEach(item, object) keys[used++] = item;
	qsort(keys, n, sizeof(*keys), by_key);
	for (size_t i = 1; i < n && status == MH_OK; i++)
		if (strcmp(keys[i - 1]->string, keys[i]->string) == 0)
			status = mh_fail(err, MH_BAD, "a JSON object has a key twice");
	free(keys);
	return status;
}

/* Depth is bounded by scan(), so this recursion is too. */
static enum mh_status
check_tree(const cJSON *j, struct mh_err *err)
{
	enum mh_status status = cJSON_IsObject(j) ? unique_keys(j, err) : MH_OK;
	const cJSON *item;

	if (!cJSON_IsObject(j) && !cJSON_IsArray(j))
		return status;
	cJSON_ArrayForEach(item, j)
	{
		if (status == MH_OK)
			status = check_tree(item, err);
	}
	return status;
}

cJSON *
json_parse(struct mh_span text, struct mh_err *err)
{
	if (text.n > MH_MAX_JSON_BYTES) {
		mh_fail(err, MH_LIMIT, "JSON longer than %u bytes", MH_MAX_JSON_BYTES);
		return NULL;
	}
	if (text.n == 0 || !utf8_valid(text)) {
		mh_fail(err, MH_BAD, text.n == 0 ? "empty where JSON was expected" : "JSON is not UTF-8");
		return NULL;
	}
	if (scan(text, err) != MH_OK)
		return NULL;

	/* cJSON wants the terminator that its "nothing behind it" check looks for to be inside the length. */
	char *copy = malloc(text.n + 1);
	if (copy == NULL) {
		mh_fail(err, MH_RETRY, "no memory for JSON");
		return NULL;
	}
	memcpy(copy, text.p, text.n);
	copy[text.n] = '\0';
	cJSON *j = cJSON_ParseWithLengthOpts(copy, text.n + 1, NULL, 1);
	free(copy);
	if (j == NULL) {
		mh_fail(err, MH_BAD, "not JSON");
		return NULL;
	}
	if (check_tree(j, err) != MH_OK) {
		cJSON_Delete(j);
		return NULL;
	}
	return j;
}

const char *
json_string(const cJSON *j, const char *key)
{
	return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(j, key));
}

const cJSON *
json_object(const cJSON *j, const char *key)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(j, key);

	return cJSON_IsObject(item) ? item : NULL;
}

const cJSON *
json_array(const cJSON *j, const char *key)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(j, key);

	return cJSON_IsArray(item) ? item : NULL;
}

bool
json_integer(const cJSON *j, const char *key, int64_t min, int64_t max, int64_t *ret)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(j, key);
	const double exact = 9007199254740992.0; /* 2^53: cJSON holds numbers as double */

	if (!cJSON_IsNumber(item) || !isfinite(item->valuedouble) || trunc(item->valuedouble) != item->valuedouble ||
	    fabs(item->valuedouble) > exact)
		return false;

	const int64_t value = (int64_t)item->valuedouble;
	if (value < min || value > max)
		return false;
	*ret = value;
	return true;
}

bool
json_bool(const cJSON *j, const char *key, bool *ret)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(j, key);

	if (!cJSON_IsBool(item))
		return false;
	*ret = cJSON_IsTrue(item);
	return true;
}

bool
json_add_span(cJSON *j, const char *key, struct mh_span value)
{
	if (value.p == NULL)
		return cJSON_AddNullToObject(j, key) != NULL;

	char *copy = malloc(value.n + 1);
	if (copy == NULL)
		return false;
	if (value.n > 0)
		memcpy(copy, value.p, value.n);
	copy[value.n] = '\0';

	const bool added = cJSON_AddStringToObject(j, key, copy) != NULL;
	free(copy);
	return added;
}

bool
json_add_string(cJSON *j, const char *key, const char *value)
{
	return (value == NULL ? cJSON_AddNullToObject(j, key) : cJSON_AddStringToObject(j, key, value)) != NULL;
}

bool
json_add_integer(cJSON *j, const char *key, int64_t value)
{
	char digits[24];

	(void)snprintf(digits, sizeof(digits), "%" PRId64, value);
	return cJSON_AddRawToObject(j, key, digits) != NULL;
}

bool
json_add_time(cJSON *j, const char *key, int64_t t)
{
	char text[MH_TIME_TEXT];

	return cJSON_AddStringToObject(j, key, time_text(text, t)) != NULL;
}

bool
json_print(const cJSON *j, struct buf *out)
{
	char *text = cJSON_PrintUnformatted(j);

	if (text == NULL)
		return false;
	buf_puts(out, text);
	cJSON_free(text);
	return buf_ok(out);
}

/* How many bytes of s are printed as they are; a character of several is whole. */
static size_t
plain_bytes(struct mh_span s)
{
	size_t i = 0;

	while (i < s.n) {
		const unsigned char c = (unsigned char)s.p[i];
		const size_t n = c < 0x80 ? 1 : utf8_sequence(span_from(s, i));

		if (n == 0 || c < 0x20 || c == '"' || c == '\\')
			break;
		i += n;
	}
	return i;
}

static void
put_escaped(struct buf *out, unsigned char c)
{
	static const char letters[] = {
		['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r', ['"'] = '"', ['\\'] = '\\'
	};

	if (c >= 0x80)
		buf_puts(out, "\xEF\xBF\xBD");
	else if (c < sizeof(letters) && letters[c] != '\0')
		buf_put(out, (struct mh_span){ (const char[]){ '\\', letters[c] }, 2 });
	else
		buf_printf(out, "\\u%04x", (unsigned)c);
}

void
json_put_text(struct buf *out, struct mh_span text)
{
	if (text.p == NULL) {
		buf_puts(out, "null");
		return;
	}
	buf_putc(out, '"');
	while (text.n > 0) {
		const size_t n = plain_bytes(text);

		buf_put(out, span_head(text, n));
		if (n < text.n)
			put_escaped(out, (unsigned char)text.p[n]);
		text = span_from(text, n + 1);
	}
	buf_putc(out, '"');
}
