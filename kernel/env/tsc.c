/* SPDX-License-Identifier: MIT */
/*
 * Class Clock, rdtsc and rdtscp: observations that bypass system calls. CR4.TSD makes them trap in
 * user mode (#GP); they are done here, on a counter of the process's own that goes on where it was
 * frozen.
 */
#include "clock.h"
#include "check.h"
#include "proc.h"
#include "signals.h"
#include "usercopy.h"

/* Length of the instruction at rip if it is one of them, else 0; *rdtscp tells which. May block. */
static u32 decode(u64 rip, bool *rdtscp)
{
	u8 code[3];

	if (copy_from_user(code, rip, 2) < 0 || code[0] != 0x0f)
		return 0;
	*rdtscp = code[1] == 0x01;
	if (code[1] == 0x31)
		return 2;
	if (!*rdtscp || copy_from_user(&code[2], rip + 2, 1) < 0 || code[2] != 0xf9)
		return 0;
	return 3;
}

bool clock_emulate_rdtsc(struct proc *p, struct trapframe *tf)
{
	bool rdtscp = false;
	u32 len = decode(tf->rip, &rdtscp);

	if (!len)
		return false;
	u64 value = rdtsc_raw();
	if (views_on) {
		value += p->u->tsc_off;
		if (value < p->u->tsc_dup)
			value = p->u->tsc_dup;
		p->u->tsc_dup = value;
	}
	tf->rax = (u32)value;
	tf->rdx = value >> 32;
	if (rdtscp)
		tf->rcx = 0; /* IA32_TSC_AUX: the one processor, on every node */
	tf->rip += len;
	check_clock(p, CLOCK_TSC, (i64)value, 1);
	return true;
}
