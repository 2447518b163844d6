/* SPDX-License-Identifier: MIT */
/*
 * t_names DIR: note who and where the process is, make DIR/noted, wait for DIR/go, look again. All must look
 * the same, wherever the process is by then.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "t.h"

struct look {
	pid_t pid, ppid, pgid, sid;
	uid_t uid, euid;
	gid_t gid, egid;
	mode_t umask;
	struct utsname name;
	char cwd[PATH_MAX];
	ino_t cwd_ino;
	dev_t cwd_dev;
	unsigned long long born; /* field 22 of /proc/self/stat */
};

static struct look before, after;

static unsigned long long born(void)
{
	unsigned long long ticks = 0;
	char line[1024] = "", *at;
	FILE *f = fopen("/proc/self/stat", "r");

	if (!f || !fgets(line, sizeof line, f) || !(at = strrchr(line, ')')))
		t_die("/proc/self/stat");
	fclose(f);
	for (int field = 2; field < 22 && at; field++)
		at = strchr(at + 1, ' ');
	if (!at || sscanf(at, "%llu", &ticks) != 1)
		t_die("/proc/self/stat is '%s'", line);
	return ticks;
}

static void look(struct look *l)
{
	struct stat st;

	l->pid = getpid();
	l->ppid = getppid();
	l->pgid = getpgrp();
	l->sid = getsid(0);
	l->uid = getuid();
	l->euid = geteuid();
	l->gid = getgid();
	l->egid = getegid();
	l->umask = umask(022);
	umask(l->umask);
	uname(&l->name);
	if (!getcwd(l->cwd, sizeof(l->cwd)) || stat(".", &st) < 0)
		t_die("the working directory");
	l->cwd_ino = st.st_ino;
	l->cwd_dev = st.st_dev;
	l->born = born();
}

#define SAME_NUMBER(field)                                                                         \
	t_check(before.field == after.field, #field, "was %llu, is %llu",                          \
		(unsigned long long)before.field, (unsigned long long)after.field)
#define SAME_TEXT(field)                                                                           \
	t_check(!strcmp(before.field, after.field), #field, "was '%s', is '%s'", before.field,     \
		after.field)

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: t_names DIR\n");
		return 2;
	}
	look(&before);
	t_make_sign(argv[1], "noted");
	t_wait_sign(argv[1], "go");
	look(&after);
	errno = 0;
	SAME_NUMBER(pid);
	SAME_NUMBER(ppid);
	SAME_NUMBER(pgid);
	SAME_NUMBER(sid);
	SAME_NUMBER(uid);
	SAME_NUMBER(euid);
	SAME_NUMBER(gid);
	SAME_NUMBER(egid);
	SAME_NUMBER(umask);
	SAME_TEXT(name.sysname);
	SAME_TEXT(name.nodename);
	SAME_TEXT(name.release);
	SAME_TEXT(name.version);
	SAME_TEXT(name.machine);
	SAME_TEXT(cwd);
	SAME_NUMBER(cwd_ino);
	SAME_NUMBER(cwd_dev);
	SAME_NUMBER(born);
	printf("pid %d node %s cwd %s\n", after.pid, after.name.nodename, after.cwd);
	return t_end();
}
