/* arena.c: memory of one message, with a maximum, freed at once. */
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "mailhook/mailhook.h"

#define CHUNK_BYTES ((size_t)64 << 10)
#define BIG_CHUNK_BYTES ((size_t)4 << 20) /* two huge pages */
#define MANY_BYTES ((size_t)1 << 20)      /* an arena that has more gets big chunks */

struct arena_chunk {
	struct arena_chunk *next;
	size_t used, size;
	size_t mapped_bytes; /* of its own pages, which are zero until used; 0: from malloc */
	alignas(max_align_t) char bytes[];
};

void
arena_init(struct arena *a, size_t max_bytes)
{
	*a = (struct arena){ .max_bytes = max_bytes };
}

static void
free_chunk(struct arena_chunk *c)
{
	if (c->mapped_bytes > 0)
		(void)munmap(c, c->mapped_bytes);
	else
		free(c);
}

void
arena_release(struct arena *a)
{
	struct arena_chunk *c = a->chunks;

	while (c != NULL) {
		struct arena_chunk *next = c->next;
		free_chunk(c);
		c = next;
	}
	a->chunks = NULL;
	a->used_bytes = 0;
}

void
arena_reset(struct arena *a)
{
	struct arena_chunk *keep = NULL, *c = a->chunks;

	while (c != NULL) {
		struct arena_chunk *next = c->next;
		if (keep == NULL && c->size == CHUNK_BYTES)
			keep = c;
		else
			free_chunk(c);
		c = next;
	}
	if (keep != NULL) {
		keep->next = NULL;
		keep->used = 0;
	}
	a->chunks = keep;
	a->used_bytes = 0;
}

/* A chunk with room for n bytes. What holds many comes in huge pages where they can be had: for fresh memory the faults
 * of small ones cost more than reading a mail does. */
static struct arena_chunk *
new_chunk(const struct arena *a, size_t n)
{
	const size_t head = sizeof(struct arena_chunk);
	struct arena_chunk *c;

	if (a->used_bytes + n <= MANY_BYTES) {
		const size_t size = n > CHUNK_BYTES ? n : CHUNK_BYTES;

		c = malloc(head + size);
		if (c != NULL)
			*c = (struct arena_chunk){ .size = size };
		return c;
	}

	const size_t bytes = head + n > BIG_CHUNK_BYTES ? head + n : BIG_CHUNK_BYTES;
	c = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (c == MAP_FAILED)
		return NULL;
	(void)madvise(c, bytes, MADV_HUGEPAGE);
	*c = (struct arena_chunk){ .size = bytes - head, .mapped_bytes = bytes };
	return c;
}

void *
arena_alloc(struct arena *a, size_t n)
{
	const size_t align = alignof(max_align_t);

	if (a->fail_at > 0 && --a->fail_at == 0)
		return NULL;
	if (n > a->max_bytes || n > SIZE_MAX - align - sizeof(struct arena_chunk))
		return NULL;
	n = n == 0 ? align : (n + align - 1) / align * align;
	if (a->used_bytes > a->max_bytes || n > a->max_bytes - a->used_bytes)
		return NULL;

	struct arena_chunk *c = a->chunks;
	if (c == NULL || n > c->size - c->used) {
		struct arena_chunk *fresh = new_chunk(a, n);

		if (fresh == NULL)
			return NULL;
		if (c != NULL && fresh->size - n < c->size - c->used) { /* the one with more room stands in front */
			fresh->next = c->next;
			c->next = fresh;
		} else {
			fresh->next = c;
			a->chunks = fresh;
		}
		c = fresh;
	}

	void *p = c->bytes + c->used;
	c->used += n;
	a->used_bytes += n;
	return c->mapped_bytes > 0 ? p : memset(p, 0, n);
}

void *
arena_array(struct arena *a, size_t count, size_t size)
{
	size_t n;

	if (__builtin_mul_overflow(count, size, &n))
		return NULL;
	return arena_alloc(a, n);
}

void *
arena_grow(struct arena *a, void *items, size_t n, size_t *cap, size_t size)
{
	if (n < *cap)
		return items;

	const size_t more = *cap == 0 ? 8 : *cap * 2;
	void *fresh = arena_array(a, more, size);
	if (fresh == NULL)
		return NULL;
	if (*cap > 0)
		memcpy(fresh, items, *cap * size);
	*cap = more;
	return fresh;
}

enum mh_status
arena_copy(struct arena *a, struct mh_span s, struct mh_span *ret, struct mh_err *err)
{
	char *p = s.n == SIZE_MAX ? NULL : arena_alloc(a, s.n + 1);

	if (p == NULL)
		return mh_fail(err, MH_LIMIT, "no room for %zu bytes in the message's arena", s.n);
	if (s.n > 0)
		memcpy(p, s.p, s.n);
	*ret = (struct mh_span){ p, s.n };
	return MH_OK;
}

enum mh_status
arena_printf(struct arena *a, struct mh_span *ret, struct mh_err *err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	const int n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);

	char *p = n < 0 ? NULL : arena_alloc(a, (size_t)n + 1);
	if (p == NULL)
		return mh_fail(err, MH_LIMIT, "no room for a text in the message's arena");
	va_start(ap, fmt);
	(void)vsnprintf(p, (size_t)n + 1, fmt, ap);
	va_end(ap);
	*ret = (struct mh_span){ p, (size_t)n };
	return MH_OK;
}
