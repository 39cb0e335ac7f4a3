/* fields.h: the field lines that mail programs write above a forwarded text. */
#ifndef MAILHOOK_PARSERS_FIELDS_H
#define MAILHOOK_PARSERS_FIELDS_H

#include "mailhook/mailhook.h"

enum field_name { FIELD_FROM, FIELD_DATE, FIELD_SUBJECT, FIELD_TO };
#define FIELD_COUNT 4

struct field_block {
	struct mh_span
	    values[FIELD_COUNT]; /* as they stand, quote marks of folded lines included; p == NULL: not there */
	size_t bytes;            /* from the first field line to the end of the last */
};

/* How many ">" stand in front of a line; ret_rest: what stands behind them, trimmed. */
unsigned quote_depth(struct mh_span line, struct mh_span *ret_rest);

/* Whether a line, quote marks gone, is a field's. */
bool field_line(struct mh_span words, enum field_name *ret_name, struct mh_span *ret_value);

/* Whether field lines may begin with this line, quote marks gone: most do not, and cost no more than this. */
bool field_may_begin(struct mh_span words);

/* Whether field lines begin at text's first line: From and one of Date and Subject, or Date and Subject, within some
 * lines; long values may go on on the next line, and empty lines may stand between (HTML that became text).
 *   source  Gmail, Outlook, OWA, Apple Mail, Thunderbird, Yahoo (all on one line), MailMate; en, de, fr, ja */
bool field_block_read(struct mh_span text, struct field_block *ret);

#endif
