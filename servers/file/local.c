/* SPDX-License-Identifier: MIT */
#include "local.h"

#include "serve.h"
#include "wh.h"

static long copyin(struct fs_request *r, size_t off, void *dst, size_t len)
{
	return wh_copyin(((struct local_request *)(void *)r)->id, off, dst, len);
}

static long copyout(struct fs_request *r, size_t off, const void *src, size_t len)
{
	return wh_copyout(((struct local_request *)(void *)r)->id, off, src, len);
}

static long frames(struct fs_request *r, uint64_t *phys, unsigned n)
{
	return wh_bulk_frames(((struct local_request *)(void *)r)->id, phys, n);
}

void local_request(struct local_request *l, uint64_t id, const struct wh_msg *msg,
		   uint32_t bulk_len, uint32_t bulk_flags, uint32_t sender)
{
	*l = (struct local_request){.r = {.msg = *msg,
					  .bulk_len = bulk_len,
					  .bulk_flags = bulk_flags,
					  .sender = sender,
					  .copyin = copyin,
					  .copyout = copyout,
					  .frames = frames},
				    .id = id};
}

void local_answer(struct local_request *l)
{
	serve_answer(l->id, &l->r.msg);
}
