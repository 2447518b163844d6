/* SPDX-License-Identifier: MIT */
#include "env/rows.h"

void rows_view(const struct proc *p, u8 cls, struct text *out)
{
	static const char *const rule[] = {
		[RULE_none] = "none",	[RULE_monotonic] = "monotonic",
		[RULE_same] = "same",	[RULE_same_version] = "same_version",
		[RULE_local] = "local",
	};
	for (u32 row = 0; row < V_ROWS; row++) {
		const struct vrec *v = &p->u->vrec[row];
		if (syscall_rows[row].cls == cls && v->marker)
			text_printf(out, "  %s: marked, %u calls, last value %ld, rule %s\n",
				    syscall_rows[row].name, v->count, (long)v->dup,
				    rule[syscall_rows[row].rule]);
	}
}
