/* SPDX-License-Identifier: MIT */
/* Record locks. See records.h. A file has few: they are looked for one by one. */
#include "records.h"

#include <errno.h>
#include <stdlib.h>

struct record {
	struct list link; /* in hold.records */
	uint64_t who, start, end;
	enum fs_lock_type type;
	int32_t pid;
};

/* The foremost record of the file that `fits`; q is what it is compared with. */
typedef bool (*fits_fn)(const struct record *r, const struct fs_lock *q);

static struct record *find(const struct hold *any, const struct fs_lock *q, fits_fn fits)
{
	struct list *holds = &any->ip->holds;
	struct record *first = NULL;

	for (struct list *l = holds->next; l != holds; l = l->next) {
		struct list *records = &list_entry(l, struct hold, same_file)->records;

		for (struct list *k = records->next; k != records; k = k->next) {
			struct record *r = list_entry(k, struct record, link);

			if ((!first || r->start < first->start) && fits(r, q))
				first = r;
		}
	}
	return first;
}

static bool overlaps(const struct record *r, const struct fs_lock *q)
{
	return r->start <= q->end && q->start <= r->end;
}

static bool in_the_way(const struct record *r, const struct fs_lock *q)
{
	return r->who != q->who && overlaps(r, q) &&
	       (r->type == FS_LOCK_WRITE || q->type == FS_LOCK_WRITE);
}

static bool own_overlaps(const struct record *r, const struct fs_lock *q)
{
	return r->who == q->who && overlaps(r, q);
}

/* Its own, of the same type, and directly beside q: they become one. */
static bool own_touches(const struct record *r, const struct fs_lock *q)
{
	return r->who == q->who && r->type == q->type &&
	       ((r->end < q->start && r->end + 1 == q->start) ||
		(q->end < r->start && q->end + 1 == r->start));
}

static void drop(struct holds *t, struct record *r)
{
	list_del(&r->link);
	free(r);
	t->records--;
}

void record_test(const struct hold *h, struct fs_lock *q)
{
	const struct record *r = q->type == FS_LOCK_NONE ? NULL : find(h, q, in_the_way);

	if (!r) {
		q->type = FS_LOCK_NONE;
		return;
	}
	q->type = r->type;
	q->start = r->start;
	q->end = r->end;
	q->pid = r->pid;
}

int record_set(struct holds *t, struct hold *h, const struct fs_lock *want)
{
	struct fs_lock q = *want;
	struct record *mine = NULL, *tail = NULL, *r;

	if (q.type != FS_LOCK_NONE && find(h, &q, in_the_way)) {
		t->refused = true;
		return -EAGAIN;
	}
	/* At most two more than there are now: what is set, and what a cut in the middle leaves. All is made before
	 * anything changes. */
	if (t->records + 2 > RECORDS_MAX && q.type != FS_LOCK_NONE)
		return -ENOLCK;
	mine = malloc(sizeof(*mine));
	tail = malloc(sizeof(*tail));
	if (!mine || !tail) {
		free(mine);
		free(tail);
		return -ENOLCK;
	}
	while ((r = find(h, &q, own_overlaps))) {
		if (r->type == q.type) { /* swallowed */
			q.start = r->start < q.start ? r->start : q.start;
			q.end = r->end > q.end ? r->end : q.end;
			drop(t, r);
			continue;
		}
		t->freed = true;
		if (r->start < q.start && r->end > q.end) {
			*tail = *r;
			tail->start = q.end + 1;
			list_push(&h->records, &tail->link);
			t->records++;
			tail = NULL;
			r->end = q.start - 1;
		} else if (r->start < q.start) {
			r->end = q.start - 1;
		} else if (r->end > q.end) {
			r->start = q.end + 1;
		} else {
			drop(t, r);
		}
	}
	free(tail);
	if (q.type == FS_LOCK_NONE) {
		free(mine);
		return 0;
	}
	while ((r = find(h, &q, own_touches))) {
		q.start = r->start < q.start ? r->start : q.start;
		q.end = r->end > q.end ? r->end : q.end;
		drop(t, r);
	}
	*mine = (struct record){
		.who = q.who, .start = q.start, .end = q.end, .type = q.type, .pid = q.pid};
	list_push(&h->records, &mine->link);
	t->records++;
	return 0;
}

void records_drop(struct holds *t, struct hold *h)
{
	while (!list_empty(&h->records)) {
		t->freed = true;
		drop(t, list_entry(h->records.next, struct record, link));
	}
}
