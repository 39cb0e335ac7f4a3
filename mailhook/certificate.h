/* certificate.h: when a certificate of our own ends. */
#ifndef MAILHOOK_CERTIFICATE_H
#define MAILHOOK_CERTIFICATE_H

#include "mailhook/mailhook.h"

/* The end of the certificate of a PEM file that ends first.
 *   errors  MH_BAD unreadable, none in it, or no date: in words for a person */
enum mh_status certificate_end(const char *path, int64_t *ret, struct mh_err *err);

#endif
