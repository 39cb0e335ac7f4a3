/* entra.h: Microsoft Graph for one service principal: entra_call.c asks, entra.c knows what for. */
#ifndef ACTIONS_ROTATE_ENTRA_H
#define ACTIONS_ROTATE_ENTRA_H

#include "actions/common/http.h"
#include "actions/rotate/idp.h"
#include "mailhook/json.h"

#define ENTRA_MAX_URL_BYTES 2048

struct entra {
	struct side_env *env; /* foreign */
	const char *base_url, *token_file, *app_id, *display_name;
	char principal[ROTATE_ID_BYTES], job[ROTATE_ID_BYTES]; /* "": to be found */
	bool found;
};

/* Appends BASE/v1.0/servicePrincipals/ID + rest; where tail is given, the job's id and tail behind it. */
void entra_url(const struct entra *e, struct buf *out, const char *rest, const char *tail);
/* Reads one JSON document. what: for a person. Errors: those of an answer that is no 2xx, by http_class. */
enum mh_status entra_get(struct entra *e, const char *url, const char *what, cJSON **ret, struct mh_err *err);
/* Sends JSON and takes an answer of any status. */
enum mh_status entra_send(struct entra *e, const char *method, const char *rest, const char *tail, struct mh_span body,
    struct http_answer *a, struct mh_err *err);
/* Words a refusal, without the token: servers like to give back what they were sent. Returns status. */
enum mh_status entra_refused(
    enum mh_status status, const struct http_answer *a, const char *what, struct mh_span token, struct mh_err *err);

#endif
