/* html.h: HTML to the text that a person would read. Private to mail/.
 *
 * A tokenizer, no tree: one pass, a fixed amount of state, whatever the nesting. What comes out:
 * - White space is collapsed as a browser does it, kept in <pre>, <textarea>, <listing>. U+00A0 stays U+00A0.
 * - The start and the end of a block element, table cells included, end the line; they never make an empty one. So a
 *   label and its value in neighbouring <p> or <td> are lines of their own. Each <br> ends a line, and two of them make
 *   an empty line.
 * - Comments give nothing, and so does what a conditional comment hides (<!--[if mso]>...<![endif]-->); what it only
 *   brackets (<![if !mso]>, <!--[if !mso]><!-->) is shown. The same for script, style, title, iframe, template, and for
 *   text that stands loose in <head>.
 * - Content that CSS hides (display:none) is text all the same: to tell would need a browser, and a preheader that
 *   contradicts the body is better seen than missed.
 * - Alternative texts of images are left out. So are NULs.
 */
#ifndef MAILHOOK_MAIL_HTML_H
#define MAILHOOK_MAIL_HTML_H

#include "mailhook/mailhook.h"

/* Renders UTF-8 HTML.
 *   out     ret_text: UTF-8, LF, never longer than html but for its last line end; ret_links: the href of each <a>,
 *           decoded, one a line, in their order; both in the arena
 *   errors  MH_LIMIT the arena or memory is full
 *   source  HTML living standard section 13.2.5 (tokenization), as far as mail needs it
 */
enum mh_status html_to_text(
    struct mh_span html, struct arena *a, struct mh_span *ret_text, struct mh_span *ret_links, struct mh_err *err);

#endif
