/* SPDX-License-Identifier: MIT */
/* Rows of nodebench: processes, and pipes within and between them. */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include "nodebench.h"

static void make_pipe(int fd[2])
{
	if (pipe(fd) < 0)
		nb_fail("pipe");
}

static pid_t make_child(void)
{
	pid_t pid = fork();

	if (pid < 0)
		nb_fail("fork");
	return pid;
}

static void reap(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		nb_fail("waitpid");
	if (status != 0) {
		errno = ECHILD;
		nb_fail("a child did not end as it should");
	}
}

static void put(int fd)
{
	if (write(fd, "x", 1) != 1)
		nb_fail("write to a pipe");
}

static void get(int fd)
{
	char c;

	if (read(fd, &c, 1) != 1)
		nb_fail("read from a pipe");
}

uint64_t row_pipe_self(long n)
{
	int p[2];

	make_pipe(p);
	uint64_t start = nb_now();

	for (long i = 0; i < n; i++) {
		put(p[1]);
		get(p[0]);
	}
	uint64_t took = nb_now() - start;

	close(p[0]);
	close(p[1]);
	return took;
}

uint64_t row_pipe_pingpong(long n)
{
	int to[2], back[2];

	make_pipe(to);
	make_pipe(back);
	pid_t pid = make_child();

	if (pid == 0) {
		for (long i = 0; i <= n; i++) {
			get(to[0]);
			put(back[1]);
		}
		_exit(0);
	}
	put(to[1]); /* the child runs */
	get(back[0]);
	uint64_t start = nb_now();

	for (long i = 0; i < n; i++) {
		put(to[1]);
		get(back[0]);
	}
	uint64_t took = nb_now() - start;

	reap(pid);
	for (int i = 0; i < 2; i++) {
		close(to[i]);
		close(back[i]);
	}
	return took;
}

/* Both yield n times, so there are 2 n switches. */
uint64_t row_yield_switch(long n)
{
	int p[2];

	make_pipe(p);
	pid_t pid = make_child();

	if (pid == 0) {
		put(p[1]);
		for (long i = 0; i < n; i++)
			sched_yield();
		_exit(0);
	}
	get(p[0]);
	uint64_t start = nb_now();

	for (long i = 0; i < n; i++)
		sched_yield();
	reap(pid);
	uint64_t took = nb_now() - start;

	close(p[0]);
	close(p[1]);
	return took / 2;
}

uint64_t row_fork_exit_wait(long n)
{
	uint64_t start = nb_now();

	for (long i = 0; i < n; i++) {
		pid_t pid = make_child();

		if (pid == 0)
			_exit(0);
		reap(pid);
	}
	return nb_now() - start;
}

uint64_t row_fork_exec_wait(long n)
{
	static char *argv[] = {nb_self, "--exit", NULL}, *env[] = {NULL};
	uint64_t start = nb_now();

	for (long i = 0; i < n; i++) {
		pid_t pid = make_child();

		if (pid == 0) {
			execve(nb_self, argv, env);
			_exit(127);
		}
		reap(pid);
	}
	return nb_now() - start;
}
