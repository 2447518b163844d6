/* SPDX-License-Identifier: MIT */
/*
 * Freezes must not be seen. Started as the boot module this program is the migration handler: it runs sigtest (its
 * children included) and freezes whatever runs every few milliseconds, wherever it happens to be; then it thaws it. What
 * sigtest finds must be what it finds in peace.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include "wh.h"

#define MS	 1000000ull
#define EVERY	 (3 * MS) /* a round of freezes */
#define PATIENCE (5 * MS) /* for a process to come to the boundary */
#define LONGEST	 (1 * MS) /* it stays frozen */
#define ROWS	 32

int sigtest_main(int argc, char **argv);

static long asked, frozen, late;

static void freeze_all(void)
{
	static struct wh_pinfo rows[ROWS];
	long n = WH_CALL3(WH_NR_proc_list, rows, ROWS, 0);
	for (long i = 0; i < n; i++)
		asked += wh_proc_freeze(rows[i].uqpid.pid, wh_now() + PATIENCE) == 0;
}

static void on_frozen(const struct wh_k_frozen *k)
{
	if (k->status == -EBUSY)
		late++;
	if (k->status < 0)
		return;
	/* Others run meanwhile, so what it waits for may happen. */
	struct wh_event ev;
	frozen++;
	uint64_t until = wh_now() + LONGEST * (uint64_t)(frozen % 4) / 4;
	while (wh_now() < until && wh_wait(&ev, until) == 0 && ev.kind == WH_EV_REQUEST) {
		struct wh_msg done = {0};
		wh_reply(ev.id, &done);
		const struct wh_k_frozen *other = WH_BODY(&ev.msg, struct wh_k_frozen);
		late += other->status == -EBUSY;
		if (other->status >= 0) {
			frozen++;
			wh_proc_thaw(other->pid);
		}
	}
	wh_proc_thaw(k->pid);
}

/* The child's wait status. */
static int disturb(pid_t child)
{
	uint64_t next = 0;
	for (;;) {
		int status;
		struct wh_event ev;
		if (waitpid(child, &status, WNOHANG) == child)
			return status;
		if (wh_now() >= next) {
			next = wh_now() + EVERY;
			freeze_all();
		}
		if (wh_wait(&ev, next) == 0 && ev.kind == WH_EV_REQUEST) {
			struct wh_msg done = {0};
			struct wh_k_frozen k = *WH_BODY(&ev.msg, struct wh_k_frozen);
			wh_reply(ev.id, &done);
			if (ev.msg.type == WH_MSG_K_FROZEN)
				on_frozen(&k);
		}
	}
}

int main(void)
{
	pid_t child = fork();
	if (child == 0) {
		char name[] = "sigtest", option[] = "no-exec", *argv[] = {name, option, NULL};
		wh_drop();
		exit(sigtest_main(2, argv));
	}
	if (wh_register(WH_SVC_MIGRATE) < 0)
		printf("not ok the migration handler's place is taken\n");
	int status = disturb(child);
	/* The log takes whole lines. */
	printf("freezer: asked %ld frozen %ld late %ld\nfreezer: status %x\n", asked, frozen, late,
	       (unsigned)status);
	fflush(stdout);
	for (;;)
		pause();
}
