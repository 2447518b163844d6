/* SPDX-License-Identifier: MIT */
/* Our reports on their way to the other nodes. */
#ifndef LOAD_SENDING_H
#define LOAD_SENDING_H

#include <stdint.h>

#include "report.h"

/*
 * Number and seal the report, and send it to the nodes in `to` (bit node - 1), and to those in `ask`
 * with the request to answer. Who was still to get an earlier one gets this. It goes out little by
 * little; what is lost is lost.
 */
void send_report(struct load_report *r, uint64_t to, uint64_t ask);

#endif
