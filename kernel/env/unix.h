/* SPDX-License-Identifier: MIT */
/*
 * Family AF_UNIX, between its files: names and connections (unix.c, unixname.c), messages (unixdata.c), what travels with them
 * (unixrights.c). A socket has one queue of what has come for it: a ring of bytes in page frames, and a list that says
 * which bytes are whose. It all lies in this node's kernel.
 */
#ifndef KERNEL_ENV_UNIX_H
#define KERNEL_ENV_UNIX_H
#include "env/socket.h"

#define UNIX_PAGES    52u /* SOCK_BUF_MAX bytes */
#define UNIX_RING     (UNIX_PAGES * PAGE_SIZE)
#define UNIX_MSGS_MAX 256u /* that wait in one socket */
#define UNIX_PATH_MAX 108u
#define UNIX_FDS_MAX  253u /* with one message, as on Linux */
#define UNIX_FDS_USER 512u /* of one user other than root on their way */

enum unix_down { DOWN_READ = 1, DOWN_WRITE = 2, DOWN_BOTH = 3 };

struct unix_cred { /* struct ucred */
	i32 pid;
	u32 uid, gid;
};

/* An address; shared by a listener and its connections, and by messages under way. */
struct unix_name {
	u32 refs;
	u32 len; /* of addr */
	u8 addr[2 + UNIX_PATH_MAX + 1];
	/* The file, unless the name is abstract (ino 0). */
	u32 tree, gen;
	u64 ino;
};

/* Descriptions on their way with a message, each a reference. */
struct unix_fds {
	u32 n, uid; /* of the sender */
	struct ofile *f[];
};

/* What is sent beside the bytes. */
struct unix_extra {
	struct unix_cred cred;
	struct unix_fds *fds; /* NULL: none */
};

/* A message; of a stream, successive bytes of one sender. */
struct unix_msg {
	struct list link;
	u32 len;
	struct unix_extra extra;
	struct unix_name *from; /* a reference; datagrams only */
};

struct unix_sock {
	struct socket s;
	u32 refs;   /* the description's, the peers' that point here, and those of calls */
	bool dead;  /* the description has gone */
	u8 down;    /* enum unix_down: by either side */
	bool bound; /* `name` leads here */
	struct unix_name *name;
	struct unix_sock *
		peer; /* a reference. Streams: mutual, until one side closes; else where datagrams go */
	struct unix_cred own, others; /* as SO_PEERCRED shows them to the peer, and here */
	struct list link;	      /* all of them, or those to be released (unix.c) */

	/* queue */
	u64 frame[UNIX_PAGES]; /* present where there are bytes, and where the next go */
	u32 head, count, nmsgs;
	bool reading, writing; /* a copy is under way and may have blocked */
	bool wanted;	       /* somebody found it full */
	struct list msgs;
	struct unix_msg *spare;
	struct waitq space; /* who wants to send here, or to connect */

	/* listening: connections that wait to be accepted */
	struct list pending, pending_link;
	u32 npending, backlog;
	bool embryo; /* in such a list */

	/* among the descriptions on their way (unixrights.c) */
	struct ofile *file;
	u32 inflight;
	bool reached;
	struct list reach_link;
};

static inline struct unix_sock *unix_of(struct socket *s)
{
	return container_of(s, struct unix_sock, s);
}
static inline bool unix_is_dgram(const struct unix_sock *u)
{
	return u->s.type == SOCK_DGRAM;
}

/* Of a list that is not empty: its first, taken out. */
static inline struct list *list_take(struct list *head)
{
	struct list *first = head->next;
	list_remove(first);
	return first;
}

extern struct list unix_all;
struct unix_sock *unix_ref(struct unix_sock *u);
void unix_put(struct unix_sock *u); /* NULL is nothing */
void unix_wake(struct unix_sock *u);

/* ---- names (unixname.c) ---- */
void name_put(struct unix_name *n); /* NULL is nothing */
int unix_bind(struct socket *s, const struct sockaddr_buf *a);
/* The socket that an address leads to, with a reference. May block. -ECONNREFUSED, -EPROTOTYPE, -EINVAL, those of path names. */
int unix_lookup(const struct sockaddr_buf *a, u16 type, struct unix_sock **out);
void unix_show_name(const struct unix_name *n, struct sockaddr_buf *a);

/* ---- messages (unixdata.c) ---- */
i64 unix_send(struct socket *s, struct sock_io *io);
i64 unix_recv(struct socket *s, struct sock_io *io);
/* Would a send have to wait? Remembers that somebody asked. */
bool unix_is_full(struct unix_sock *from, struct unix_sock *to);
/* Forget everything that has come. Does not block. */
void unix_purge(struct unix_sock *u);

/* ---- descriptors and identities (unixrights.c) ---- */
/* What a user's control messages say. On an error nothing is kept. */
int extra_from_user(const struct sock_io *io, struct unix_extra *x);
void extra_drop(struct unix_extra *x);
/* Into the receiver's control buffer. keep: it was only looked at. 0 or -EFAULT. */
int extra_to_user(struct sock_io *io, struct unix_extra *x, bool creds, bool keep);
/* A message with descriptions is in a queue now, or was taken out of it. */
void rights_begin(const struct unix_extra *x);
void rights_end(const struct unix_extra *x);
/* Sockets that only each other's queues still hold: their queues are emptied. Does not block. Returns how many. */
u32 rights_collect(void);
struct unix_cred unix_me(bool effective);
#endif
