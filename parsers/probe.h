/* probe.h: tries a definition's patterns on texts that are made to be slow, before mail does. */
#ifndef MAILHOOK_PARSERS_PROBE_H
#define MAILHOOK_PARSERS_PROBE_H

#include "parsers/parser.h"

/* Runs every pattern of every definition around its literal in texts that repeat what patterns repeat: letters, digits,
 * blanks, marks, the literal itself. Takes some milliseconds for the shipped ones.
 *   in      complain: gets "FILE: notice NAME: pattern ... needs more than N steps ..." for each pattern that a mail could
 *           stop; such a mail would be failed, and a person would hear of it
 *   out     *ret_n: patterns that were complained of
 *   errors  MH_RETRY no memory */
enum mh_status definitions_probe(struct definitions *d, void (*complain)(void *user, const char *line), void *user,
    size_t *ret_n, struct mh_err *err);

#endif
