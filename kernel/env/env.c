/* SPDX-License-Identifier: MIT */
/*
 * The class table and the loops over it. The packed form of the views is one record per class, in
 * table order: {u32 id, u32 version, u32 bytes} and the bytes. A class that packs nothing has an
 * empty record, so that an unknown, a missing and a newer class are all noticed.
 */
#include "env.h"
#include "proc.h"

bool views_on HOT_DATA = true;

const struct env_class *const env_classes[CLASS_COUNT] = {
#define CLASS(name, NAME) [CLASS_##NAME] = &env_##name,
#include "classes.def"
#undef CLASS
};

int env_init(struct proc *p)
{
	for (u32 i = 0; i < CLASS_COUNT; i++) {
		int r = env_classes[i]->init ? env_classes[i]->init(p) : 0;
		if (r)
			return r;
	}
	return 0;
}

int env_fork(struct proc *child, const struct proc *parent)
{
	memcpy(child->u->vrec, parent->u->vrec, sizeof child->u->vrec);
	check_fork(child, parent);
	for (u32 i = 0; i < CLASS_COUNT; i++) {
		int r = env_classes[i]->fork ? env_classes[i]->fork(child, parent) : 0;
		if (r)
			return r;
	}
	return 0;
}

void env_exec(struct proc *p)
{
	for (u32 i = 0; i < CLASS_COUNT; i++)
		if (env_classes[i]->exec)
			env_classes[i]->exec(p);
}

void env_release(struct proc *p, bool away)
{
	for (u32 i = CLASS_COUNT; i-- > 0;)
		if (env_classes[i]->release)
			env_classes[i]->release(p, away);
}

int env_pack(struct proc *p, struct blob *b)
{
	for (u32 i = 0; i < CLASS_COUNT; i++) {
		const struct env_class *c = env_classes[i];
		blob_put_u32(b, i);
		blob_put_u32(b, c->version);
		size_t at = b->pos;
		blob_put_u32(b, 0);
		int r = c->pack ? c->pack(p, b) : 0;
		if (b->bad)
			return -ERANGE;
		if (r)
			return r;
		u32 bytes = (u32)(b->pos - at - sizeof bytes);
		memcpy(b->buf + at, &bytes, sizeof bytes);
	}
	return b->bad ? -ERANGE : 0;
}

/* A class gets no more and leaves no less than its own bytes. */
static int unpack_class(struct proc *p, const struct env_class *c, void *bytes, size_t len)
{
	struct blob part = BLOB(bytes, len);
	int r = c->unpack ? c->unpack(p, &part) : 0;

	if (r == 0 && (part.bad || part.pos != len))
		r = -EINVAL;
	if (r)
		klog("image of pid %d: the record of class %s is not valid", p->pid, c->name);
	return r;
}

int env_unpack(struct proc *p, struct blob *b)
{
	for (u32 i = 0; i < CLASS_COUNT; i++) {
		const struct env_class *c = env_classes[i];
		u32 id = blob_get_u32(b), version = blob_get_u32(b), len = blob_get_u32(b);
		if (b->bad || id != i || version != c->version || len > b->cap - b->pos) {
			klog("image of pid %d: no record of class %s, version %u", p->pid, c->name,
			     c->version);
			return -EINVAL;
		}
		int r = unpack_class(p, c, b->buf + b->pos, len);
		if (r)
			return r;
		b->pos += len;
	}
	return b->pos == b->cap ? 0 : -EINVAL;
}

/* A class without a rule of its own still may not lose what its table row calls `local`. */
static int default_verdict(struct proc *p, u32 cls, struct text *why)
{
	for (u32 row = 0; row < V_ROWS; row++) {
		const struct syscall_row *r = &syscall_rows[row];
		if (r->cls != cls || r->rule != RULE_local || !p->u->vrec[row].marker)
			continue;
		text_printf(why,
			    "class %s: %s returned %ld: rule local: it cannot be kept elsewhere",
			    env_classes[cls]->name, r->name, p->u->vrec[row].dup);
		return -EPERM;
	}
	return 0;
}

int env_verdict(struct proc *p, u32 node, struct text *why)
{
	for (u32 i = 0; i < CLASS_COUNT; i++) {
		const struct env_class *c = env_classes[i];
		int r = c->verdict ? c->verdict(p, node, why) : default_verdict(p, i, why);
		if (r)
			return r;
	}
	return 0;
}

void env_bind(struct proc *p)
{
	for (u32 i = 0; i < CLASS_COUNT; i++)
		if (env_classes[i]->bind)
			env_classes[i]->bind(p);
}

void env_view(const struct proc *p, struct text *out)
{
	for (u32 i = 0; i < CLASS_COUNT; i++) {
		text_printf(out, "class %s\n", env_classes[i]->name);
		if (env_classes[i]->view)
			env_classes[i]->view(p, out);
	}
}
