/* SPDX-License-Identifier: MIT */
/*
 * Signals to a process group whose members are on several nodes.
 *
 * t_group members DIR             four members, until they are killed: "home", "moved" (at the sign "fork" it makes
 *                                 "born"), and "restless"; where they are, is the driver's business
 * t_group send DIR ROUNDS         SIGUSR1 to them, each when all have had the one before; then SIGSTOP, SIGCONT
 * t_group kill DIR                SIGKILL: nobody is left
 *
 * Each member says in DIR/NAME what it has got so far, and that it lives.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "t.h"

enum { MEMBERS = 4, LINE = 64, BEAT_MS = 30, PATIENCE_S = 60 };
static const char *const names[MEMBERS] = {"home", "moved", "restless", "born"};

struct state {
	int pgid, usr1, cont, beats;
};

static volatile sig_atomic_t usr1, cont;

static void on_signal(int sig)
{
	if (sig == SIGUSR1)
		usr1++;
	else
		cont++;
}

static int open_state(const char *dir, const char *name, int flags)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return open(path, flags, 0666);
}

/* ---- members ---- */

static int begin(const char *dir, const char *name)
{
	int fd = open_state(dir, name, O_CREAT | O_WRONLY);

	if (fd < 0)
		t_die("%s/%s", dir, name);
	usr1 = cont = 0;
	return fd;
}

static _Noreturn void live(const char *dir, const char *name)
{
	bool may_fork = !strcmp(name, "moved");
	int fd = begin(dir, name);

	for (int beats = 0;; beats++) {
		char line[LINE + 1];

		snprintf(line, sizeof(line), "%20d%14d%14d%14d\n", (int)getpgrp(), (int)usr1,
			 (int)cont, beats);
		if (pwrite(fd, line, strlen(line), 0) < 0 && errno != EINTR)
			t_die("%s: write", name);
		t_sleep_ms(BEAT_MS);
		if (may_fork && t_sign_exists(dir, "fork")) {
			may_fork = false;
			if (fork() == 0) {
				close(fd);
				fd = begin(dir, "born");
			}
		}
	}
}

static int members(const char *dir)
{
	pid_t group = 0;

	for (int i = 0; i < MEMBERS - 1; i++) {
		pid_t pid = fork();

		if (pid < 0)
			t_die("fork");
		if (pid == 0) {
			setpgid(0, group);
			signal(SIGUSR1, on_signal);
			signal(SIGCONT, on_signal);
			live(dir, names[i]);
		}
		setpgid(pid, group ? group : pid);
		group = group ? group : pid;
		char name[32];

		snprintf(name, sizeof(name), "pid-%s-%d", names[i], (int)pid);
		t_make_sign(dir, name);
	}
	for (int i = 0; i < MEMBERS - 1; i++) {
		int status;

		if (waitpid(-1, &status, 0) < 0)
			t_die("wait");
		errno = 0;
		t_check(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "it was killed",
			"wait status %#x", (unsigned)status);
	}
	return t_end();
}

/* ---- the sender ---- */

static struct state look(const char *dir, int i)
{
	struct state s = {0};
	char line[LINE + 1] = "";
	int fd = open_state(dir, names[i], O_RDONLY);

	if (fd < 0 || read(fd, line, LINE) < 0 ||
	    sscanf(line, "%d %d %d %d", &s.pgid, &s.usr1, &s.cont, &s.beats) != 4)
		t_die("%s/%s: '%s'", dir, names[i], line);
	close(fd);
	return s;
}

static bool passed(int64_t since)
{
	return t_mono_ns() - since > PATIENCE_S * 1000000000ll;
}

/* Until all have had `want` of it. More, or less until the patience is over, is wrong. */
static bool all_have(const char *dir, int sig, int want)
{
	int64_t start = t_mono_ns();

	for (int i = 0; i < MEMBERS;) {
		struct state s = look(dir, i);
		int got = sig == SIGUSR1 ? s.usr1 : s.cont;

		if (got > want || passed(start)) {
			errno = 0;
			return t_check(false, "each member gets each signal once",
				       "%s has got signal %d %d times, not %d", names[i], sig, got,
				       want);
		}
		if (got == want)
			i++;
		else
			t_sleep_ms(BEAT_MS / 3);
	}
	return true;
}

static bool beats_change(const char *dir, bool all, int ms)
{
	int before[MEMBERS], changed = 0;

	for (int i = 0; i < MEMBERS; i++)
		before[i] = look(dir, i).beats;
	t_sleep_ms(ms);
	for (int i = 0; i < MEMBERS; i++)
		changed += look(dir, i).beats != before[i];
	return all ? changed == MEMBERS : changed > 0;
}

static void send_all(const char *dir, int rounds)
{
	struct state first = look(dir, 0);
	int cont_before = first.cont, n = first.usr1;

	for (int i = 0; i < rounds; i++) {
		if (kill(-first.pgid, SIGUSR1) < 0)
			t_die("kill");
		if (!all_have(dir, SIGUSR1, ++n))
			return;
	}
	kill(-first.pgid, SIGSTOP);
	int64_t start = t_mono_ns();

	while (beats_change(dir, false, 500) && !passed(start))
		;
	errno = 0;
	t_check(!beats_change(dir, false, 1000), "all are stopped", "one goes on");
	kill(-first.pgid, SIGCONT);
	all_have(dir, SIGCONT, cont_before + 1);
	start = t_mono_ns();
	while (!beats_change(dir, true, 500) && !passed(start))
		;
	errno = 0;
	t_check(beats_change(dir, true, 2000), "all go on", "one does not");
	t_check(all_have(dir, SIGUSR1, n) && all_have(dir, SIGCONT, cont_before + 1),
		"each member has got each signal once", "see above");
}

static void kill_all(const char *dir)
{
	pid_t pgid = look(dir, 0).pgid;
	int64_t start = t_mono_ns();

	t_check(kill(-pgid, 0) == 0, "the group is found", "it is not");
	t_check(kill(-pgid, SIGKILL) == 0, "it can be killed", "it cannot");
	while (kill(-pgid, 0) == 0 && !passed(start))
		t_sleep_ms(20);
	t_check(kill(-pgid, SIGKILL) < 0 && errno == ESRCH, "nobody is left", "somebody is");
	errno = 0;
	t_check(!beats_change(dir, false, 500), "nobody lives", "somebody does");
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "members"))
		return members(argv[2]);
	if (argc == 4 && !strcmp(argv[1], "send"))
		send_all(argv[2], atoi(argv[3]));
	else if (argc == 3 && !strcmp(argv[1], "kill"))
		kill_all(argv[2]);
	else
		return 2;
	return t_end();
}
