/* multipart.c: a boundary that no mail can know before its ticket is opened: the job's key. */
#include "actions/ticket/multipart.h"

#include <stdio.h>

enum mh_status
multipart_file(const char *job_key, const struct ticket_file *f, struct buf *out, char ret_type[MULTIPART_TYPE_BYTES],
    struct mh_err *err)
{
	char boundary[64];

	(void)snprintf(boundary, sizeof(boundary), "mailhook-%s", job_key);
	if (span_find(f->bytes, span_of(boundary), 0) != SIZE_MAX)
		return mh_fail(err, MH_BAD, "the mail holds the boundary that it would be sent with");
	(void)snprintf(ret_type, MULTIPART_TYPE_BYTES, "multipart/form-data; boundary=%s", boundary);
	buf_printf(out,
	    "--%s\r\nContent-Disposition: form-data; name=\"file\"; filename=\"%s\"\r\nContent-Type: %s\r\n\r\n",
	    boundary, f->name, f->type);
	buf_put(out, f->bytes);
	buf_printf(out, "\r\n--%s--\r\n", boundary);
	return buf_ok(out) ? MH_OK : mh_fail(err, MH_RETRY, "no memory for a file");
}
