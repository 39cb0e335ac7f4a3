/* texts.c: what a reply says: the built-in templates, and the user's in their place. */
#include "actions/reply/reply.h"

static const char default_subject[] = "[mailhook] {event_short}: {what}{?account} of account {account}{/account}"
				      "{?resource} ({resource}){/resource}"
				      "{?expires_day} expires on {expires_day}{/expires_day}";

static const char default_body[] = "{?drill_words}\n"
				   "{drill_words}\n"
				   "\n"
				   "{/drill_words}\n"
				   "{event_words}\n"
				   "\n"
				   "What:      {what}\n"
				   "{?account}\n"
				   "Account:   {account}{?account_name} ({account_name}){/account_name}\n"
				   "{/account}\n"
				   "{?region}\n"
				   "Region:    {region}\n"
				   "{/region}\n"
				   "{?resource}\n"
				   "Resource:  {resource}\n"
				   "{/resource}\n"
				   "{?expires}\n"
				   "Expires:   {expires}, {due}\n"
				   "Days left: {days_left}\n"
				   "{/expires}\n"
				   "{?reason}\n"
				   "Not read:  {reason}\n"
				   "{/reason}\n"
				   "{?closed_by}\n"
				   "Closed by: {closed_by}\n"
				   "{/closed_by}\n"
				   "{?ticket}\n"
				   "Ticket:    {ticket}\n"
				   "{/ticket}\n"
				   "Trust:     {trust_level}\n"
				   "\n"
				   "{trust}\n"
				   "{?outcomes}\n"
				   "\n"
				   "What was done:\n"
				   "\n"
				   "{outcomes}\n"
				   "{/outcomes}\n"
				   "{?steps}\n"
				   "\n"
				   "What is left to do by hand:\n"
				   "\n"
				   "{steps}\n"
				   "{/steps}\n"
				   "\n"
				   "-- \n"
				   "mailhook wrote this by itself. Case {case|unknown}, key {case_key}.\n";

#define CELL "<td style=\"padding:2px 12px 2px 0;vertical-align:top\">"
#define ROW(name, value) "<tr>" CELL name "</td>" CELL value "</td></tr>\n"
#define HEAD(words) "<p style=\"margin:16px 0 4px\"><b>" words "</b></p>\n"

/* clang-format off */ /* It makes stairs of what stands behind a macro with arguments. */
/* Self-contained: no link, no picture, nothing that is fetched. */
static const char default_html[] =
    "<!DOCTYPE html>\n"
    "<html><head><meta charset=\"utf-8\"><title>{what}</title></head>\n"
    "<body style=\"font-family:sans-serif;font-size:14px;line-height:1.4;color:#222222;background:#ffffff\">\n"
    "{?drill_words}\n"
    "<p><b>{drill_words}</b></p>\n"
    "{/drill_words}\n"
    "<p>{event_words}</p>\n"
    "<table style=\"border-collapse:collapse\">\n"
    ROW("What", "{what}")
    "{?account}\n"
    ROW("Account", "{account}{?account_name} ({account_name}){/account_name}")
    "{/account}\n"
    "{?region}\n"
    ROW("Region", "{region}")
    "{/region}\n"
    "{?resource}\n"
    ROW("Resource", "{resource}")
    "{/resource}\n"
    "{?expires}\n"
    ROW("Expires", "<b>{expires}</b>, {due}")
    ROW("Days left", "{days_left}")
    "{/expires}\n"
    "{?reason}\n"
    ROW("Not read", "{reason}")
    "{/reason}\n"
    "{?closed_by}\n"
    ROW("Closed by", "{closed_by}")
    "{/closed_by}\n"
    "{?ticket}\n"
    ROW("Ticket", "{ticket}")
    "{/ticket}\n"
    ROW("Trust", "{trust_level}")
    "</table>\n"
    "<p>{trust}</p>\n"
    "{?outcomes}\n"
    HEAD("What was done")
    "<p style=\"margin:0\">{outcomes}</p>\n"
    "{/outcomes}\n"
    "{?steps}\n"
    HEAD("What is left to do by hand")
    "<p style=\"margin:0\">{steps}</p>\n"
    "{/steps}\n"
    "<p style=\"color:#666666\">mailhook wrote this by itself. Case {case|unknown}, key {case_key}.</p>\n"
    "</body></html>\n";
/* clang-format on */

static const char default_entry[] =
    "{what}{?account} of account {account}{/account}{?resource} ({resource}){/resource} expires";

enum mh_status
reply_texts_read(const struct reply_conf *c, enum case_event event, struct reply_texts *ret, struct mh_err *err)
{
	const struct text_place place = { cfg_getstr(c->cfg, "templates"), event_names[event] };

	*ret = (struct reply_texts){ .html_fits = false };
	enum mh_status status = wording_read_line(&place, cfg_getstr(c->cfg, "subject"),
	    cfg_getstr(c->cfg, "subject") != NULL ? "subject" : "reply-subject.txt", default_subject, &ret->subject,
	    err);
	if (status == MH_OK)
		status =
		    wording_read(&place, cfg_getstr(c->cfg, "template"), "reply.txt", default_body, &ret->body, err);
	if (status == MH_OK)
		status = wording_read(
		    &place, cfg_getstr(c->cfg, "html_template"), "reply.html", default_html, &ret->html, err);
	if (status == MH_OK)
		status = wording_read_line(&place, NULL, "reply-calendar.txt", default_entry, &ret->entry, err);
	ret->html_fits = ret->body.built_in || !ret->html.built_in;
	return status;
}

void
reply_texts_release(struct reply_texts *t)
{
	wording_release(&t->subject);
	wording_release(&t->body);
	wording_release(&t->html);
	wording_release(&t->entry);
}
