/* launch_room.h: small programs as actions, in a folder of their own, and what is heard of them. */
#ifndef MAILHOOK_TESTS_LAUNCH_ROOM_H
#define MAILHOOK_TESTS_LAUNCH_ROOM_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "mailhook/work/launch_impl.h"

#define SH "#!/bin/sh\n"
#define PY "#!/usr/bin/python3\nimport sys, os, time, json, signal\n"
#define PY_DONE "print('{\"outcome\":\"done\",\"summary\":\"well\"}')\n"
#define PY_ASK                                                                                                         \
	PY "def ask(**line):\n  print(json.dumps(line), flush=True)\n  return sys.stdin.readline().strip() or 'end'\n" \
	   "def done(words):\n  print(json.dumps({'outcome': 'done', 'summary': words}))\nsys.stdin.readline()\n"
#define DONE "echo '{\"outcome\":\"done\",\"summary\":\"well\"}'\n"
#define OTHER_CASE "00112233445566778899aabbccddeeff"

struct seen {
	struct buf said, states; /* said: also what was told of credentials */
	int checkpoints, allow;  /* the first allow checkpoints are answered */
};

void write_program(const char *path, const char *text);
struct launch_spec spec_for(const char *program, const char *dir, struct seen *seen);
/* Waits for one launch as an event loop does. */
struct answer_line await(struct launch *l);
int make_folder(void **state);
int drop_folder(void **state);

#endif
