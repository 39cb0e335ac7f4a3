/* search.c: a needle in a text, many places at a time.
 *
 * Two bytes of the needle are compared first, the rarest two in mail: where both stand, and seldom elsewhere, the whole
 * is looked at. libc's memchr and memmem are led by the first byte or by a hash of two, and stop far more often.
 */
#include <endian.h>
#include <string.h>

#include "mailhook/mailhook.h"

#define LANE_BYTES 16
#define LANES 4 /* looked at in one step */
#define STEP_BYTES ((size_t)LANES * LANE_BYTES)

typedef uint8_t lane __attribute__((vector_size(LANE_BYTES))); /* one register of most processors */

struct byte_in { /* a byte of the needle */
	size_t at;
	uint8_t fold; /* 0x20 makes both cases of a letter its lower one; else 0 */
	uint8_t byte;
};

struct search {
	struct byte_in rare[2];
	struct mh_span needle;
	bool any_case;
};

/* How often a byte stands in English mail, in ranks; the lower the better to be led by. What is not listed is rare. */
/* clang-format off */
static const uint8_t frequency[256] = {
	['z'] = 1, ['q'] = 2, ['x'] = 3, ['j'] = 4, [':'] = 5, ['/'] = 6, ['@'] = 7, ['('] = 8, ['_'] = 9,
	['0'] = 10, ['1'] = 11, ['2'] = 12, ['3'] = 13, ['4'] = 14, ['5'] = 15, ['6'] = 16, ['7'] = 17, ['8'] = 18,
	['9'] = 19, ['k'] = 20, ['v'] = 21, ['b'] = 22, ['p'] = 23, ['g'] = 24, ['w'] = 25, ['y'] = 26, ['f'] = 27,
	['m'] = 28, ['c'] = 29, ['u'] = 30, ['l'] = 31, ['d'] = 32, ['r'] = 33, ['h'] = 34, ['s'] = 35, ['n'] = 36,
	['i'] = 37, ['o'] = 38, ['a'] = 39, ['t'] = 40, [' '] = 41, ['e'] = 42, ['Z'] = 1, ['Q'] = 2, ['X'] = 3,
	['J'] = 4, ['K'] = 20, ['V'] = 21, ['B'] = 22, ['P'] = 23, ['G'] = 24, ['W'] = 25, ['Y'] = 26, ['F'] = 27,
	['M'] = 28, ['C'] = 29, ['U'] = 30, ['L'] = 31, ['D'] = 32, ['R'] = 33, ['H'] = 34, ['S'] = 35, ['N'] = 36,
	['I'] = 37, ['O'] = 38, ['A'] = 39, ['T'] = 40, ['E'] = 42,
};
/* clang-format on */

static bool
is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static struct byte_in
byte_in(const struct search *s, size_t at)
{
	const uint8_t fold = s->any_case && is_letter(s->needle.p[at]) ? 0x20 : 0;

	return (struct byte_in){ at, fold, (uint8_t)s->needle.p[at] | fold };
}

/* The two rarest bytes of the needle; of one byte, that twice. */
static void
find_rare(struct search *s)
{
	const struct mh_span needle = s->needle;
	size_t best = 0, next = needle.n > 1 ? 1 : 0;

	for (size_t i = 1; i < needle.n; i++) {
		const uint8_t f = frequency[(unsigned char)needle.p[i]];

		if (f < frequency[(unsigned char)needle.p[best]]) {
			next = best;
			best = i;
		} else if (f < frequency[(unsigned char)needle.p[next]]) {
			next = i;
		}
	}
	s->rare[0] = byte_in(s, best);
	s->rare[1] = byte_in(s, next);
}

static inline bool
stands_at(const struct search *s, const char *p)
{
	const struct mh_span n = s->needle;

	if (s->any_case)
		return span_ieq((struct mh_span){ p, n.n }, n);
	return p[n.n - 1] == n.p[n.n - 1] && memcmp(p, n.p, n.n) == 0; /* most calls would end at once */
}

static inline lane
equal_bytes(const char *p, const struct byte_in *b, bool any_case)
{
	lane x;

	memcpy(&x, p + b->at, sizeof(x));
	return (lane)((any_case ? x | b->fold : x) == b->byte);
}

static inline bool
is_zero(lane x)
{
	uint64_t half[2];

	memcpy(half, &x, sizeof(half));
	return (half[0] | half[1]) == 0;
}

/* The first of a step's places where the needle stands; SIZE_MAX: at none. */
static size_t
first_of(const struct search *s, const char *p, const lane places[LANES])
{
	for (size_t at = 0; at < STEP_BYTES; at += 8) {
		uint64_t left;

		memcpy(&left, (const char *)places + at, sizeof(left));
		for (left = le64toh(left) & 0x8080808080808080u; left != 0; left &= left - 1) { /* a bit a place */
			const size_t here = at + (size_t)__builtin_ctzll(left) / 8;

			if (stands_at(s, p + here))
				return here;
		}
	}
	return SIZE_MAX;
}

/* The first place from at on where the needle stands, of those below end; there are STEP_BYTES of them or more. */
static inline size_t
search_lanes(const struct search *s, const char *text, size_t at, size_t end, bool any_case)
{
	const struct byte_in first = s->rare[0], second = s->rare[1];
	const size_t last = end - STEP_BYTES; /* this step looks again at some places of the one before it */

	for (;; at = at + STEP_BYTES < last ? at + STEP_BYTES : last) {
		const char *p = text + at;
		lane places[LANES], any = { 0 }; /* ones where the needle may stand, a byte a place */

		for (size_t i = 0; i < LANES; i++) {
			places[i] = equal_bytes(p + i * LANE_BYTES, &first, any_case) &
				    equal_bytes(p + i * LANE_BYTES, &second, any_case);
			any |= places[i];
		}
		const size_t here = is_zero(any) ? SIZE_MAX : first_of(s, p, places);
		if (here != SIZE_MAX)
			return at + here;
		if (at == last)
			return SIZE_MAX;
	}
}

static size_t
search(struct mh_span text, struct mh_span needle, size_t from, bool any_case)
{
	struct search s = { .needle = needle, .any_case = any_case };

	if (from > text.n || needle.n > text.n - from)
		return SIZE_MAX;
	if (needle.n == 0)
		return from;
	if (needle.n == 1 && !any_case) {
		const char *hit = memchr(text.p + from, needle.p[0], text.n - from);

		return hit == NULL ? SIZE_MAX : (size_t)(hit - text.p);
	}

	const size_t end = text.n - needle.n + 1; /* behind the last place where it can stand */
	if (end - from >= STEP_BYTES) {           /* for less, to choose bytes of the needle would cost more */
		find_rare(&s);
		/* Two loops, for looking at both cases of a letter is work. */
		return any_case ? search_lanes(&s, text.p, from, end, true)
				: search_lanes(&s, text.p, from, end, false);
	}
	for (size_t at = from; at < end; at++)
		if (stands_at(&s, text.p + at))
			return at;
	return SIZE_MAX;
}

size_t
span_find(struct mh_span s, struct mh_span needle, size_t from)
{
	return search(s, needle, from, false);
}

size_t
span_ifind(struct mh_span s, struct mh_span needle, size_t from)
{
	return search(s, needle, from, true);
}
