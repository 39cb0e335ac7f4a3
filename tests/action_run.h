/* action_run.h: runs a real action program as the core does, for the tests of actions. */
#ifndef TESTS_ACTION_RUN_H
#define TESTS_ACTION_RUN_H

#include "mailhook/work/launch.h"

struct action_ran {
	enum outcome outcome;
	char summary[1100], url[1100];
	struct buf said;  /* a line each */
	struct buf state; /* the last checkpoint, or "" */
	int checkpoints;
};

/* Runs program with the usual request, changed by patch (JSON; objects are merged, null removes).
 *   in      dir: working folder and state_dir; allow: so many checkpoints are answered
 *   out     ret: action_ran_release is due */
void action_run(
    const char *program, const char *verb, const char *dir, const char *patch, int allow, struct action_ran *ret);
void action_ran_release(struct action_ran *r);

char *temp_folder(void);           /* own: removed and freed by drop_temp_folder */
void drop_temp_folder(char *path); /* with all that is in it */
void write_text(const char *dir, const char *name, const char *text, unsigned mode);
void read_text(const char *dir, const char *name, struct buf *ret); /* "" where there is none */
/* The names in a folder, sorted, a line each; "" where there is none. Dot files are left out. */
void list_names(const char *dir, const char *folder, struct buf *ret);
size_t count_of(struct mh_span text, const char *needle);

#endif
