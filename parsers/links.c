/* links.c: see links.h. */
#include "parsers/links.h"

#include <string.h>

#include "parsers/carriage.h"

#define MAX_LINK_BYTES 8192 /* a Safe Link around a counted link around AWS's own has some 900 */
#define MAX_LINKS 300       /* of one text that name "health" */
#define MAX_WRAPPERS 6      /* around one link */
#define MAX_ENCODINGS 4     /* of one ARN, by wrappers that are not known */

enum wrapping {
	IN_QUERY,   /* a parameter, percent-encoded */
	IN_V2,      /* Proofpoint: a parameter with "-" for "%" and "_" for "/" */
	IN_V3,      /* Proofpoint: /v3/__LINK__;CHARACTERS!!... */
	IN_SEGMENT, /* awstrack.me: the path's segment behind /L0/, percent-encoded */
	IN_LAST     /* Cisco: the path's last segment, percent-encoded */
};

struct wrapper {
	const char *host; /* it, or one below it; with "." at its end: of any country */
	const char *path; /* its beginning; NULL: any */
	const char *parameter;
	enum wrapping how;
};

static const struct wrapper wrappers[] = {
	{ "safelinks.protection.outlook.com", NULL, "url", IN_QUERY },
	{ "safelinks.protection.office365.us", NULL, "url", IN_QUERY },
	{ "awstrack.me", NULL, NULL, IN_SEGMENT },
	{ "www.google.", "/url", "q", IN_QUERY },
	{ "www.google.", "/url", "url", IN_QUERY },
	{ "urldefense.proofpoint.com", "/v2/", "u", IN_V2 },
	{ "urldefense.proofpoint.com", "/v1/", "u", IN_QUERY },
	{ "urldefense.com", "/v3/", NULL, IN_V3 },
	{ "urldefense.us", "/v3/", NULL, IN_V3 },
	{ "linkprotect.cudasvc.com", NULL, "a", IN_QUERY },
	{ "secure-web.cisco.com", NULL, NULL, IN_LAST },
	{ "clicktime.symantec.com", NULL, "u", IN_QUERY },
	{ "protect2.fireeye.com", NULL, "u", IN_QUERY },
	{ "scanmail.trustwave.com", NULL, "u", IN_QUERY },
};

/* Takes one layer of "%3A" off; mark is what stands for "%". */
static enum mh_status
decode(struct mh_span s, char mark, struct arena *a, struct mh_span *ret, struct mh_err *err)
{
	char *p = arena_alloc(a, s.n + 1);
	size_t n = 0;

	if (p == NULL)
		return mh_fail(err, MH_LIMIT, "no room for a link in the message's arena");
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == mark && i + 2 < s.n && hex_digit(s.p[i + 1]) >= 0 && hex_digit(s.p[i + 2]) >= 0) {
			p[n++] = (char)(hex_digit(s.p[i + 1]) * 16 + hex_digit(s.p[i + 2]));
			i += 2;
		} else {
			p[n++] = mark == '-' && s.p[i] == '_' ? '/' : s.p[i];
		}
	}
	*ret = (struct mh_span){ p, n };
	return MH_OK;
}

/* A parameter's value as it stands in the query. */
static bool
parameter(struct mh_span query, const char *name, struct mh_span *ret)
{
	while (query.n > 0) {
		const size_t end = span_find(query, MH_LIT("&"), 0);
		struct mh_span one = span_head(query, end);

		query = span_from(query, end == SIZE_MAX ? query.n : end + 1);
		if (span_starts(one, MH_LIT("amp;")))
			one = span_from(one, 4);
		const size_t n = strlen(name);
		if (span_starts(one, span_of(name)) && one.n > n && one.p[n] == '=') {
			*ret = span_from(one, n + 1);
			return ret->n > 0;
		}
	}
	return false;
}

static int
base64(char c)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	const char *at = c == '\0' ? NULL : strchr(digits, c);

	return at == NULL ? -1 : (int)(at - digits);
}

/* The bytes that stand for the stars of a v3 link. Returns how many; at most max. */
static size_t
v3_bytes(struct mh_span s, char *dst, size_t max)
{
	size_t n = 0;
	unsigned bits = 0, have = 0;

	for (size_t i = 0; i < s.n && base64(s.p[i]) >= 0 && n < max; i++) {
		bits = bits << 6 | (unsigned)base64(s.p[i]);
		have += 6;
		if (have >= 8) {
			have -= 8;
			dst[n++] = (char)(bits >> have & 0xFF);
		}
	}
	return n;
}

/* "__https://example.com/x*1__;Iw!!...": a star is the next of the bytes, two and an "A" two of them, a "B" three. */
static enum mh_status
decode_v3(struct mh_span path, struct arena *a, struct mh_span *ret, struct mh_err *err)
{
	const size_t open = span_find(path, MH_LIT("__"), 0);
	const size_t close = open == SIZE_MAX ? SIZE_MAX : span_find(path, MH_LIT("__;"), open + 2);

	if (close == SIZE_MAX)
		return MH_SKIP;

	const struct mh_span link = { path.p + open + 2, close - open - 2 };
	const struct mh_span code = span_from(path, close + 3);
	char *bytes = arena_alloc(a, code.n + 1), *p = arena_alloc(a, link.n + code.n + 1);
	if (bytes == NULL || p == NULL)
		return mh_fail(err, MH_LIMIT, "no room for a link in the message's arena");

	const size_t have = v3_bytes(code, bytes, code.n);
	size_t used = 0, n = 0;
	for (size_t i = 0; i < link.n; i++) {
		size_t run = 1;

		if (link.p[i] != '*') {
			p[n++] = link.p[i];
			continue;
		}
		if (i + 2 < link.n && link.p[i + 1] == '*' && base64(link.p[i + 2]) >= 0) {
			run = (size_t)base64(link.p[i + 2]) + 2;
			i += 2;
		}
		for (; run > 0 && used < have; run--)
			p[n++] = bytes[used++];
	}
	*ret = (struct mh_span){ p, n };
	return MH_OK;
}

static bool
host_is(struct mh_span host, const char *wanted)
{
	const struct mh_span w = span_of(wanted);

	if (wanted[w.n - 1] == '.')
		return span_istarts(host, w);
	return span_iends(host, w) && (host.n == w.n || host.p[host.n - w.n - 1] == '.');
}

/* One layer. MH_SKIP: none is known. */
static enum mh_status
unwrap_once(struct mh_span link, struct arena *a, struct mh_span *ret, struct mh_err *err)
{
	const size_t scheme = span_find(link, MH_LIT("://"), 0);
	if (scheme == SIZE_MAX || scheme > 5)
		return MH_SKIP;

	struct mh_span rest = span_from(link, scheme + 3);
	size_t n = 0;
	while (n < rest.n && strchr("/?#:", rest.p[n]) == NULL)
		n++;
	const struct mh_span host = span_head(rest, n), path = span_from(rest, n);
	const size_t mark = span_find(path, MH_LIT("?"), 0);
	const struct mh_span query = mark == SIZE_MAX ? MH_NONE : span_from(path, mark + 1);

	for (size_t i = 0; i < sizeof(wrappers) / sizeof(wrappers[0]); i++) {
		const struct wrapper *w = &wrappers[i];
		struct mh_span value = MH_NONE;
		size_t at;

		if (!host_is(host, w->host) || (w->path != NULL && !span_starts(path, span_of(w->path))))
			continue;
		switch (w->how) {
		case IN_QUERY:
		case IN_V2:
			if (!parameter(query, w->parameter, &value))
				continue;
			return decode(value, w->how == IN_V2 ? '-' : '%', a, ret, err);
		case IN_V3:
			return decode_v3(path, a, ret, err);
		case IN_SEGMENT:
			if (path.n < 4 || path.p[1] != 'L' || path.p[3] != '/')
				continue;
			value = span_from(path, 4);
			at = span_find(value, MH_LIT("/"), 0);
			return decode(span_head(value, at), '%', a, ret, err);
		case IN_LAST:
			value = path;
			for (at = span_find(value, MH_LIT("/"), 0); at != SIZE_MAX;
			     at = span_find(value, MH_LIT("/"), 0))
				value = span_from(value, at + 1);
			return value.n == 0 ? MH_SKIP : decode(value, '%', a, ret, err);
		}
	}
	return MH_SKIP;
}

enum mh_status
link_unwrap(struct mh_span link, struct arena *a, struct mh_span *ret, struct mh_err *err)
{
	enum mh_status status = MH_OK;

	for (int i = 0; i < MAX_WRAPPERS && status == MH_OK; i++)
		status = unwrap_once(link, a, &link, err);
	if (status != MH_OK && status != MH_SKIP)
		return status;
	*ret = link;
	return MH_OK;
}

/* -- the event in a link ------------------------------------------------------------------------------------------ */

/* False: the link names none. What some other wrapper encoded shows when it is decoded often enough. */
static bool
link_event(struct mh_span link, struct arena *a, struct mh_span *ret_region, struct mh_span *ret_event)
{
	if (span_ifind(link, MH_LIT("health"), 0) == SIZE_MAX || link_unwrap(link, a, &link, NULL) != MH_OK)
		return false;
	for (int i = 0; i < MAX_ENCODINGS; i++) {
		if (span_find(link, MH_LIT("arn:aws:health:"), 0) != SIZE_MAX) {
			reference_facts(link, a, ret_region, ret_event);
			return ret_event->p != NULL;
		}
		if (span_find(link, MH_LIT("%"), 0) == SIZE_MAX || decode(link, '%', a, &link, NULL) != MH_OK)
			return false;
	}
	return false;
}

/* The link that begins at text[at], without the blanks that wrapping put into it: between "<" and ">" there are none of
 * its own, and a Safe Link ends with its reserved=0. */
static bool
take_link(struct mh_span text, size_t at, struct arena *a, struct mh_span *ret, size_t *ret_end)
{
	struct mh_span rest = span_head(span_from(text, at), MAX_LINK_BYTES);
	size_t end = 0;

	while (end < rest.n && strchr(" \n<>\"", rest.p[end]) == NULL)
		end++;
	*ret_end = at + end;
	if (at > 0 && text.p[at - 1] == '<') {
		const size_t close = span_find(rest, MH_LIT(">"), 0);

		end = close == SIZE_MAX ? end : close;
	} else if (span_ifind(span_head(rest, end), MH_LIT("safelinks.protection."), 0) != SIZE_MAX) {
		const size_t close = span_find(rest, MH_LIT("reserved=0"), 0),
			     next = span_ifind(rest, MH_LIT("http"), 4);

		if (close != SIZE_MAX && (next == SIZE_MAX || close < next || next < end) && close > end)
			end = close;
	}

	char *p = arena_alloc(a, end + 1);
	size_t n = 0;
	if (p == NULL)
		return false;
	for (size_t i = 0; i < end; i++)
		if (rest.p[i] != ' ' && rest.p[i] != '\n')
			p[n++] = rest.p[i];
	*ret = (struct mh_span){ p, n };
	return true;
}

static bool
text_event(struct mh_span text, struct arena *a, struct mh_span *ret_region, struct mh_span *ret_event)
{
	size_t links = 0;

	for (size_t at = span_ifind(text, MH_LIT("http"), 0); at != SIZE_MAX && links < MAX_LINKS;
	     at = span_ifind(text, MH_LIT("http"), at)) {
		struct mh_span link;
		size_t end;

		links++;
		if (!take_link(text, at, a, &link, &end))
			return false;
		if (link_event(link, a, ret_region, ret_event))
			return true;
		at = end > at + 4 ? end : at + 4;
	}
	return false;
}

/* The links behind an HTML part's words: which view they belong to nobody knows, so only an event that all agree on. */
static void
part_event(const struct mail_part *part, struct arena *a, struct mh_span *ret_region, struct mh_span *ret_event)
{
	struct mh_span rest = part->links, line, region = MH_NONE, event = MH_NONE;
	size_t links = 0;

	while (span_line(&rest, &line) && links++ < MAX_LINKS) {
		struct mh_span one_region = MH_NONE, one_event = MH_NONE;

		if (line.n > MAX_LINK_BYTES || !link_event(line, a, &one_region, &one_event))
			continue;
		if (event.p != NULL && (!span_eq(event, one_event) || !span_eq(region, one_region)))
			return;
		region = one_region;
		event = one_event;
	}
	if (event.p != NULL) {
		*ret_region = region;
		*ret_event = event;
	}
}

void
view_reference(const struct view *v, struct arena *a, struct mh_span *ret_region, struct mh_span *ret_event)
{
	struct mh_span region = MH_NONE, event = MH_NONE;
	const bool named =
	    span_find(v->text, MH_LIT("health"), 0) != SIZE_MAX; /* no way of encoding touches a letter */

	if (named)
		reference_facts(v->text, a, &region, &event);
	if (event.p == NULL && !(named && text_event(v->text, a, &region, &event)) && v->part != NULL &&
	    v->kind != VIEW_EVENT)
		part_event(v->part, a, &region, &event);
	if (region.p != NULL)
		*ret_region = region;
	if (event.p != NULL)
		*ret_event = event;
}
