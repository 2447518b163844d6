/* SPDX-License-Identifier: MIT */
/*
 * This node's identity, and the table of all nodes: a blackboard. The load server, which detects
 * failures, writes a row's state; the clock server writes how far the peer's clock is off;
 * everybody may read. A node that is dead or came back in a new incarnation has lost what ran on
 * it. Whether a process whose stub says "away at X" was still at X only the migration handlers know
 * between them: they act on the notification sent here.
 */
#include "ipc.h"
#include "proc.h"
#include "usercopy.h"

static struct wh_node nodes[WH_MAX_NODES + 1];

static struct wh_node *row_of(u32 node)
{
	struct wh_node *n = &nodes[node];

	if (!n->node) {
		n->node = node;
		n->clock_offset_ns = INT64_MIN;
	}
	if (node == node_id.node) {
		n->state = WH_NODE_ALIVE;
		n->incarnation = node_id.incarnation;
		n->clock_offset_ns = 0;
	}
	return n;
}

u32 node_state(u32 node)
{
	return row_of(node)->state;
}

i64 wh_sys_node_set(const u64 *arg)
{
	struct wh_node new;

	if (current->service != WH_SVC_LOAD && current->service != WH_SVC_CLOCK)
		return -EPERM;
	if (copy_from_user(&new, arg[0], sizeof new) < 0)
		return -EFAULT;
	if (new.node < 1 || new.node > node_id.nodes || new.node > WH_MAX_NODES ||
	    new.state > WH_NODE_DEAD)
		return -EINVAL;
	struct wh_node *n = row_of(new.node);
	if (current->service == WH_SVC_CLOCK) {
		n->clock_offset_ns = new.clock_offset_ns;
		return 0;
	}
	bool news = n->state != new.state || n->incarnation != new.incarnation;
	if (news && new.node != node_id.node)
		klog("node %u: state %u, incarnation %lu", new.node, new.state, new.incarnation);
	new.clock_offset_ns = n->clock_offset_ns;
	*n = new;
	row_of(new.node); /* about itself a node knows better */
	if (news)
		ipc_note_all(WH_NOTE_NODES);
	return 0;
}

/* rows, max: one row per node of the cluster */
i64 wh_sys_node_get(const u64 *arg)
{
	u64 n = MIN(arg[1], MIN(node_id.nodes, WH_MAX_NODES));

	for (u64 i = 0; i < n; i++)
		if (copy_to_user(arg[0] + i * sizeof(struct wh_node), row_of((u32)i + 1),
				 sizeof(struct wh_node)) < 0)
			return -EFAULT;
	return (i64)n;
}

i64 wh_sys_identity(const u64 *arg)
{
	node_id.views = views_on;
	return copy_to_user(arg[0], &node_id, sizeof node_id);
}

/* incarnation, first serial, end of serials: init reads them from the disk, once. */
i64 wh_sys_set_identity(const u64 *arg)
{
	if (current->service != WH_SVC_INIT)
		return -EPERM;
	if (node_id.incarnation || !arg[0] || arg[1] < 2 || arg[1] >= arg[2] ||
	    arg[2] > 1ul << WH_PID_NODE_SHIFT)
		return -EINVAL;
	node_id.incarnation = arg[0];
	pid_set_range((u32)arg[1], (u32)arg[2]);
	list_for_each(p, &all_procs, struct proc, all_link) {
		p->uqpid.incarnation = arg[0];
		if (p->u)
			p->u->names.uqpid.incarnation = arg[0];
	}
	ipc_note_all(WH_NOTE_NODES);
	return 0;
}
