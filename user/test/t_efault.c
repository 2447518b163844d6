/* SPDX-License-Identifier: MIT */
/*
 * A bad pointer in any system call gives EFAULT: each pointer of each call (efault.def) in turn is each of several bad
 * addresses, while the other arguments are good.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/times.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <utime.h>

#include "t.h"
#include "wh.h"

enum { ARCH_GET_FS = 0x1003 }; /* musl has no header for it */
enum { FILE_FD = 20, DIR_FD, TTY_FD, EPOLL_FD, EVENT_FD, TIMER_FD, UDP_FD, LISTEN_FD, STREAM_FD };
enum { PAGE = 4096, ARGS = 6 };

/* What the kernel reads or writes there, where the C library has another name or shape for it. */
typedef int int2[2];
typedef char char16[16];
typedef void *pointer;
typedef struct timeval timeval2[2];
typedef struct timespec timespec2[2];
typedef uint64_t ksigaction[4], sigset6[2], statx_buf[32];

enum way { NUMBER, OWN_PID, READ, WRITTEN, NAME, VECTOR, ARGUMENTS };

struct arg {
	enum way way;
	bool may_be_null;
	long value;  /* NUMBER; VECTOR: whether the buffer it points to is written */
	size_t size; /* at least, of what is pointed to; 1: what fits is used */
	const char *name;
};

struct row {
	long nr;
	const char *name;
	enum { FOLLOWS, FOLLOWS_NOTHING, DENIED } kind;
	void (*before)(void);
	int nargs;
	struct arg args[ARGS];
};

static char *good[ARGS]; /* a page for each argument */
static char *page_end;	 /* the last bytes before it are there, those after it are not */
static char *read_only, *none, *hole;

static void nothing(void)
{
}

static void rewind_file(void)
{
	lseek(FILE_FD, 0, SEEK_SET);
}

static void rewind_dir(void)
{
	lseek(DIR_FD, 0, SEEK_SET);
}

/* EPOLL_FD has something to tell. */
static void ready_event(void)
{
	struct epoll_event e = {.events = EPOLLIN};

	epoll_ctl(EPOLL_FD, EPOLL_CTL_ADD, EVENT_FD, &e);
	eventfd_write(EVENT_FD, 1);
}

/* ---- sockets: UDP_FD sends to itself; STREAM_FD is connected to a socket of LISTEN_FD ---- */

static struct sockaddr_in self, listener;
static int sixteen, peer = -1;
static char somewhere[256];

static int connect_to_listener(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&listener, sizeof(listener)) < 0)
		t_die("connect");
	return fd;
}

static void caller(void)
{
	sixteen = 16;
	close(connect_to_listener());
}

static void connection(void)
{
	sixteen = 16;
	if (peer >= 0)
		return;
	while ((peer = accept(LISTEN_FD, NULL, NULL)) >= 0) /* those of caller() */
		close(peer);
	dup2(connect_to_listener(), STREAM_FD);
	peer = accept(LISTEN_FD, NULL, NULL);
}

static void bytes(void)
{
	connection();
	if (write(peer, somewhere, 16) != 16)
		t_die("write to a socket");
	struct pollfd p = {.fd = STREAM_FD, .events = POLLIN};
	poll(&p, 1, 1000);
}

static void datagram(void)
{
	sixteen = 16;
	if (sendto(UDP_FD, somewhere, 16, 0, (struct sockaddr *)&self, sizeof(self)) != 16)
		t_die("sendto");
	struct pollfd p = {.fd = UDP_FD, .events = POLLIN};
	poll(&p, 1, 1000);
}

static void make_sockets(void)
{
	socklen_t len = sizeof(self);

	self = listener = (struct sockaddr_in){.sin_family = AF_INET,
					       .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	dup2(socket(AF_INET, SOCK_DGRAM, 0), UDP_FD);
	dup2(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), LISTEN_FD);
	if (bind(UDP_FD, (struct sockaddr *)&self, len) < 0 ||
	    getsockname(UDP_FD, (struct sockaddr *)&self, &len) < 0 ||
	    bind(LISTEN_FD, (struct sockaddr *)&listener, len) < 0 || listen(LISTEN_FD, 64) < 0 ||
	    getsockname(LISTEN_FD, (struct sockaddr *)&listener, &len) < 0)
		t_die("sockets");
}

/* SIGUSR1, blocked. */
static const uint64_t usr1 = 1ull << (SIGUSR1 - 1);

static void pending(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	raise(SIGUSR1);
}

static void a_timer(void)
{
	static timer_t t;

	if (!t)
		timer_create(CLOCK_MONOTONIC, NULL, &t);
	t = (timer_t)1;
}

static void zombie(void)
{
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	if (fork() == 0)
		_exit(0);
}

static void one_group(void)
{
	gid_t g = 77;

	if (setgroups(1, &g) < 0)
		t_die("setgroups");
}

#define COUNT(...) (int)(sizeof((struct arg[]){__VA_ARGS__}) / sizeof(struct arg))

#define ARG(...)                                                                                   \
	{                                                                                          \
		__VA_ARGS__                                                                        \
	}
#define N(number)     ARG(.way = NUMBER, .value = (long)(number))
#define SELF	      ARG(.way = OWN_PID)
#define IN(type)      ARG(.way = READ, .size = sizeof(type))
#define OUT(type)     ARG(.way = WRITTEN, .size = sizeof(type))
#define SIGSET	      ARG(.way = NUMBER, .value = (long)&usr1)
#define SIXTEEN	      ARG(.way = NUMBER, .value = (long)&sixteen)
#define SOMEWHERE     ARG(.way = NUMBER, .value = (long)somewhere)
#define SELF_ADDRESS  ARG(.way = NUMBER, .value = (long)&self)
#define MAY_IN(type)  ARG(.way = READ, .size = sizeof(type), .may_be_null = true)
#define MAY_OUT(type) ARG(.way = WRITTEN, .size = sizeof(type), .may_be_null = true)
#define PATH	      ARG(.way = NAME, .size = 2, .name = "file")
#define PROGRAM	      ARG(.way = NAME, .size = 2, .name = "program")
#define NEW	      ARG(.way = NAME, .size = 2, .name = "new")
#define LINK	      ARG(.way = NAME, .size = 2, .name = "link")
#define IOV(dir)      IOV_##dir
#define IOV_IN	      ARG(.way = VECTOR, .size = 1, .value = false)
#define IOV_OUT	      ARG(.way = VECTOR, .size = 1, .value = true)
#define STRINGS	      ARG(.way = ARGUMENTS, .size = 2)

#define ROW(name_, before_, ...)                                                                   \
	{.nr = NR_##name_,                                                                         \
	 .name = #name_,                                                                           \
	 .kind = FOLLOWS,                                                                          \
	 .before = before_,                                                                        \
	 .nargs = COUNT(__VA_ARGS__),                                                              \
	 .args = {__VA_ARGS__}},
#define OURS(name_, ...) ROW(name_, nothing, __VA_ARGS__)
#define NONE(name_, why) {.nr = NR_##name_, .name = #name_, .kind = FOLLOWS_NOTHING},
#define DENIED(name_)	 {.nr = NR_##name_, .name = #name_, .kind = DENIED},

enum {
#define SYSCALL(nr, name, class, kind, rule) NR_##name = (nr),
#define WHCALL(nr, name, class, kind, rule)  NR_##name = (nr),
#include "syscalls.def"
#undef SYSCALL
#undef WHCALL
};

static const struct row rows[] = {
#include "efault.def"
};
enum { ROWS = sizeof(rows) / sizeof(rows[0]) };

static char *map_page(int prot)
{
	char *p = mmap(NULL, PAGE, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		t_die("mmap");
	return p;
}

static void prepare(void)
{
	char dir[] = "/tmp/t_efault.XXXXXX";

	if (!mkdtemp(dir) || chdir(dir) < 0 || symlink("file", "link") < 0)
		t_die("%s", dir);
	int fd = open("file", O_RDWR | O_CREAT, 0644);

	t_write_all(fd, "0123456789012345678901234567890123456789", 40);
	dup2(fd, FILE_FD);
	fd = open("program", O_WRONLY | O_CREAT, 0755);
	t_write_all(fd, "is none", 7);
	close(fd);
	dup2(open(".", O_RDONLY | O_DIRECTORY), DIR_FD);
	fd = open("/dev/console", O_RDWR | O_NOCTTY);
	if (!t_whimbrel() || fd < 0) /* a host may be a container without console */
		fd = open("/dev/ptmx", O_RDWR | O_NOCTTY);
	dup2(fd, TTY_FD);
	dup2(epoll_create1(0), EPOLL_FD);
	dup2(eventfd(0, 0), EVENT_FD);
	dup2(timerfd_create(CLOCK_MONOTONIC, 0), TIMER_FD);
	make_sockets();
	for (int i = 0; i < ARGS; i++)
		good[i] = map_page(PROT_READ | PROT_WRITE);
	read_only = map_page(PROT_READ);
	none = map_page(PROT_NONE);
	hole = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	page_end = hole + PAGE;
	munmap(page_end, 2 * PAGE);
	hole = page_end + PAGE;
}

/* A good value of argument i. */
static long good_value(const struct row *r, int i)
{
	const struct arg *a = &r->args[i];

	if (a->way == NUMBER)
		return a->value;
	if (a->way == OWN_PID)
		return getpid();
	if (a->may_be_null)
		return 0;
	memset(good[i], 0, PAGE);
	if (a->way == NAME)
		strcpy(good[i], a->name);
	return (long)good[i];
}

/* The value of argument i that is, or holds, the bad address. */
static long bad_value(const struct row *r, int i, long address)
{
	enum way way = r->args[i].way;

	if (way == VECTOR)
		*(struct iovec *)good[i] = (struct iovec){(void *)address, 16};
	else if (way == ARGUMENTS)
		memcpy(good[i], (long[]){address, 0}, 2 * sizeof(long));
	else
		return address;
	return (long)good[i];
}

static void try(const struct row *r, int i, const char *kind, long address)
{
	long a[ARGS] = {0};
	char name[64];

	for (int k = 0; k < r->nargs; k++)
		a[k] = k == i ? bad_value(r, k, address) : good_value(r, k);
	page_end[-1] = 'x'; /* no string ends here */
	r->before();
	long ret = wh_syscall(r->nr, a[0], a[1], a[2], a[3], a[4], a[5]);

	errno = 0;
	if (ret == -EFAULT)
		return;
	snprintf(name, sizeof(name), "%s, argument %d", r->name, i + 1);
	errno = ret < 0 && ret > -4096 ? (int)-ret : 0;
	t_check(false, name, "%s (%#lx) gave %ld", kind, address, ret);
}

static void try_row(const struct row *r)
{
	unsigned pointers = 0;

	for (int i = 0; i < r->nargs; i++) {
		const struct arg *a = &r->args[i];

		if (a->way == NUMBER || a->way == OWN_PID)
			continue;
		pointers++;
		if (!a->may_be_null && a->way != ARGUMENTS)
			try(r, i, "NULL", 0);
		try(r, i, "NULL + 8", 8);
		try(r, i, "a hole", (long)hole);
		try(r, i, "a page of PROT_NONE", (long)none);
		try(r, i, "a kernel address", (long)0xffffffff80100000);
		try(r, i, "the kernel's direct map", (long)0xffff800000001000);
		try(r, i, "an address that is none", (long)0x8000000000001000);
		try(r, i, "the top of user space", 0x7ffffffffff8);
		if (a->size > 1)
			try(r, i, "across the end of a page", (long)(page_end - 1));
		if (a->way == WRITTEN || (a->way == VECTOR && a->value))
			try(r, i, "a read-only page", (long)read_only);
	}
	t_check(pointers > 0, r->name, "its row has no pointer");
}

static void try_denied(const struct row *r)
{
	long ret = wh_syscall(r->nr, 8, 8, 8, 8, 8, 8);

	errno = 0;
	t_check(ret < 0 && ret > -4096 && ret != -ENOSYS, r->name,
		"a process without privilege got %ld", ret);
}

static void find_row(long nr, const char *name)
{
	for (int i = 0; i < ROWS; i++)
		if (rows[i].nr == nr)
			return;
	errno = 0;
	t_check(false, name, "this system call has no row in user/test/efault.def");
}

int main(void)
{
	prepare();
#define SYSCALL(nr, name, class, kind, rule) find_row(nr, #name);
#define WHCALL(nr, name, class, kind, rule)  find_row(nr, "wh_" #name);
#include "syscalls.def"
#undef SYSCALL
#undef WHCALL
	for (int i = 0; i < ROWS; i++) {
		if (rows[i].nr >= WH_SYSCALL_BASE && !t_whimbrel())
			continue;
		if (rows[i].kind == FOLLOWS)
			try_row(&rows[i]);
		else if (rows[i].kind == DENIED)
			try_denied(&rows[i]);
	}
	return t_end();
}
