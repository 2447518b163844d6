/* SPDX-License-Identifier: MIT */
/*
 * The first process. Claims this boot's identity on the disk, starts the other servers, keeps a
 * shell on the console, and reaps orphans. A server that dies is reported and not restarted: its
 * state died with it, and hiding that would hide the bug.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "serve.h"
#include "state.h"

#define STATE_FILE "/var/lib/whimbrel/state"
#define CONSOLE	   "/dev/console"

/* In this order; each finds the earlier ones already started. The file server came with the kernel. */
static struct server {
	unsigned service;
	const char *path;
	int pid;
} servers[] = {
#define SERVICE(id, NAME, file, rank, port, flags) {.service = id, .path = file},
#include "services.def"
#undef SERVICE
};
enum { SERVERS = sizeof(servers) / sizeof(servers[0]) };

static struct wh_identity node;
static int shell_pid;
static uint64_t shell_started;
static struct serve_timer shell_timer;

static void start_server(struct server *s)
{
	if (s->service == WH_SVC_FILE || s->service == WH_SVC_INIT)
		return;
	char *argv[] = {(char *)s->path, NULL};
	int pid = fork();

	if (pid == 0) {
		long err = wh_register(s->service);

		if (err < 0)
			serve_die("%s: cannot register: %s", s->path, strerror(-err));
		execv(s->path, argv);
		serve_die("%s: %s", s->path, strerror(errno));
	}
	if (pid < 0)
		serve_log("cannot start %s: %s", s->path, strerror(errno));
	s->pid = pid;
}

/* In the child: a session of its own on the console, no privilege, a login shell. */
_Noreturn static void become_shell(void)
{
	static char *env[] = {"PATH=/bin:/sbin:/usr/bin",
			      "HOME=/root",
			      "USER=root",
			      "LOGNAME=root",
			      "SHELL=/bin/sh",
			      "TERM=vt100",
			      NULL};

	setsid();
	int fd = open(CONSOLE, O_RDWR);

	if (fd < 0)
		serve_die("%s: %s", CONSOLE, strerror(errno));
	ioctl(fd, TIOCSCTTY, 0);
	dprintf(fd,
		"\nWhimbrel, node %u of %u, incarnation %llu of its disk.\n"
		"Ours: nodes, migrate PID NODE, view PID, load. The rest is busybox: try help.\n",
		node.node, node.nodes, (unsigned long long)node.incarnation);
	dup2(fd, STDIN_FILENO);
	dup2(fd, STDOUT_FILENO);
	dup2(fd, STDERR_FILENO);
	if (fd > STDERR_FILENO)
		close(fd);
	wh_drop();
	if (chdir("/root") < 0)
		perror("/root");
	execle("/bin/busybox", "-sh", (char *)NULL, env);
	perror("/bin/busybox");
	_exit(127);
}

static void start_shell(void *arg)
{
	(void)arg;
	shell_started = wh_now();
	shell_pid = fork();
	if (shell_pid == 0)
		become_shell();
	if (shell_pid < 0)
		serve_log("cannot start the console shell: %s", strerror(errno));
}

static void on_server_end(const struct server *s, int status)
{
	if (WIFSIGNALED(status))
		serve_log("%s died of signal %d", s->path, WTERMSIG(status));
	else
		serve_log("%s ended with status %d", s->path, WEXITSTATUS(status));
}

static void on_children(void *arg, uint64_t bits)
{
	int status;

	(void)arg, (void)bits;
	for (int pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
		for (unsigned i = 0; i < SERVERS; i++)
			if (servers[i].pid == pid) {
				on_server_end(&servers[i], status);
				servers[i].pid = 0;
			}
		if (pid == shell_pid) {
			/* At once for a user who typed exit; once a second if it cannot even start. */
			serve_timer(&shell_timer, shell_started + SERVE_SEC, start_shell, NULL);
			shell_pid = 0;
		}
	}
}

static void claim_identity(void)
{
	struct boot_state s;
	int err = state_next(STATE_FILE, &s);

	if (err < 0)
		serve_log("%s: %s; this boot's identity may not be unique", STATE_FILE,
			  strerror(-err));
	long set = wh_set_identity(s.incarnation, s.serial_base, s.serial_limit);

	if (set < 0)
		serve_die("the kernel does not take the identity: %s", strerror(-set));
	wh_identity(&node);
	serve_log("node %u of %u, incarnation %llu, pid serials from %u", node.node, node.nodes,
		  (unsigned long long)node.incarnation, s.serial_base);
}

int main(void)
{
	serve_init(WH_SVC_INIT);
	serve_note(WH_NOTE_CHILD, on_children, NULL);
	claim_identity();
	for (unsigned i = 0; i < SERVERS; i++)
		start_server(&servers[i]);
	start_shell(NULL);
	serve_run();
}
