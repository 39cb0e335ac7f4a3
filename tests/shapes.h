/* shapes.h: one notice, and what must be read of it in whatever carriage it comes. */
#ifndef MAILHOOK_TESTS_SHAPES_H
#define MAILHOOK_TESTS_SHAPES_H

#include "parsers/parser.h"
#include "tests/exact.h"

#define SUBJECT                                                                                                        \
	"[Action required] AWS IAM Identity Center SCIM Access Token Approaching Expiration. "                         \
	"[AWS Account: 123456789012] [EU-WEST-1]"
#define FROM "Amazon Web Services <no-reply-aws@amazon.com>"
#define OUTER                                                                                                          \
	"From: Ann <ann@example.com>\nTo: ops@example.com\nDate: Mon, 19 Jan 2026 09:00:00 +0100\n"                    \
	"MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n"
#define TEXT(days)                                                                                                     \
	"[Starting September 15, 2025, emails will look different.]\n\nHello,\n\nThe SCIM access token used to "       \
	"automatically provision users and groups from your IdP to IAM Identity Center expires in " days               \
	" days on Tue Feb 03 04:05:06 UTC 2026.\n\nPlease act before January 20, 2026.\n"

#define NB "\xC2\xA0"

/* Reads a mail and gives its first notice; its strings live in a. */
void read_mail(struct definitions *d, struct mh_span raw, struct arena *a, struct reading *ret);
/* The mail must give the one notice of TEXT. */
void expect_notice(struct definitions *d, const char *name, struct mh_span raw);
void expect_reason(struct definitions *d, const char *name, struct mh_span raw, const char *reason);

#endif
