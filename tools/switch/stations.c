/* SPDX-License-Identifier: MIT */
/* The table of stations: few places per address, the oldest gives way. See stations.h. */
#include <stddef.h>

#include "stations.h"

static struct station *row(const struct stations *s, uint64_t mac)
{
	uint64_t hash = mac * 0x9e3779b97f4a7c15u;

	return (struct station *)s->place[(hash >> 32) % (STATIONS / STATIONS_WAYS)];
}

static bool stale(const struct station *e, uint64_t now_ns)
{
	return !e->mac || now_ns - e->heard_ns > STATION_AGE_NS;
}

static void vacate(struct stations *s, struct station *e)
{
	if (e->mac)
		s->learnt[e->port]--;
	*e = (struct station){0};
}

void stations_learn(struct stations *s, uint64_t mac, unsigned port, uint64_t now_ns)
{
	struct station *r = row(s, mac), *place = NULL;

	for (int i = 0; i < STATIONS_WAYS; i++)
		if (r[i].mac == mac && r[i].port == port) {
			r[i].heard_ns = now_ns;
			return;
		}
	/* It may have moved here; else a free place, or that of this port's own oldest. */
	for (int i = 0; i < STATIONS_WAYS; i++)
		if (r[i].mac == mac || stale(&r[i], now_ns))
			vacate(s, &r[i]);
	for (int i = 0; i < STATIONS_WAYS; i++)
		if (!r[i].mac) {
			place = &r[i];
			break;
		} else if (r[i].port == port && (!place || r[i].heard_ns < place->heard_ns)) {
			place = &r[i];
		}
	if (!place || (!place->mac && s->learnt[port] >= STATIONS_PER_PORT))
		return;
	vacate(s, place);
	*place = (struct station){mac, now_ns, port};
	s->learnt[port]++;
}

unsigned stations_find(const struct stations *s, uint64_t mac, uint64_t now_ns)
{
	const struct station *r = row(s, mac);

	for (int i = 0; i < STATIONS_WAYS; i++)
		if (r[i].mac == mac && !stale(&r[i], now_ns))
			return r[i].port;
	return 0;
}

void stations_forget(struct stations *s, unsigned port)
{
	for (unsigned i = 0; i < STATIONS / STATIONS_WAYS; i++)
		for (int j = 0; j < STATIONS_WAYS; j++)
			if (s->place[i][j].mac && s->place[i][j].port == port)
				vacate(s, &s->place[i][j]);
}
