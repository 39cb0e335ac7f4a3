/* node.c: see node.h. */
#include "mailhook/work/node.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

/* A host's name as a node's: what stands in neither a file's name nor a list of owners becomes a '-'. */
static void
host_name(char dst[WORK_NODE_BYTES])
{
	if (gethostname(dst, WORK_NODE_BYTES) != 0 || dst[0] == '\0')
		(void)snprintf(dst, WORK_NODE_BYTES, "localhost");
	dst[WORK_NODE_BYTES - 1] = '\0';
	for (char *p = dst; *p != '\0'; p++)
		if (!((*p >= '0' && *p <= '9') || (*p >= 'A' && *p <= 'Z') || (*p >= 'a' && *p <= 'z') || *p == '_' ||
			*p == '-' || (*p == '.' && p != dst)))
			*p = '-';
}

static enum mh_status
random_hex(char *dst, size_t digits, struct mh_err *err)
{
	static const char hex[] = "0123456789abcdef";
	unsigned char bytes[WORK_LIFE_BYTES];

	if (getrandom(bytes, digits / 2, 0) != (ssize_t)(digits / 2))
		return mh_fail(err, MH_RETRY, "no random bytes for the name of a process");
	for (size_t i = 0; i < digits / 2; i++) {
		dst[2 * i] = hex[bytes[i] >> 4];
		dst[2 * i + 1] = hex[bytes[i] & 15];
	}
	dst[digits] = '\0';
	return MH_OK;
}

enum mh_status
node_name(struct work *w, struct mh_err *err)
{
	const enum mh_status status = random_hex(w->life, WORK_LIFE_BYTES - 1, err);

	if (w->conf->node == NULL)
		host_name(w->node);
	else
		(void)snprintf(w->node, sizeof(w->node), "%s", w->conf->node);
	(void)snprintf(w->owner, sizeof(w->owner), "%s/%s", w->node, w->life);
	return status;
}
