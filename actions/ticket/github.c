/* github.c: issues of GitHub and GitHub Enterprise Server, REST 2022-11-28.
 *
 * Its search lags and has made many a bot open the same issue twice, so issues are listed: by label, and, because labels
 * are dropped without a word where the token may not push, by creator too. It says "slow down" by 403 as well as by
 * 429. Sources: GitHub REST "Issues", "Rate limits for the REST API". */
#include <string.h>
#include <strings.h>

#include "actions/ticket/github_parts.h"

#define API "https://api.github.com"
#define SECONDARY_S 60 /* "wait for at least one minute" */
#define LAG_S 30

struct issue { /* of an id "OWNER/NAME/NUMBER" */
	const char *repository, *number;
};

static const char *const kept[] = { "x-ratelimit-remaining", "x-ratelimit-reset",
	"github-authentication-token-expiration", NULL };

/* -- names --------------------------------------------------------------------------------------------------------- */

static bool
is_part(struct mh_span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.", s.p[i]) == NULL)
			return false;
	return s.n > 0 && s.n <= 100 && !span_eq(s, MH_LIT(".")) && !span_eq(s, MH_LIT(".."));
}

/* "OWNER/NAME", of signs that may stand in a path as they are. */
bool
github_is_repository(struct mh_span s)
{
	const size_t slash = span_find(s, MH_LIT("/"), 0);

	return slash != SIZE_MAX && is_part(span_head(s, slash)) && is_part(span_from(s, slash + 1));
}

static enum mh_status
read_id(struct github *g, struct mh_span id, struct issue *ret, struct mh_err *err)
{
	struct mh_span repository, number;
	size_t slash = id.n;

	while (slash > 0 && id.p[slash - 1] != '/')
		slash--;
	number = span_from(id, slash);
	repository = span_head(id, slash == 0 ? 0 : slash - 1);
	for (size_t i = 0; i < number.n; i++)
		if (number.p[i] < '0' || number.p[i] > '9')
			number.n = 0;
	if (number.n == 0 || number.n > 12 || !github_is_repository(repository))
		return mh_fail(err, MH_SKIP, "not an issue of GitHub");
	enum mh_status status = arena_copy(g->rest.desk->arena, repository, &repository, err);
	if (status == MH_OK)
		status = arena_copy(g->rest.desk->arena, number, &number, err);
	if (status == MH_OK)
		*ret = (struct issue){ repository.p, number.p };
	return status;
}

/* -- asking -------------------------------------------------------------------------------------------------------- */

static int64_t
number_of(struct mh_span s)
{
	int64_t n = 0;

	for (size_t i = 0; i < s.n && i < 18; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return -1;
		n = n * 10 + (s.p[i] - '0');
	}
	return s.n == 0 ? -1 : n;
}

/* A rate limit comes as 403 or 429: with Retry-After, with nothing remaining until a time, or with words alone. */
enum mh_status
github_judge(const struct http_answer *a, int64_t now, int64_t *ret_retry_after_s)
{
	const int64_t reset = number_of(http_kept(a, "x-ratelimit-reset"));
	const bool spent = span_eq(http_kept(a, "x-ratelimit-remaining"), MH_LIT("0"));
	const bool words = span_ifind(buf_span(&a->body), MH_LIT("rate limit"), 0) != SIZE_MAX ||
			   span_ifind(buf_span(&a->body), MH_LIT("abuse detection"), 0) != SIZE_MAX;

	if (a->status != 403 && a->status != 429)
		return http_class(a->status);
	if (a->status == 403 && a->retry_after_s < 0 && !spent && !words)
		return MH_BAD;
	if (a->retry_after_s < 0)
		*ret_retry_after_s = spent && reset > now ? reset - now : SECONDARY_S;
	return MH_RETRY;
}

/* "2026-12-01 00:00:00 UTC" or "... +0100". False: another form. */
static bool
read_end(struct mh_span s, int64_t *ret)
{
	char text[MH_TIME_TEXT] = "";
	const struct mh_span zone = span_trim(span_from(s, 19));
	int64_t at;

	if (s.n < 19 || s.p[10] != ' ')
		return false;
	memcpy(text, s.p, 19);
	text[10] = 'T';
	text[19] = 'Z';
	if (time_read(span_of(text), &at, NULL) != MH_OK)
		return false;
	if (zone.n == 5 && (zone.p[0] == '+' || zone.p[0] == '-')) {
		const int64_t hours = number_of(span_head(span_from(zone, 1), 2)),
			      minutes = number_of(span_from(zone, 3));

		if (hours < 0 || minutes < 0)
			return false;
		at -= (zone.p[0] == '-' ? -1 : 1) * (hours * 3600 + minutes * 60);
	} else if (!span_eq(zone, MH_LIT("UTC"))) {
		return false;
	}
	*ret = at;
	return true;
}

enum mh_status
github_call(struct github *g, const struct rest_call *c, struct rest_answer *ret, struct mh_err *err)
{
	const enum mh_status status = rest_call(&g->rest, c, ret, err);
	int64_t end;

	if (!g->told_end && read_end(http_kept(&ret->http, "github-authentication-token-expiration"), &end)) {
		credential_ends(g->rest.desk->protocol, "GitHub token", end);
		g->told_end = true;
	}
	return status;
}

enum mh_status
github_path(struct github *g, const char *repository, const char *tail, const char **ret, struct mh_err *err)
{
	struct mh_span path;
	const enum mh_status status = arena_printf(g->rest.desk->arena, &path, err, "/repos/%s%s", repository, tail);

	if (status == MH_OK)
		*ret = path.p;
	return status;
}

/* "/repos/OWNER/NAME/issues/NUMBER" and tail. */
enum mh_status
github_issue_path(struct github *g, const char *id, const char *tail, const char **ret, struct mh_err *err)
{
	struct issue i;
	struct mh_span path;
	enum mh_status status = read_id(g, span_of(id), &i, err);

	if (status == MH_OK)
		status = arena_printf(
		    g->rest.desk->arena, &path, err, "/repos/%s/issues/%s%s", i.repository, i.number, tail);
	if (status == MH_OK)
		*ret = path.p;
	return status == MH_SKIP ? MH_BAD : status;
}

/* -- life ---------------------------------------------------------------------------------------------------------- */

static enum mh_status
read_site(struct github *g, struct mh_err *err)
{
	const char *site = cfg_getstr(g->rest.desk->conf, "site");
	struct mh_span where = span_of(site[0] != '\0' ? site : g->rest.base);

	if (span_eq(where, MH_LIT(API)))
		where = MH_LIT("https://github.com");
	else if (site[0] == '\0' && span_iends(where, MH_LIT("/api/v3")))
		where.n -= 7;
	while (where.n > 0 && where.p[where.n - 1] == '/')
		where.n--;
	const enum mh_status status = arena_copy(g->rest.desk->arena, where, &where, err);
	g->site = where.p;
	return status;
}

static enum mh_status
github_start(struct ticket_desk *d, void **ret_state, struct mh_err *err)
{
	static const struct rest_auth auth = { "Authorization", "Bearer ", false };
	struct github *g = arena_alloc(d->arena, sizeof(*g));
	const char *creator = cfg_getstr(d->conf, "creator");

	if (g == NULL)
		return mh_fail(err, MH_RETRY, "no memory for GitHub");
	*ret_state = g;
	enum mh_status status = rest_start(&g->rest, d, API, &auth, err);
	if (status != MH_OK)
		return status;
	g->rest.keep = kept;
	g->rest.judge = github_judge;
	g->login = creator[0] == '\0' ? NULL : creator;
	if (d->queue == NULL && (d->request->verb != VERB_CHECK || d->n_queues == 0))
		return mh_fail(err, MH_BAD, "no queue is set: it is the repository, \"OWNER/NAME\"");
	if (d->queue != NULL && !github_is_repository(span_of(d->queue)))
		return mh_fail(err, MH_BAD, "queue must be the repository, \"OWNER/NAME\"");
	status = read_site(g, err);
	return status == MH_OK ? rest_add_header(&g->rest, "X-GitHub-Api-Version", MH_LIT("2022-11-28"), err) : status;
}

static void
github_stop(void *state)
{
	struct github *g = state;

	rest_stop(&g->rest);
}

/* Whose token it is. An app's token is nobody's: 403, and the configuration may name the creator. */
enum mh_status
github_read_login(struct github *g, struct mh_err *err)
{
	MH_AUTO(rest_answer_release) struct rest_answer a = { 0 };
	const struct rest_call c = { .method = "GET", .path = "/user", .doing = "read the user", .statuses = true };
	struct mh_span login;

	if (g->login != NULL)
		return MH_OK;
	enum mh_status status = github_call(g, &c, &a, err);
	if (status != MH_OK)
		return status;
	if (a.status == 401 || http_class(a.status) == MH_RETRY)
		return rest_refused(&g->rest, &c, &a, http_class(a.status), err);
	if (json_string(a.json, "login") == NULL)
		return MH_OK;
	status = arena_copy(g->rest.desk->arena, span_of(json_string(a.json, "login")), &login, err);
	if (status == MH_OK)
		g->login = login.p;
	return status;
}

/* -- finding ------------------------------------------------------------------------------------------------------- */

static bool
is_ours(const struct github *g, const cJSON *issue, const char *key)
{
	const char *login = cJSON_GetStringValue(rest_at(issue, "user.login"));
	const bool labelled =
	    forge_has_label(json_array(issue, "labels"), cfg_getstr(g->rest.desk->conf, "find_label"));

	/* Anybody may write the key into an issue of a public repository, but not label it, and not be us. */
	return forge_carries(json_string(issue, "body"), key) && json_object(issue, "pull_request") == NULL &&
	       (labelled || (g->login != NULL && login != NULL && strcasecmp(login, g->login) == 0));
}

enum mh_status
github_ref_of(struct github *g, const char *repository, const cJSON *issue, const char *key, struct ticket_ref *ret,
    struct mh_err *err)
{
	const struct ticket_desk *d = g->rest.desk;
	const char *number = rest_id(&g->rest, issue, "number"), *state = json_string(issue, "state");
	struct mh_span id, url;

	if (number == NULL || state == NULL)
		return mh_fail(err, MH_RETRY, "GitHub's issue has no number or no state");
	enum mh_status status = arena_printf(d->arena, &id, err, "%s/%s", repository, number);
	if (status == MH_OK)
		status = arena_printf(d->arena, &url, err, "%s/%s/issues/%s", g->site, repository, number);
	if (status != MH_OK)
		return status;
	*ret = (struct ticket_ref){ .id = id.p,
		.url = url.p,
		.open = strcmp(state, "open") == 0,
		.of_job = forge_is_of_job(json_string(issue, "body"), key, d->request->job_key),
		.priority = forge_priority(d, json_array(issue, "labels")) };
	return MH_OK;
}

static enum mh_status
listed(const struct forge_list *l, const cJSON *issue, const char *key, struct ticket_ref *ret, struct mh_err *err)
{
	struct github *g = l->state;

	return is_ours(g, issue, key) ? github_ref_of(g, g->rest.desk->queue, issue, key, ret, err) : MH_SKIP;
}

/* l->what: "labels=..." or "creator=...". */
static enum mh_status
issues_page(const struct forge_list *l, int number, struct rest_answer *ret, struct mh_err *err)
{
	struct github *g = l->state;
	const struct ticket_desk *d = g->rest.desk;
	struct rest_call c = { .method = "GET", .doing = l->doing };
	struct mh_span tail;
	enum mh_status status = arena_printf(d->arena, &tail, err,
	    "/issues?%s&state=all&sort=created&direction=desc&per_page=%d&page=%d", l->what, FORGE_PAGE, number);

	if (status == MH_OK)
		status = github_path(g, d->queue, tail.p, &c.path, err);
	return status == MH_OK ? github_call(g, &c, ret, err) : status;
}

static enum mh_status
find_by(
    struct github *g, const char *name, const char *value, const char *key, struct ticket_ref *ret, struct mh_err *err)
{
	MH_AUTO(buf_release) struct buf filter;

	buf_init(&filter, 1024);
	http_form_put(&filter, name, span_of(value));
	if (!buf_ok(&filter))
		return mh_fail(err, MH_LIMIT, "%s is too long", name);
	const struct forge_list list = {
		.state = g, .what = filter.p, .doing = "list the issues", .page = issues_page, .ref_of = listed
	};
	return forge_find(&list, key, g->rest.desk->request->now, ret, err);
}

static enum mh_status
github_find(void *state, const char *key, struct ticket_ref *ret, struct mh_err *err)
{
	struct github *g = state;
	enum mh_status status = find_by(g, "labels", cfg_getstr(g->rest.desk->conf, "find_label"), key, ret, err);

	if (status != MH_SKIP)
		return status;
	status = github_read_login(g, err);
	if (status != MH_OK)
		return status;
	return g->login != NULL ? find_by(g, "creator", g->login, key, ret, err)
				: mh_fail(err, MH_SKIP, "no issue carries the key");
}

/* MH_SKIP: it is gone. */
enum mh_status
github_get_issue(struct github *g, const char *id, struct rest_answer *ret, struct mh_err *err)
{
	struct rest_call c = { .method = "GET", .doing = "read the issue", .statuses = true };
	enum mh_status status = github_issue_path(g, id, "", &c.path, err);

	if (status == MH_OK)
		status = github_call(g, &c, ret, err);
	if (status != MH_OK)
		return status;
	if (ret->status == 404 || ret->status == 410 || ret->status == 301)
		return mh_fail(err, MH_SKIP, "there is no issue %.100s, or it may not be seen", id);
	status = github_judge(&ret->http, g->rest.desk->request->now, &g->rest.desk->retry_after_s);
	if (status != MH_OK)
		return rest_refused(&g->rest, &c, ret, status, err);
	return json_string(ret->json, "state") != NULL
		   ? MH_OK
		   : mh_fail(err, MH_RETRY, "cannot read the issue: the answer holds none");
}

static enum mh_status
github_get(void *state, const char *id, const char *key, struct ticket_ref *ret, struct mh_err *err)
{
	struct github *g = state;
	MH_AUTO(rest_answer_release) struct rest_answer a = { 0 };
	struct issue i;
	enum mh_status status = github_get_issue(g, id, &a, err);

	if (status != MH_OK)
		return status;
	if (!forge_carries(json_string(a.json, "body"), key))
		return mh_fail(err, MH_SKIP, "the issue does not carry the key");
	status = read_id(g, span_of(id), &i, err);
	return status == MH_OK ? github_ref_of(g, i.repository, a.json, key, ret, err) : status;
}

static enum mh_status
github_id_of_url(void *state, const char *url, const char **ret_id, struct mh_err *err)
{
	struct github *g = state;
	const struct mh_span site = span_of(g->site), rest = span_from(span_of(url), site.n + 1),
			     middle = MH_LIT("/issues/");
	const size_t at = span_find(rest, middle, 0);
	struct mh_span id;
	struct issue i;

	if (!span_starts(span_of(url), site) || at == SIZE_MAX || span_of(url).p[site.n] != '/')
		return mh_fail(err, MH_SKIP, "not an issue of this GitHub");
	enum mh_status status = arena_printf(g->rest.desk->arena, &id, err, "%.*s/%.*s", (int)at, rest.p,
	    (int)strcspn(rest.p + at + middle.n, "/?&#"), rest.p + at + middle.n);
	if (status == MH_OK)
		status = read_id(g, id, &i, err);
	if (status == MH_OK)
		*ret_id = id.p;
	return status;
}

static int
check_reason(cfg_t *cfg, cfg_opt_t *opt)
{
	const char *word = cfg_opt_getstr(opt);

	if (word == NULL || (strcmp(word, "completed") != 0 && strcmp(word, "not_planned") != 0))
		cfg_error(cfg, "close_reason must be completed or not_planned");
	return 0;
}

static const cfg_opt_t options[] = {
	REST_OPTIONS,
	CFG_STR("site", "", CFGF_NONE),
	CFG_STR("creator", "", CFGF_NONE),
	CFG_STR("find_label", "mailhook", CFGF_NONE),
	CFG_STR("close_reason", "completed", CFGF_NONE),
	CFG_END(),
};

static const struct own_conf_check checks[] = { REST_CHECKS, { "site", rest_check_url },
	{ "close_reason", check_reason }, { NULL, NULL } };

const struct ticket_driver ticket_github = {
	.name = "github",
	.help = "GitHub Issues",
	.options = options,
	.checks = checks,
	.priorities = { "priority: normal", "priority: high", "priority: urgent" },
	.format = FORMAT_MARKDOWN,
	.lag_s = LAG_S,
	.start = github_start,
	.stop = github_stop,
	.check = github_check,
	.id_of_url = github_id_of_url,
	.get = github_get,
	.find = github_find,
	.open = github_open,
	.commented = github_commented,
	.comment = github_comment,
	.change = github_change,
	.close = github_close,
	.read = github_read,
};
