/* SPDX-License-Identifier: MIT */
/* Numbers of Whimbrel's own calls, WH_NR_name, expanded from the table of all calls. */
#ifndef WH_NR_H
#define WH_NR_H
#define SYSCALL(nr, name, cls, kind, rule)
#define WHCALL(nr, name, cls, kind, rule) WH_NR_##name = nr,
enum wh_nr {
#include "syscalls.def"
	WH_NR_END_
};
#undef SYSCALL
#undef WHCALL
#endif
