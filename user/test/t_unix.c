/* SPDX-License-Identifier: MIT */
/* AF_UNIX sockets: pairs, names, connections, messages, what is sent beside them, and what closing and killing leave. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "t.h"

static int s[2];

static void pair(int type)
{
	if (socketpair(AF_UNIX, type, 0, s) < 0)
		t_die("socketpair");
}

static void end_pair(void)
{
	close(s[0]);
	close(s[1]);
}

#define FAILS(call, err, name)                                                                     \
	do {                                                                                       \
		errno = 0;                                                                         \
		long got = (long)(call);                                                           \
		t_check(got == -1 && errno == (err), name, "%ld", got);                            \
	} while (0)

static unsigned ready(int fd)
{
	struct pollfd p = {fd, POLLIN | POLLOUT | POLLRDHUP, 0};
	poll(&p, 1, 0);
	return (unsigned)p.revents;
}

static struct sockaddr_un addr;

static socklen_t named(const char *name)
{
	addr.sun_family = AF_UNIX;
	strcpy(addr.sun_path, name);
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name) + 1);
}

static socklen_t abstract(const char *name)
{
	addr.sun_family = AF_UNIX;
	addr.sun_path[0] = 0;
	memcpy(addr.sun_path + 1, name, strlen(name));
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name));
}

#define ADDR ((struct sockaddr *)&addr)

static void streams(void)
{
	char b[64] = "";
	int n = 0;

	pair(SOCK_STREAM);
	t_check(ready(s[0]) == POLLOUT, "a pair: writable", "%#x", ready(s[0]));
	write(s[0], "one", 3);
	write(s[0], "two", 3);
	t_check(ready(s[1]) == (POLLIN | POLLOUT), "readable", "%#x", ready(s[1]));
	t_check(ioctl(s[1], FIONREAD, &n) == 0 && n == 6, "FIONREAD", "%d", n);
	t_check(recv(s[1], b, 4, MSG_PEEK) == 4 && !memcmp(b, "onet", 4), "peek", "%.4s", b);
	t_check(read(s[1], b, sizeof b) == 6 && !memcmp(b, "onetwo", 6), "writes run together",
		"%s", b);
	FAILS(recv(s[1], b, 1, MSG_DONTWAIT), EAGAIN, "nothing there");
	write(s[1], "back", 4);
	t_check(recv(s[0], b, 2, MSG_WAITALL) == 2 && read(s[0], b + 2, 9) == 2 &&
			!memcmp(b, "back", 4),
		"the other way", "%s", b);
	shutdown(s[0], SHUT_WR);
	t_check(read(s[1], b, 1) == 0, "shut for writing: an end", "no");
	t_check(ready(s[1]) == (POLLIN | POLLOUT | POLLRDHUP), "and told by poll", "%#x",
		ready(s[1]));
	FAILS(send(s[0], "x", 1, MSG_NOSIGNAL), EPIPE, "no more writing");
	t_check(write(s[1], "y", 1) == 1 && read(s[0], b, 1) == 1, "the other way goes on", "no");
	write(s[0], "lost", 0);
	write(s[1], "unread", 6);
	close(s[0]);
	t_check(ready(s[1]) & POLLHUP, "closed: POLLHUP", "%#x", ready(s[1]));
	FAILS(read(s[1], b, 1), ECONNRESET, "closed with bytes unread");
	t_check(read(s[1], b, 1) == 0, "then an end", "no");
	FAILS(send(s[1], "x", 1, MSG_NOSIGNAL), EPIPE, "nobody is there");
	close(s[1]);
	int one = socket(AF_UNIX, SOCK_STREAM, 0);
	FAILS(read(one, b, 1), EINVAL, "not connected: read");
	FAILS(send(one, b, 1, MSG_NOSIGNAL), ENOTCONN, "not connected: write");
	t_check(ready(one) == (POLLOUT | POLLHUP), "not connected: poll", "%#x", ready(one));
	close(one);
	FAILS(socket(AF_UNIX, SOCK_RDM, 0), ESOCKTNOSUPPORT, "no such type");
}

/* More than fits, in pieces of all sizes, with a slow reader. */
#define BULK (3 << 20)
static void bulk(int type)
{
	static unsigned char out[BULK], in[BULK];
	uint64_t seed = 5;

	pair(type);
	t_fill(out, BULK, 0, 9);
	pid_t pid = fork();
	if (pid == 0) {
		close(s[0]);
		for (size_t at = 0; at < BULK;) {
			size_t n = 1 + t_below(&seed, 100000);
			n = n < BULK - at ? n : BULK - at;
			if (send(s[1], out + at, n, 0) != (ssize_t)n)
				_exit(1);
			at += n;
		}
		_exit(0);
	}
	close(s[1]);
	size_t got = 0;
	ssize_t n;
	while ((n = read(s[0], in + got, BULK - got)) > 0)
		got += (size_t)n;
	int st;
	waitpid(pid, &st, 0);
	close(s[0]);
	t_check(st == 0 && got == BULK && t_compare(in, BULK, 0, 9) < 0,
		type == SOCK_STREAM ? "3 MB as a stream" : "3 MB as packets", "%zu bytes, %#x", got,
		st);
}

static void full(void)
{
	char b[1024] = "";
	int n = 0;

	pair(SOCK_STREAM);
	fcntl(s[0], F_SETFL, O_NONBLOCK);
	while (n < 1 << 22 && write(s[0], b, sizeof b) > 0)
		n += (int)sizeof b;
	t_check(n < 1 << 22 && errno == EAGAIN && !(ready(s[0]) & POLLOUT), "full: EAGAIN", "%d",
		n);
	while (recv(s[1], b, sizeof b, MSG_DONTWAIT) > 0)
		;
	t_check(ready(s[0]) & POLLOUT, "and writable again", "%#x", ready(s[0]));
	end_pair();
	pair(SOCK_DGRAM);
	fcntl(s[0], F_SETFL, O_NONBLOCK);
	for (n = 0; n < 100000 && write(s[0], b, 1) == 1; n++)
		;
	t_check(n < 100000 && errno == EAGAIN && !(ready(s[0]) & POLLOUT), "full of datagrams",
		"%d", n);
	while (recv(s[1], b, sizeof b, MSG_DONTWAIT) > 0)
		;
	t_check(ready(s[0]) & POLLOUT, "writable again", "%#x", ready(s[0]));
	FAILS(send(s[0], b, 1 << 20, 0), EMSGSIZE, "too long");
	end_pair();
}

static void packets(void)
{
	char b[64];
	struct iovec v = {b, 3};
	struct msghdr h = {.msg_iov = &v, .msg_iovlen = 1};

	pair(SOCK_SEQPACKET);
	write(s[0], "first", 5);
	write(s[0], "", 0);
	send(s[0], "second", 6, 0);
	t_check(recv(s[1], b, 2, MSG_PEEK | MSG_TRUNC) == 5, "a packet's length", "no");
	t_check(recvmsg(s[1], &h, 0) == 3 && h.msg_flags == MSG_TRUNC && !memcmp(b, "fir", 3),
		"cut", "%#x", h.msg_flags);
	t_check(read(s[1], b, sizeof b) == 0, "an empty one", "no");
	t_check(read(s[1], b, sizeof b) == 6 && !memcmp(b, "second", 6), "the next one whole",
		"no");
	close(s[0]);
	t_check(read(s[1], b, sizeof b) == 0, "closed: an end", "no");
	close(s[1]);
}

static void datagrams(void)
{
	struct sockaddr_un from;
	socklen_t len = sizeof from;
	char b[64];
	int to = socket(AF_UNIX, SOCK_DGRAM, 0), a = socket(AF_UNIX, SOCK_DGRAM, 0);
	socklen_t n = abstract("t_unix to");

	t_check(bind(to, ADDR, n) == 0, "an abstract name", "-1");
	FAILS(bind(a, ADDR, n), EADDRINUSE, "is taken");
	t_check(sendto(a, "hello", 5, 0, ADDR, n) == 5, "sendto", "-1");
	t_check(recvfrom(to, b, sizeof b, 0, (struct sockaddr *)&from, &len) == 5 && len == 0,
		"from nobody", "%u", len);
	t_check(bind(a, ADDR, 2) == 0, "any name", "-1");
	len = sizeof from;
	getsockname(a, (struct sockaddr *)&from, &len);
	t_check(len == 8 && from.sun_path[0] == 0, "was chosen", "%u", len);
	t_check(connect(a, ADDR, n) == 0 && write(a, "again", 5) == 5, "connected", "-1");
	struct sockaddr_un back = from;
	len = sizeof from;
	recvfrom(to, b, sizeof b, 0, (struct sockaddr *)&from, &len);
	t_check(len == 8 && !memcmp(&from, &back, 8), "from whom", "%u", len);
	t_check(sendto(to, "answer", 6, 0, (struct sockaddr *)&from, len) == 6 &&
			read(a, b, 64) == 6,
		"an answer", "no");
	close(to);
	FAILS(write(a, "x", 1), ECONNREFUSED, "gone");
	FAILS(write(a, "x", 1), ENOTCONN, "and disconnected");
	close(a);
	FAILS(sendto(s[0], "x", 1, 0, ADDR, n), EBADF, "closed descriptor");
}

static void credentials(int c, int server)
{
	struct ucred cr = {0};
	socklen_t len = sizeof cr;
	t_check(getsockopt(c, SOL_SOCKET, SO_PEERCRED, &cr, &len) == 0 && cr.pid == getpid() &&
			cr.uid == geteuid() && cr.gid == getegid(),
		server ? "who has connected" : "who listens", "%d %u", cr.pid, cr.uid);
}

static void connections(const char *dir)
{
	struct sockaddr_un from;
	socklen_t n, len = sizeof from;
	struct stat st;
	char path[128], b[8];
	int l = socket(AF_UNIX, SOCK_STREAM, 0),
	    c = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	snprintf(path, sizeof path, "%s/sock", dir);
	n = named(path);
	FAILS(connect(c, ADDR, n), ENOENT, "no such name");
	FAILS(listen(l, 1), EINVAL, "nobody can connect to nothing");
	umask(022);
	t_check(bind(l, ADDR, n) == 0 && lstat(path, &st) == 0 && S_ISSOCK(st.st_mode) &&
			(st.st_mode & 0777) == 0755,
		"a name in the file system", "%o", st.st_mode);
	FAILS(bind(l, ADDR, abstract("t_unix 2")), EINVAL, "only one name");
	named(path);
	FAILS(connect(c, ADDR, n), ECONNREFUSED, "nobody listens");
	FAILS(open(path, O_RDWR), ENXIO, "it cannot be opened");
	FAILS(accept(l, NULL, NULL), EINVAL, "not listening");
	t_check(listen(l, 1) == 0 && !(ready(l) & POLLIN), "listens", "%#x", ready(l));
	t_check(connect(c, ADDR, n) == 0 && ready(l) & POLLIN, "connected before it is accepted",
		"%#x", ready(l));
	FAILS(connect(c, ADDR, n), EISCONN, "already");
	write(c, "early", 5);
	int a = accept(l, (struct sockaddr *)&from, &len);
	t_check(a >= 0 && len == 2, "accepted", "%d, %u", a, len);
	t_check(read(a, b, 8) == 5, "what was sent before", "no");
	len = sizeof from;
	getpeername(c, (struct sockaddr *)&from, &len);
	t_check(len == n && !strcmp(from.sun_path, path), "the peer's name", "%s", from.sun_path);
	credentials(c, 0);
	credentials(a, 1);
	/* Renamed it is the same socket; another of its old name is not. */
	char other[140];
	snprintf(other, sizeof other, "%s.2", path);
	rename(path, other);
	int d = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0), tries = 0;
	t_check(connect(d, ADDR, named(other)) == 0, "under another name", "-1");
	FAILS(connect(socket(AF_UNIX, SOCK_SEQPACKET, 0), ADDR, n + 2), EPROTOTYPE, "another type");
	while (tries < 200 &&
	       connect(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0), ADDR, n + 2) == 0)
		tries++;
	t_check(tries < 200 && errno == EAGAIN, "its queue is full", "%d", tries);
	close(l);
	FAILS(read(d, b, 8), ECONNRESET, "never accepted");
	t_check(write(c, "x", 1) == 1 && read(a, b, 1) == 1, "the accepted one stays", "no");
	FAILS(connect(socket(AF_UNIX, SOCK_STREAM, 0), ADDR, n + 2), ECONNREFUSED,
	      "the listener has gone");
	unlink(other);
	for (int fd = 3; fd < 250; fd++)
		close(fd);
}

static void not_mine(void *path)
{
	if (setgid(1000) || setuid(1000))
		_exit(9);
	_exit(connect(socket(AF_UNIX, SOCK_STREAM, 0), ADDR, named(path)) == 0 || errno != EACCES);
}

static void permissions(const char *dir)
{
	char path[128];
	int l = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(path, sizeof path, "%s/mine", dir);
	bind(l, ADDR, named(path));
	listen(l, 1);
	t_check(t_in_child(not_mine, path) == 0, "who may not write may not connect", "he does");
	close(l);
	unlink(path);
}

/* One byte with descriptors; returns how many came, in fd. flags of the message in *got. */
static ssize_t send_fds(int to, const int *fd, int n)
{
	union {
		struct cmsghdr h;
		char b[CMSG_SPACE(8 * sizeof(int))];
	} c;
	struct iovec v = {(void *)"f", 1};
	struct msghdr h = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = &c};
	h.msg_controllen = CMSG_SPACE((size_t)n * sizeof(int));
	memset(&c, 0, sizeof c);
	c.h.cmsg_level = SOL_SOCKET;
	c.h.cmsg_type = SCM_RIGHTS;
	c.h.cmsg_len = CMSG_LEN((size_t)n * sizeof(int));
	memcpy(CMSG_DATA(&c.h), fd, (size_t)n * sizeof(int));
	return sendmsg(to, &h, MSG_DONTWAIT);
}

static int receive_fds(int from, int *fd, int room, int *flags)
{
	union {
		struct cmsghdr h;
		char b[CMSG_SPACE(8 * sizeof(int))];
	} c;
	char b[8];
	struct iovec v = {b, 8};
	struct msghdr h = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = &c};
	h.msg_controllen = CMSG_LEN((size_t)room * sizeof(int));
	memset(&c, 0, sizeof c);
	if (recvmsg(from, &h, MSG_CMSG_CLOEXEC) < 1)
		return -1;
	*flags = h.msg_flags & ~MSG_CMSG_CLOEXEC;
	if (h.msg_controllen < sizeof c.h)
		return 0;
	int n = (int)((c.h.cmsg_len - CMSG_LEN(0)) / sizeof(int));
	memcpy(fd, CMSG_DATA(&c.h), (size_t)n * sizeof(int));
	return n;
}

static void rights(void)
{
	int p[2], fd[8], flags = 0;
	char b[8];

	pair(SOCK_STREAM);
	pipe(p);
	t_check(send_fds(s[0], p, 2) == 1, "descriptors are sent", "-1");
	close(p[0]);
	close(p[1]);
	t_check(receive_fds(s[1], fd, 2, &flags) == 2 && flags == 0, "and received", "%#x", flags);
	t_check(write(fd[1], "!", 1) == 1 && read(fd[0], b, 8) == 1, "they work", "no");
	t_check(fcntl(fd[0], F_GETFD) == FD_CLOEXEC, "close-on-exec", "no");
	send_fds(s[0], fd, 2);
	t_check(receive_fds(s[1], p, 1, &flags) == 1 && flags == MSG_CTRUNC, "no room for all",
		"%#x", flags);
	close(fd[1]);
	t_check(read(fd[0], b, 8) == 0, "the other was closed", "no");
	send_fds(s[0], p, 1);
	t_check(read(s[1], b, 8) == 1, "read() gets the byte only", "no");
	fd[1] = 999;
	FAILS(send_fds(s[0], fd, 2), EBADF, "none to send");
	close(p[0]);
	close(fd[0]);
	/* Bytes behind descriptors are another message. */
	send_fds(s[0], s, 1);
	write(s[0], "abc", 3);
	t_check(read(s[1], b, 8) == 1 && read(s[1], b, 8) == 3, "bytes behind them wait", "no");
	end_pair();
}

static void identities(void)
{
	union {
		struct cmsghdr h;
		char b[CMSG_SPACE(sizeof(struct ucred))];
	} c;
	char b[8];
	int on = 1;
	struct ucred *cr = (struct ucred *)CMSG_DATA(&c.h);
	struct iovec v = {b, 8};
	struct msghdr h = {
		.msg_iov = &v, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = sizeof c};

	pair(SOCK_DGRAM);
	setsockopt(s[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof on);
	pid_t pid = fork();
	if (pid == 0) {
		write(s[0], "x", 1);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	t_check(recvmsg(s[1], &h, 0) == 1 && c.h.cmsg_type == SCM_CREDENTIALS && cr->pid == pid &&
			cr->uid == getuid(),
		"who has sent it", "%d", cr->pid);
	*cr = (struct ucred){getpid(), getuid(), getgid()};
	c.h = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof *cr),
			       .cmsg_level = SOL_SOCKET,
			       .cmsg_type = SCM_CREDENTIALS};
	t_check(sendmsg(s[0], &h, 0) == 8, "one's own identity", "-1");
	if (getuid()) {
		cr->pid = 1;
		FAILS(sendmsg(s[0], &h, 0), EPERM, "not another's");
	}
	end_pair();
}

/* Sockets that hold each other, and a long chain of them: nothing is left, and the kernel's stack suffices. */
static void loops(long rounds)
{
	int chain[2], p[2];

	for (long i = 0; i < rounds; i++) {
		pair(SOCK_STREAM);
		send_fds(s[0], s, 2);
		send_fds(s[1], s, 2);
		end_pair();
	}
	t_check(true, "sockets in their own queues", "-");
	pair(SOCK_DGRAM);
	for (int i = 0; i < 200; i++) {
		socketpair(AF_UNIX, SOCK_DGRAM, 0, chain);
		/* The last pair into the next one's queue. */
		if (send_fds(chain[0], s, 2) != 1)
			break;
		end_pair();
		s[0] = chain[0];
		s[1] = chain[1];
	}
	end_pair();
	t_check(pipe(p) == 0 && p[0] < 16, "a chain of sockets", "%d", p[0]);
	close(p[0]);
	close(p[1]);
}

int main(int argc, char **argv)
{
	char dir[] = "/tmp/t_unixXXXXXX";

	if (argc > 1 && !strcmp(argv[1], "--loops")) {
		loops(t_option(argc, argv, "--loops", 1));
		return t_end();
	}
	signal(SIGPIPE, SIG_IGN);
	if (!mkdtemp(dir))
		t_die("mkdtemp");
	chmod(dir, 0755);
	streams();
	bulk(SOCK_STREAM);
	bulk(SOCK_SEQPACKET);
	full();
	packets();
	datagrams();
	connections(dir);
	if (geteuid() == 0)
		permissions(dir);
	rmdir(dir);
	rights();
	identities();
	loops(3);
	return t_end();
}
