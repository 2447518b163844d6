/* SPDX-License-Identifier: MIT */
/*
 * t_fuzz [--calls N] [--seed S] [--uid U] [--verbose 1]: N system calls with random numbers and arguments, ours included.
 *
 * They are made in batches, each in a child without privilege (uid U; 0: root's, for a node only) that may die of what it
 * does to itself; it says through a pipe how many calls it made. Only the machine must stay as it was, and the parent,
 * which is root and so out of the children's reach.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "t.h"

enum { BATCH = 250, PAGE = 4096, TALLY = 200, CALL_MS = 4, BATCH_MS = 8000, ROOM = 16 * PAGE };

static const struct call {
	long nr;
	const char *name;
} calls[] = {
#define SYSCALL(nr, name, class, kind, rule) {nr, #name},
#define WHCALL(nr, name, class, kind, rule)  {nr, "wh_" #name},
#include "syscalls.def"
#undef SYSCALL
#undef WHCALL
};
enum { CALLS = sizeof(calls) / sizeof(calls[0]) };

static long verbose, calls_per_name[CALLS];
static char *room, *readonly;
static pid_t me;

/* Nothing of the stack is used between the call and the exit of a child that it may have made. */
static inline __attribute__((always_inline)) long raw(long nr, const uint64_t a[6], pid_t self)
{
	long ret;
	register uint64_t r10 __asm__("r10") = a[3];
	register uint64_t r8 __asm__("r8") = a[4];
	register uint64_t r9 __asm__("r9") = a[5];

	__asm__ volatile("syscall"
			 : "=a"(ret), "+r"(r10), "+r"(r8), "+r"(r9)
			 : "a"(nr), "D"(a[0]), "S"(a[1]), "d"(a[2])
			 : "rcx", "r11", "memory");
	if (ret != 0)
		return ret;
	__asm__ volatile("syscall\n\tcmpl %[self], %%eax\n\tje 1f\n\t"
			 "movl %[exit], %%eax\n\txorl %%edi, %%edi\n\tsyscall\n1:"
			 :
			 : "a"(SYS_getpid), [self] "r"(self), [exit] "i"(SYS_exit_group)
			 : "rcx", "r11", "rdi", "cc", "memory");
	return ret;
}

static const char *const names[] = {
	"",
	".",
	"..",
	"/",
	"a",
	"b",
	"dir",
	"dir/c",
	"link",
	"/tmp",
	"/dev/null",
	"/dev/zero",
	"/proc/self/stat",
	"/proc",
	"/n/1/tmp",
	"/n/63/x",
	"/no/such/thing",
	"a/b",
	"////",
	"/bin/true", /* last, see name() */
};

static uint64_t pointer(uint64_t *seed)
{
	uint64_t at = t_below(seed, ROOM);

	switch (t_below(seed, 12)) {
	case 0:
		return 0;
	case 1:
		return 8;
	case 2:
		return 0xffffffff80100000 + t_below(seed, 1 << 20);
	case 3:
		return 0xffff800000000000 + t_below(seed, 1 << 24);
	case 4:
		return (uint64_t)room + ROOM - t_below(seed, 64); /* the end of what is mapped */
	case 5:
		return (uint64_t)readonly + t_below(seed, PAGE);
	case 6:
		return t_random(seed);
	case 7:
		return 0x7ffffffff000 - t_below(seed, 4096);
	default:
		return (uint64_t)room + (at & ~7ull);
	}
}

static uint64_t name(uint64_t *seed)
{
	char *at = room + t_below(seed, ROOM / 256) * 256;

	/* The last one is a program, which root would damage. */
	strcpy(at, names[t_below(seed, sizeof(names) / sizeof(names[0]) - !geteuid())]);
	return (uint64_t)at;
}

static uint64_t argument(uint64_t *seed)
{
	switch (t_below(seed, 10)) {
	case 0:
	case 1:
	case 2:
		return pointer(seed);
	case 3:
		return name(seed);
	case 4:
		return t_below(seed, 16); /* descriptors, small flags */
	case 5:
		return t_below(seed, 5000);
	case 6:
		return 1ull << t_below(seed, 64);
	case 7:
		return (uint64_t) - (int64_t)t_below(seed, 200);
	case 8:
		return (uint64_t)me;
	default:
		return t_random(seed) >> t_below(seed, 64);
	}
}

static void prepare(uint64_t *seed)
{
	static const int modes[] = {O_RDONLY, O_WRONLY, O_RDWR};
	int fd[2];

	for (int k = 0; k < 16; k++)
		close(k);
	for (int k = 0; k < 3; k++)
		open("/dev/null", O_RDWR);
	for (int k = 0; k < 3; k++)
		open("a", modes[k] | O_CREAT, 0666);
	open("dir", O_RDONLY | O_DIRECTORY);
	open("/dev/zero", O_RDWR);
	if (pipe(fd) < 0 || pipe2(fd, O_NONBLOCK) < 0)
		_exit(3);
	for (size_t i = 0; i < ROOM; i += 8) {
		uint64_t v = t_below(seed, 3) ? 0 : argument(seed);

		memcpy(room + i, &v, 8);
	}
}

static void nothing(int sig)
{
	(void)sig;
}

/* Whatever the last call did to signals, a call that waits is interrupted soon. */
static void limit_next_call(void)
{
	static const sigset_t none;
	struct sigaction sa = {.sa_handler = nothing};
	struct itimerval soon = {{0, CALL_MS * 1000}, {0, CALL_MS * 1000}};

	sigprocmask(SIG_SETMASK, &none, NULL);
	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &soon, NULL);
}

/* Calls that would end the batch too often, and those by which root could end the test itself. */
static bool allowed(long nr, const uint64_t a[6], long uid, uint64_t *seed)
{
	switch (nr) {
	case SYS_exit:
	case SYS_exit_group:
		return false;
	case SYS_rt_sigreturn:
		return t_below(seed, 20) == 0;
	case SYS_kill:
	case SYS_tkill:
	case SYS_tgkill:
		return uid || a[0] == (uint64_t)me;
	case SYS_settimeofday:
	case SYS_clock_settime:
		return uid; /* root's clock is needed later */
	default:
		return true;
	}
}

static _Noreturn void batch(uint64_t seed, long uid)
{
	struct rlimit no_core = {0, 0};

	room = mmap(NULL, ROOM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	readonly = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (room == MAP_FAILED || readonly == MAP_FAILED)
		_exit(3);
	setpgid(0, 0);
	setrlimit(RLIMIT_CORE, &no_core);
	if (uid && (setgroups(0, NULL) < 0 || setgid((gid_t)uid) < 0 || setuid((uid_t)uid) < 0))
		_exit(3);
	me = getpid();
	prepare(&seed);
	for (int i = 0; i < BATCH; i++) {
		uint64_t a[6];
		const struct call *c = &calls[t_below(&seed, CALLS)];
		/* Now and then a number that no call has. */
		long nr =
			t_below(&seed, 50) ? c->nr : (long)(t_random(&seed) >> t_below(&seed, 64));
		unsigned char which = (unsigned char)(c - calls);

		for (int k = 0; k < 6; k++)
			a[k] = argument(&seed);
		if (!allowed(nr, a, uid, &seed))
			continue;
		limit_next_call();
		if (write(TALLY, &which, 1) != 1)
			_exit(4);
		raw(nr, a, me);
	}
	_exit(0);
}

/* Count what the child tells; it is ended when it takes too long. Returns the number of calls it made. */
static long watch(int tally, pid_t pid)
{
	struct pollfd p = {.fd = tally, .events = POLLIN};
	unsigned char which[256], last = 0;
	long made = 0;
	int64_t end = t_mono_ns() + BATCH_MS * 1000000ll;

	for (;;) {
		int ready = poll(&p, 1, 200);
		ssize_t n = ready > 0 ? read(tally, which, sizeof(which)) : 1;

		if (n <= 0)
			break;
		for (ssize_t i = 0; ready > 0 && i < n; i++)
			calls_per_name[last = which[i]]++;
		made += ready > 0 ? n : 0;
		if (t_mono_ns() < end && (ready > 0 || waitpid(pid, NULL, WNOHANG) == 0))
			continue;
		if (t_mono_ns() >= end)
			printf("a child was ended in or after %s\n", calls[last].name);
		break;
	}
	kill(-pid, SIGKILL);
	kill(pid, SIGKILL);
	return made;
}

static void make_scratch(char *dir)
{
	if (!mkdtemp(dir) || chmod(dir, 0777) < 0 || chdir(dir) < 0)
		t_die("%s", dir);
	umask(0);
	if (mkdir("dir", 0777) < 0 || symlink("a", "link") < 0)
		t_die("%s: dir", dir);
	int fd = open("a", O_RDWR | O_CREAT, 0666);

	t_write_all(fd, dir, 10);
	close(fd);
}

int main(int argc, char **argv)
{
	long want = t_option(argc, argv, "--calls", 20000),
	     uid = t_option(argc, argv, "--uid", 31999);
	uint64_t seed = (uint64_t)t_option(argc, argv, "--seed", 1);
	long made = 0, batches = 0, died = 0, distinct = 0;
	char dir[] = "/tmp/t_fuzz.XXXXXX";
	int tally[2], s;

	verbose = t_option(argc, argv, "--verbose", 0);
	if (uid == 0 && !t_whimbrel()) {
		fprintf(stderr, "t_fuzz: as root on a node only\n");
		return 2;
	}
	make_scratch(dir);
	/* A kernel that makes no progress at all must not keep us for ever. */
	for (; made < want && batches < 20 + want / 10; batches++) {
		uint64_t batch_seed = t_random(&seed);

		if (pipe(tally) < 0)
			t_die("pipe");
		if (verbose)
			printf("batch %ld seed %#llx\n", batches, (unsigned long long)batch_seed);
		fflush(stdout);
		pid_t pid = fork();

		if (pid < 0)
			t_die("fork");
		if (pid == 0) {
			dup3(tally[1], TALLY, O_CLOEXEC);
			close(tally[0]);
			close(tally[1]);
			batch(batch_seed, uid);
		}
		close(tally[1]);
		made += watch(tally[0], pid);
		close(tally[0]);
		waitpid(pid, &s, 0);
		died += WIFSIGNALED(s);
	}
	for (int i = 0; i < CALLS; i++)
		distinct += calls_per_name[i] > 0;
	printf("%ld calls of %ld kinds in %ld batches, %ld of which died\n", made, distinct,
	       batches, died);
	errno = 0;
	t_check(made >= want, "all calls were made", "only %ld", made);
	t_check(want < 10 * CALLS || distinct >= CALLS - 2 - (uid ? 0 : 2),
		"every kind of call was made", "only %ld of %d", distinct, CALLS);
	return t_end();
}
