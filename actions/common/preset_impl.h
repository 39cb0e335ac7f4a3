/* preset_impl.h: what the files of the preset engine share. */
#ifndef ACTIONS_COMMON_PRESET_IMPL_H
#define ACTIONS_COMMON_PRESET_IMPL_H

#include "actions/common/preset.h"

#define PRESET_MAX_HEADERS 16
#define PRESET_MAX_URL_BYTES 4096
#define PRESET_MAX_BODY_BYTES (1u << 20) /* a ticket's text has at most 256 kB; libcurl waits for "100" above 1 MiB */

struct preset {
	cJSON *json;    /* own */
	char *text;     /* own: the file, for the lines of errors */
	char name[120]; /* "preset NAME", or the path */
};

struct preset_vars {        /* all that one request's templates may name */
	struct arena arena; /* own */
	struct buf basic,
	    basic_key; /* own; "Basic ...": of user and secret; of the secret as the user of no password */
	struct template_var items[PRESET_MAX_VARS];
	struct template_vars vars; /* of items */
	const struct template_var *pairs;
	size_t n_pairs;
	const char *file; /* for errors */
};

struct preset_request {                                 /* built, ready to be sent */
	struct buf url, body;                           /* own, zeroed at their end */
	struct buf values[PRESET_MAX_HEADERS];          /* own, zeroed */
	struct http_header headers[PRESET_MAX_HEADERS]; /* of values */
	size_t n_headers;
};

/* -- preset_read.c */
const cJSON *preset_request_of(const struct preset *p, const char *name); /* NULL: there is none */

/* -- preset_where.c */
/* The line where the text stops to be JSON. */
int preset_json_line(struct mh_span text);
/* Puts the line into an error that names a key or a variable: "FILE:LINE: ...". */
void preset_locate(const struct preset *p, struct mh_err *err);

/* -- preset_vars.c. ret: preset_vars_release is due in every case.
 *   errors  MH_BAD a setting that is missing or unknown, a wrong template
 *           MH_LIMIT too many or too long; MH_RETRY no memory */
enum mh_status preset_vars_make(const struct preset_context *c, struct preset_vars *ret, struct mh_err *err);
void preset_vars_release(struct preset_vars *v);

/* -- preset_build.c. ret: preset_request_release is due in every case.
 *   errors  MH_BAD a variable that is unknown, a value that cannot stand where it goes
 *           MH_LIMIT too long; MH_RETRY no memory */
enum mh_status preset_build(const struct preset_context *c, const cJSON *request, const struct preset_vars *v,
    struct preset_request *ret, struct mh_err *err);
void preset_request_release(struct preset_request *q);
/* One template into out, as plain text: one line stays one. Errors: those of template_render. */
enum mh_status preset_text(const struct preset_vars *v, const char *template, struct buf *out, struct mh_err *err);

/* -- preset_answer.c */
struct preset_said { /* an answer, opened */
	const struct http_answer *http;
	cJSON *json; /* own; NULL: its body is none */
};
/* What stands at path, as text into out (cleared first). MH_SKIP: nothing does. MH_BAD: a wrong template. */
enum mh_status preset_look(
    const struct preset_said *s, const struct preset_vars *v, const char *path, struct buf *out, struct mh_err *err);
/* Whether one of {"PATH": ["value", "~part", "*"], ...} holds. MH_BAD: a wrong template. */
enum mh_status preset_holds(
    const struct preset_said *s, const struct preset_vars *v, const cJSON *conditions, bool *ret, struct mh_err *err);
struct preset_kept { /* names of headers */
	char names[PRESET_MAX_HEADERS][64];
	const char *list[PRESET_MAX_HEADERS + 1]; /* of names; NULL-ended */
};
/* The headers that the request's paths look at. */
void preset_kept_headers(const cJSON *request, struct preset_kept *ret);

/* -- webhook.c: Standard Webhooks. The value of webhook-signature for each key of secret, separated by blanks.
 *   errors  MH_BAD no secret, or none of that form; MH_RETRY no memory */
enum mh_status webhook_sign(
    struct mh_span secret, struct mh_span id, int64_t now, struct mh_span body, struct buf *out, struct mh_err *err);

#endif
