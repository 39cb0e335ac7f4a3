/* json.h: cJSON behind one strict door: cJSON alone accepts trailing garbage, bad UTF-8, raw control characters and
 * duplicate keys, and its default lookup ignores case. */
#ifndef MAILHOOK_JSON_H
#define MAILHOOK_JSON_H

#include <cjson/cJSON.h>

#include "mailhook/mailhook.h"

void drop_json(cJSON **j); /* for MH_AUTO */

/* Parses one document: at most MH_MAX_JSON_BYTES, UTF-8, nesting at most MH_MAX_JSON_DEPTH, no duplicate key in one
 * object, no \u0000, nothing but white space behind it. NULL with err on failure: MH_BAD, or MH_LIMIT. */
cJSON *json_parse(struct mh_span text, struct mh_err *err);
/* The string, or NULL where the key is missing or holds something else. Points into j. */
const char *json_string(const cJSON *j, const char *key);
const cJSON *json_object(const cJSON *j, const char *key);
const cJSON *json_array(const cJSON *j, const char *key);
/* A number without fraction within [min, max]. False: missing or not one. */
bool json_integer(const cJSON *j, const char *key, int64_t min, int64_t max, int64_t *ret);
bool json_bool(const cJSON *j, const char *key, bool *ret);

/* Adds to an object; a NULL span or string becomes null. False: no memory. */
bool json_add_span(cJSON *j, const char *key, struct mh_span value);
bool json_add_string(cJSON *j, const char *key, const char *value);
bool json_add_integer(cJSON *j, const char *key, int64_t value); /* exact for 64 bits */
bool json_add_time(cJSON *j, const char *key, int64_t t);        /* RFC 3339 */
/* One line without line end into out. */
bool json_print(const cJSON *j, struct buf *out);
/* Writes text as a JSON string as json_print() would; p == NULL is null. What is not UTF-8 becomes U+FFFD. */
void json_put_text(struct buf *out, struct mh_span text);

#endif
