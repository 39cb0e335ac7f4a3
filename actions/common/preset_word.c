/* preset_word.c: what a preset says besides its requests. */
#include <string.h>

#include "actions/common/preset_impl.h"

enum mh_status
preset_word(const struct preset_context *c, const char *name, struct buf *ret, struct mh_err *err)
{
	MH_AUTO(preset_vars_release) struct preset_vars v;
	enum mh_status status = preset_vars_make(c, &v, err);

	buf_clear(ret);
	for (size_t i = 0; i < v.vars.n && status == MH_OK; i++)
		if (strcmp(v.items[i].name, name) == 0 &&
		    json_object(json_object(c->preset->json, "maps"), name) != NULL)
			buf_put(ret, v.items[i].value);
	if (status != MH_OK)
		return status;
	if (!buf_ok(ret))
		return mh_fail(err, MH_LIMIT, "%s: \"%.40s\" is too long", c->preset->name, name);
	return ret->n > 0 ? MH_OK : mh_fail(err, MH_SKIP, "%s has no \"%.40s\"", c->preset->name, name);
}
