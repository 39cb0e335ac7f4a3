/* adf.h: plain text as a document of Jira Cloud (Atlassian Document Format, version 1). */
#ifndef ACTIONS_TICKET_ADF_H
#define ACTIONS_TICKET_ADF_H

#include "mailhook/json.h"

/* Paragraphs, lines within them, and our lists ("- ", "1. ", an indented line goes on with the one before it). Text
 * stands in text nodes, which Jira reads as nothing: no mention, link, macro or emphasis can come of it.
 *   in      text: UTF-8; control characters are left out
 *   out     the document, own; NULL: no memory */
cJSON *adf_of_text(struct mh_span text);

/* All text of a document, a line for each block: to look for a mark in it. False: out is full. */
bool adf_text(const cJSON *document, struct buf *out);

#endif
