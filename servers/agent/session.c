/* SPDX-License-Identifier: MIT */
/* The agent's half of abi/agent.h. Pure of devices (port.h) and of events: it is run whenever
 * something may have moved. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent.h"
#include "port.h"
#include "session.h"
#include "wh.h"

enum {
	FRAME_BYTES = sizeof(struct agent_frame) + AGENT_PAYLOAD_MAX,
	MAX_STRINGS = 512,
	CONDEMNED = 32
};
#define HANGUP_GRACE_NS 1000000000ull

struct session {
	enum { GREETING, READY, RUNNING } state;
	uint8_t in[FRAME_BYTES];
	uint32_t in_len;
	uint32_t in_used; /* of a STDIN frame's payload: written to the command */
	int pid;
	bool exited;
	int status;   /* wait status, once exited */
	int to_child; /* its standard input; -1: closed */
	int from_child[2];
};

static struct session sessions[AGENT_PORTS + 1];

/* Commands whose client left: they got SIGHUP, and get SIGKILL if they are still there after a
 * while. */
static struct condemned {
	int pid;	      /* 0: free; also the process group */
	uint64_t deadline_ns; /* 0: the grace has not begun */
} condemned[CONDEMNED];

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void condemn(int pid)
{
	kill(-pid, SIGHUP);
	kill(-pid, SIGCONT);
	for (unsigned i = 0; i < CONDEMNED; i++)
		if (!condemned[i].pid) {
			condemned[i] = (struct condemned){pid, 0};
			return;
		}
	kill(-pid, SIGKILL);
}

uint64_t session_condemn(uint64_t now_ns)
{
	uint64_t next = UINT64_MAX;

	for (unsigned i = 0; i < CONDEMNED; i++) {
		struct condemned *c = &condemned[i];

		if (!c->pid)
			continue;
		if (!c->deadline_ns)
			c->deadline_ns = now_ns + HANGUP_GRACE_NS;
		if (c->deadline_ns <= now_ns) {
			kill(-c->pid, SIGKILL);
			c->pid = 0;
		} else if (c->deadline_ns < next) {
			next = c->deadline_ns;
		}
	}
	return next;
}

static void end_session(struct session *s)
{
	if (s->state == RUNNING) {
		close_fd(&s->to_child);
		close_fd(&s->from_child[0]);
		close_fd(&s->from_child[1]);
		if (!s->exited)
			condemn(s->pid);
	}
	s->state = GREETING;
	s->pid = 0;
	s->in_used = 0;
}

void session_reset(unsigned port)
{
	end_session(&sessions[port]);
	sessions[port].in_len = 0;
}

bool session_child(int pid, int status)
{
	for (unsigned i = 0; i < CONDEMNED; i++)
		if (condemned[i].pid == pid) {
			condemned[i].pid = 0;
			return true;
		}
	for (unsigned k = 1; k <= AGENT_PORTS; k++)
		if (sessions[k].state == RUNNING && sessions[k].pid == pid) {
			sessions[k].exited = true;
			sessions[k].status = status;
			return true;
		}
	return false;
}

/* Put a small frame into the port's free buffer; false when there is none. */
static bool send_frame(unsigned port, enum agent_type type, const void *data, uint32_t len)
{
	struct agent_frame f = {type, len};
	uint8_t *b = port_buffer(port);

	if (!b)
		return false;
	memcpy(b, &f, sizeof(f));
	memcpy(b + sizeof(f), data, len);
	port_send(port, sizeof(f) + len);
	return true;
}

static void refuse(unsigned port, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	/* At this point of a session all buffers are free, unless a client does not read; then it
	 * is not waiting, either. */
	send_frame(port, AGENT_ERROR, text, strlen(text));
	end_session(&sessions[port]);
}

/* ---- the command ---- */

struct command {
	const struct agent_exec *exec;
	char *cwd, *argv[MAX_STRINGS], *env[MAX_STRINGS];
};

/* Split a payload into its strings; false if it is not well formed. */
static bool parse_exec(uint8_t *payload, uint32_t len, struct command *c)
{
	char *at = (char *)payload + sizeof(*c->exec), *end = (char *)payload + len;

	if (len <= sizeof(*c->exec) || end[-1] != '\0')
		return false;
	c->exec = (const struct agent_exec *)(const void *)payload;
	if (c->exec->argc < 1 || c->exec->argc >= MAX_STRINGS || c->exec->envc >= MAX_STRINGS)
		return false;
	c->cwd = at;
	for (uint32_t i = 0; i < c->exec->argc + c->exec->envc; i++) {
		at += strlen(at) + 1;
		if (at >= end)
			return false;
		*(i < c->exec->argc ? &c->argv[i] : &c->env[i - c->exec->argc]) = at;
	}
	c->argv[c->exec->argc] = c->env[c->exec->envc] = NULL;
	return true;
}

/* In the child. Failing is said on its standard error, with the shell's exit statuses. */
_Noreturn static void become(const struct command *c, int in, int out, int err)
{
	dup2(in, STDIN_FILENO);
	dup2(out, STDOUT_FILENO);
	dup2(err, STDERR_FILENO);
	setsid(); /* a process group and no terminal of its own */
	signal(SIGPIPE, SIG_DFL);
	clearenv();
	for (char *const *e = c->env; *e; e++)
		putenv(*e);
	wh_drop();
	if (c->exec->uid && (setgid(c->exec->uid) < 0 || setuid(c->exec->uid) < 0)) {
		dprintf(STDERR_FILENO, "agent: cannot become user %u: %s\n", c->exec->uid,
			strerror(errno));
		_exit(126);
	}
	if (chdir(c->cwd) < 0) {
		dprintf(STDERR_FILENO, "agent: %s: %s\n", c->cwd, strerror(errno));
		_exit(126);
	}
	execvp(c->argv[0], c->argv);
	dprintf(STDERR_FILENO, "agent: %s: %s\n", c->argv[0], strerror(errno));
	_exit(errno == ENOENT ? 127 : 126);
}

static void start(unsigned port, struct session *s, uint8_t *payload, uint32_t len)
{
	static struct command c;
	int p[3][2] = {{-1, -1}, {-1, -1}, {-1, -1}};

	if (!parse_exec(payload, len, &c)) {
		refuse(port, "malformed command");
		return;
	}
	int pid = -1;

	if (pipe2(p[0], O_CLOEXEC) == 0 && pipe2(p[1], O_CLOEXEC) == 0 &&
	    pipe2(p[2], O_CLOEXEC) == 0)
		pid = fork();
	if (pid == 0)
		become(&c, p[0][0], p[1][1], p[2][1]);
	int e = errno;

	close_fd(&p[0][0]);
	close_fd(&p[1][1]);
	close_fd(&p[2][1]);
	if (pid < 0) {
		close_fd(&p[0][1]);
		close_fd(&p[1][0]);
		close_fd(&p[2][0]);
		refuse(port, "cannot start a command: %s", strerror(e));
		return;
	}
	s->to_child = p[0][1];
	s->from_child[0] = p[1][0];
	s->from_child[1] = p[2][0];
	fcntl(s->to_child, F_SETFL, O_NONBLOCK);
	fcntl(s->from_child[0], F_SETFL, O_NONBLOCK);
	fcntl(s->from_child[1], F_SETFL, O_NONBLOCK);
	s->pid = pid;
	s->exited = false;
	s->state = RUNNING;
}

/* ---- client to command ---- */

/* Look for the client's greeting and answer it; false when more bytes are needed. */
static bool take_greeting(unsigned port, struct session *s)
{
	struct agent_greeting g;

	for (uint32_t at = 0; at + sizeof(g) <= s->in_len; at++) {
		if (memcmp(s->in + at, AGENT_MAGIC, sizeof(g.magic)) != 0)
			continue;
		uint8_t *b = port_buffer(port);

		if (!b)
			return false;
		memcpy(b, s->in + at, sizeof(g));
		port_send(port, sizeof(g));
		s->in_len -= at + sizeof(g);
		memmove(s->in, s->in + at + sizeof(g), s->in_len);
		s->state = READY;
		return true;
	}
	/* What cannot be the beginning of a greeting any more is an earlier client's. */
	uint32_t keep = s->in_len < sizeof(g) - 1 ? s->in_len : sizeof(g) - 1;

	memmove(s->in, s->in + s->in_len - keep, keep);
	s->in_len = keep;
	return false;
}

/* Write a STDIN payload; false when the pipe is full. A command that closed its input gets no more,
 * which is no error. */
static bool feed(struct session *s, const uint8_t *payload, uint32_t len)
{
	while (s->in_used < len && s->to_child >= 0) {
		ssize_t n = write(s->to_child, payload + s->in_used, len - s->in_used);

		if (n > 0)
			s->in_used += n;
		else if (n < 0 && errno == EAGAIN)
			return false;
		else
			close_fd(&s->to_child);
	}
	s->in_used = 0;
	return true;
}

/* Handle one whole frame of the input buffer; false when there is none, or it cannot be finished
 * now. */
static bool take_frame(unsigned port, struct session *s)
{
	struct agent_frame f;
	uint8_t *payload = s->in + sizeof(f);

	if (s->in_len < sizeof(f))
		return false;
	memcpy(&f, s->in, sizeof(f));
	if (f.len > AGENT_PAYLOAD_MAX) {
		refuse(port, "impossible frame");
		return true;
	}
	if (s->in_len < sizeof(f) + f.len)
		return false;
	if (s->state == READY && f.type == AGENT_EXEC) {
		start(port, s, payload, f.len);
	} else if (s->state == RUNNING && f.type == AGENT_STDIN) {
		if (!feed(s, payload, f.len))
			return false;
	} else if (s->state == RUNNING && f.type == AGENT_STDIN_END) {
		close_fd(&s->to_child);
	} else {
		refuse(port, "unexpected frame of type %u", f.type);
	}
	s->in_len -= sizeof(f) + f.len;
	memmove(s->in, payload + f.len, s->in_len);
	return true;
}

static void run_input(unsigned port, struct session *s)
{
	bool more = true;

	while (more) {
		size_t n = port_read(port, s->in + s->in_len, sizeof(s->in) - s->in_len);

		s->in_len += n;
		more = s->state == GREETING ? take_greeting(port, s) : take_frame(port, s);
		more = more || (n > 0 && s->in_len < sizeof(s->in));
	}
}

/* ---- command to client ---- */

/* Move output from a pipe straight into the port's buffers; true when the pipe has no more for now. */
static bool drain(unsigned port, int *fd, enum agent_type type)
{
	while (*fd >= 0) {
		struct agent_frame *f = port_buffer(port);

		if (!f)
			return false;
		ssize_t n = read(*fd, f + 1, AGENT_PAYLOAD_MAX);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return true;
		if (n <= 0) {
			close_fd(fd);
			break;
		}
		*f = (struct agent_frame){type, n};
		port_send(port, sizeof(*f) + n);
	}
	return true;
}

static void run_output(unsigned port, struct session *s)
{
	/* Looked at before the pipes are: what the command wrote before it ended is then in them. */
	bool over = s->exited;

	over = drain(port, &s->from_child[0], AGENT_STDOUT) && over;
	over = drain(port, &s->from_child[1], AGENT_STDERR) && over;
	if (!over)
		return;
	/* Something it left running may still hold the pipes: the session ends with the command
	 * itself. */
	uint32_t result = WIFSIGNALED(s->status) ? AGENT_SIGNALLED | WTERMSIG(s->status)
						 : WEXITSTATUS(s->status);

	if (send_frame(port, AGENT_EXIT, &result, sizeof(result)))
		end_session(s);
}

void session_run(unsigned port)
{
	struct session *s = &sessions[port];

	run_input(port, s);
	if (s->state == RUNNING)
		run_output(port, s);
}
