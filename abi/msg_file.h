/* SPDX-License-Identifier: MIT */
/*
 * Requests to the FILE service. The kernel sends them on behalf of a process; a file server
 * forwards the very same struct to another node's file server when `tree` is not its own. All paths
 * are absolute within the tree (the kernel has put the cwd in front; not normalised: the server
 * walks `..` and symbolic links), NUL terminated, in the bulk buffer. Times are ns since the epoch
 * in the custodian's clock. Errors are -errno in msg.status.
 */
#ifndef ABI_MSG_FILE_H
#define ABI_MSG_FILE_H
#include "whimbrel.h"

#define FS_PATH_MAX 4096
#define FS_IO_MAX   65536  /* most bytes one FS_READ/FS_WRITE moves */
#define FS_READ_MAX 262144 /* but an FS_READ of the own tree into whole frames (wh_bulk_frames) */

enum fs_type {
	FS_OPEN = 1,	/* fs_open -> fs_opened; bulk in: path, out: canonical path (FS_PATH_MAX
			   buffer) */
	FS_CLOSE = 2,	/* fs_hold_req; drops this node's ownership; never fails */
	FS_READ = 3,	/* fs_io, bulk out; status = bytes (0 at end) */
	FS_WRITE = 4,	/* fs_io, bulk in -> fs_wrote; status = bytes; -ENOSPC only if none could be
			   written */
	FS_STAT = 5,	/* fs_path, bulk path -> fs_attr */
	FS_FSTAT = 6,	/* fs_hold_req -> fs_attr */
	FS_READDIR = 7, /* fs_io (off = cookie), bulk out: struct linux_dirent64 -> fs_dir; status =
			   bytes */
	FS_UNLINK = 8,	/* fs_path */
	FS_RMDIR = 9,	/* fs_path */
	FS_MKDIR = 10,	/* fs_path (mode) */
	FS_SYMLINK = 11,  /* fs_path2: bulk = target NUL linkpath NUL */
	FS_LINK = 12,	  /* fs_path2: bulk = old NUL new NUL */
	FS_RENAME = 13,	  /* fs_path2: bulk = old NUL new NUL */
	FS_READLINK = 14, /* fs_path, bulk in path / out target; status = bytes (no NUL) */
	FS_CHMOD = 15,	  /* fs_path (mode) */
	FS_CHOWN = 16,	  /* fs_path (uid2, gid2; ~0 = keep; FS_NOFOLLOW) */
	FS_UTIMES = 17,	  /* fs_path (atime, mtime: ns, FS_TIME_NOW, FS_TIME_OMIT) */
	FS_TRUNCATE = 18, /* fs_path (size) */
	FS_ACCESS = 19,	  /* fs_path (mode = R_OK|W_OK|X_OK) */
	FS_RESOLVE =
		20, /* fs_path: must be a directory; bulk out: canonical path -> fs_attr (chdir) */
	FS_FTRUNCATE = 21, /* fs_hold_set (size) */
	FS_FCHMOD = 22,	   /* fs_hold_set (mode) */
	FS_FCHOWN = 23,	   /* fs_hold_set (uid, gid) */
	FS_FUTIMES = 24,   /* fs_hold_set (atime, mtime) */
	FS_FSYNC = 25,	   /* fs_hold_req: on the disk when answered */
	FS_SYNC = 26,	   /* tree only: everything on the disk when answered */
	FS_FLOCK = 27,	   /* fs_hold_set (op: LOCK_SH|EX|UN, always non-blocking); -EWOULDBLOCK */
	FS_STATFS = 28,	   /* tree -> fs_statfs */
	FS_ADOPT = 29,	   /* fs_adopt: add node `owner` to the hold's owners -> fs_opened (by the
			      migration handler) */
	FS_BIND = 30,  /* fs_hold_req: first use after migration -> fs_opened (effect-free probe) */
	FS_MKNOD = 31, /* fs_path (mode: FIFO, socket, regular only; else -EPERM) */
	FS_LOCK = 32,  /* fs_lock -> fs_lock: a record lock, never blocking; -EAGAIN, -ENOLCK */
	FS_END = 33, /* fs_end -> fs_end_done: an operation on an open file that stayed at its home
			     node (docs/restless.md); status = its result */
	FS_END_POLL =
		34, /* the same, without effect: ready for any of `cmd` (POLL*)? If not, the home
			     node will send news once */
	FS_SIGNAL =
		35, /* fs_signal: kill(2) of a process whose home node `tree` is, or of the members of a
			group that are there; its result */
	FS_CHILD =
		36, /* fs_child: a process whose parent is on node `tree` has stopped, or goes on */
};

/* Version stamp (design 6): equal stamps = equal contents; counter 0 = unchanged since the base
 * image. */
struct fs_version {
	uint32_t writer;      /* node that wrote last; 0 for the base image */
	uint32_t incarnation; /* of the writer's disk */
	uint64_t counter;
};

struct fs_attr {
	uint64_t ino;
	uint64_t size, blocks; /* bytes; 512-byte blocks */
	int64_t atime, mtime, ctime;
	uint32_t gen, mode, nlink, uid, gid, rdev;
	struct fs_version version;
};

/* On whose behalf: effective ids and supplementary groups. */
#define FS_GROUPS 16
struct fs_cred {
	uint32_t uid, gid;
	uint32_t ngroups; /* may come from another node: more than FS_GROUPS counts as FS_GROUPS */
	uint32_t groups[FS_GROUPS];
};
static inline int fs_cred_in_group(const struct fs_cred *c, uint32_t gid)
{
	if (c->gid == gid)
		return 1;
	for (uint32_t i = 0; i < c->ngroups && i < FS_GROUPS; i++)
		if (c->groups[i] == gid)
			return 1;
	return 0;
}

#define FS_NOFOLLOW  1u
#define FS_TIME_NOW  (-1ll)
#define FS_TIME_OMIT (-2ll)

struct fs_open {
	uint32_t tree;
	uint32_t flags; /* Linux O_* */
	uint32_t mode;	/* already masked with umask */
	uint32_t owner; /* node that will own the hold; set by the kernel to its own node */
	struct fs_cred cred;
};
struct fs_opened {
	uint64_t hold;
	struct fs_attr attr;
	uint32_t cacheable; /* the kernel may cache data pages (local tree, or base file with an
			       equal local copy) */
	uint32_t pad_;
};
struct fs_hold_req {
	uint32_t tree, owner;
	uint64_t hold;
};
struct fs_io {
	uint32_t tree;
	uint32_t flags; /* FS_WRITE: O_APPEND */
	uint64_t hold;
	uint64_t off;
	uint32_t len;
	uint32_t owner;
};
struct fs_wrote {
	uint64_t off;  /* where it was put (O_APPEND) */
	uint64_t size; /* of the file afterwards */
	struct fs_version version;
};
#define FS_READDIR_ATTR 1u /* fs_io.flags: tell the kernel what the entries are (wh_facts) */
struct fs_dir {
	uint64_t cookie; /* for the next FS_READDIR */
	uint64_t
		end; /* nothing comes behind it, as long as the directory has this counter in its version; 0: more */
};
struct fs_path {
	uint32_t tree, flags, mode;
	struct fs_cred cred;
	uint32_t uid2, gid2;
	uint32_t pad_;
	int64_t atime, mtime;
	uint64_t size;
};
struct fs_path2 {
	uint32_t tree, flags;
	struct fs_cred cred;
};
struct fs_hold_set {
	uint32_t tree, owner;
	uint64_t hold;
	uint32_t mode, uid, gid, op;
	int64_t atime, mtime;
	uint64_t size;
	struct fs_cred cred;
};
/* A record lock (fcntl): bytes [start, end] of the held file, for `who`. */
enum fs_lock_type { FS_LOCK_READ = 0, FS_LOCK_WRITE = 1, FS_LOCK_NONE = 2 }; /* as F_RDLCK ... */
struct fs_lock {
	uint32_t tree, owner;
	uint64_t hold;
	uint64_t
		who; /* a process's pid, unique in the cluster; of the open file: FS_LOCK_BY_FILE */
	uint64_t start, end;
	uint32_t type; /* enum fs_lock_type */
	uint32_t test; /* do not set it: the answer is the first lock in its way, or FS_LOCK_NONE */
	int32_t pid;   /* to be told to whom it is in the way; -1: the open file's */
	uint32_t pad_;
};
#define FS_LOCK_BY_FILE (1ull << 63) /* | hold */
struct fs_statfs {
	uint64_t blocks, bfree, bavail, files, ffree;
	uint32_t bsize, namelen;
};
struct fs_adopt {
	uint32_t tree, owner;
	uint64_t hold;
	uint64_t owner_incarnation;
};

/*
 * Ends: open files (descriptions) that stay at their home node while a process that holds one moves. Named like a hold, with this bit
 * set, so that FS_ADOPT and FS_CLOSE keep the set of nodes that use one. (kernel/ends.c, servers/file/ends.c)
 */
#define FS_END_BIT (1ull << 63)
#define FS_END_IO_MAX                                                                              \
	16384 /* most bytes that one FS_END moves: the home node keeps answers to repeat them */
enum fs_end_op {
	FS_END_READ = 1, /* bulk out. Never waits: -EAGAIN */
	FS_END_WRITE,	 /* bulk in. Never waits: -EAGAIN */
	FS_END_READY,	 /* of FS_END_POLL */
	FS_END_IOCTL,	 /* cmd; a: the argument if it is a number, else bulk in and out */
	FS_END_FLAGS,	 /* F_SETFL: flags & a become b; -> flags */
	FS_END_TELL,	 /* -> value: the offset */
	FS_END_TAKE,	 /* -> value: the offset, which then moves on by a */
	FS_END_SWAP,	 /* if the offset is a, it becomes b; else -EAGAIN */
	FS_END_SEEK,	 /* the offset becomes a */
	FS_END_HOLD,	 /* between file server and kernel of the home node: other nodes use it */
	FS_END_DROP,	 /* none does any more */
};
struct fs_end {
	uint32_t tree, owner; /* the home node; who asks */
	uint64_t hold;
	uint32_t op, cmd;
	uint64_t a, b;
	int32_t pid, pgid, sid; /* of the process that asks: a terminal wants to know */
	uint32_t deaf;		/* it ignores or blocks: 1 SIGTTIN, 2 SIGTTOU */
};
struct fs_signal {
	uint32_t tree, owner;
	int32_t target, sig, code; /* target: a pid, or minus a group */
	int32_t pid, sid;	   /* the sender */
	uint32_t uid, euid;
	uint64_t
		seq; /* of a group: number of this signal from `owner`, only growing; 0: sig is 0 */
};
struct fs_child {
	uint32_t tree, owner;
	struct wh_uqpid who;
	int32_t stop_sig; /* 0: it goes on */
	int32_t code;	  /* CLD_* */
};
struct fs_end_done {
	uint64_t value;
	uint32_t flags; /* O_NONBLOCK and O_APPEND of the description */
	uint32_t ready; /* POLL* */
};

/*
 * What the file server tells the kernel of its own tree (wh_facts): the kernel answers from it as long as nothing newer is
 * said. Told before the request is answered that found or changed it, by whomever it came.
 */
enum fs_fact_kind {
	FACT_INODE =
		1, /* these are its attributes now; of a symbolic link, perhaps, its target in `name` */
	FACT_NAME =
		2, /* in directory dir (its number and generation) `name` means inode ino; 0: nothing */
	FACT_GONE = 3, /* inode ino is free; attr.gen was its generation */
};
#define FACT_NAME_MAX 64 /* bytes; longer names are not told */
struct fs_fact {
	uint32_t kind, dir, dir_gen, ino;
	uint32_t len; /* of name */
	uint32_t pad_;
	char name[FACT_NAME_MAX];
	struct fs_attr attr;
};

/* FILE service wh_ctl ops (text answer): counters of the server, for baseline tests. */
enum fs_ctl { FS_CTL_COUNTERS = 1 /* "holds N locks N pending N dirty N\n" */ };
#endif
