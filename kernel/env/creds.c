/* SPDX-License-Identifier: MIT */
/* Class Ident: real, effective and saved ids, all at once. They lie in the U-block and travel. */
#include "proc.h"
#include "usercopy.h"

#define KEEP_ID 0xffffffffu

static struct unames *me(void)
{
	return &current->u->names;
}

struct ids {
	u32 real, effective, saved;
};

static bool among(u32 id, const struct ids *now)
{
	return id == KEEP_ID || id == now->real || id == now->effective || id == now->saved;
}

/* 0: *now has become *want; without privilege each id must be one that there is already. */
static i64 change(struct ids *now, const struct ids *want)
{
	if (me()->euid != 0 &&
	    (!among(want->real, now) || !among(want->effective, now) || !among(want->saved, now)))
		return -EPERM;
	now->real = want->real == KEEP_ID ? now->real : want->real;
	now->effective = want->effective == KEEP_ID ? now->effective : want->effective;
	now->saved = want->saved == KEEP_ID ? now->saved : want->saved;
	return 0;
}

static struct ids uids(void)
{
	return (struct ids){me()->uid, me()->euid, me()->suid};
}

static struct ids gids(void)
{
	return (struct ids){me()->gid, me()->egid, me()->sgid};
}

static i64 set_uids(const struct ids *want)
{
	struct ids now = uids();
	i64 r = change(&now, want);
	me()->uid = now.real;
	me()->euid = now.effective;
	me()->suid = now.saved;
	return r;
}

static i64 set_gids(const struct ids *want)
{
	struct ids now = gids();
	i64 r = change(&now, want);
	me()->gid = now.real;
	me()->egid = now.effective;
	me()->sgid = now.saved;
	return r;
}

static i64 tell(const struct ids *now, const u64 *arg)
{
	if (copy_to_user(arg[0], &now->real, sizeof now->real) ||
	    copy_to_user(arg[1], &now->effective, sizeof now->effective) ||
	    copy_to_user(arg[2], &now->saved, sizeof now->saved))
		return -EFAULT;
	return 0;
}

/* setreuid, setregid: the real id may not become the saved one; the saved one follows if the real one is set, or the
 * effective one becomes something else than the real one. */
static i64 real_effective(u32 real, u32 effective, const struct ids *now, struct ids *want)
{
	bool root = me()->euid == 0;
	*want = (struct ids){real, effective, KEEP_ID};
	if (!root && real != KEEP_ID && real != now->real && real != now->effective)
		return -EPERM;
	if (!root && !among(effective, now))
		return -EPERM;
	if (real != KEEP_ID || (effective != KEEP_ID && effective != now->real))
		want->saved = effective == KEEP_ID ? now->effective : effective;
	return 0;
}

i64 sys_setreuid(const u64 *arg)
{
	struct ids now = uids(), want;
	i64 r = real_effective((u32)arg[0], (u32)arg[1], &now, &want);
	return r ? r : set_uids(&want);
}

i64 sys_setregid(const u64 *arg)
{
	struct ids now = gids(), want;
	i64 r = real_effective((u32)arg[0], (u32)arg[1], &now, &want);
	return r ? r : set_gids(&want);
}

i64 sys_setresuid(const u64 *arg)
{
	return set_uids(&(struct ids){(u32)arg[0], (u32)arg[1], (u32)arg[2]});
}

i64 sys_setresgid(const u64 *arg)
{
	return set_gids(&(struct ids){(u32)arg[0], (u32)arg[1], (u32)arg[2]});
}

i64 sys_getresuid(const u64 *arg)
{
	struct ids now = uids();
	return tell(&now, arg);
}

i64 sys_getresgid(const u64 *arg)
{
	struct ids now = gids();
	return tell(&now, arg);
}
