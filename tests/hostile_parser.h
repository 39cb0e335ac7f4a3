/* hostile_parser.h: a parser that does what the subject of its message says, and what must not be left behind. */
#ifndef MAILHOOK_TESTS_HOSTILE_PARSER_H
#define MAILHOOK_TESTS_HOSTILE_PARSER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "mailhook/sandbox.h"
#include "parsers/parser.h"

struct deed {
	const char *name, *reason; /* reason: words that must be in it; the sanitizers end a crash in their own way */
	void (*act)(void);
	bool crash;       /* a sanitizer may see it first */
	bool needs_limit; /* on memory, which no sanitizer lives with */
};

extern const struct deed deeds[];
extern const size_t n_deeds;
extern const struct mh_parser hostile;

bool can_run(const struct deed *d);
size_t count_descriptors(void);
void assert_no_child(const char *name);
struct mh_span message(char dst[128], const char *subject);
bool holds(struct mh_span s, const char *words);

#endif
