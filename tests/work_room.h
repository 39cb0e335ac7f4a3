/* work_room.h: the program mailhook-work in a room. */
#ifndef MAILHOOK_TESTS_WORK_ROOM_H
#define MAILHOOK_TESTS_WORK_ROOM_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/types.h>

#include "tests/room.h"

#define CONF                                                                                                           \
	"action \"desk\" { program = \"@/desk\" role = \"ticket\" }\n"                                                 \
	"rule \"all\" { accounts = {\"*\"} do = {\"desk\"} }\n"
#define DESK "IFS= read -r q\necho \"$1\" >>@/log\necho '{\"outcome\":\"done\",\"summary\":\"did it\"}'\n"

void put_raw(struct room *r, struct mh_span raw);
void put_notice(struct room *r, int number);
/* The program, with its output in the room's files "out" and "err". */
pid_t start(struct room *r, char *const argv[]);
int ended(pid_t child);
int run(struct room *r, const char *command, const char *arg);
bool printed(struct room *r, const char *file, const char *part);
size_t intake_holds(struct room *r, const char *end);
void stage(struct room *r, const char *conf);

#endif
