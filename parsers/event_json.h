/* event_json.h: AWS events as JSON in a text: what EventBridge and SNS send by mail. */
#ifndef MAILHOOK_PARSERS_EVENT_JSON_H
#define MAILHOOK_PARSERS_EVENT_JSON_H

#include "parsers/carriage.h"

/* Reads the events in a view's text and adds a view of kind VIEW_EVENT for each; what the event does not say is as in
 * the view around it. An SNS envelope is opened.
 *   out     ret_found: at least one event was there, so the view's own text is no text for a person
 *   errors  MH_LIMIT the arena is full. JSON that cannot be read is no event and no error.
 *   source  AWS Health user guide, "EventBridge": account is whom the event was sent to, detail.affectedAccount whom it
 *           is about; detail.backupEvent is the duplicate for the backup region */
enum mh_status event_views(size_t around, struct view_list *list, struct arena *a, bool *ret_found, struct mh_err *err);

#endif
