/* SPDX-License-Identifier: MIT */
/*
 * Open files. ofile = an open file description (shared by dup and fork), of any class, through its
 * ops table. fobj = a file held at its custodian (one hold); ofiles and file-backed regions refer
 * to it.
 */
#ifndef KERNEL_FILE_H
#define KERNEL_FILE_H
#include "types.h"
#include "lib.h"
#include "sched.h"
#include "msg_file.h"

struct proc;
struct vnode; /* page cache of one inode (pagecache.c) */

struct fobj {
	u32 refs;
	u32 tree; /* custodian node */
	u64 hold;
	struct fs_attr attr; /* last known; size kept current by our own writes */
	char *path;	     /* canonical, within the tree */
	bool cacheable;
	bool bound; /* false after migration until first use (dynamic instantiation, Fig. 6) */
	u8 bad;	    /* the custodian could not bind it: errno, else 0 */
	struct vnode *vnode; /* NULL unless cacheable */
	struct waitq ready;  /* an end (ends.h): its far users wait here for news */
	u32 news;	     /* how often there were */
	u64 checked_ns; /* another node's file, cached: when its custodian last said it is unchanged */
	struct list link; /* all fobjs of this node (fobj.c) */

	/* Kept after its last use (idle.c). */
	bool lone; /* only this node has ever used the hold, and nothing was locked through it */
	u32 open_flags; /* how it was opened */
	u64 idle_since;
	struct list idle;
	u64 told; /* a directory: when it was read to its end and the kernel told of all entries, as a sum that only grows: 1 +
		   * the counter of its version + known_forgotten() (regular.c) */
};
struct fobj *fobj_open(u32 tree, const char *path, u32 flags, u32 mode, int *err);
void fobj_ref(struct fobj *f);
void fobj_put(struct fobj *f); /* last: asynchronous FS_CLOSE; never blocks */
/* First use after migration: FS_BIND at the custodian. 0 or -errno. */
int fobj_bind(struct fobj *f);
/* The frame holding page `index` of the file, one reference for the caller, through the page cache
 * if cacheable (else a fresh private frame). Bytes past the end are zero. 0 or -errno. May block.
 */
int fobj_page(struct fobj *f, u64 index, u64 *phys);
/* Is the page already cached? Frame with one reference, or 0; never blocks (map-around). */
u64 fobj_page_cached(struct fobj *f, u64 index);
/* Read into kernel memory. Bytes read or -errno. */
i64 fobj_read(struct fobj *f, u64 off, void *buf, size_t len);
/* Drop cached frames until about n are freed; returns how many were (frame.c calls it when memory
 * is short). */
u64 pagecache_reclaim(u64 n);
u64 pagecache_frames(void);

struct ofile;
struct pollreq;
struct linux_iovec;
/* Every member may be NULL: the default answers EINVAL (read/write), ENOTTY (ioctl), always ready
 * (poll). */
struct ofile_ops {
	const char *kind; /* for `view` and refusals: "file", "pipe", "tty", "null", ... */
	u8 cls;		  /* enum env_class_id */
	bool movable;	  /* false: rule `local` -- a process holding one is refused */
	/* User addresses; return bytes or -errno (-ERESTARTSYS when interrupted before any byte). */
	i64 (*read)(struct ofile *f, u64 ubuf, size_t len);
	i64 (*write)(struct ofile *f, u64 ubuf, size_t len);
	/* A vector as one call (NULL: one call after the other). v in kernel memory, its buffers the user's. */
	i64 (*vector)(struct ofile *f, const struct linux_iovec *v, u32 n, bool write);
	i64 (*pread)(struct ofile *f, u64 ubuf, size_t len, u64 off);
	i64 (*pwrite)(struct ofile *f, u64 ubuf, size_t len, u64 off);
	i64 (*lseek)(struct ofile *f, i64 off, int whence);
	i64 (*ioctl)(struct ofile *f, u32 cmd, u64 arg);
	u32 (*poll)(struct ofile *f,
		    struct pollreq *pr); /* ready POLL* bits; registers in pr if not NULL */
	int (*stat)(struct ofile *f, struct fs_attr *a);
	i64 (*readdir)(struct ofile *f, u64 ubuf, size_t len);
	void (*release)(struct ofile *f); /* last reference; must not block */
	void (*describe)(const struct ofile *f,
			 struct text *out); /* for refusals and `view`, more than `kind` */
};
struct ofile {
	u32 refs;
	u32 flags; /* O_ACCMODE | O_APPEND | O_NONBLOCK | ... */
	const struct ofile_ops *ops;
	struct fobj *fobj; /* files and directories */
	void *data;	   /* pipe, tty, proc entry ... */
	u64 offset;
	u64 dircookie;
	u64 dirend; /* 1 + the counter in the directory's version for which no entry lies behind dircookie; 0: not known */
	bool watched;	  /* by an epoll (env/epoll.c) */
	u32 locked;	  /* LOCK_SH/LOCK_EX held through this description */
	struct end *home; /* it is, or was, used from other nodes (ends.c) */
	struct fobj *
		end; /* far: the description is another node's; pipe, terminal, or only the offset (far.c) */
};
struct ofile *ofile_new(const struct ofile_ops *ops,
			u32 flags); /* one reference; NULL: no memory */
void ofile_ref(struct ofile *f);
void ofile_put(struct ofile *f);
/* The description's flags; those in `mask` become `set` first. Or -errno, if they are another node's to give. */
i64 ofile_flags(struct ofile *f, u32 mask, u32 set);
/* Borrowed reference, or NULL (EBADF). */
struct ofile *fd_get(struct proc *p, int fd);
/* Lowest free descriptor >= min; takes over the reference. -EMFILE (then not). */
int fd_install(struct proc *p, struct ofile *f, int min, bool cloexec);
/* Descriptors are below this (RLIMIT_NOFILE). */
int fd_limit(const struct proc *p);
int fd_close(struct proc *p, int fd);

/* f has no user any more: epolls forget it (env/epoll.c). */
void epoll_forget(struct ofile *f);

/* Poll: a caller waiting on several queues (poll.c). */
struct waitq;
void poll_register(struct pollreq *pr, struct waitq *q);
void poll_wake(struct waitq *q); /* instead of wake_all on queues that may be polled; also
				    WH_NOTE_POLL to servers */

/* Pseudo file systems, answered inside the kernel (path normalised, absolute). NULL + *err when not
 * theirs (-ENOENT). */
struct ofile *dev_open(const char *path, u32 flags, int *err);	/* /dev/... */
struct ofile *proc_open(const char *path, u32 flags, int *err); /* /proc/... */
int dev_stat(const char *path, struct fs_attr *a);
int procfs_stat(const char *path, struct fs_attr *a);
/* files=static: an arriving process binds all its files at its first call on one, instead of each
 * at its first use. */
extern bool file_static_bind;
/* For /proc: the argument strings of the program that p now runs (copied). */
void file_set_cmdline(struct proc *p, const char *args, u32 argc);
struct ofile *tty_open(u32 flags); /* the console, env/tty.c */
u64 counters_fobjs(void), counters_ofiles(void), counters_pipes(void);
#endif
