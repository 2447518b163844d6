/* SPDX-License-Identifier: MIT */
/* The calls that few programs make, but some do: waitid, limits, ids, priorities, vectors at an offset, statx and kin. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "t.h"

static int fd;
static char name[] = "/tmp/t_calls.XXXXXX", name2[32];

/* ---- waiting ---- */

static pid_t child(int how)
{
	pid_t pid = fork();

	if (pid == 0) {
		if (how < 0)
			raise(-how);
		_exit(how);
	}
	return pid;
}

static void waits(void)
{
	siginfo_t i = {0};
	struct rusage ru;
	int status;
	pid_t pid = child(7);

	t_check(waitid(P_PID, pid, &i, WEXITED | WNOWAIT) == 0 && i.si_pid == pid &&
			i.si_code == CLD_EXITED && i.si_status == 7 && i.si_signo == SIGCHLD,
		"waitid: an exit, left waiting", "pid %d code %d status %d", i.si_pid, i.si_code,
		i.si_status);
	memset(&i, 0, sizeof(i));
	t_check(waitid(P_ALL, 0, &i, WEXITED) == 0 && i.si_pid == pid, "and again", "%d", i.si_pid);
	errno = 0;
	t_check(waitid(P_ALL, 0, &i, WEXITED) < 0 && errno == ECHILD, "then no more", "no ECHILD");
	pid = child(-SIGKILL);
	waitid(P_PGID, getpgrp(), &i, WEXITED);
	t_check(i.si_code == CLD_KILLED && i.si_status == SIGKILL, "a kill", "code %d status %d",
		i.si_code, i.si_status);
	pid = child(-SIGSTOP);
	waitid(P_PID, pid, &i, WSTOPPED);
	t_check(i.si_code == CLD_STOPPED && i.si_status == SIGSTOP, "a stop", "code %d status %d",
		i.si_code, i.si_status);
	memset(&i, 0xff, sizeof(i));
	t_check(waitid(P_PID, pid, &i, WEXITED | WNOHANG) == 0 && i.si_pid == 0, "nothing yet",
		"pid %d", i.si_pid);
	kill(pid, SIGCONT);
	waitid(P_PID, pid, &i, WCONTINUED);
	t_check(i.si_code == CLD_CONTINUED && i.si_status == SIGCONT, "going on",
		"code %d status %d", i.si_code, i.si_status);
	waitpid(pid, NULL, 0);
	errno = 0;
	t_check(waitid(P_ALL, 0, &i, WNOHANG) < 0 && errno == EINVAL, "waitid of nothing",
		"no EINVAL");

	if (fork() == 0) {
		for (volatile long k = 0; k < 30000000; k++)
			;
		_exit(0);
	}
	wait4(-1, &status, 0, &ru);
	long used = ru.ru_utime.tv_sec * 1000000 + ru.ru_utime.tv_usec +
		    ru.ru_stime.tv_sec * 1000000 + ru.ru_stime.tv_usec;

	t_check(used > 1000, "wait4 tells what a child used", "%ld us", used);
	getrusage(RUSAGE_CHILDREN, &ru);
	t_check(ru.ru_utime.tv_sec * 1000000 + ru.ru_utime.tv_usec >= used / 2, "and getrusage",
		"%ld us", ru.ru_utime.tv_usec);
}

/* ---- limits ---- */

static void limit(int which, rlim_t cur)
{
	struct rlimit l;

	getrlimit(which, &l);
	l.rlim_cur = cur;
	if (setrlimit(which, &l) < 0)
		t_die("setrlimit %d", which);
}

static void small_files(void *arg)
{
	(void)arg;
	char page[4096] = {0};

	limit(RLIMIT_FSIZE, 6000);
	signal(SIGXFSZ, SIG_IGN);
	ssize_t a = pwrite(fd, page, 4096, 0), b = pwrite(fd, page, 4096, 4096);

	errno = 0;
	ssize_t c = pwrite(fd, page, 1, 6000);
	int write_errno = errno;
	int d = ftruncate(fd, 7000);

	_exit(a == 4096 && b == 6000 - 4096 && c < 0 && write_errno == EFBIG && d < 0 &&
			      errno == EFBIG
		      ? 0
		      : 1);
}

static void signalled(void *arg)
{
	(void)arg;
	limit(RLIMIT_FSIZE, 10);
	signal(SIGXFSZ, SIG_DFL);
	pwrite(fd, "x", 1, 10);
	_exit(0);
}

static void few_files(void *arg)
{
	(void)arg;
	limit(RLIMIT_NOFILE, 10);
	int last = -1, f;

	while ((f = dup(fd)) >= 0)
		last = f;
	_exit(last == 9 && errno == EMFILE && dup2(fd, 10) < 0 && errno == EBADF &&
			      sysconf(_SC_OPEN_MAX) == 10
		      ? 0
		      : 1);
}

static void little_memory(void *arg)
{
	(void)arg;
	limit(RLIMIT_AS, 64 << 20);
	void *a = mmap(NULL, 16 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	void *b = mmap(NULL, 60 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	_exit(a != MAP_FAILED && b == MAP_FAILED && errno == ENOMEM ? 0 : 1);
}

static void limits(void)
{
	struct rlimit l = {0, 0}, old;

	t_check(getrlimit(RLIMIT_STACK, &l) == 0 && l.rlim_cur >= (1 << 20), "a stack", "%lu",
		(unsigned long)l.rlim_cur);
	l = (struct rlimit){2000, 1000};
	errno = 0;
	t_check(setrlimit(RLIMIT_CPU, &l) < 0 && errno == EINVAL, "more than the most",
		"no EINVAL");
	getrlimit(RLIMIT_CORE, &old);
	l = (struct rlimit){0, old.rlim_max};
	t_check(prlimit(getpid(), RLIMIT_CORE, &l, NULL) == 0 &&
			prlimit(0, RLIMIT_CORE, NULL, &old) == 0 && old.rlim_cur == 0 &&
			old.rlim_max == l.rlim_max,
		"set and told", "%lu %lu", (unsigned long)old.rlim_cur,
		(unsigned long)old.rlim_max);
	t_check(t_in_child(small_files, NULL) == 0, "FSIZE", "not kept to");
	int status = t_in_child(signalled, NULL);

	t_check(WIFSIGNALED(status) && WTERMSIG(status) == SIGXFSZ, "SIGXFSZ", "status %#x",
		status);
	t_check(t_in_child(few_files, NULL) == 0, "NOFILE", "not kept to");
	t_check(t_in_child(little_memory, NULL) == 0, "AS", "not kept to");
}

/* ---- who ---- */

static void ids(void)
{
	uid_t r, e, s;

	if (geteuid() != 0)
		return;
	if (fork() == 0) {
		t_check(setresuid(100, 200, 300) == 0 && getresuid(&r, &e, &s) == 0 && r == 100 &&
				e == 200 && s == 300,
			"setresuid", "%u %u %u", r, e, s);
		t_check(setresuid(300, 100, -1) == 0 && setreuid(100, 300) == 0, "among its own",
			"%u", getuid());
		getresuid(&r, &e, &s);
		t_check(r == 100 && e == 300 && s == 300, "setreuid sets the saved one", "%u %u %u",
			r, e, s);
		errno = 0;
		t_check(setresuid(7, -1, -1) < 0 && errno == EPERM, "no other", "no EPERM");
		errno = 0;
		t_check(nice(-1) < 0 && (errno == EPERM || errno == EACCES), "not nicer to itself",
			"it may");
		int was = getpriority(PRIO_PROCESS, 0), now = was + 5 < 19 ? was + 5 : 19;

		t_check(nice(5) == now && getpriority(PRIO_PROCESS, 0) == now, "nice", "%d",
			getpriority(PRIO_PROCESS, 0));
		_exit(t_end());
	}
	int status;

	wait(&status);
	t_check(status == 0, "ids of a child", "status %#x", status);
	t_check(setpriority(PRIO_PROCESS, 0, 3) == 0 && setpriority(PRIO_PROCESS, 0, 0) == 0,
		"setpriority", "not");
}

static void scheduling(void)
{
	struct sched_param p = {0};
	struct timespec ts;
	cpu_set_t set;

	t_check(syscall(SYS_sched_getscheduler, 0) == SCHED_OTHER, "the policy", "another");
	t_check(syscall(SYS_sched_getparam, 0, &p) == 0 && p.sched_priority == 0, "its priority",
		"%d", p.sched_priority);
	t_check(sched_get_priority_max(SCHED_FIFO) == 99 &&
			sched_get_priority_min(SCHED_OTHER) == 0,
		"bounds", "others");
	t_check(sched_rr_get_interval(0, &ts) == 0, "an interval", "none");
	CPU_ZERO(&set);
	t_check(sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_COUNT(&set) >= 1, "a processor",
		"none");
	t_check(sched_setaffinity(0, sizeof(set), &set) == 0, "and no other", "failed");
}

/* ---- files ---- */

static void files(void)
{
	char a[4], b[8];
	struct iovec out[2] = {{"abc", 3}, {"defg", 4}}, in[2] = {{a, 3}, {b, 4}};

	ftruncate(fd, 0);
	t_check(pwritev(fd, out, 2, 100) == 7, "pwritev", "short");
	t_check(preadv(fd, in, 2, 100) == 7 && !memcmp(a, "abc", 3) && !memcmp(b, "defg", 4),
		"preadv", "%.3s %.4s", a, b);
	errno = 0;
	t_check(preadv(fd, in, 2, -1) < 0 && errno == EINVAL, "before the file", "no EINVAL");

	struct stat st;

	t_check(posix_fallocate(fd, 1000, 500) == 0 && fstat(fd, &st) == 0 && st.st_size == 1500,
		"fallocate", "%ld", (long)st.st_size);
	t_check(posix_fallocate(fd, 0, 10) == 0 && fstat(fd, &st) == 0 && st.st_size == 1500,
		"does not cut", "%ld", (long)st.st_size);
	t_check(posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL) == 0 &&
			posix_fadvise(fd, 0, 0, 77) == EINVAL,
		"fadvise", "not");
	t_check(readahead(fd, 0, 1000) == 0 && sync_file_range(fd, 0, 0, 7) == 0 && syncfs(fd) == 0,
		"advice and syncs", "not");

	struct {
		uint32_t mask, blksize;
		uint64_t attributes;
		uint32_t nlink, uid, gid;
		uint16_t mode, pad;
		uint64_t ino, size;
		uint64_t rest[26];
	} x;

	t_check(syscall(SYS_statx, AT_FDCWD, name, 0, 0x7ff, &x) == 0 && x.ino == st.st_ino &&
			x.size == 1500 && x.mode == st.st_mode && x.nlink == 1 &&
			(x.mask & 0x7ff) == 0x7ff,
		"statx", "ino %lu size %lu mode %o", (unsigned long)x.ino, (unsigned long)x.size,
		x.mode);
	t_check(syscall(SYS_statx, fd, "", AT_EMPTY_PATH, 0x7ff, &x) == 0 && x.size == 1500,
		"statx of a descriptor", "not");
	snprintf(name2, sizeof(name2), "%s.2", name);
	t_check(syscall(SYS_renameat2, AT_FDCWD, name, AT_FDCWD, name2, 0) == 0 &&
			access(name2, F_OK) == 0,
		"renameat2", "not");
	errno = 0;
	t_check(syscall(SYS_renameat2, AT_FDCWD, name2, AT_FDCWD, name, 77) < 0 && errno == EINVAL,
		"with unknown flags", "no EINVAL");
}

static void memory(void)
{
	char *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	t_check(mlock(p, 8192) == 0 && munlock(p, 8192) == 0, "mlock", "not");
	munmap(p + 4096, 4096);
	errno = 0;
	t_check(mlock((void *)0x10000, 4096) < 0 && errno == ENOMEM, "mlock of nothing",
		"no ENOMEM");
}

int main(void)
{
	fd = mkstemp(name);
	if (fd < 0)
		t_die("%s", name);
	waits();
	limits();
	ids();
	scheduling();
	files();
	memory();
	unlink(name2);
	return t_end();
}
