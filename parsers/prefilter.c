/* prefilter.c: many phrases in one pass. */
#include "parsers/prefilter.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK 3
#define HASHES (1u << 15) /* of three bytes but the bit that is a letter's case */
#define MAX_WINDOW 12
#define BUCKETS 1024u /* few, so that the table costs a short-lived process only some pages */
#define NO_ENTRY UINT16_MAX
#define LANES 6 /* each step waits for two loads; so six parts of the text are stepped through side by side */

struct entry {
	struct phrase phrase;
	uint16_t next;
};

struct prefilter {
	size_t window;
	size_t n;
	struct entry *entries; /* own */
	uint8_t shift[HASHES];
	uint16_t first[BUCKETS]; /* entries by the hash of their window's end */
};

/* Of the first three of four bytes, which are read in one load. */
static unsigned
hash_of(const char *p)
{
	uint32_t x;

	memcpy(&x, p, sizeof(x));
	x = le32toh(x) & 0xDFDFDF;
	return x * 0x9E3779B1u >> 17; /* Fibonacci hashing: 15 bits */
}

/* The same where nothing may stand behind the three. */
static unsigned
hash_of_last(const char *p)
{
	const char bytes[sizeof(uint32_t)] = { p[0], p[1], p[2] };

	return hash_of(bytes);
}

static unsigned
bucket_of(unsigned hash)
{
	return (hash ^ hash >> 6) % BUCKETS;
}

static void
longest_word(struct mh_span s, size_t *ret_at, size_t *ret_n)
{
	size_t start = 0;

	*ret_at = 0;
	*ret_n = 0;
	for (size_t i = 0; i <= s.n; i++) {
		if (i < s.n && s.p[i] != ' ' && s.p[i] != '\'')
			continue;
		if (i - start > *ret_n) {
			*ret_at = start;
			*ret_n = i - start;
		}
		start = i + 1;
	}
}

static void
add_entry(struct prefilter *f, uint16_t number)
{
	struct entry *e = &f->entries[number];
	const char *word = e->phrase.text.p + e->phrase.word;
	const size_t last = f->window - BLOCK;

	for (size_t i = 0; i <= last; i++) {
		const unsigned h = hash_of_last(word + i);

		if (last - i < f->shift[h])
			f->shift[h] = (uint8_t)(last - i);
	}

	uint16_t *bucket = &f->first[bucket_of(hash_of_last(word + last))];
	for (uint16_t i = *bucket; i != NO_ENTRY; i = f->entries[i].next) /* definitions share their senders */
		if (f->entries[i].phrase.tag == e->phrase.tag && span_ieq(f->entries[i].phrase.text, e->phrase.text))
			return;
	e->next = *bucket;
	*bucket = number;
}

struct prefilter *
prefilter_new(const struct phrase *phrases, size_t n)
{
	struct prefilter *f = malloc(sizeof(*f));

	if (f == NULL)
		return NULL;
	if (n >= NO_ENTRY)
		n = NO_ENTRY - 1; /* 1,000 definitions of 65 phrases each */
	f->entries = calloc(n + 1, sizeof(*f->entries));
	if (f->entries == NULL) {
		free(f);
		return NULL;
	}
	f->n = 0;
	f->window = MAX_WINDOW;
	for (size_t i = 0; i < n; i++) {
		size_t at, length;

		longest_word(phrases[i].text, &at, &length);
		if (length <= BLOCK)
			continue;
		f->entries[f->n] = (struct entry){ .phrase = phrases[i] };
		f->entries[f->n++].phrase.word = at;
		if (length < f->window)
			f->window = length;
	}
	memset(f->shift, (int)(f->window - BLOCK + 1), sizeof(f->shift));
	memset(f->first, 0xFF, sizeof(f->first));
	for (size_t i = 0; i < f->n; i++)
		add_entry(f, (uint16_t)i);
	return f;
}

void
prefilter_free(struct prefilter *f)
{
	if (f == NULL)
		return;
	free(f->entries);
	free(f);
}

/* -- a phrase around its word ------------------------------------------------------------------------------------- */

/* Bytes of white space at text[at]: SP, TAB, CR, LF, U+00A0, U+202F; and ">", which quoting puts behind a line end. */
static size_t
blank_at(struct mh_span text, size_t at)
{
	const char c = text.p[at];

	if (c == ' ' || c == '\n' || c == '\t' || c == '\r' || c == '>')
		return 1;
	if (c == '\xC2' && text.n - at >= 2 && text.p[at + 1] == '\xA0')
		return 2;
	if (c == '\xE2' && text.n - at >= 3 && text.p[at + 1] == '\x80' && text.p[at + 2] == '\xAF')
		return 3;
	return 0;
}

/* The same for what ends before at. */
static size_t
blank_before(struct mh_span text, size_t at)
{
	for (size_t n = 1; n <= 3 && n <= at; n++)
		if (blank_at(text, at - n) == n)
			return n;
	return 0;
}

static char
fold(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

size_t
phrase_at(struct mh_span text, size_t at, struct mh_span phrase)
{
	for (size_t i = 0; i < phrase.n; i++) {
		const char c = phrase.p[i];

		if (at >= text.n)
			return SIZE_MAX;
		if (c == ' ') {
			size_t n = blank_at(text, at);

			if (n == 0)
				return SIZE_MAX;
			while (n > 0) {
				at += n;
				n = at < text.n ? blank_at(text, at) : 0;
			}
		} else if (fold(text.p[at]) == fold(c)) {
			at++;
		} else if (c == '\'' && span_starts(span_from(text, at), MH_LIT("\xE2\x80\x99"))) {
			at += 3;
		} else {
			return SIZE_MAX;
		}
	}
	return at;
}

/* Where the phrase would begin, going back from its word at text[at]; SIZE_MAX: it cannot stand there. */
static size_t
start_before(struct mh_span text, size_t at, struct mh_span head)
{
	while (head.n > 0) {
		const char c = head.p[head.n - 1];

		if (at == 0)
			return SIZE_MAX;
		if (c == ' ') {
			size_t n = blank_before(text, at);

			if (n == 0)
				return SIZE_MAX;
			while (n > 0) {
				at -= n;
				n = at > 0 ? blank_before(text, at) : 0;
			}
		} else if (c == '\'' && at >= 3 && span_starts(span_from(text, at - 3), MH_LIT("\xE2\x80\x99"))) {
			at -= 3;
		} else if (fold(text.p[at - 1]) == fold(c)) {
			at--;
		} else {
			return SIZE_MAX;
		}
		head.n--;
	}
	return at;
}

bool
phrase_around(struct mh_span text, size_t at, const struct phrase *p)
{
	const size_t start = start_before(text, at, span_head(p->text, p->word));

	return start != SIZE_MAX && phrase_at(text, start, p->text) != SIZE_MAX;
}

struct search {
	const struct prefilter *f;
	struct mh_span text;
	void (*near)(void *user, const struct phrase *p, struct mh_span text, size_t at);
	void *user;
};

/* The window whose last block stands at text[at] may be a phrase's word. */
static void
look(const struct search *s, size_t at, unsigned hash)
{
	const struct prefilter *f = s->f;
	const size_t window_at = at - (f->window - BLOCK);

	for (uint16_t i = f->first[bucket_of(hash)]; i != NO_ENTRY; i = f->entries[i].next) {
		const struct entry *e = &f->entries[i];

		if (span_istarts(span_from(s->text, window_at),
			(struct mh_span){ e->phrase.text.p + e->phrase.word, f->window }))
			s->near(s->user, &e->phrase, s->text, window_at);
	}
}

/* Looks at one window; where the next one ends that could be a phrase's. */
static inline size_t
step(const struct search *s, size_t at, unsigned hash)
{
	const size_t shift = s->f->shift[hash];

	if (shift != 0)
		return at + shift;
	look(s, at, hash);
	return at + 1;
}

void
prefilter_run(const struct prefilter *f, struct mh_span text,
    void (*near)(void *user, const struct phrase *p, struct mh_span text, size_t at), void *user)
{
	const struct search s = { f, text, near, user };

	if (f->n == 0 || text.n < f->window)
		return;

	const size_t first = f->window - BLOCK, last = text.n - BLOCK; /* of windows' last blocks */
	const size_t share = (last - first) / LANES, most = f->window - BLOCK + 1;
	size_t at[LANES], stop[LANES];

	for (size_t i = 0; i < LANES; i++) {
		at[i] = first + i * share;
		stop[i] = i + 1 < LANES ? at[i] + share : last;
	}
	/* So many steps are within each part, whatever is found; then again, as long as it is worth it. */
	for (size_t steps = share / most; steps > 0;) {
		size_t left = SIZE_MAX;

		for (size_t k = 0; k < steps; k++)
			for (size_t i = 0; i < LANES; i++)
				at[i] = step(&s, at[i], hash_of(text.p + at[i]));
		for (size_t i = 0; i < LANES; i++)
			left = stop[i] - at[i] < left ? stop[i] - at[i] : left;
		steps = left / most;
	}
	for (size_t i = 0; i < LANES; i++)
		while (at[i] < stop[i])
			at[i] = step(&s, at[i], hash_of(text.p + at[i]));
	if (at[LANES - 1] == last)
		(void)step(&s, last, hash_of_last(text.p + last));
}
