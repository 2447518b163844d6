/* SPDX-License-Identifier: MIT */
/* Sockets of TCP within one machine: what each call says, in each state; bytes in bulk; readiness; the ends of connections. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "t.h"

#define FAILS(call, error) (errno = 0, (call) == -1 && errno == (error))
#define SA(a)		   ((struct sockaddr *)(a)), sizeof(*(a))

enum { BULK = 6 << 20, PIECE = 100000 };

static struct sockaddr_in addr(uint16_t port)
{
	return (struct sockaddr_in){.sin_family = AF_INET,
				    .sin_port = htons(port),
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

/* A listener at a port of its own choice. */
static int listener(struct sockaddr_in *at, int backlog)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	socklen_t len = sizeof(*at);

	*at = addr(0);
	if (fd < 0 || bind(fd, SA(at)) < 0 || listen(fd, backlog) < 0 ||
	    getsockname(fd, (struct sockaddr *)at, &len) < 0)
		t_die("listener");
	return fd;
}

/* Two connected sockets. */
static void pair(int fd[2])
{
	struct sockaddr_in at;
	int l = listener(&at, 1);

	fd[0] = socket(AF_INET, SOCK_STREAM, 0);
	if (connect(fd[0], SA(&at)) < 0)
		t_die("connect");
	fd[1] = accept(l, NULL, NULL);
	if (fd[1] < 0)
		t_die("accept");
	close(l);
}

static void unpair(const int fd[2])
{
	close(fd[0]);
	close(fd[1]);
}

static short ready(int fd, short events, int ms)
{
	struct pollfd p = {.fd = fd, .events = events};

	return poll(&p, 1, ms) < 0 ? -1 : p.revents;
}

static int option(int fd, int level, int name)
{
	int value = -1;
	socklen_t len = sizeof(value);

	return getsockopt(fd, level, name, &value, &len) < 0 ? -1 : value;
}

static void set(int fd, int level, int name, int value)
{
	if (setsockopt(fd, level, name, &value, sizeof(value)) < 0)
		t_die("setsockopt %d", name);
}

static void making(void)
{
	t_check(FAILS(socket(AF_INET, 77, 0), EINVAL), "a type that is none", "no EINVAL");
	t_check(FAILS(socket(AF_INET, SOCK_STREAM, IPPROTO_UDP), EPROTONOSUPPORT),
		"a stream of UDP", "no EPROTONOSUPPORT");
	t_check(FAILS(socket(AF_INET, SOCK_SEQPACKET, 0), ESOCKTNOSUPPORT), "seqpacket", "exists");
	t_check(FAILS(socket(45, SOCK_STREAM, 0), EAFNOSUPPORT), "a family that is none",
		"no EAFNOSUPPORT");
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct stat st;

	t_check(fcntl(fd, F_GETFD) == FD_CLOEXEC && fcntl(fd, F_GETFL) == (O_RDWR | O_NONBLOCK),
		"flags of socket()", "lost");
	t_check(fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode), "fstat says it is a socket", "not");
	t_check(FAILS(lseek(fd, 0, SEEK_SET), ESPIPE), "lseek", "no ESPIPE");
	t_check(FAILS(read(fd, &st, 1), ENOTCONN), "read before connect", "no ENOTCONN");
	t_check(FAILS(send(fd, &st, 1, MSG_NOSIGNAL), EPIPE), "send before connect", "no EPIPE");
	t_check(FAILS(getpeername(fd, (struct sockaddr *)&st, &(socklen_t){16}), ENOTCONN),
		"no peer", "no ENOTCONN");
	t_check(FAILS(shutdown(fd, SHUT_WR), ENOTCONN), "shutdown before connect", "no ENOTCONN");
	t_check(FAILS(accept(fd, NULL, NULL), EINVAL), "accept without listen", "no EINVAL");
	t_check(ready(fd, POLLIN | POLLOUT, 0) == (POLLOUT | POLLHUP), "poll of a new one", "%#x",
		ready(fd, POLLIN | POLLOUT, 0));
	close(fd);
	t_check(FAILS(listen(0, 1), ENOTSOCK) || errno == EBADF, "no socket", "no ENOTSOCK");
	t_check(FAILS(bind(77, NULL, 0), EBADF), "no descriptor", "no EBADF");
}

static void binding(void)
{
	struct sockaddr_in a, elsewhere = addr(0), un = addr(0);
	int l = listener(&a, 5), fd = socket(AF_INET, SOCK_STREAM, 0);

	elsewhere.sin_addr.s_addr = htonl(0x01020304);
	un.sin_family = AF_UNIX;
	t_check(FAILS(bind(l, SA(&a)), EINVAL), "bind twice", "no EINVAL");
	t_check(FAILS(bind(fd, SA(&a)), EADDRINUSE), "a port that is in use", "no EADDRINUSE");
	t_check(FAILS(bind(fd, SA(&elsewhere)), EADDRNOTAVAIL), "another's address",
		"no EADDRNOTAVAIL");
	t_check(FAILS(bind(fd, (struct sockaddr *)&a, 7), EINVAL), "half an address", "no EINVAL");
	t_check(FAILS(bind(fd, SA(&un)), EAFNOSUPPORT), "another family", "no EAFNOSUPPORT");
	t_check(option(l, SOL_SOCKET, SO_ACCEPTCONN) == 1 &&
			option(fd, SOL_SOCKET, SO_ACCEPTCONN) == 0,
		"SO_ACCEPTCONN", "wrong");
	close(l);
	t_check(FAILS(connect(fd, SA(&a)), ECONNREFUSED), "nobody listens", "no ECONNREFUSED");
	close(fd);
}

static void in_child_low_port(void *unused)
{
	struct sockaddr_in low = addr(81);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	(void)unused;
	if (setuid(31999) < 0)
		_exit(0); /* the host's tests may run as anybody */
	_exit(FAILS(bind(fd, SA(&low)), EACCES) ? 0 : 1);
}

static void names(void)
{
	struct sockaddr_in at, a, b;
	socklen_t len = sizeof(a);
	int l = listener(&at, 5), c = socket(AF_INET, SOCK_STREAM, 0);

	t_check(connect(c, SA(&at)) == 0, "connect", "failed");
	int s = accept4(l, (struct sockaddr *)&a, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

	t_check(s >= 0 && fcntl(s, F_GETFL) & O_NONBLOCK && fcntl(s, F_GETFD) == FD_CLOEXEC,
		"accept4's flags", "lost");
	t_check(len == sizeof(a) && getsockname(c, (struct sockaddr *)&b, &len) == 0 &&
			memcmp(&a, &b, sizeof(a)) == 0,
		"accept tells who calls", "differs from what the caller is");
	t_check(getpeername(c, (struct sockaddr *)&a, &len) == 0 &&
			getsockname(s, (struct sockaddr *)&b, &len) == 0 &&
			a.sin_port == b.sin_port && a.sin_port == at.sin_port,
		"both ends have the names", "they differ");
	t_check(FAILS(connect(c, SA(&at)), EISCONN), "connect twice", "no EISCONN");
	len = 4;
	memset(&a, 0xee, sizeof(a));
	t_check(getsockname(c, (struct sockaddr *)&a, &len) == 0 && len == sizeof(a) &&
			((uint8_t *)&a)[4] == 0xee,
		"a name that is cut", "written beyond");
	t_check(t_in_child(in_child_low_port, NULL) == 0, "low ports are root's", "no EACCES");
	close(c);
	close(s);
	close(l);
}

static void bytes(void)
{
	char buf[64] = "";
	int fd[2], n = -1;

	pair(fd);
	t_check(FAILS(recv(fd[1], buf, 1, MSG_DONTWAIT), EAGAIN), "MSG_DONTWAIT", "no EAGAIN");
	t_check(write(fd[0], "hello", 5) == 5 && ready(fd[1], POLLIN, 1000) == POLLIN, "readable",
		"not");
	t_check(ioctl(fd[1], FIONREAD, &n) == 0 && n == 5, "FIONREAD", "%d", n);
	t_check(recv(fd[1], buf, 64, MSG_PEEK) == 5 && recv(fd[1], buf, 3, 0) == 3 &&
			recv(fd[1], buf + 3, 64, 0) == 2 && memcmp(buf, "hello", 5) == 0,
		"MSG_PEEK leaves it", "%.5s", buf);
	struct iovec v[2] = {{"ab", 2}, {"cdef", 4}},
		     w[3] = {{buf, 1}, {buf + 10, 0}, {buf + 20, 9}};

	t_check(writev(fd[0], v, 2) == 6 && ready(fd[1], POLLIN, 1000) == POLLIN &&
			readv(fd[1], w, 3) == 6 && buf[0] == 'a' &&
			memcmp(buf + 20, "bcdef", 5) == 0,
		"vectors", "wrong bytes");
	if (fork() == 0) {
		for (int i = 0; i < 4; i++, t_sleep_ms(20))
			t_write_all(fd[0], "wxyz", 4);
		_exit(0);
	}
	t_check(recv(fd[1], buf, 16, MSG_WAITALL) == 16, "MSG_WAITALL", "less than all");
	wait(NULL);
	t_check(send(fd[0], "123456", 6, 0) == 6 && ready(fd[1], POLLIN, 1000) &&
			recv(fd[1], NULL, 4, MSG_TRUNC) == 4 && recv(fd[1], buf, 9, 0) == 2,
		"MSG_TRUNC throws bytes away", "not");
	t_check(write(fd[0], buf, 0) == 0 && read(fd[1], buf, 0) == 0, "nothing", "not 0");
	t_check(shutdown(fd[0], SHUT_WR) == 0 && read(fd[1], buf, 9) == 0, "end after shutdown",
		"no 0");
	t_check(ready(fd[1], POLLIN | POLLRDHUP | POLLOUT, 0) == (POLLIN | POLLRDHUP | POLLOUT),
		"half closed", "%#x", ready(fd[1], POLLIN | POLLRDHUP | POLLOUT, 0));
	t_check(FAILS(send(fd[0], "x", 1, MSG_NOSIGNAL), EPIPE), "EPIPE after shutdown", "not");
	t_check(write(fd[1], "back", 4) == 4 && read(fd[0], buf, 9) == 4, "the other way is open",
		"not");
	close(fd[1]);
	t_check(ready(fd[0], POLLIN | POLLOUT, 1000) == (POLLIN | POLLOUT | POLLHUP), "all closed",
		"%#x", ready(fd[0], POLLIN | POLLOUT, 0));
	close(fd[0]);
}

static volatile sig_atomic_t signals;

static void on_signal(int sig)
{
	(void)sig;
	signals++;
}

static void handle(int sig, int flags)
{
	struct sigaction a = {.sa_handler = on_signal, .sa_flags = flags};

	sigaction(sig, &a, NULL);
	signals = 0;
}

static void ends(void)
{
	struct linger reset = {1, 0};
	char c;
	int fd[2];

	pair(fd);
	setsockopt(fd[0], SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	close(fd[0]);
	t_check(ready(fd[1], POLLIN, 1000) & POLLIN && FAILS(read(fd[1], &c, 1), ECONNRESET),
		"SO_LINGER 0 resets", "no ECONNRESET");
	t_check(read(fd[1], &c, 1) == 0, "an error is told once", "again");
	handle(SIGPIPE, 0);
	t_check(FAILS(write(fd[1], &c, 1), EPIPE) && signals == 1, "SIGPIPE", "%d", signals);
	close(fd[1]);
	pair(fd);
	t_write_all(fd[0], "unread", 6);
	ready(fd[1], POLLIN, 1000);
	close(fd[1]);
	t_check(ready(fd[0], POLLIN, 1000) & (POLLERR | POLLHUP) &&
			option(fd[0], SOL_SOCKET, SO_ERROR) == ECONNRESET,
		"what was unread resets", "no ECONNRESET");
	t_check(option(fd[0], SOL_SOCKET, SO_ERROR) == 0, "SO_ERROR is told once", "again");
	close(fd[0]);
	pair(fd);
	t_write_all(fd[0], "last", 4);
	close(fd[0]);
	char buf[8];
	t_check(recv(fd[1], buf, 8, MSG_WAITALL) == 4, "what was written before close comes",
		"not");
	close(fd[1]);
}

static void nonblocking(void)
{
	struct sockaddr_in at, nobody;
	int l = listener(&at, 5), gone = listener(&nobody, 1),
	    fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	int on = 1;

	close(gone);
	t_check(ioctl(l, FIONBIO, &on) == 0 && FAILS(accept(l, NULL, NULL), EAGAIN), "nobody calls",
		"no EAGAIN");
	t_check(connect(fd, SA(&at)) == 0 || errno == EINPROGRESS, "connect that does not wait",
		"failed");
	t_check(ready(fd, POLLOUT, 1000) == POLLOUT && option(fd, SOL_SOCKET, SO_ERROR) == 0,
		"it is connected", "not");
	t_check(ready(l, POLLIN, 1000) == POLLIN, "the listener is readable", "not");
	int s = accept(l, NULL, NULL);
	static char big[1 << 16];
	long sent = 0, n;

	do /* what is under way may make room again */
		while ((n = write(fd, big, sizeof(big))) > 0)
			sent += n;
	while (errno == EAGAIN && ready(fd, POLLOUT, 200) == POLLOUT);
	t_check(n == -1 && errno == EAGAIN && sent > 4000, "it fills up", "after %ld", sent);
	t_check(ready(fd, POLLOUT, 0) == 0, "and is not writable", "but it is");
	for (long got = 0; got < sent; got += n)
		if ((n = read(s, big, sizeof(big))) <= 0)
			t_die("read");
	t_check(ready(fd, POLLOUT, 1000) == POLLOUT, "until it is read", "not");
	close(s);
	close(fd);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	n = connect(fd, SA(&nobody));
	t_check(n == -1 && (errno == EINPROGRESS || errno == ECONNREFUSED), "connect to nobody",
		"%ld", n);
	if (errno == EINPROGRESS)
		t_check((ready(fd, POLLOUT, 1000) & (POLLERR | POLLHUP)) == (POLLERR | POLLHUP) &&
				option(fd, SOL_SOCKET, SO_ERROR) == ECONNREFUSED,
			"fails later", "not");
	else
		t_check(true, "fails later", "-");
	close(fd);
	close(l);
}

static void waiting(void)
{
	struct timeval tv = {0, 50000};
	struct itimerval soon = {{0, 0}, {0, 30000}};
	char c;
	int fd[2];

	pair(fd);
	setsockopt(fd[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	int64_t began = t_mono_ns();

	t_check(FAILS(read(fd[0], &c, 1), EAGAIN) && t_mono_ns() - began > 40000000, "SO_RCVTIMEO",
		"not");
	handle(SIGALRM, 0);
	setitimer(ITIMER_REAL, &soon, NULL);
	t_check(FAILS(read(fd[1], &c, 1), EINTR), "a signal ends a read", "no EINTR");
	handle(SIGALRM, SA_RESTART);
	setitimer(ITIMER_REAL, &soon, NULL);
	if (fork() == 0) {
		t_sleep_ms(80);
		t_write_all(fd[0], "x", 1);
		_exit(0);
	}
	t_check(read(fd[1], &c, 1) == 1 && signals == 1, "SA_RESTART", "not restarted");
	wait(NULL);
	fd_set in;
	struct epoll_event ev = {.events = EPOLLIN, .data.u32 = 7}, got = {0};
	int ep = epoll_create1(0);

	FD_ZERO(&in);
	FD_SET(fd[1], &in);
	tv = (struct timeval){0, 0};
	t_check(select(fd[1] + 1, &in, NULL, NULL, &tv) == 0, "select: nothing", "something");
	epoll_ctl(ep, EPOLL_CTL_ADD, fd[1], &ev);
	t_check(epoll_wait(ep, &got, 1, 0) == 0, "epoll: nothing", "something");
	t_write_all(fd[0], "x", 1);
	FD_SET(fd[1], &in);
	tv.tv_sec = 1;
	t_check(select(fd[1] + 1, &in, NULL, NULL, &tv) == 1 && FD_ISSET(fd[1], &in), "select",
		"not");
	t_check(epoll_wait(ep, &got, 1, 1000) == 1 && got.data.u32 == 7, "epoll", "not");
	close(ep);
	unpair(fd);
}

static void options(void)
{
	int fd[2];

	pair(fd);
	t_check(option(fd[0], SOL_SOCKET, SO_TYPE) == SOCK_STREAM &&
			option(fd[0], SOL_SOCKET, SO_DOMAIN) == AF_INET &&
			option(fd[0], SOL_SOCKET, SO_PROTOCOL) == IPPROTO_TCP,
		"type, domain, protocol", "wrong");
	t_check(option(fd[0], IPPROTO_TCP, TCP_NODELAY) == 0, "TCP_NODELAY is off", "on");
	set(fd[0], IPPROTO_TCP, TCP_NODELAY, 1);
	set(fd[0], SOL_SOCKET, SO_KEEPALIVE, 1);
	set(fd[0], IPPROTO_TCP, TCP_KEEPIDLE, 17);
	set(fd[0], IPPROTO_IP, IP_TTL, 33);
	set(fd[0], SOL_SOCKET, SO_RCVBUF, 20000);
	t_check(option(fd[0], IPPROTO_TCP, TCP_NODELAY) == 1 &&
			option(fd[0], SOL_SOCKET, SO_KEEPALIVE) == 1 &&
			option(fd[0], IPPROTO_TCP, TCP_KEEPIDLE) == 17 &&
			option(fd[0], IPPROTO_IP, IP_TTL) == 33,
		"options are kept", "not");
	t_check(option(fd[0], SOL_SOCKET, SO_RCVBUF) == 40000, "SO_RCVBUF is doubled", "%d",
		option(fd[0], SOL_SOCKET, SO_RCVBUF));
	t_check(FAILS(setsockopt(fd[0], SOL_SOCKET, 9999, &(int){1}, 4), ENOPROTOOPT) &&
			FAILS(setsockopt(fd[0], IPPROTO_TCP, 9999, &(int){1}, 4), ENOPROTOOPT),
		"unknown options", "no ENOPROTOOPT");
	t_check(FAILS(setsockopt(fd[0], SOL_SOCKET, SO_KEEPALIVE, &(int){1}, 2), EINVAL),
		"half an int", "no EINVAL");
	unpair(fd);
}

/* A process writes a pattern in pieces of random sizes, another reads it in others. */
static void bulk(uint64_t seed)
{
	static char buf[PIECE];
	uint64_t r = seed;
	long at = 0, wrong = -1, n;
	int fd[2], status;

	pair(fd);
	pid_t pid = fork();

	if (pid == 0) {
		close(fd[1]);
		for (long sent = 0, k; sent < BULK; sent += k) {
			k = 1 + t_below(&r, t_below(&r, 4) ? 3000 : PIECE);
			k = k < BULK - sent ? k : BULK - sent;
			t_fill(buf, k, sent, seed);
			t_write_all(fd[0], buf, k);
		}
		_exit(0);
	}
	close(fd[0]);
	r = seed + 1;
	while (wrong < 0 && (n = read(fd[1], buf, 1 + t_below(&r, PIECE))) > 0) {
		wrong = t_compare(buf, n, at, seed);
		at += n;
	}
	close(fd[1]);
	t_check(wrong < 0 && at == BULK, "bytes in bulk", "%ld came, wrong at %ld", at, wrong);
	t_check(waitpid(pid, &status, 0) == pid && status == 0, "the writer's end", "%#x", status);
}

static void sharing(void)
{
	char c;
	int fd[2];

	pair(fd);
	int copy = dup(fd[0]);

	close(fd[0]);
	if (fork() == 0) {
		t_write_all(copy, "c", 1);
		_exit(0);
	}
	wait(NULL);
	t_check(read(fd[1], &c, 1) == 1 && c == 'c', "a child writes to it", "not");
	t_check(ready(fd[1], POLLIN, 0) == 0, "it is open after the child's end", "closed");
	close(copy);
	t_check(read(fd[1], &c, 1) == 0, "the last close ends it", "not");
	close(fd[1]);
}

int main(int argc, char **argv)
{
	making();
	binding();
	names();
	bytes();
	ends();
	nonblocking();
	waiting();
	options();
	sharing();
	bulk((uint64_t)t_option(argc, argv, "--seed", 1));
	return t_end();
}
