/* conf_names.c: what only the whole configuration can show to be wrong: names of actions, their order and cycles. */
#include <string.h>

#include "mailhook/conf_parts.h"

#define NOWHERE SIZE_MAX

static size_t
action_index(const struct conf *c, const char *name)
{
	const struct conf_action *x = conf_action(c, name);

	return x == NULL ? NOWHERE : (size_t)(x - c->actions);
}

static size_t
place_in(const struct conf_list *list, const char *name)
{
	for (size_t i = 0; i < list->n; i++)
		if (strcmp(list->items[i], name) == 0)
			return i;
	return NOWHERE;
}

static bool
has_rule(const struct conf *c, const char *name)
{
	for (size_t i = 0; i < c->n_rules; i++)
		if (strcmp(c->rules[i].name, name) == 0)
			return true;
	return false;
}

/* Every name in "do" and "after" is an action's, every one in "rules" a rule's. */
static void
check_names(const struct conf *c, struct conf_source *s)
{
	for (size_t i = 0; i < s->n; i++) {
		const struct conf_block *b = &s->blocks[i];

		for (size_t k = 0; k < b->n; k++) {
			const struct conf_value *v = &b->values[k];
			const bool action = v->key == KEY_DO || v->key == KEY_AFTER || v->key == KEY_ESCALATE_DO;
			if (v->right && v->key == KEY_ESCALATE_RULES && !has_rule(c, v->text))
				conf_wrong(s, v->file, v->line, "%s \"%s\" names an unknown rule \"%s\"",
				    conf_kind_names[b->kind], b->title, v->text);
			if (v->right && action && action_index(c, v->text) == NOWHERE)
				conf_wrong(s, v->file, v->line, "%s \"%s\" names an unknown action \"%s\"",
				    conf_kind_names[b->kind], b->title, v->text);
		}
	}
}

/* A rule starts its actions in the order of "do": one that must wait for a later one would never start. */
static void
check_order(const struct conf *c, struct conf_source *s)
{
	for (size_t i = 0; i < s->n; i++) {
		const struct conf_block *b = &s->blocks[i];
		struct conf_list done = { 0 };

		if (b->kind != CONF_RULE)
			continue;
		for (size_t k = 0; k < c->n_rules; k++)
			if (c->rules[k].name == b->title)
				done = c->rules[k].actions;
		for (size_t k = 0; k < b->n; k++) {
			const struct conf_value *v = &b->values[k];
			const size_t at = v->right && v->key == KEY_DO ? action_index(c, v->text) : NOWHERE;
			if (at == NOWHERE)
				continue;
			const struct conf_list *after = &c->actions[at].after;
			for (size_t j = 0; j < after->n; j++) {
				const size_t other = place_in(&done, after->items[j]);
				if (other != NOWHERE && other > place_in(&done, v->text))
					conf_wrong(s, v->file, v->line,
					    "rule \"%s\" does \"%s\" before \"%s\", after which it must come", b->title,
					    v->text, after->items[j]);
			}
		}
	}
}

/* Takes away, again and again, the actions that wait for nothing left: what stays waits for itself. */
static bool
check_cycles(struct conf *c, struct conf_source *s)
{
	bool *gone = arena_array(&c->arena, c->n_actions, sizeof(*gone));
	bool moved = true;

	if (gone == NULL)
		return false;
	while (moved) {
		moved = false;
		for (size_t i = 0; i < c->n_actions; i++) {
			bool waits = false;

			for (size_t k = 0; k < c->actions[i].after.n; k++) {
				const size_t at = action_index(c, c->actions[i].after.items[k]);
				waits = waits || (at != NOWHERE && !gone[at]);
			}
			moved = moved || (!gone[i] && !waits);
			gone[i] = gone[i] || !waits;
		}
	}
	for (size_t i = 0; i < c->n_actions; i++) {
		if (!gone[i]) {
			conf_wrong(s, c->actions[i].file, c->actions[i].line,
			    "action \"%s\" comes after itself by way of \"after\"", c->actions[i].name);
			break; /* the others of the same ring say the same */
		}
	}
	return true;
}

bool
conf_check_names(struct conf *c, struct conf_source *s)
{
	check_names(c, s);
	check_order(c, s);
	return check_cycles(c, s);
}
