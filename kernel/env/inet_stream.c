/* SPDX-License-Identifier: MIT */
/*
 * Family AF_INET: the bytes of TCP connections, copied by the calling process between its memory and the net server's. A copy may
 * block only while the user's page is made present; after that the socket is looked at, and from there to the end of the copy
 * nothing else runs. So several readers or writers never mix, and the server's memory cannot go away under a copy.
 */
#include "env/inet.h"
#include "frame.h"
#include "poll.h"
#include "proc.h"
#include "signal.h"
#include "usercopy.h"

/* The net server gets read memory back when so much of it has come together. */
#define TELL_BYTES  (128u * 1024)
#define TELL_PIECES 32u
/* Bytes that the server knows of and the peer has not acknowledged. */
#define QUIET_BYTES (640u * 1024)
/* Copied at once: what lies together in the server's memory, and can be present together in the user's. */
#define PIECE_MAX (16 * PAGE_SIZE)

/* ---- the user's pages ---- */

/* Make [at, at + n), at most PIECE_MAX, present for the caller. Returns when nothing had to be waited for. 0 or -EFAULT. */
static int present(u64 at, u64 n, bool write)
{
	if (!user_range_ok(at, n))
		return -EFAULT;
	for (u32 tries = 0; tries < 64; tries++) {
		bool all = true;
		for (u64 page = PAGE_DOWN(at); page < at + n; page += PAGE_SIZE) {
			if (vm_translate(current->vm, page, write))
				continue;
			all = false;
			if (vm_fault(current->vm, page, write, false))
				return -EFAULT;
		}
		if (all)
			return 0;
	}
	return -EFAULT;
}

/* ---- sending ---- */

u64 inet_ring_room(const struct inet *i)
{
	u64 from = MAX(i->acked, i->ring_start);
	return i->ring_size - MIN(i->written - from, i->ring_size);
}

/* Copy what fits of io from `done` on into the ring. Bytes, 0: no room, -EFAULT. */
static i64 fill(struct inet *i, const struct sock_io *io, u64 done)
{
	u64 begin = done;
	while (done < io->len) {
		u64 n, at = sock_at(io, done, &n);
		n = MIN(MIN(n, PIECE_MAX), MAX(inet_ring_room(i), 1ul));
		int err = present(at, n, false);
		if (err)
			return done > begin ? (i64)(done - begin) : err;
		n = MIN(n, inet_ring_room(i));
		if (n == 0 || i->state != INET_CONNECTED)
			break;
		u64 off = (i->written - i->ring_start) % i->ring_size;
		n = MIN(n, i->ring_size - off);
		void *to = inet_memory(i->ring + off, &n, true);
		if (!to)
			return -ENETDOWN;
		if (copy_from_user(to, at, n))
			return -EFAULT;
		i->written += n;
		done += n;
	}
	return (i64)(done - begin);
}

static i64 may_write(struct inet *i)
{
	if (i->s.shut & 1 << SHUT_WR)
		return -EPIPE;
	int err = socket_take_error(&i->s);
	if (err)
		return err;
	return i->state == INET_CONNECTED || i->state == INET_CONNECTING ? 0 : -EPIPE;
}

/* As long as the peer has much to acknowledge, the net server will run soon in any case: to switch to it for each write would
 * cost more than the write. Who does not wait gets as far as it goes with each write: for him full is full. */
static void tell_written(struct inet *i, bool nonblock)
{
	if (!nonblock && i->written_told >= i->acked + QUIET_BYTES)
		inet_news_later(i);
	else
		inet_news(i, 0);
}

i64 inet_stream_send(struct inet *i, struct sock_io *io)
{
	bool nonblock = io->flags & MSG_DONTWAIT;
	u64 deadline = socket_deadline(i->s.opt.sndtimeo_ns);
	u64 done = io->resumable ? signal_resumed() : 0;
	i64 r = may_write(i);
	while (!r) {
		r = i->state == INET_CONNECTED ? fill(i, io, done) : 0;
		if (r > 0) {
			done += (u64)r;
			tell_written(i, nonblock);
		}
		if (r < 0 || done == io->len)
			break;
		if (!list_empty(&i->news_link))
			inet_news(i, 0);
		r = socket_wait(&i->s.writers, nonblock, deadline);
		if (!r)
			r = may_write(i);
	}
	if (r == -ERESTARTSYS && done)
		return io->resumable ? signal_interrupted(done) : (i64)done;
	return done ? (i64)done : MIN(r, 0l);
}

/* ---- receiving ---- */

static void consume(struct inet *i, u64 n)
{
	struct sock_seg *seg = &i->seg[i->seg_first];
	seg->addr += n;
	seg->len -= n;
	i->seg_bytes -= n;
	i->read += n;
	if (seg->len)
		return;
	i->seg_first = (i->seg_first + 1) % SOCK_SEGS_MAX;
	i->seg_count--;
	i->pieces_read++;
}

/* Where byte `off` of what has come lies; *n becomes how much lies there. NULL: nothing has, or the server is gone. */
static const void *received(const struct inet *i, u64 off, u64 *n)
{
	for (u32 k = 0; k < i->seg_count; k++) {
		const struct sock_seg *seg = &i->seg[(i->seg_first + k) % SOCK_SEGS_MAX];
		if (off < seg->len) {
			*n = MIN(*n, seg->len - off);
			return inet_memory(seg->addr + off, n, false);
		}
		off -= seg->len;
	}
	return NULL;
}

/* Copy what has come to io from `done` on. `peek`: it stays, and copying begins at byte `done` of it. */
static i64 drain(struct inet *i, struct sock_io *io, u64 done, bool peek)
{
	u64 begin = done;
	bool discard = io->flags & MSG_TRUNC; /* TCP: the bytes are not wanted */
	while (done < io->len) {
		u64 n, at = sock_at(io, done, &n);
		n = MIN(MIN(n, PIECE_MAX), MAX(i->seg_bytes, 1ul));
		int err = discard ? 0 : present(at, n, true);
		if (err)
			return done > begin ? (i64)(done - begin) : err;
		const void *from = received(i, peek ? done : 0, &n);
		if (!from)
			break;
		if (!discard && copy_to_user(at, from, n))
			return -EFAULT;
		if (!peek)
			consume(i, n);
		done += n;
	}
	return (i64)(done - begin);
}

static void tell_read(struct inet *i)
{
	if (i->read - i->read_told >= TELL_BYTES || i->pieces_read >= TELL_PIECES)
		inet_news(i, 0);
}

i64 inet_stream_recv(struct inet *i, struct sock_io *io)
{
	bool nonblock = io->flags & MSG_DONTWAIT, peek = io->flags & MSG_PEEK;
	u64 deadline = socket_deadline(i->s.opt.rcvtimeo_ns);
	bool whole = io->flags & MSG_WAITALL && !peek && !i->s.opt.rcvtimeo_ns;
	u64 done = whole ? signal_resumed() : 0;
	i64 r = 0;
	if (i->state == INET_NEW || i->state == INET_LISTENING)
		return -ENOTCONN;
	while (done < io->len) {
		r = drain(i, io, done, peek);
		if (r > 0)
			done += (u64)r;
		if (r < 0 || (done && !(io->flags & MSG_WAITALL)) || done == io->len)
			break;
		if (!i->seg_bytes || peek) {
			r = done ? i->s.error : socket_take_error(&i->s);
			if (r || i->eof || i->s.shut & 1 << SHUT_RD)
				break;
		}
		tell_read(i);
		r = socket_wait(&i->s.readers, nonblock, deadline);
		if (r)
			break;
	}
	tell_read(i);
	if (r == -ERESTARTSYS && done)
		return whole ? signal_interrupted(done) : (i64)done;
	return done ? (i64)done : MIN(r, 0l);
}
