/* SPDX-License-Identifier: MIT */
/* Between the kernel's files of class File only: requests to the file server, held files and their cached pages. */
#ifndef KERNEL_FS_H
#define KERNEL_FS_H
#include "file.h"
#include "linux_file.h"
#include "path.h"

/* ---- requests (fsreq.c): on behalf of the current process; block, uninterruptibly ---- */

/* One request; m->status or -errno. The file server itself may not ask (it would wait for itself): -EIO. */
i64 fs_call(struct wh_msg *m, void *kbuf, size_t len, u32 bulk_flags);
struct fs_cred fs_cred_effective(void);
/* A request on a hold: binds f first if it has just migrated. fs_hold_set fields other than tree, owner,
 * hold and cred are taken from *set (may be NULL: an fs_hold_req). The answer is left in *m. */
i64 fobj_request(struct fobj *f, u32 type, const struct fs_hold_set *set, struct wh_msg *m);
/* FS_READ, FS_WRITE, FS_READDIR with a kernel buffer of len <= FS_IO_MAX. */
i64 fobj_io(struct fobj *f, u32 type, u64 off, u32 flags, void *kbuf, size_t len, struct wh_msg *m);
/* FS_READ of whole pages from off on into n frames. Bytes; what lies behind them in the frames is undefined. */
i64 fobj_read_frames(struct fobj *f, u64 off, const u64 *frames, u32 n);
/* path->name becomes the canonical name. NULL: *err. */
struct fobj *fobj_open_path(struct path *path, u32 flags, u32 mode, int *err);
int fobj_fstat(struct fobj *f, struct fs_attr *a);
/* Write from kernel memory, len <= FS_IO_MAX; *off becomes the end of what was written (O_APPEND: anywhere). */
i64 fobj_write(struct fobj *f, u64 *off, bool append, const void *kbuf, size_t len);
/* The bytes come from the cached pages themselves, which may have changed again meanwhile. */
i64 fobj_write_back(struct fobj *f, u64 off, const void *kbuf, size_t len);
int fobj_truncate(struct fobj *f, u64 size);

/* Transfer buffers of up to FS_IO_MAX bytes. NULL: no memory. */
void *io_buf_get(size_t len);
void io_buf_put(void *buf, size_t len);

/* ---- migration ---- */
/* The fobj of this hold on this node, whoever uses it, with a new reference; else a new, unbound one. NULL: no
 * memory. One fobj per hold and node: the custodian keeps one ownership per node. */
struct fobj *fobj_arrive(u32 tree, u64 hold, const char *path, const struct fs_attr *attr);
/* Static instantiation (file_static_bind): called by each use of a descriptor. */
void file_bind_arrived(struct proc *p);
/* A reference to the fobj that a region of the arriving process p names; NULL: its U-block did not list it. */
struct fobj *fobj_for_hold(struct proc *p, u32 tree, u64 hold);
/* Distinct holds of p's descriptors and regions; returns how many there are (may exceed max). */
struct wh_hold;
u32 file_holds(struct proc *p, struct wh_hold *rows, u32 max);

/* ---- holds kept after their last use (idle.c) ---- */
bool idle_keep(struct fobj *f); /* takes it, with no references; false: it has to be closed */
/* Opening `name` of this node's tree: one that will do, with a reference, or NULL. */
struct fobj *idle_take(const char *name, u32 flags);
void idle_end(struct fobj *f); /* it is used again */
/* Close those on an inode (gen 0: of any generation); on what a name of this node's tree means; all. */
void idle_forget(u64 ino, u32 gen);
void idle_forget_name(const char *name);
void idle_forget_all(void);
u32 idle_count(void);
u64 idle_bytes(void);
/* Give the hold back and free f, which nobody uses; later, if it cannot be now. */
void fobj_close(struct fobj *f);

/* ---- page cache (pagecache.c) ---- */
/* `attr` is news about a file (from the custodian): every fobj of it learns size and version; cached pages
 * of another version are dropped unless the change is our own write, already applied to them. */
void fobj_news(u32 tree, const struct fs_attr *attr, bool own_write);
/* f has just been opened: what other fobjs of the file heard meanwhile may be newer than the answer to that. */
void fobj_newest(struct fobj *f);
void vnode_attach(struct fobj *f);
void vnode_detach(struct fobj *f);
/* Bracket an FS_WRITE: begin; then end with the range and bytes written (n <= 0: nothing was). */
struct vnode *vnode_write_begin(struct fobj *f, u64 *seq);
void vnode_write_end(struct vnode *v, u64 seq, u64 off, const void *data, i64 n);
void vnode_drop(struct vnode *v, u64 from, u64 to); /* cached pages of bytes [from, to) */
/* A file of this node's tree is no more: nobody will ask for its pages. */
void pagecache_file_gone(u64 ino, u32 gen);
void vnode_cut(struct vnode *v, u64 size); /* the file ends there now */
/* Files mapped shared for writing (shared.c). v may be NULL: not cached, so not shared either. */
void vnode_shared(struct vnode *v, int regions); /* so many more, or fewer, regions */
bool vnode_is_shared(const struct vnode *v);
u64 vnode_share(const struct vnode *v); /* its cached pages, divided among those regions */
bool vnode_is_base(const struct vnode *v);
/* As fobj_page(), but the frame is the cache's and stays it as long as it is mapped. */
int fobj_page_kept(struct fobj *f, u64 index, u64 *phys);
/* The cached page was written through a mapping; it is kept until fobj_flush() has sent it. */
void fobj_page_written(struct fobj *f, u64 index);
int fobj_flush(struct fobj *f); /* blocks; 0 or -errno */
/* Ask for the size if the file changed behind our back. 0 or -errno. */
int fobj_refresh(struct fobj *f);
extern struct list all_fobjs;

/* ---- regular files and directories (regular.c) ---- */
extern const struct ofile_ops regular_ops, directory_ops;
i64 directory_lseek(struct ofile *f, i64 off, int whence);
/* Takes over the reference, also on failure. */
struct ofile *regular_open(struct fobj *f, u32 flags);
/* At f's offset, which may be at another node. */
i64 regular_vector(struct ofile *f, const struct linux_iovec *v, u32 n, bool write);
i64 regular_readv(struct ofile *f, const struct linux_iovec *v, u32 n, u64 *off);
i64 regular_writev(struct ofile *f, const struct linux_iovec *v, u32 n, u64 *off);

/* ---- locks (filelock.c) ---- */
#define FLOCKED_MAX 256u
struct flocked {
	u32 tree, gen;
	u64 ino;
};
/* F_GETLK, F_SETLK, F_SETLKW and the same for the open file (F_OFD_...). */
i64 file_record_lock(struct ofile *f, int cmd, u64 uaddr);
/* p closes a descriptor of f: POSIX takes p's record locks on that file away, whatever descriptor they were made
 * through. Does not block. */
void file_lock_closed(struct proc *p, const struct ofile *f);

/* ---- devices (devs.c) ---- */
bool dev_is_stateless(const struct ofile *f); /* /dev/null and the like: the same everywhere */
/* A device of memory by its name ("null"), without asking who wants it. NULL: unknown, or no memory. */
struct ofile *dev_device(const char *name, u32 flags);

/* ---- views (env/file.c) ---- */
/* A V-function was used on fd: mark it and keep the value (Lu & Liu Fig. 2, 6). Cheap; nothing if views are off. */
void fview_note(int fd, u32 row, i64 value);
#endif
