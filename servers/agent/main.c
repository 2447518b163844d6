/* SPDX-License-Identifier: MIT */
/*
 * The agent: what ./run-qemu.sh exec and cp talk to. It runs commands for host clients, one per
 * virtio-serial port, as children without privilege, and moves their streams. See abi/agent.h for
 * the protocol.
 */
#include <signal.h>
#include <sys/wait.h>

#include "port.h"
#include "serve.h"
#include "session.h"

static struct serve_timer grace;

static void on_change(unsigned port, bool connected)
{
	(void)connected;
	session_reset(port);
}

/* Being awake is enough: on_idle follows. */
static void on_note(void *arg, uint64_t bits)
{
	(void)arg, (void)bits;
}

static void on_grace(void *arg)
{
	(void)arg;
}

/* Pipes, children and ports all end here: whatever woke us up, look at everything. */
static void on_idle(void)
{
	int status;

	for (int pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
		session_child(pid, status);
	ports_poll(on_change);
	for (unsigned k = 1; k <= AGENT_PORTS; k++)
		session_run(k);
	ports_flush();
	uint64_t next = session_condemn(wh_now());

	if (next != UINT64_MAX)
		serve_timer(&grace, next, on_grace, NULL);
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	serve_init(WH_SVC_AGENT);
	ports_init();
	serve_note(WH_NOTE_CHILD | WH_NOTE_POLL, on_note, NULL);
	serve_idle(on_idle);
	serve_run();
}
