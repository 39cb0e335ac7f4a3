/* markup.h: values from outside in the texts of ticket systems: escapes for template.h.
 *
 * Nothing that a value holds may become markup, a link, a mention, a reference or a command there: what such a system
 * makes of "@name", "#1", "https://..." or a line that begins with "/close" is sent to people. What no escape stops is
 * broken by U+2060 WORD JOINER, which nobody sees. LINES_LINK is the exception: it becomes a link.
 */
#ifndef ACTIONS_COMMON_MARKUP_H
#define ACTIONS_COMMON_MARKUP_H

#include "actions/common/template.h"

/* Markdown (CommonMark, GitHub, GitLab): a one-line value that holds more than plain words becomes a code span, in which
 * all of them leave everything alone; in longer texts punctuation is escaped. */
void template_markdown(struct buf *out, const struct template_var *v);
/* Jira's wiki text: punctuation behind a backslash, a backslash as an entity. */
void template_wiki(struct buf *out, const struct template_var *v);

#endif
