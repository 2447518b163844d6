/* SPDX-License-Identifier: MIT */
/*
 * Class Pipe. A pipe is 64 kB of page frames in this node's memory between two open files. It stays here when a process that
 * holds an end moves, and the process uses it from afar (ends.h): so the rule `same` is kept wherever it runs.
 * Closing the last end unmarks: nothing then remains that the process could compare.
 */
#include "env/clock.h"
#include "env/rows.h"
#include "ends.h"
#include "frame.h"
#include "poll.h"
#include "proc.h"
#include "signal.h"
#include "usercopy.h"

#define PIPE_PAGES  16
#define PIPE_SIZE   (PIPE_PAGES * PAGE_SIZE)
#define PIPE_ATOMIC 4096 /* PIPE_BUF: a write up to this length is never interleaved */

#define O_WRONLY_   1u
#define O_NONBLOCK_ 04000u
#define O_CLOEXEC_  02000000u
#define FIONREAD    0x541b

struct pipe {
	u64 frame[PIPE_PAGES]; /* present where there are bytes, and where the next go */
	u32 head, count;       /* ring: first byte, bytes */
	u32 readers, writers;  /* open files */
	bool reading, writing; /* a copy to or from user memory is under way and may have blocked */
	u32 servers;	       /* services to notify: they use an end */
	u32 inode;
	struct waitq read_wait, write_wait;
	struct cview clock; /* the latest REALTIME that a writer had been shown; see clock_leave */
};

static u64 pipes;
static u32 next_inode = 1;

u64 counters_pipes(void)
{
	return pipes;
}

static void pipe_changed(struct pipe *p)
{
	poll_wake(&p->read_wait);
	poll_wake(&p->write_wait);
	poll_note_servers(p->servers);
}

/* A server never sleeps in a pipe; it is told when to look again. */
static void remember_server(struct pipe *p)
{
	if (current->privileged && current->service)
		p->servers |= 1u << current->service;
}

/* A process of another node does its waiting there (far.c). */
static bool never_waits(const struct ofile *f)
{
	return (f->flags & O_NONBLOCK_) || end_asker();
}

static void free_frame(struct pipe *p, u32 i)
{
	if (p->frame[i])
		frame_put(p->frame[i]);
	p->frame[i] = 0;
}

/* ---- reading ---- */

/* Wait until there is something to say: > 0 bytes to read, 0 end of file, or -errno. */
static i64 await_bytes(struct pipe *p, bool nonblock)
{
	while (p->reading || p->count == 0) {
		if (p->count == 0 && p->writers == 0)
			return 0;
		if (nonblock)
			return -EAGAIN;
		if (wait_on(&p->read_wait, NO_DEADLINE, true) == -EINTR)
			return -ERESTARTSYS;
	}
	return p->count;
}

/* Does page i hold bytes? The ring's last bytes may have wrapped into the page of its first. */
static bool page_in_use(const struct pipe *p, u32 i)
{
	u32 distance = (u32)((i * PAGE_SIZE + PIPE_SIZE - p->head) % PIPE_SIZE);
	return p->count > distance;
}

static void consume(struct pipe *p, u32 n)
{
	u32 page = p->head / PAGE_SIZE;
	p->head = (p->head + n) % PIPE_SIZE;
	p->count -= n;
	if (p->writing)
		return; /* a copy into the last page is under way */
	if (p->head / PAGE_SIZE != page && !page_in_use(p, page))
		free_frame(p, page);
	else if (p->count == 0)
		p->head = page * PAGE_SIZE; /* the next bytes fill this page from its beginning */
}

static i64 pipe_read(struct ofile *f, u64 ubuf, size_t len)
{
	struct pipe *p = f->data;
	remember_server(p);
	if (len == 0)
		return 0;
	i64 there = await_bytes(p, never_waits(f));
	if (there <= 0)
		return there;
	size_t done = 0;
	bool fault = false;
	p->reading = true;
	while (done < len && p->count && !fault) {
		u32 off = p->head % PAGE_SIZE;
		u32 n = (u32)MIN(MIN(len - done, PAGE_SIZE - off), p->count);
		/* The frame stays while `reading`; a writer may add behind these bytes meanwhile. */
		fault = copy_to_user(ubuf + done, (u8 *)P2V(p->frame[p->head / PAGE_SIZE]) + off,
				     n) < 0;
		if (!fault) {
			consume(p, n);
			done += n;
		}
	}
	p->reading = false;
	if (done)
		clock_take(current, &p->clock);
	pipe_changed(p);
	return done ? (i64)done : -EFAULT;
}

/* ---- writing ---- */

/* Wait until `want` bytes fit and no other writer is at it. */
static i64 await_room(struct pipe *p, u32 want, bool nonblock)
{
	for (;;) {
		if (p->readers == 0)
			return -EPIPE;
		if (!p->writing && PIPE_SIZE - p->count >= want)
			return 0;
		if (nonblock)
			return -EAGAIN;
		if (wait_on(&p->write_wait, NO_DEADLINE, true) == -EINTR)
			return -ERESTARTSYS;
	}
}

/* Copy what fits, up to len. Bytes, -EFAULT or -ENOMEM. */
static i64 fill(struct pipe *p, u64 ubuf, size_t len)
{
	size_t done = 0;
	i64 err = 0;
	p->writing = true;
	while (done < len && p->count < PIPE_SIZE && !err) {
		u32 tail = (p->head + p->count) % PIPE_SIZE;
		u32 page = tail / PAGE_SIZE, off = tail % PAGE_SIZE;
		u32 n = (u32)MIN(MIN(len - done, PAGE_SIZE - off), PIPE_SIZE - p->count);
		if (!p->frame[page])
			p->frame[page] = frame_alloc();
		if (!p->frame[page])
			err = -ENOMEM;
		else if (copy_from_user((u8 *)P2V(p->frame[page]) + off, ubuf + done, n) < 0)
			err = -EFAULT;
		else {
			p->count += n;
			done += n;
		}
	}
	p->writing = false;
	return done ? (i64)done : err;
}

static i64 pipe_write(struct ofile *f, u64 ubuf, size_t len)
{
	struct pipe *p = f->data;
	bool nonblock = never_waits(f);
	size_t done = signal_resumed();
	remember_server(p);
	while (done < len) {
		i64 r = await_room(p, len <= PIPE_ATOMIC ? (u32)len : 1, nonblock);
		if (r == 0)
			r = fill(p, ubuf + done, len - done);
		if (r >
		    0) { /* only then: a server that is told of its own failed write would try for ever */
			done += (size_t)r;
			clock_leave(&p->clock, current);
			pipe_changed(p);
		}
		if (r == -ERESTARTSYS)
			return signal_interrupted(done);
		if (r == -EPIPE)
			signal_send(current, SIGPIPE, SI_USER, current->pid);
		if (r < 0)
			return done ? (i64)done : r;
	}
	return (i64)done;
}

/* ---- the rest of an open file ---- */

static u32 pipe_poll(struct ofile *f, struct pollreq *pr)
{
	struct pipe *p = f->data;
	remember_server(p);
	if (f->flags & O_WRONLY_) {
		if (pr)
			poll_register(pr, &p->write_wait);
		return (p->readers ? 0 : POLLERR) |
		       (PIPE_SIZE - p->count >= PIPE_ATOMIC ? POLLOUT : 0);
	}
	if (pr)
		poll_register(pr, &p->read_wait);
	return (p->writers ? 0 : POLLHUP) | (p->count ? POLLIN | POLLRDNORM : 0);
}

static i64 pipe_ioctl(struct ofile *f, u32 cmd, u64 arg)
{
	const struct pipe *p = f->data;
	if (cmd != FIONREAD)
		return -ENOTTY;
	return copy_to_user(arg, &p->count, sizeof p->count);
}

static i64 pipe_lseek(struct ofile *f, i64 off, int whence)
{
	(void)f, (void)off, (void)whence;
	return -ESPIPE;
}

static int pipe_stat(struct ofile *f, struct fs_attr *a)
{
	const struct pipe *p = f->data;
	*a = (struct fs_attr){.ino = p->inode, .mode = 0010600, .nlink = 1};
	a->uid = current->u->names.euid;
	a->gid = current->u->names.egid;
	return 0;
}

static void pipe_release(struct ofile *f)
{
	struct pipe *p = f->data;
	if (f->flags & O_WRONLY_)
		p->writers--;
	else
		p->readers--;
	pipe_changed(p);
	if (p->readers || p->writers)
		return;
	for (u32 i = 0; i < PIPE_PAGES; i++)
		free_frame(p, i);
	kfree(p);
	pipes--;
}

static const struct ofile_ops read_end_ops = {
	.kind = "pipe",
	.cls = CLASS_PIPE,
	.movable = false,
	.read = pipe_read,
	.lseek = pipe_lseek,
	.ioctl = pipe_ioctl,
	.poll = pipe_poll,
	.stat = pipe_stat,
	.release = pipe_release,
};
static const struct ofile_ops write_end_ops = {
	.kind = "pipe",
	.cls = CLASS_PIPE,
	.movable = false,
	.write = pipe_write,
	.lseek = pipe_lseek,
	.ioctl = pipe_ioctl,
	.poll = pipe_poll,
	.stat = pipe_stat,
	.release = pipe_release,
};

/* ---- system calls ---- */

static i64 make_pipe(u64 ufds, u32 flags)
{
	if (flags & ~(O_NONBLOCK_ | O_CLOEXEC_))
		return -EINVAL;
	struct pipe *p = kmalloc(sizeof *p);
	if (!p)
		return -ENOMEM;
	waitq_init(&p->read_wait);
	waitq_init(&p->write_wait);
	p->inode = next_inode++;
	pipes++;
	remember_server(p);
	struct ofile *r = ofile_new(&read_end_ops, flags & O_NONBLOCK_);
	struct ofile *w = ofile_new(&write_end_ops, (flags & O_NONBLOCK_) | O_WRONLY_);
	if (!r || !w) {
		/* Nothing counts as an end yet: free by hand. */
		static const struct ofile_ops nothing = {.kind = "pipe"};
		if (r)
			r->ops = &nothing, ofile_put(r);
		if (w)
			w->ops = &nothing, ofile_put(w);
		kfree(p);
		pipes--;
		return -ENOMEM;
	}
	p->readers = p->writers = 1;
	r->data = w->data = p;
	bool cloexec = flags & O_CLOEXEC_;
	i32 fd[2];
	fd[0] = fd_install(current, r, 0, cloexec);
	if (fd[0] < 0) {
		ofile_put(r);
		ofile_put(w);
		return fd[0];
	}
	fd[1] = fd_install(current, w, 0, cloexec);
	if (fd[1] < 0) {
		fd_close(current, fd[0]);
		ofile_put(w);
		return fd[1];
	}
	if (copy_to_user(ufds, fd, sizeof fd) < 0) {
		fd_close(current, fd[0]);
		fd_close(current, fd[1]);
		return -EFAULT;
	}
	return 0;
}

i64 sys_pipe(const u64 *arg)
{
	return make_pipe(arg[0], 0);
}

i64 sys_pipe2(const u64 *arg)
{
	return make_pipe(arg[0], (u32)arg[1]);
}

/* ---- the class ---- */

static u32 ends_held(const struct proc *p)
{
	u32 n = 0;
	for (u32 fd = 0; fd < NOFILE; fd++)
		n += p->u->ofile[fd] && p->u->ofile[fd]->ops->cls == CLASS_PIPE;
	return n;
}

/* Possession is judged descriptor by descriptor in the file class; a process that holds none is free. */
static int pipe_verdict(struct proc *p, u32 node, struct text *why)
{
	(void)node, (void)why;
	if (ends_held(p) == 0)
		p->u->vrec[V_pipe].marker = p->u->vrec[V_pipe2].marker = 0;
	return 0;
}

static void pipe_view(const struct proc *p, struct text *out)
{
	text_printf(out, "  pipe ends held: %u\n", ends_held(p));
	rows_view(p, CLASS_PIPE, out);
}

const struct env_class env_pipe = {
	.name = "pipe",
	.version = 1,
	.verdict = pipe_verdict,
	.view = pipe_view,
};
