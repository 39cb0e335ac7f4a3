/* room.h: a worker's surroundings for a test: a folder of its own, a configuration, a ledger, and mail made up by facts. */
#ifndef MAILHOOK_TESTS_ROOM_H
#define MAILHOOK_TESTS_ROOM_H

#include "mailhook/work/case.h"
#include "mailhook/work/work.h"
#include "tests/engines.h"

#define ROOM_NOW INT64_C(1762419600) /* 2025-11-06T09:00:00Z */
#define ROOM_DAY INT64_C(86400)

struct room {
	char dir[64], conf[128], clock[128];
	char ledger[ENGINES_ADDRESS]; /* its address, whatever a configuration says that came later */
	struct work w;
	int64_t now; /* also in the clock's file, see room_set_time */
	int mails;   /* made so far, so that each is another */
};

/* What a made-up message says. Zero: a notice of TEST_KIND for account 123456789012 that expires in 89 days. */
struct say {
	const char *kind, *account, *region, *resource;
	int64_t expires;
	enum mh_precision precision;
	enum trust_level trust;
	enum mh_verdict verdict; /* zero (irrelevant) is taken for notice: see not_kept */
	const char *sender, *reason;
	int same_as; /* the number of an earlier mail: the very same message again; 0: a new one */
	bool not_kept, own, no_account;
	size_t bytes;
};
#define TEST_KIND "aws.identity-center.scim-token"
#define TEST_EXPIRES (ROOM_NOW + 89 * ROOM_DAY)

/* "@" in the text stands for the room's folder. The clock file is set in the environment. */
void room_open(struct room *r, const char *conf_text);
void room_close(struct room *r);
void room_set_time(struct room *r, int64_t now);
/* Takes a message in; the case that its (first) notice went to, or 0. ret may be NULL. */
int64_t room_take(struct room *r, const struct say *s, struct taken *ret);
int64_t room_count(struct room *r, const char *sql);
/* The first column of the first row as text, "" where there is none; in static storage until the next call. */
const char *room_text(struct room *r, const char *sql);
void room_script(struct room *r, const char *name, const char *body); /* an executable in the room's folder */
void room_read(struct room *r, const char *name, char *dst, size_t dst_bytes);
void room_remove(struct room *r, const char *name);

#endif
