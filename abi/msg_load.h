/* SPDX-License-Identifier: MIT */
/* The ops of the LOAD service's wh_ctl (text in, text out). */
#ifndef ABI_MSG_LOAD_H
#define ABI_MSG_LOAD_H
#include "whimbrel.h"

enum load_ctl {
	LOAD_CTL_TABLE = 1, /* `load` */
	LOAD_CTL_SET = 2,   /* "PARAM VALUE" */
	LOAD_CTL_NODES = 3, /* `nodes` */
	LOAD_CTL_DEAD = 4,  /* "K": operator's fence: node K is dead for good */
};
#endif
