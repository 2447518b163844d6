/* SPDX-License-Identifier: MIT */
/*
 * The kernel's half of a migration on one node, without a disk or a network: started as the boot
 * module, this program is the migration handler. It freezes its children, takes them apart, gives
 * them away to "node 2", and makes them again from the parts, absorbing the stubs. A child must not
 * notice; the node's counters must come back.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "roundtrip.h"
#include "wh.h"

#define BLOB	  (256 << 10)
#define PAGES_MAX 2048
#define REGIONS	  256
#define ELSEWHERE 2 /* the other node's number; there is none */

enum { BIT_BACK = 1, BIT_FORWARD = 2 }; /* notifications to the clock helper */

/* What a stream between handlers would carry. */
struct image {
	struct wh_pinfo info;
	struct wh_regs regs;
	unsigned char fpu[512];
	unsigned char views[BLOB], signals[BLOB], threads[BLOB];
	long views_len, signals_len, threads_len, regions_len;
	struct wh_region regions[REGIONS];
	unsigned pages;
	uint64_t page_addr[PAGES_MAX];
	unsigned char page[PAGES_MAX][4096];
};
static struct image
	*store; /* two: the current one, and a good one to damage copies of; not in the children */
#define img  (store[0])
#define good (store[1])

static int failures;

static void check(bool ok, const char *name, long value)
{
	if (ok)
		printf("ok %s\n", name);
	else
		printf("not ok %s: %ld\n", name, value), failures++;
}

static void need(long r, const char *what)
{
	if (r >= 0)
		return;
	printf("not ok %s: %ld\nroundtrip: failed\n", what, r);
	for (;;)
		wh_wait(&(struct wh_event){0}, WH_NO_DEADLINE);
}

static void pause_ns(int64_t ns)
{
	uint64_t until = wh_now() + (uint64_t)ns;
	struct wh_event ev;

	while (wh_now() < until)
		wh_wait(&ev, until);
}

/* ---- the handler ---- */

/* The next request of this type; others are answered and forgotten. */
static struct wh_msg await(uint32_t type, int64_t ns)
{
	struct wh_event ev;
	uint64_t until = wh_now() + (uint64_t)ns;

	for (;;) {
		long r = wh_wait(&ev, until);
		if (r == -ETIMEDOUT)
			return (struct wh_msg){.type = 0};
		if (r == 0 && ev.kind == WH_EV_REQUEST) {
			struct wh_msg answer = {.type = ev.msg.type};
			wh_reply(ev.id, &answer);
			if (ev.msg.type == type)
				return ev.msg;
		}
	}
}

static char why_not[160]; /* of the last freeze that failed */

static int freeze_within(int pid, int64_t ns)
{
	long r = wh_proc_freeze(pid, wh_now() + (uint64_t)ns);

	if (r)
		return (int)r;
	struct wh_msg m = await(WH_MSG_K_FROZEN, 3000 * MS);
	const struct wh_k_frozen *k = WH_BODY(&m, struct wh_k_frozen);
	snprintf(why_not, sizeof why_not, "%.*s", (int)sizeof k->why, k->why);
	return m.type ? k->status : -ETIMEDOUT;
}

static int freeze(int pid)
{
	return freeze_within(pid, 1000 * MS);
}

static void export(int pid)
{
	char why[256] = "";
	uint64_t rows[512];
	long n;

	if (wh_proc_verdict(pid, ELSEWHERE, why, sizeof why) < 0)
		printf("# refused: %s\n", why);
	need(wh_proc_get(pid, WH_P_INFO, 0, &img.info, sizeof img.info), "get info");
	need(wh_proc_get(pid, WH_P_REGS, 0, &img.regs, sizeof img.regs), "get registers");
	need(wh_proc_get(pid, WH_P_FPU, 0, img.fpu, sizeof img.fpu), "get FPU");
	need(img.views_len = wh_proc_get(pid, WH_P_UBLOCK, 0, img.views, BLOB), "get views");
	need(img.regions_len = wh_proc_get(pid, WH_P_REGIONS, 0, img.regions, sizeof img.regions),
	     "get regions");
	img.pages = 0;
	for (uint64_t from = 0;
	     (n = wh_proc_get(pid, WH_P_PAGEMAP, from, rows, sizeof rows)) > 0;) {
		for (long i = 0; i < n / 8 && img.pages < PAGES_MAX; i++) {
			img.page_addr[img.pages] = rows[i];
			if (!(rows[i] & 1))
				need(wh_proc_get(pid, WH_P_PAGE, rows[i], img.page[img.pages],
						 4096),
				     "get page");
			img.pages++;
		}
		from = (rows[n / 8 - 1] & ~1ull) + 4096;
	}
	need(img.signals_len = wh_proc_get(pid, WH_P_SIGNALS, 0, img.signals, BLOB), "get signals");
	need(img.threads_len = wh_proc_get(pid, WH_P_THREADS, 0, img.threads, BLOB), "get threads");
	if (img.pages != img.info.private_pages)
		check(false, "every private page is in the map", img.pages);
}

static void import(void)
{
	int pid = img.info.uqpid.pid;

	img.info.epoch++;
	need(wh_proc_create(&img.info, img.info.private_pages, 0), "create");
	need(wh_proc_set(pid, WH_P_UBLOCK, 0, img.views, img.views_len), "set views");
	need(wh_proc_set(pid, WH_P_REGIONS, 0, img.regions, img.regions_len), "set regions");
	need(wh_proc_set(pid, WH_P_FPU, 0, img.fpu, sizeof img.fpu), "set FPU");
	need(wh_proc_set(pid, WH_P_REGS, 0, &img.regs, sizeof img.regs), "set registers");
	for (unsigned i = 0; i < img.pages; i++)
		if (!(img.page_addr[i] & 1))
			need(wh_proc_set(pid, WH_P_PAGE, img.page_addr[i], img.page[i], 4096),
			     "set page");
	need(wh_proc_set(pid, WH_P_SIGNALS, 0, img.signals, img.signals_len), "set signals");
	need(wh_proc_set(pid, WH_P_THREADS, 0, img.threads, img.threads_len), "set threads");
}

/* Away and back. 0, or why it could not be frozen. */
static int round_trip(int pid)
{
	int r = freeze(pid);

	if (r)
		return r;
	export(pid);
	need(wh_proc_release(pid, WH_REL_AWAY, ELSEWHERE), "release");
	import();
	need(wh_proc_thaw(pid), "thaw");
	return 0;
}

/* It has given back the store, and with it a copy of every page, and so may be moved. */
static bool is_light(int pid)
{
	static struct wh_pinfo rows[64];
	long n = wh_proc_list(rows, 64);

	for (long i = 0; i < n; i++)
		if (rows[i].uqpid.pid == pid)
			return rows[i].private_pages < PAGES_MAX / 2;
	return false; /* it is a server still; one that has ended is listed */
}

static int start(int (*child)(void))
{
	int pid = fork();

	if (pid == 0) {
		wh_drop();
		for (int fd = 0; fd < 3; fd++)
			close(fd); /* the log is the node's */
		munmap(store, 2 * sizeof *store);
		_exit(child());
	}
	need(pid, "fork");
	while (!is_light(pid))
		pause_ns(MS);
	return pid;
}

static int finish(int pid)
{
	int status = -1;

	for (;;) {
		int r = waitpid(pid, &status, WNOHANG);
		if (r == pid)
			return status;
		if (r < 0)
			return -errno;
		struct wh_event ev;
		wh_wait(&ev, wh_now() + 20 * MS);
	}
}

/* Move it while it runs. Returns its wait status; *moves counts. */
static int carry(int pid, int64_t gap, int most, int *moves)
{
	int status;

	for (*moves = 0; *moves < most && waitpid(pid, &status, WNOHANG) == 0; ++*moves) {
		pause_ns(gap);
		int r = round_trip(pid);
		if (r == -ESRCH)
			break;
		need(r, "freeze");
	}
	return finish(pid);
}

/* ---- the clock: a second server that steps REALTIME when told ---- */

static void clock_helper(void)
{
	struct wh_event ev;
	struct wh_clock_params p = {.real_minus_mono_ns = 1000000000ll * 1000 * MS};

	need(wh_register(WH_SVC_CLOCK), "register the clock");
	wh_clock_set(&p);
	for (;;) {
		if (wh_wait(&ev, WH_NO_DEADLINE) || ev.kind != WH_EV_NOTIFY)
			continue;
		if (ev.bits & BIT_BACK)
			p.real_minus_mono_ns -= 300 * MS;
		if (ev.bits & BIT_FORWARD)
			p.real_minus_mono_ns += 200 * MS;
		wh_clock_set(&p);
	}
}

/* ---- tests ---- */

static struct wh_counters counters(void)
{
	struct wh_counters c;

	need(wh_counters(&c), "counters");
	return c;
}

/* The kernel's pools for small sizes give frames back, but each may keep one more than it did before. */
#define POOLS 8

static void same_counters(const char *name, const struct wh_counters *a)
{
	struct wh_counters b = counters();
	long lost = (long)(a->frames_free - b.frames_free);

	if (a->kmem_bytes != b.kmem_bytes)
		printf("# kmem %+ld procs %+ld stubs %+ld fobjs %+ld ofiles %+ld regions %+ld requests %+ld\n",
		       (long)(b.kmem_bytes - a->kmem_bytes), (long)(b.procs - a->procs),
		       (long)(b.stubs - a->stubs), (long)(b.fobjs - a->fobjs),
		       (long)(b.ofiles - a->ofiles), (long)(b.regions - a->regions),
		       (long)(b.requests - a->requests));
	check(lost <= POOLS && lost >= -POOLS, name, lost);
	check(a->kmem_bytes == b.kmem_bytes && a->procs == b.procs && a->stubs == b.stubs &&
		      a->fobjs == b.fobjs && a->ofiles == b.ofiles && a->regions == b.regions &&
		      a->requests == b.requests,
	      "  kernel memory, processes, stubs, files, regions, requests too",
	      (long)(b.kmem_bytes - a->kmem_bytes));
}

static void test_state(void)
{
	struct wh_counters before;
	int moves, status;

	expected = compute();
	compute_reset();
	/* The kernel's own pools fill once, and the log's buffer is made. */
	carry(start(child_alarm), 20 * MS, 1, &moves);
	printf("# moving\n");
	before = counters();
	status = carry(start(child_compute), 20 * MS, 60, &moves);
	check(status == 0, "a computation gives its normal result when moved", status);
	check(moves > 3, "  and it was moved in the middle", moves);
	same_counters("  free frames are back at their baseline", &before);
}

static void test_clocks(void)
{
	int moves, status;

	status = carry(start(child_clocks), 10 * MS, 60, &moves);
	check(status == 0 && moves > 3, "no clock runs backwards on the way", status);
	for (int i = 0; i < 2; i++) {
		int pid = start(child_clocks);
		pause_ns(50 * MS);
		need(freeze(pid), "freeze");
		export(pid);
		need(wh_proc_release(pid, WH_REL_AWAY, ELSEWHERE), "release");
		wh_notify(WH_SVC_CLOCK, i ? BIT_FORWARD : BIT_BACK);
		pause_ns(10 * MS);
		import();
		need(wh_proc_thaw(pid), "thaw");
		status = finish(pid);
		check(status == 0,
		      i ? "nor on a node whose clock is ahead"
			: "nor on a node whose clock is behind",
		      status);
	}
	int pid = start(child_tells);
	pause_ns(50 * MS);
	wh_notify(WH_SVC_CLOCK, BIT_BACK);
	status = finish(pid);
	check(status == 0, "nor for who is told the time through a pipe", status);
	status = carry(start(child_sleep), 30 * MS, 8, &moves);
	check(status == 0 && moves > 3, "a sleep interrupted by moves lasts as long as it should",
	      status);
	status = carry(start(child_abs_sleep), 30 * MS, 8, &moves);
	check(status == 0 && moves > 3, "so does a sleep until a time", status);
	status = carry(start(child_alarm), 30 * MS, 8, &moves);
	check(status == 0 && moves > 3, "an alarm rings on time, once, in a pause", status);
	struct wh_counters c = counters();
	check(c.checker_observations > 1000 && c.checker_violations == 0,
	      "the checker saw it all and agrees", (long)c.checker_violations);
}

static void test_signals(void)
{
	int status, pid = start(child_spin);

	pause_ns(20 * MS);
	need(freeze(pid), "freeze");
	export(pid);
	kill(pid, SIGUSR1);
	need(wh_proc_release(pid, WH_REL_AWAY, ELSEWHERE), "release");
	struct wh_msg m = await(WH_MSG_K_SIGNAL, 100 * MS);
	const struct wh_k_signal *s = WH_BODY(&m, struct wh_k_signal);
	check(m.type && s->sig == SIGUSR1 && s->node == ELSEWHERE,
	      "a signal to the frozen process follows it", m.type ? s->sig : -1);
	kill(pid, SIGTERM);
	m = await(WH_MSG_K_SIGNAL, 100 * MS);
	check(m.type && s->sig == SIGTERM, "a signal to a stub is forwarded", m.type ? s->sig : -1);
	import();
	need(wh_proc_thaw(pid), "thaw");
	need(wh_proc_signal(&img.info.uqpid, SIGUSR1), "deliver");
	status = finish(pid);
	check(WIFEXITED(status) && WEXITSTATUS(status) == 42, "and is delivered where it is",
	      status);

	pid = start(child_spin);
	pause_ns(20 * MS);
	kill(pid, SIGSTOP);
	pause_ns(20 * MS);
	need(round_trip(pid), "move a stopped process");
	pause_ns(20 * MS);
	struct wh_pinfo info;
	need(wh_proc_get(pid, WH_P_INFO, 0, &info, sizeof info), "get info");
	check(info.state == WH_PS_STOPPED, "a stopped process arrives stopped", info.state);
	kill(pid, SIGUSR1);
	kill(pid, SIGCONT);
	status = finish(pid);
	check(WIFEXITED(status) && WEXITSTATUS(status) == 42, "and can be continued", status);
}

static void test_away(void)
{
	struct wh_counters before = counters();
	int pid = start(child_spin), status;

	pause_ns(20 * MS);
	need(freeze(pid), "freeze");
	export(pid);
	need(wh_proc_thaw(pid), "thaw at the source");
	pause_ns(20 * MS);
	check(freeze(pid) == 0, "a move that is given up leaves it running", 0);
	export(pid);
	need(wh_proc_release(pid, WH_REL_AWAY, ELSEWHERE), "release");
	struct wh_counters c = counters();
	check(c.stubs == before.stubs + 1, "a stub stays", (long)c.stubs);
	check(wh_proc_get(pid, WH_P_REGS, 0, &img.regs, sizeof img.regs) < 0,
	      "a stub has no registers", 0);
	check(waitpid(pid, &status, WNOHANG) == 0, "its parent still waits for it", 0);
	check(wh_proc_exited(&img.info.uqpid, img.info.epoch, 7 << 8) == -ESTALE,
	      "news of an older epoch is refused", 0);
	need(wh_proc_moved(&img.info.uqpid, img.info.epoch + 2, ELSEWHERE), "moved on");
	need(wh_proc_exited(&img.info.uqpid, img.info.epoch + 2, 7 << 8), "exited");
	status = finish(pid);
	check(WIFEXITED(status) && WEXITSTATUS(status) == 7, "and gets its status", status);
	same_counters("  nothing is left of it", &before);
}

/* Another node may send anything. */
static void test_garbage(void)
{
	int pid = start(child_spin), refused = 0;
	unsigned rnd = 12345;

	pause_ns(20 * MS);
	need(freeze(pid), "freeze");
	export(pid);
	need(wh_proc_release(pid, WH_REL_AWAY, ELSEWHERE), "release");
	memcpy(&good, &img, offsetof(struct image, page));
	img.info.epoch++;
	struct wh_counters before = counters();
	for (int i = 0; i < 1500; i++) {
		need(wh_proc_create(&img.info, 8, 0), "create");
		for (int k = 0; k < 1 + i % 3; k++) {
			rnd = rnd * 1103515245 + 12345;
			if (i % 4 == 0)
				img.views[rnd / 7 % (unsigned)img.views_len] ^= rnd >> 20;
			else if (i % 4 == 1)
				((unsigned char *)
					 img.regions)[rnd / 7 % (unsigned)img.regions_len] ^=
					rnd >> 20;
			else if (i % 8 == 2)
				img.threads[rnd / 7 % (unsigned)img.threads_len] ^= rnd >> 20;
			else if (i % 4 == 2)
				img.signals[rnd / 7 % (unsigned)img.signals_len] ^= rnd >> 20;
			else
				((unsigned char *)&img.regs)[rnd / 7 % sizeof img.regs] ^=
					rnd >> 20;
		}
		long cut = i % 5 == 0 ? (long)(rnd >> 8) % img.views_len : img.views_len;
		refused += wh_proc_set(pid, WH_P_UBLOCK, 0, img.views, (size_t)cut) < 0;
		refused +=
			wh_proc_set(pid, WH_P_REGIONS, 0, img.regions, (size_t)img.regions_len) < 0;
		refused +=
			wh_proc_set(pid, WH_P_SIGNALS, 0, img.signals, (size_t)img.signals_len) < 0;
		refused +=
			wh_proc_set(pid, WH_P_THREADS, 0, img.threads, (size_t)img.threads_len) < 0;
		refused += wh_proc_set(pid, WH_P_REGS, 0, &img.regs, sizeof img.regs) < 0;
		refused += wh_proc_set(pid, WH_P_PAGE, rnd, img.page[0], 4096) < 0;
		need(wh_proc_release(pid, WH_REL_DROP, 0), "drop");
		memcpy(&img, &good, offsetof(struct image, page));
		img.info.epoch++;
	}
	check(refused > 500, "damaged parts are refused", refused);
	same_counters("dropped copies leave nothing behind", &before);
	need(wh_proc_create(&img.info, 8, 0), "create");
	check(wh_proc_thaw(pid) == -EINVAL, "an incomplete copy does not run", 0);
	need(wh_proc_release(pid, WH_REL_DROP, 0), "drop");
	struct wh_pinfo wrong = img.info;
	wrong.uqpid.pid++;
	wrong.uqpid.home = 9;
	check(wh_proc_create(&wrong, 8, 0) == -EINVAL, "nor one with an impossible name", 0);
	check(wh_proc_create(&img.info, 1u << 30, 0) == -EINVAL, "nor one larger than memory", 0);
	check(wh_proc_exited(&img.info.uqpid, img.info.epoch, 9) == 0 && WTERMSIG(finish(pid)) == 9,
	      "a stub can end by a signal", 0);
}

static void test_refusals(int server)
{
	int pid = start(child_vfork), status;

	pause_ns(50 * MS);
	status = freeze_within(pid, 60 * MS);
	check(status == -EBUSY && strstr(why_not, "vfork"),
	      "a call that cannot be interrupted delays and then refuses", status);
	status = finish(pid);
	check(status == 0, "  and the process goes on", status);
	check(wh_proc_freeze(server, WH_NO_DEADLINE) == -EPERM, "a server does not freeze", 0);
	check(wh_proc_freeze(12345, WH_NO_DEADLINE) == -ESRCH, "nor does nobody", 0);
	pid = start(child_compute);
	pause_ns(20 * MS);
	need(wh_proc_freeze(pid, wh_now() + 1000 * MS), "freeze");
	kill(pid, SIGKILL);
	struct wh_msg m = await(WH_MSG_K_FROZEN, 1000 * MS);
	const struct wh_k_frozen *k = WH_BODY(&m, struct wh_k_frozen);
	if (m.type && k->status == 0)
		wh_proc_thaw(pid);
	status = finish(pid);
	check(m.type && (k->status == 0 || k->status == -ESRCH) && WIFSIGNALED(status),
	      "a process killed on the way to being frozen is answered for",
	      m.type ? k->status : 1);
}

static void test_ctl(void)
{
	struct wh_event ev;
	int pid = start(child_ctl), asked = 0, status;

	while (asked < 1 && wh_wait(&ev, wh_now() + 500 * MS) == 0) {
		if (ev.kind != WH_EV_REQUEST || ev.msg.type != WH_MSG_CTL)
			continue;
		char text[9] = "";
		struct wh_msg m = {.type = WH_MSG_CTL, .status = 3};
		const struct wh_ctl_msg *c = WH_BODY(&ev.msg, const struct wh_ctl_msg);
		wh_copyin(ev.id, 0, text, c->in_len < 9 ? c->in_len : 8);
		check(c->op == 5 && strcmp(text, "question") == 0 && ev.pid == pid &&
			      ev.bulk_len == 64,
		      "a command's request reaches the service", c->op);
		wh_copyout(ev.id, 0, "answer", 6);
		WH_BODY(&m, struct wh_ctl_msg)->out_len = 6;
		wh_reply(ev.id, &m);
		asked++;
	}
	status = finish(pid);
	check(status == 0, "and the answer the command; it may do nothing else", status);
}

static void test_view(void)
{
	static char text[65536];
	int pid = start(child_clocks), moves;

	pause_ns(20 * MS);
	need(round_trip(pid), "round trip");
	pause_ns(20 * MS);
	long n = wh_view(pid, text, sizeof text - 1);
	need(n, "view");
	text[n] = 0;
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
		printf("#   %s\n", line);
	n = wh_view(pid, text, sizeof text - 1);
	text[n < 0 ? 0 : n] = 0;
	check(strstr(text, "epoch 1") && strstr(text, "REALTIME marked") &&
		      strstr(text, "node 2: may move") && strstr(text, "0 inconsistent"),
	      "the view names epoch, duplicates, verdict and the checker's record", n);
	check(carry(pid, 20 * MS, 3, &moves) == 0, "and disturbs nothing", 0);
	check(wh_view(pid, text, sizeof text) == -ESRCH, "a process that has ended has none", 0);
}

static void test_many(void)
{
	struct wh_counters before = counters();
	int pid = start(child_spin), status, moves = 0;
	uint64_t t;

	pause_ns(20 * MS);
	t = wh_now();
	for (; moves < 300; moves++)
		need(round_trip(pid), "round trip");
	t = (wh_now() - t) / 300 / 1000;
	printf("# %u pages, %llu us a round trip\n", img.pages, (unsigned long long)t);
	kill(pid, SIGUSR1);
	status = finish(pid);
	check(WIFEXITED(status) && WEXITSTATUS(status) == 42, "300 round trips", status);
	same_counters("  and the counters are at their baseline", &before);
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	int helper = fork();
	if (helper == 0)
		clock_helper();
	store = mmap(NULL, 2 * sizeof *store, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		     -1, 0);
	if (store == MAP_FAILED)
		need(-errno, "memory");
	need(wh_register(WH_SVC_MIGRATE), "register");
	pause_ns(20 * MS);
	test_state();
	test_clocks();
	test_signals();
	test_away();
	test_refusals(helper);
	test_ctl();
	test_view();
	test_garbage();
	test_many();
	printf("roundtrip: %s\n", failures ? "failed" : "passed");
	for (;;)
		wh_wait(&(struct wh_event){0}, WH_NO_DEADLINE);
}
