/* SPDX-License-Identifier: MIT */
/*
 * Class Socket: what is common to the families of sockets, and what a family supplies. The system calls (sys_net.c) look at
 * users' arguments, the options of SOL_SOCKET and time limits are kept in env/socket.c; everything else is the family's.
 * Where a family blocks it returns -ERESTARTSYS when a signal or freeze came first and nothing was done yet; use
 * socket_wait(), which knows the time limit.
 */
#ifndef KERNEL_ENV_SOCKET_H
#define KERNEL_ENV_SOCKET_H
#include "file.h"
#include "linux_file.h"
#include "linux_socket.h"

struct socket;
struct pollreq;

/* An address as the user gave it, or will get it: struct sockaddr_... */
struct sockaddr_buf {
	u32 len; /* 0: none */
	union {
		u16 family;
		u8 bytes[SOCK_ADDR_MAX];
	};
};

/* One message, or a piece of a stream, between a socket and the user's buffers. */
struct sock_io {
	const struct linux_iovec *v; /* kernel copy of the vector, user's buffers */
	u32 n;
	u64 len;   /* of all buffers together, at most RW_MAX */
	u32 flags; /* MSG_*; MSG_DONTWAIT is also set if the description is O_NONBLOCK */
	struct sockaddr_buf addr; /* send: to (len 0: not given); receive: from (filled in) */
	/* Control messages: a user buffer and its size. Receive: what was put there. Use sock_put_cmsg(). */
	u64 control, control_len, control_used;
	u32 out_flags;	/* receive: MSG_TRUNC, MSG_CTRUNC, MSG_EOR */
	bool resumable; /* sendto, write: a freeze is not a reason for less than all */
};

/* All run in the calling process, may block unless said, and return -errno. NULL: EOPNOTSUPP. */
struct sock_family {
	u16 family;
	const char *label; /* "inet" */
	size_t size;	   /* of its socket, which begins with struct socket */
	/* s is zeroed but for the common part (type and protocol as asked). 0 or -errno (then s is freed without release). */
	int (*create)(struct socket *s);
	int (*pair)(struct socket *a, struct socket *b);
	int (*bind)(struct socket *s, const struct sockaddr_buf *a);
	int (*connect)(struct socket *s, const struct sockaddr_buf *a, bool nonblock);
	int (*listen)(struct socket *s, int backlog);
	/* The next connection as a socket of its own, with the peer's address in *a. */
	int (*accept)(struct socket *s, bool nonblock, struct socket **conn,
		      struct sockaddr_buf *a);
	int (*name)(struct socket *s, bool peer, struct sockaddr_buf *a);
	i64 (*send)(struct socket *s,
		    struct sock_io *io); /* bytes; -EPIPE: the caller sends the signal */
	i64 (*recv)(struct socket *s, struct sock_io *io);
	int (*shutdown)(struct socket *s, int how);
	/* Options of the family's levels; those of SOL_SOCKET have been stored and are only announced (set), or are asked for here
	 * if env/socket.c does not know them (get). -ENOPROTOOPT. val: kernel copy; get: *len = room, becomes bytes. */
	int (*setopt)(struct socket *s, int level, int name, const void *val, u32 len);
	int (*getopt)(struct socket *s, int level, int name, void *val, u32 *len);
	i64 (*ioctl)(struct socket *s, u32 cmd, u64 arg);
	u32 (*poll)(struct socket *s); /* ready POLL* bits; must not block */
	/* The description is gone; frees s (socket_free), now or later. Must not block. */
	void (*release)(struct socket *s);
	/* For refusals and `view`: "tcp 10.0.0.1:4000 -> 10.0.0.2:5000". */
	void (*describe)(const struct socket *s, struct text *out);
	int (*stat)(struct socket *s, struct fs_attr *a); /* NULL: a socket without a name */
};
/* What SO_SNDBUF and SO_RCVBUF may ask for; told twice as large, as by Linux. */
#define SOCK_BUF_MAX 212992u

extern const struct sock_family inet_family, unix_family;

/* The common part. A family may read all of it. */
struct socket {
	const struct sock_family *ops;
	u16 type, protocol;
	u32 inode;
	u32 uid;   /* who made it: effective */
	i32 error; /* SO_ERROR: -errno, told once (socket_take_error) */
	u8 shut;   /* bit 1 << SHUT_RD, 1 << SHUT_WR: by our side */
	bool listening;
	struct {
		bool reuseaddr, reuseport, broadcast, keepalive, oobinline, dontroute, passcred;
		u32 sndbuf, rcvbuf, priority; /* bytes, as told by getsockopt */
		struct linux_linger linger;
		u64 rcvtimeo_ns, sndtimeo_ns; /* 0: no limit */
	} opt;
	struct waitq readers, writers; /* wake with poll_wake() */
};

/* ---- for the families (env/socket.c) ---- */

/* A socket of a family, common part filled in; `create` is not called. NULL: no memory. */
struct socket *socket_alloc(const struct sock_family *ops, u16 type, u16 protocol);
/* One like it, with its options: a connection of a listener. */
struct socket *socket_inherit(const struct socket *listener);
void socket_free(struct socket *s);
/* Pending error, which is then forgotten; 0: none. */
int socket_take_error(struct socket *s);
/* Sleep until `q` is woken. Look at your condition again in a loop. `deadline` is that of socket_deadline().
 * 0; -EAGAIN: nonblock, or time is up; -ERESTARTSYS (or its kin): a signal or freeze. */
int socket_wait(struct waitq *q, bool nonblock, u64 deadline);
/* Of this call: node time when the option's time limit is over. */
u64 socket_deadline(u64 timeo_ns);
/* Between kernel memory and the user's buffers of io, from byte `off` of them on. 0 or -EFAULT. */
int sock_gather(const struct sock_io *io, u64 off, void *dst, size_t n);
int sock_scatter(const struct sock_io *io, u64 off, const void *src, size_t n);
/* The user address of byte `off` of io and, in *n, how many bytes follow there without a gap. off < io->len. */
u64 sock_at(const struct sock_io *io, u64 off, u64 *n);
/* Append a control message; sets MSG_CTRUNC if there is no room for it. 0 or -EFAULT. */
int sock_put_cmsg(struct sock_io *io, i32 level, i32 type, const void *data, size_t len);
/* The socket behind a description; NULL: it is none. */
struct socket *socket_of(const struct ofile *f);
/* An open description for s; takes it over (released on failure). Descriptor, or -errno. */
i64 socket_install(struct socket *s, u32 flags);
u64 counters_sockets(void);
void socket_describe(const struct ofile *f, struct text *out);

/* ---- for the system calls (sys_net.c) ---- */
const struct sock_family *socket_family(int family); /* NULL: no such */
/* Takes care of SIGPIPE, O_NONBLOCK and shutdown. */
i64 socket_send(struct ofile *f, struct sock_io *io);
i64 socket_recv(struct ofile *f, struct sock_io *io);
i64 socket_setopt(struct socket *s, int level, int name, u64 uval, u32 len);
i64 socket_getopt(struct socket *s, int level, int name, u64 uval, u64 ulen);
#endif
