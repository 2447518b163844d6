/* SPDX-License-Identifier: MIT */
/* Start-up in order: memory, processor, time, the file server from its boot module, then init from
 * disk. */
#include "../boot/bootinfo.h"
#include "cpu.h"
#include "env/clock.h"
#include "exec.h"
#include "file.h"
#include "frame.h"
#include "ipc_internal.h"
#include "known.h"
#include "lib.h"
#include "main.h"
#include "mem.h"
#include "proc.h"
#include "secret.h"
#include "tty.h"
#include "vm_internal.h"

extern char proc_first_return[], init_entry[];

u64 rand64(void)
{
	static u64 state;
	if (!state)
		state = node_id.seed ^ rdtsc_raw() ^ node_id.node * 0x9e3779b97f4a7c15ull;
	state += 0x9e3779b97f4a7c15ull; /* splitmix64 */
	u64 z = state;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

static void read_options(void)
{
	node_id.node = (u32)boot_option_int("node", 1);
	node_id.nodes = (u32)boot_option_int("nodes", 1);
	node_id.skew_ns = boot_option_seconds("skew", 0);
	node_id.drift_ppm = (i32)boot_option_int("drift", 0);
	node_id.mtu = (u32)boot_option_int("mtu", 0);
	node_id.views = boot_option_int("views", 1) != 0;
	node_id.seed = (u64)boot_option_int("seed", 1);
	views_on = node_id.views;
	char policy[8];
	if (boot_option("files", policy, sizeof policy))
		file_static_bind = !strcmp(policy, "static");
	if (boot_option("clock", policy, sizeof policy) && !clock_policy_set(policy))
		klog("clock=%s is not hold, block or slew: hold", policy);
	if (!node_id.node || node_id.node > WH_MAX_NODES || node_id.nodes > WH_MAX_NODES)
		panic("node=%u nodes=%u: numbers are 1..%u", node_id.node, node_id.nodes,
		      WH_MAX_NODES);
}

static struct proc *new_system_process(const char *comm)
{
	struct proc *p =
		proc_alloc(comm[0] == 'i' ? (i32)(node_id.node << WH_PID_NODE_SHIFT | 1) : 0);
	if (!p || env_init(p))
		panic("no memory for %s", comm);
	p->privileged = true;
	p->kernel_priority = true;
	p->u->names.pgid = p->u->names.sid = p->pid;
	p->u->names.tree = node_id.node;
	strlcpy(p->u->names.comm, comm, sizeof p->u->names.comm);
	struct text t = TEXT(p->u->names.nodename, sizeof p->u->names.nodename);
	text_printf(&t, "node%u", node_id.node);
	return p;
}

/* The boot module is a static program; there is no file server yet to page it in, so its segments
 * are copied. */
static void start_module(u32 i)
{
	struct proc *p = new_system_process(bootinfo.module[i].name);
	u64 sp, entry;
	current = p;
	current_thread = p->leader; /* for the copies into its memory */
	p->vm = boot_image_load(P2V(bootinfo.module[i].start),
				bootinfo.module[i].end - bootinfo.module[i].start, &entry, &sp);
	if (!p->vm)
		panic("boot module %s is not a static ELF program", bootinfo.module[i].name);
	current = NULL;
	current_thread = NULL;
	thread_prepare_return(p->leader, &(struct trapframe){.rip = entry,
							     .rsp = sp,
							     .cs = SEL_UCODE,
							     .ss = SEL_UDATA,
							     .rflags = RFLAGS_IF | 2});
	proc_start(p);
}

/* First instructions of process 1, still in the kernel: wait for the file server, become
 * /sbin/init. */
static void init_main(void)
{
	ipc_wait_for_service(WH_SVC_FILE);
	i64 err = exec_first("/sbin/init");
	if (err)
		panic("cannot run /sbin/init: error %ld (is the root image complete? make it again)",
		      err);
}

void init_first_run(void)
{
	sched_finish_switch();
	init_main();
}

static void start_init(void)
{
	struct proc *p = init_proc = new_system_process("init");
	p->vm = vm_create();
	if (!p->vm)
		panic("no memory for init");
	u64 *sp = (u64 *)(void *)p->leader->tf;
	*--sp = (u64)init_entry;
	for (int i = 0; i < 6; i++)
		*--sp = 0;
	p->leader->ksp = (u64)sp;
	proc_start(p);
}

void kernel_main(u64 magic, u64 info)
{
	bootinfo_read(magic, info);
	frame_init();
	pagetable_init();
	cpu_init();
	irq_init();
	read_options();
	secret_read();
	timer_init();
	known_limit((u32)MIN(frame_total_count() / 4, 8192ull));
	syscall_init();
	klog("Whimbrel on node %u of %u, %lu MB, drift %d ppm, views %s", node_id.node,
	     node_id.nodes, frame_total_count() / 256, node_id.drift_ppm,
	     node_id.views ? "on" : "OFF");
	tty_init();
	start_init();
	if (!bootinfo.modules)
		panic("no boot module: the file server must be loaded with the kernel");
	for (u32 i = 0; i < bootinfo.modules; i++) {
		start_module(i);
		frame_release_boot(bootinfo.module[i].start, bootinfo.module[i].end);
	}
	struct proc *first = container_of(all_procs.next, struct proc, all_link);
	while (first == init_proc)
		first = container_of(first->all_link.next, struct proc, all_link);
	sched_start(first->leader);
}
