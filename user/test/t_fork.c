/* SPDX-License-Identifier: MIT */
/* fork, vfork, wait codes, exec with arguments and environment. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "t.h"

enum { CROWD = 40, ONE_BY_ONE = 300, DEPTH = 20, LONG_ARG = 60000, TOO_LONG_ARG = 3 << 20 };

static const char *self;

static void exit_with(void *arg)
{
	_exit(*(int *)arg);
}

static void raise_it(void *arg)
{
	signal(*(int *)arg, SIG_DFL); /* who started us may ignore it: nohup */
	raise(*(int *)arg);
}

static void wait_codes(void)
{
	for (int code = 0; code < 256; code += 51) {
		int s = t_in_child(exit_with, &code);

		errno = 0;
		t_check(WIFEXITED(s) && WEXITSTATUS(s) == code, "exit code passes through",
			"exit(%d) was seen as status %#x", code, s);
	}
	static const int fatal[] = {SIGKILL, SIGTERM, SIGHUP, SIGPIPE, SIGUSR1, SIGALRM, SIGABRT};

	for (unsigned i = 0; i < sizeof(fatal) / sizeof(fatal[0]); i++) {
		int sig = fatal[i], s = t_in_child(raise_it, &sig);

		errno = 0;
		t_check(WIFSIGNALED(s) && WTERMSIG(s) == sig, "death by signal is seen",
			"signal %d was seen as status %#x", sig, s);
	}
	int s;

	errno = 0;
	t_check(waitpid(-1, &s, 0) == -1 && errno == ECHILD, "no child gives ECHILD", "it did not");
	errno = 0;
	t_check(waitpid(getpid(), &s, 0) == -1 && errno == ECHILD, "not my child gives ECHILD",
		"it did not");
}

static void stop_and_continue(void)
{
	int s = 0;
	pid_t pid = fork();

	if (pid == 0)
		for (;;)
			pause();
	t_check(waitpid(pid, &s, WNOHANG) == 0, "WNOHANG does not wait", "it returned something");
	kill(pid, SIGSTOP);
	pid_t got = waitpid(pid, &s, WUNTRACED);

	errno = 0;
	t_check(got == pid && WIFSTOPPED(s) && WSTOPSIG(s) == SIGSTOP, "WUNTRACED shows a stop",
		"waitpid gave %d, status %#x", got, s);
	t_check(waitpid(pid, &s, WUNTRACED | WNOHANG) == 0, "a stop is shown once",
		"it was shown twice");
	kill(pid, SIGCONT);
	got = waitpid(pid, &s, WCONTINUED);
	t_check(got == pid && WIFCONTINUED(s), "WCONTINUED shows a continue",
		"waitpid gave %d, status %#x", got, s);
	kill(pid, SIGKILL);
	got = waitpid(pid, &s, 0);
	t_check(got == pid && WIFSIGNALED(s), "the end is seen last", "waitpid gave %d, status %#x",
		got, s);
}

/* Each child forks the next one and passes on its exit code plus one. */
static int chain(int depth)
{
	int s;

	if (depth == 0)
		return 0;
	pid_t pid = fork();

	if (pid < 0)
		return 200;
	if (pid == 0)
		_exit(chain(depth - 1));
	return waitpid(pid, &s, 0) == pid && WIFEXITED(s) ? WEXITSTATUS(s) + 1 : 201;
}

static void many(void)
{
	pid_t pids[CROWD];
	int started = 0, good = 0, s;

	for (; started < CROWD; started++) {
		pids[started] = fork();
		if (pids[started] == 0) {
			t_sleep_ms(200);
			_exit(started);
		}
		if (pids[started] < 0)
			break;
	}
	for (int i = started - 1; i >= 0; i--)
		good += waitpid(pids[i], &s, 0) == pids[i] && WIFEXITED(s) && WEXITSTATUS(s) == i;
	t_check(good == CROWD, "forty children at once", "%d started, %d ended as they should",
		started, good);

	good = 0;
	for (int i = 0; i < ONE_BY_ONE; i++) {
		int code = i & 255;

		s = t_in_child(exit_with, &code);
		good += WIFEXITED(s) && WEXITSTATUS(s) == code;
	}
	t_check(good == ONE_BY_ONE, "three hundred, one after the other", "only %d were right",
		good);
	int depth = chain(DEPTH);

	t_check(depth == DEPTH, "a chain of twenty", "the chain says %d", depth);
}

static void parents(void)
{
	int fd[2];
	pid_t me = getpid(), seen[2];

	if (pipe(fd) < 0)
		t_die("pipe");
	if (fork() == 0) { /* the middle one ends before its child looks again */
		pid_t middle = getpid();

		if (fork() == 0) {
			seen[0] = getppid();
			if (seen[0] == middle)
				seen[0] = -1; /* either is right, it depends on who is first */
			for (int i = 0; i < 200 && getppid() == middle; i++)
				t_sleep_ms(10);
			seen[1] = getppid() != middle;
			t_write_all(fd[1], seen, sizeof(seen));
			_exit(0);
		}
		_exit(getppid() != me);
	}
	int s;

	wait(&s);
	t_check(WIFEXITED(s) && WEXITSTATUS(s) == 0, "getppid is the parent", "status %#x", s);
	t_read_all(fd[0], seen, sizeof(seen));
	t_check(seen[1] == 1, "an orphan gets a new parent", "getppid did not change");
	close(fd[0]);
	close(fd[1]);
}

static void vforks(void)
{
	int fd[2], s;
	char order[4] = "";

	if (pipe(fd) < 0)
		t_die("pipe");
	pid_t pid = vfork();

	if (pid == 0) {
		static const struct timespec ts = {0, 100000000};

		nanosleep(&ts, NULL);
		_exit(write(fd[1], "c", 1) == 1 ? 7 : 8);
	}
	t_write_all(fd[1], "p", 1);
	t_read_all(fd[0], order, 2);
	waitpid(pid, &s, 0);
	t_check(!strcmp(order, "cp"), "vfork's parent waits until the child exits",
		"the order was %s", order);
	t_check(WIFEXITED(s) && WEXITSTATUS(s) == 7, "vfork's child exits", "status %#x", s);
	pid = vfork();
	if (pid == 0) {
		execl(self, self, "--exit", "9", (char *)NULL);
		_exit(127);
	}
	waitpid(pid, &s, 0);
	t_check(WIFEXITED(s) && WEXITSTATUS(s) == 9, "vfork and exec", "status %#x", s);
	close(fd[0]);
	close(fd[1]);
}

static int exec_wait(char *const argv[], char *const envp[])
{
	int s;

	fflush(stdout);
	pid_t pid = fork();

	if (pid == 0) {
		execve(argv[0], argv, envp);
		_exit(errno == E2BIG ? 100 : errno == ENOENT ? 101 : errno == EACCES ? 102 : 103);
	}
	waitpid(pid, &s, 0);
	return WIFEXITED(s) ? WEXITSTATUS(s) : 1000 + s;
}

static void execs(void)
{
	static char big[TOO_LONG_ARG];
	char fds[40];
	int keep = open("/dev/null", O_RDONLY), lose = open("/dev/null", O_RDONLY | O_CLOEXEC), r;

	memset(big, 'x', LONG_ARG);
	snprintf(fds, sizeof(fds), "%d,%d", keep, lose);
	r = exec_wait((char *[]){(char *)self, "--args", "one", "", "three words here", big, NULL},
		      (char *[]){"A=1", "EMPTY=", "SPACE=a b", NULL});
	t_check(r == 0, "arguments and environment arrive", "the program says %d", r);
	r = exec_wait((char *[]){(char *)self, "--fds", fds, NULL}, (char *[]){NULL});
	t_check(r == 0, "close-on-exec closes, and only that", "the program says %d", r);
	r = exec_wait((char *[]){(char *)self, "--dispositions", NULL}, (char *[]){NULL});
	t_check(r == 0, "handlers are reset, ignored signals stay ignored", "the program says %d",
		r);
	memset(big, 'y', sizeof(big) - 1);
	r = exec_wait((char *[]){(char *)self, big, NULL}, (char *[]){NULL});
	t_check(r == 100, "arguments without end give E2BIG", "got %d", r);
	r = exec_wait((char *[]){"/no/such/program", NULL}, (char *[]){NULL});
	t_check(r == 101, "no such program gives ENOENT", "got %d", r);
	r = exec_wait((char *[]){"/", NULL}, (char *[]){NULL});
	t_check(r == 102, "a directory gives EACCES", "got %d", r);
	close(keep);
	close(lose);
}

/* The other side of execs(). */
static int executed(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "--exit"))
		return atoi(argv[2]);
	if (argc == 3 && !strcmp(argv[1], "--fds")) {
		int keep = -1, lose = -1;

		if (sscanf(argv[2], "%d,%d", &keep, &lose) != 2)
			return 1;
		return fcntl(keep, F_GETFD) < 0 ? 2 : fcntl(lose, F_GETFD) >= 0 ? 3 : 0;
	}
	if (!strcmp(argv[1], "--dispositions")) {
		struct sigaction a, b;

		sigaction(SIGUSR1, NULL, &a);
		sigaction(SIGUSR2, NULL, &b);
		return a.sa_handler != SIG_DFL ? 1 : b.sa_handler != SIG_IGN ? 2 : 0;
	}
	if (strcmp(argv[1], "--args") || argc != 6)
		return 10 + argc;
	if (strcmp(argv[2], "one") || *argv[3] || strcmp(argv[4], "three words here"))
		return 2;
	if (strlen(argv[5]) != LONG_ARG || strspn(argv[5], "x") != LONG_ARG)
		return 3;
	const char *a = getenv("A"), *e = getenv("EMPTY"), *s = getenv("SPACE");

	return !a || strcmp(a, "1") || !e || *e || !s || strcmp(s, "a b") || getenv("PATH") ? 4 : 0;
}

/* What the program at path writes when run with argument `arg`. */
static void output_of(const char *path, char *out, size_t cap)
{
	int fd[2];
	ssize_t n;

	if (pipe(fd))
		t_die("pipe");
	pid_t pid = fork();
	if (pid == 0) {
		dup2(fd[1], 1);
		execl(path, path, "arg", (char *)NULL);
		_exit(127);
	}
	close(fd[1]);
	n = read(fd[0], out, cap - 1);
	out[n > 0 ? n : 0] = 0;
	close(fd[0]);
	waitpid(pid, NULL, 0);
}

static void make_script(const char *path, const char *interpreter)
{
	FILE *f = fopen(path, "w");

	if (!f)
		t_die("%s", path);
	fprintf(f, "#!%s\n", interpreter);
	fclose(f);
	chmod(path, 0755);
}

/* A script whose interpreter is a script. */
static void scripts(void)
{
	char a[40], b[40], want[160], got[160];

	snprintf(a, sizeof a, "/tmp/t_fork.a.%d", (int)getpid());
	snprintf(b, sizeof b, "/tmp/t_fork.b.%d", (int)getpid());
	make_script(a, b);
	make_script(b, "/bin/echo this is");
	snprintf(want, sizeof want, "this is %s %s arg\n", b, a);
	output_of(a, got, sizeof got);
	t_check(!strcmp(got, want), "a script run by a script", "said '%s', not '%s'", got, want);
	unlink(a);
	unlink(b);
}

static void bad_addresses(void)
{
	int code = 3;
	pid_t pid = fork();

	if (pid == 0)
		exit_with(&code);
	errno = 0;
	t_check(wait4(pid, (int *)8, 0, NULL) == -1 && errno == EFAULT, "wait4 to a bad address",
		"no EFAULT");
	t_check(wait4(pid, NULL, 0, NULL) == -1 && errno == ECHILD,
		"... comes too late for the child", "no ECHILD");
	errno = 0;
	pid = (pid_t)syscall(SYS_clone, SIGCHLD | 0x80000ul /* CLONE_SETTLS */, 0ul, 0ul, 0ul,
			     1ul << 63);
	if (pid == 0)
		_exit(0);
	t_check(pid == -1 && errno == EPERM, "clone with a thread pointer that is no address",
		"it returned %d", (int)pid);
}

static void on_signal(int sig)
{
	(void)sig;
}

int main(int argc, char **argv)
{
	if (argc > 1)
		return executed(argc, argv);
	self = strchr(argv[0], '/') ? argv[0] : "/bin/t_fork";
	signal(SIGUSR1, SIG_DFL);
	wait_codes();
	stop_and_continue();
	parents();
	many();
	vforks();
	signal(SIGUSR1, on_signal);
	signal(SIGUSR2, SIG_IGN);
	execs();
	scripts();
	bad_addresses();
	return t_end();
}
