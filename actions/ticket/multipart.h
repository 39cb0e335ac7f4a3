/* multipart.h: one file as a form (RFC 7578), for systems that take files so. */
#ifndef ACTIONS_TICKET_MULTIPART_H
#define ACTIONS_TICKET_MULTIPART_H

#include "actions/ticket/ticket.h"

#define MULTIPART_TYPE_BYTES 96
#define MULTIPART_MORE_BYTES 1024 /* besides the file */

/* The form with one field "file".
 *   in      out: initialised, with room for the file and MULTIPART_MORE_BYTES; job_key: what the boundary is made of
 *   out     ret_type: the Content-Type
 *   errors  MH_BAD the file holds the boundary; MH_RETRY no memory */
enum mh_status multipart_file(const char *job_key, const struct ticket_file *f, struct buf *out,
    char ret_type[MULTIPART_TYPE_BYTES], struct mh_err *err);

#endif
