/* archive.c: reads an archive through the sandboxed batch, and keeps what matters. */
#include "mailhook/work/archive.h"

#include <stdlib.h>
#include <string.h>

#include "mailhook/front.h"
#include "mailhook/work/work.h"
#include "parsers/date.h"

#define PROGRESS_EVERY 1000

struct filling { /* one path */
	struct archive *to;
	struct sandbox_batch *batch;
	struct arena arena;
	char *sources[MH_BATCH]; /* own; of what was added since the last run */
	const char *rooms[MH_BATCH];
	size_t sizes[MH_BATCH], n;
	struct mh_err *err;
	enum mh_status status;
};

static bool
keep(struct filling *f, size_t number, const struct reading *r)
{
	struct archive *to = f->to;
	struct archived *one;
	int64_t at;

	if (to->bytes + f->sizes[number] > ARCHIVE_MAX_BYTES) {
		to->dropped++;
		return true;
	}
	if (to->n == to->cap) {
		const size_t cap = to->cap == 0 ? 64 : 2 * to->cap;
		struct archived *items = reallocarray(to->items, cap, sizeof(*items));

		if (items == NULL)
			return false;
		to->items = items;
		to->cap = cap;
	}
	one = &to->items[to->n];
	*one = (struct archived){ .raw = malloc(f->sizes[number] + 1), .n = f->sizes[number], .number = to->n };
	if (one->raw == NULL)
		return false;
	memcpy(one->raw, f->rooms[number], one->n);
	one->source = f->sources[number];
	f->sources[number] = NULL;
	if (date_read_header(r->date, &at, NULL) == MH_OK) {
		one->at = at;
	} else {
		one->at = to->n > 0 ? to->items[to->n - 1].at : 0;
		to->undated++;
	}
	to->bytes += one->n;
	to->n++;
	return true;
}

static bool
run(struct filling *f)
{
	struct batch_answer answers[MH_BATCH];
	size_t n = 0;

	arena_reset(&f->arena);
	f->status = sandbox_batch_run(f->batch, &f->arena, answers, &n, f->err);
	for (size_t i = 0; f->status == MH_OK && i < n; i++) {
		const struct reading *r = &answers[i].reading;

		f->to->read++;
		if (f->to->progress != NULL && f->to->read % PROGRESS_EVERY == 0)
			f->to->progress(f->to->read, f->to->n);
		if (r->own)
			f->to->own_replies++;
		else if (r->verdict == MH_IRRELEVANT)
			f->to->irrelevant++;
		else if (!keep(f, i, r))
			f->status = mh_fail(f->err, MH_RETRY, "no memory for the archive");
	}
	for (size_t i = 0; i < f->n; i++)
		free(f->sources[i]);
	f->n = 0;
	return f->status == MH_OK;
}

static char *
room(void *user)
{
	return sandbox_batch_room(((struct filling *)user)->batch);
}

static bool
add(void *user, size_t n, const char *source)
{
	struct filling *f = user;

	f->rooms[f->n] = sandbox_batch_room(f->batch);
	f->sizes[f->n] = n;
	f->sources[f->n] = strdup(source);
	if (f->sources[f->n] == NULL) {
		f->status = mh_fail(f->err, MH_RETRY, "no memory for the archive");
		return false;
	}
	f->n++;
	return sandbox_batch_add(f->batch, n) ? run(f) : true;
}

static void
trouble(void *user, const char *path, const struct mh_err *err)
{
	char name[1000];

	work_log("%s: %s", mh_escape(name, sizeof(name), span_of(path)), err->text);
	((struct filling *)user)->to->troubles++;
}

enum mh_status
archive_read(struct archive *a, const struct reader *r, const char *path, struct mh_err *err)
{
	struct filling f = { .to = a, .err = err };
	const struct front_sink sink = { .room = room, .add = add, .trouble = trouble, .user = &f };

	f.status = sandbox_batch_new(r, &f.batch, err);
	if (f.status != MH_OK)
		return f.status;
	arena_init(&f.arena, MH_BATCH * (size_t)MH_MAX_ANSWER_BYTES * 2);
	if (front_source(path, &sink) && f.status == MH_OK)
		(void)run(&f);
	for (size_t i = 0; i < f.n; i++)
		free(f.sources[i]);
	arena_release(&f.arena);
	sandbox_batch_free(f.batch);
	return f.status;
}

static int
by_date(const void *a, const void *b)
{
	const struct archived *x = a, *y = b;

	if (x->at != y->at)
		return x->at < y->at ? -1 : 1;
	return x->number < y->number ? -1 : 1;
}

void
archive_sort(struct archive *a)
{
	if (a->n > 1)
		qsort(a->items, a->n, sizeof(*a->items), by_date);
}

void
archive_release(struct archive *a)
{
	for (size_t i = 0; i < a->n; i++) {
		free(a->items[i].raw);
		free(a->items[i].source);
	}
	free(a->items);
	*a = (struct archive){ .progress = a->progress };
}
