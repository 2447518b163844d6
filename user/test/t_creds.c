/* SPDX-License-Identifier: MIT */
/*
 * t_creds [DIR]             what an ordinary user may not do to others' processes, files and clocks; needs root to set it up
 * t_creds --as UID CMD...   run CMD as user and group UID, without other groups
 * t_creds --ids             what this process is: real and effective ids, AT_SECURE
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "t.h"

enum { USER = 31997, OTHER = 31996, GROUP = 31990 };

static void become(uid_t uid, int ngroups, const gid_t *groups)
{
	if (setgroups((size_t)ngroups, groups) < 0 || setgid(uid) < 0 || setuid(uid) < 0)
		t_die("become uid %u", (unsigned)uid);
}

static void must_fail(long result, int with, const char *what)
{
	int got = result < 0 ? errno : 0;

	errno = 0;
	t_check(got == with, what, "%s instead of %s", got ? strerror(got) : "it was done",
		strerror(with));
}

static void must_work(long result, const char *what)
{
	t_check(result >= 0, what, "failed");
}

/* ---- set up by root ---- */

static void make(const char *name, mode_t mode, uid_t uid, gid_t gid)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	if (fd < 0 || write(fd, "data\n", 5) != 5 || fchown(fd, uid, gid) < 0 ||
	    fchmod(fd, mode) < 0)
		t_die("%s", name);
	close(fd);
}

static void make_dir(const char *name, mode_t mode, uid_t uid)
{
	if (mkdir(name, 0700) < 0 || chown(name, uid, uid) < 0 || chmod(name, mode) < 0)
		t_die("%s", name);
}

static void copy_self(const char *to, mode_t mode, uid_t uid, gid_t gid)
{
	static char buf[1 << 16];
	int in = open("/proc/self/exe", O_RDONLY), out = open(to, O_WRONLY | O_CREAT, 0700);
	ssize_t n;

	if (in < 0 || out < 0)
		t_die("%s", to);
	while ((n = read(in, buf, sizeof(buf))) > 0)
		t_write_all(out, buf, (size_t)n);
	/* chown takes the set-id bits off: mode last. */
	if (n < 0 || fchown(out, uid, gid) < 0 || fchmod(out, mode) < 0)
		t_die("%s", to);
	close(in);
	close(out);
}

static void set_up(void)
{
	make("roots", 0600, 0, 0);
	make("readable", 0644, 0, 0);
	make("groups", 0640, 0, GROUP);
	make("not-groups", 0604, 0, GROUP);
	make("not-mine", 0077, USER, USER);
	make("mine", 0640, USER, USER);
	make("others", 0666, OTHER, OTHER);
	make_dir("locked", 0700, 0);
	make("locked/inside", 0666, 0, 0);
	make_dir("look-only", 0755, 0);
	make_dir("sticky", 01777, 0);
	make("sticky/others", 0666, OTHER, OTHER);
	make("sticky/mine", 0600, USER, USER);
	copy_self("suid-root", 04755, 0, 0);
	copy_self("sgid", 02755, 0, GROUP);
	copy_self("private-program", 0700, 0, 0);
}

/* ---- as the user ---- */

static void files(void)
{
	struct timeval t[2] = {{1, 0}, {1, 0}};
	char c;
	int fd;

	must_fail(open("roots", O_RDONLY), EACCES, "a file of mode 600 of another cannot be read");
	must_fail(open("readable", O_WRONLY), EACCES,
		  "a file of mode 644 of another cannot be written");
	must_fail(truncate("readable", 0), EACCES, "nor truncated");
	must_fail(utimes("readable", t), EPERM, "nor given other times");
	must_fail(utimes("readable", NULL), EACCES, "nor the present time");
	must_fail(chmod("readable", 0666), EPERM, "nor another mode");
	must_fail(chown("mine", OTHER, -1), EPERM, "nobody gives a file away");
	must_fail(chown("mine", -1, OTHER), EPERM, "nor to a group that is not his");
	must_work(chown("mine", -1, GROUP), "but to a group of his own");
	must_work(fd = open("groups", O_RDONLY),
		  "a supplementary group may read what the mode lets it");
	must_work(fd < 0 ? -1 : read(fd, &c, 1), "and does");
	must_fail(open("groups", O_RDWR), EACCES, "but not write");
	must_fail(open("not-groups", O_RDONLY), EACCES,
		  "a group without permission is not `other'");
	must_fail(open("not-mine", O_RDONLY), EACCES,
		  "an owner without permission is neither group nor other");
	must_fail(access("locked/inside", F_OK), EACCES, "a closed directory hides what is in it");
	must_fail(open("locked/inside", O_RDONLY), EACCES, "and what is in it cannot be opened");
	must_fail(chdir("locked"), EACCES, "nor can one go there");
	must_fail(open("look-only/new", O_WRONLY | O_CREAT, 0600), EACCES,
		  "no new file in another's directory");
	must_fail(mkdir("look-only/new", 0700), EACCES, "no new directory");
	must_fail(symlink("x", "look-only/new"), EACCES, "no new link");
	must_fail(rename("sticky/mine", "look-only/mine"), EACCES, "nothing is moved there");
	must_fail(unlink("sticky/others"), EPERM,
		  "in a sticky directory nobody removes what is another's");
	must_fail(rename("sticky/mine", "sticky/others"), EPERM, "nor replaces it");
	must_work(unlink("sticky/mine"), "but what is his own");
	must_fail(execl("private-program", "x", NULL), EACCES,
		  "a program of mode 700 of another does not run");
	must_fail(execl("readable", "x", NULL), EACCES,
		  "a file that is not executable does not run");
}

static void processes(pid_t roots, pid_t others, pid_t mine)
{
	char name[64], target[256];

	must_fail(kill(roots, SIGKILL), EPERM, "a process of root cannot be signalled");
	must_fail(kill(others, SIGTERM), EPERM, "nor one of another user");
	must_work(kill(mine, SIGSTOP), "but one's own");
	must_fail(setpgid(roots, 0), ESRCH, "a stranger's group is not changed");
	snprintf(name, sizeof(name), "/proc/%d/maps", (int)roots);
	must_fail(open(name, O_RDONLY), EACCES, "the map of another's memory cannot be read");
	snprintf(name, sizeof(name), "/proc/%d/exe", (int)roots);
	must_fail(readlink(name, target, sizeof(target)), EACCES, "nor the name of its program");
	snprintf(name, sizeof(name), "/proc/%d/cwd", (int)others);
	must_fail(readlink(name, target, sizeof(target)), EACCES, "nor where it is");
	snprintf(name, sizeof(name), "/proc/%d/fd", (int)roots);
	must_fail(open(name, O_RDONLY | O_DIRECTORY), EACCES, "nor what it has open");
}

static void identity(void)
{
	struct timeval t = {1, 0};
	gid_t none = 0;

	must_fail(setuid(0), EPERM, "nobody becomes root");
	must_fail(setgid(0), EPERM, "nor its group");
	must_fail(setreuid(0, -1), EPERM, "nor by setreuid");
	must_fail(setresuid(-1, 0, -1), EPERM, "nor by setresuid");
	must_fail(setresgid(-1, GROUP, -1), EPERM, "a supplementary group is no effective one");
	must_fail(setgroups(1, &none), EPERM, "nor gives himself groups");
	must_fail(settimeofday(&t, NULL), EPERM, "nor sets the clock");
	must_fail(mknod("sticky/null", S_IFCHR | 0666, 0x103), EPERM, "nor makes devices");
}

static pid_t sleeper(uid_t uid)
{
	pid_t pid = fork();

	if (pid < 0)
		t_die("fork");
	if (pid == 0) {
		if (uid != geteuid())
			become(uid, 0, NULL);
		for (;;)
			pause();
	}
	return pid;
}

static void run(void *name)
{
	execl(name, name, "--ids", NULL);
	_exit(99);
}

static int as_user(pid_t roots, pid_t others)
{
	static const gid_t groups[] = {GROUP};
	struct stat s;

	become(USER, 1, groups);
	pid_t mine = sleeper(USER);

	files();
	identity();
	processes(roots, others, mine);
	kill(mine, SIGKILL);
	waitpid(mine, NULL, 0);
	/* --ids says it in the exit status: 1 effective root, 2 effective group GROUP, 4 AT_SECURE */
	int status = t_in_child(run, "./suid-root");

	errno = 0;
	t_check(status == (1 | 4) << 8, "a set-uid program runs as its owner, and is told",
		"wait status %#x", (unsigned)status);
	status = t_in_child(run, "./sgid");
	t_check(status == (2 | 4) << 8, "a set-gid program runs in its group, and is told",
		"wait status %#x", (unsigned)status);
	int fd = open("mine", O_WRONLY);

	must_work(fd < 0 ? -1 : fchmod(fd, 04755), "an owner sets the set-uid bit");
	must_work(write(fd, "x", 1), "and writes to the file");
	must_work(fstat(fd, &s), "whose mode is read");
	t_check(!(s.st_mode & S_ISUID), "what is written to is set-uid no more", "mode %o",
		s.st_mode);
	return t_end();
}

static int ids(void)
{
	return (geteuid() == 0 && getuid() == USER) |
	       (getegid() == GROUP && getgid() == USER) << 1 | (getauxval(AT_SECURE) != 0) << 2;
}

static int run_as(int argc, char **argv)
{
	if (argc < 4) {
		fprintf(stderr, "usage: t_creds --as UID CMD...\n");
		return 2;
	}
	become((uid_t)atoi(argv[2]), 0, NULL);
	execvp(argv[3], argv + 3);
	t_die("%s", argv[3]);
}

int main(int argc, char **argv)
{
	char dir[] = "/tmp/t_creds.XXXXXX";
	int status;

	if (argc > 1 && !strcmp(argv[1], "--ids"))
		return ids();
	if (argc > 1 && !strcmp(argv[1], "--as"))
		return run_as(argc, argv);
	if (geteuid() != 0) {
		fprintf(stderr, "t_creds: only root can set it up\n");
		return 2;
	}
	umask(0);
	if (!mkdtemp(dir) || chmod(dir, 0755) < 0 || chdir(dir) < 0)
		t_die("%s", dir);
	set_up();
	pid_t others = sleeper(OTHER), pid = fork();

	if (pid < 0)
		t_die("fork");
	if (pid == 0)
		_exit(as_user(getppid(), others));
	waitpid(pid, &status, 0);
	kill(others, SIGKILL);
	waitpid(others, NULL, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
