/* check_trust.c: what the trust block comes to, in words, and whether the resolver answers. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "mailhook/work/child.h"
#include "mailhook/work/commands.h"

#define PROBE_MS 10000

static void
say_list(const char *before, const struct conf_list *list, const char *behind)
{
	(void)printf("trust: %s", before);
	for (size_t i = 0; i < list->n; i++)
		(void)printf("%s%s", i == 0 ? "" : i + 1 == list->n ? " or " : ", ", list->items[i]);
	(void)printf("%s\n", behind);
}

/* Where it stands in a mail says nothing if whoever has an account here can put a mail in. */
static void
tell_of_open_intake(const struct conf *c)
{
	struct stat st;

	if (stat(c->intake_dir, &st) == 0 && (st.st_mode & S_IWOTH) != 0)
		(void)printf("trust: everybody on this machine may put mail into %s, with any Authentication-Results: "
			     "so all of them are believed\n",
		    c->intake_dir);
}

static size_t
probe(const struct work *w)
{
	char path[sizeof(w->libexec) + 32];
	const char *const argv[] = { path, "resolver", w->conf->trust.resolver, NULL };
	struct mh_err err = { 0 };
	int code = 0;

	(void)snprintf(path, sizeof(path), "%s/mailhook-verify", w->libexec);
	(void)fflush(stdout); /* the program writes there too */
	if (child_run(argv, MH_LIT(""), PROBE_MS, &code, &err) == MH_OK)
		return code != 0;
	work_log("%s", err.text);
	return 1;
}

size_t
check_trust(const struct work *w, bool online)
{
	const struct conf_trust *t = &w->conf->trust;
	char behind[160];

	(void)printf(
	    "trust: verified by a DKIM signature of a domain that the definition names; keys are asked of %s\n",
	    t->resolver == NULL ? "the resolvers in /etc/resolv.conf" : t->resolver);
	if (t->authserv_id.n == 0) {
		(void)puts("trust: no Authentication-Results is believed: no authserv_id is set");
	} else {
		(void)snprintf(behind, sizeof(behind), ", where it stands above Received number %d from the top%s",
		    t->hops, t->authres_stripped ? ", or right below it" : "");
		say_list("verified too by the Authentication-Results of ", &t->authserv_id, behind);
		tell_of_open_intake(w->conf);
	}
	if (t->arc_sealers.n == 0)
		(void)puts("trust: what a list or a group sends on is unverified: no arc_sealers are set");
	else
		say_list("relayed by an ARC chain of ", &t->arc_sealers, " alone");
	if (t->forwarders.n > 0)
		say_list("relayed by a forward that is signed by ", &t->forwarders, "");
	if (t->sns_topics.n == 0)
		(void)puts("trust: mail from Amazon SNS is unverified: no sns_topics are set");
	else
		say_list("mail from Amazon SNS counts for the topics ", &t->sns_topics, "");
	return online ? probe(w) : 0;
}
