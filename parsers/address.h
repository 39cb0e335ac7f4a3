/* address.h: the addresses of From and Reply-To, as far as mailhook needs them: who, and whether it is one. */
#ifndef MAILHOOK_PARSERS_ADDRESS_H
#define MAILHOOK_PARSERS_ADDRESS_H

#include "mailhook/mailhook.h"

/* Reads an address list.
 *   in      list: a From or Reply-To value, still encoded (so that a decoded comma is no separator), folded or not
 *   out     ret_first: the first address, lower case, in the arena; ret_count: how many there are, 0 for none
 *   errors  MH_LIMIT the arena is full
 *   source  RFC 5322 3.4: quoted strings, comments, angle brackets, groups */
enum mh_status address_read(
    struct mh_span list, struct arena *a, struct mh_span *ret_first, size_t *ret_count, struct mh_err *err);

#endif
