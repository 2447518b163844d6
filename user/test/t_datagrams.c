/* SPDX-License-Identifier: MIT */
/* Sockets of UDP and ICMP within one machine. */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "t.h"

#define FAILS(call, error) (errno = 0, (call) == -1 && errno == (error))
#define SA(a)		   ((struct sockaddr *)(a)), sizeof(*(a))

static struct sockaddr_in loopback(uint16_t port)
{
	return (struct sockaddr_in){.sin_family = AF_INET,
				    .sin_port = htons(port),
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static int bound(struct sockaddr_in *at)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	socklen_t len = sizeof(*at);

	*at = loopback(0);
	if (fd < 0 || bind(fd, SA(at)) < 0 || getsockname(fd, (struct sockaddr *)at, &len) < 0)
		t_die("bind");
	return fd;
}

static short ready(int fd, int ms)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, ms) < 0 ? -1 : p.revents;
}

static void sending(void)
{
	static char big[66000];
	struct sockaddr_in at, from = {0}, broadcast = loopback(9);
	socklen_t len = sizeof(from);
	char buf[64] = "";
	int s = bound(&at), c = socket(AF_INET, SOCK_DGRAM, 0), n = -1;

	t_check(FAILS(recv(s, buf, 1, MSG_DONTWAIT), EAGAIN), "nothing has come", "no EAGAIN");
	t_check(FAILS(send(c, "x", 1, 0), EDESTADDRREQ), "send to nobody", "no EDESTADDRREQ");
	t_check(sendto(c, "hello", 5, 0, SA(&at)) == 5 && ready(s, 1000) == POLLIN, "sendto",
		"not readable");
	t_check(ioctl(s, FIONREAD, &n) == 0 && n == 5, "FIONREAD", "%d", n);
	t_check(recvfrom(s, buf, 64, MSG_PEEK, (struct sockaddr *)&from, &len) == 5, "MSG_PEEK",
		"not");
	struct sockaddr_in me;

	getsockname(c, (struct sockaddr *)&me, &len);
	t_check(len == sizeof(from) && from.sin_port == me.sin_port && from.sin_port != 0 &&
			from.sin_addr.s_addr == at.sin_addr.s_addr,
		"the sender's address", "port %d, not %d", ntohs(from.sin_port),
		ntohs(me.sin_port));
	t_check(recv(s, buf, 2, MSG_TRUNC) == 5 && memcmp(buf, "he", 2) == 0,
		"MSG_TRUNC tells the length", "not");
	t_check(FAILS(recv(s, buf, 1, MSG_DONTWAIT), EAGAIN), "the rest is lost", "not");
	t_check(sendto(s, "reply", 5, 0, SA(&from)) == 5 && ready(c, 1000) &&
			recv(c, buf, 64, 0) == 5,
		"and back", "not");
	t_check(sendto(c, NULL, 0, 0, SA(&at)) == 0 && ready(s, 1000) == POLLIN &&
			recv(s, buf, 64, 0) == 0,
		"one without bytes", "not");
	t_check(FAILS(sendto(c, big, 65508, 0, SA(&at)), EMSGSIZE), "one that is too long",
		"no EMSGSIZE");
	memset(big, 'b', sizeof(big));
	t_check(sendto(c, big, 30000, 0, SA(&at)) == 30000 && ready(s, 1000) &&
			recv(s, big, sizeof(big), 0) == 30000,
		"a long one", "not");
	broadcast.sin_addr.s_addr = htonl(INADDR_BROADCAST);
	t_check(FAILS(sendto(c, "x", 1, 0, SA(&broadcast)), EACCES), "broadcast", "no EACCES");
	t_check(FAILS(listen(c, 1), EOPNOTSUPP) && FAILS(accept(c, NULL, NULL), EOPNOTSUPP),
		"no listeners", "but");
	close(s);
	close(c);
}

static void connected(void)
{
	struct sockaddr_in at, other, name;
	socklen_t len = sizeof(name);
	char buf[8];
	int s = bound(&at), o = bound(&other), c = socket(AF_INET, SOCK_DGRAM, 0);

	t_check(connect(c, SA(&at)) == 0 && getsockname(c, (struct sockaddr *)&name, &len) == 0 &&
			name.sin_addr.s_addr == htonl(INADDR_LOOPBACK) && name.sin_port != 0,
		"connect gives it a name", "%#x", ntohl(name.sin_addr.s_addr));
	t_check(write(c, "abc", 3) == 3 && ready(s, 1000) && read(s, buf, 8) == 3, "write", "not");
	sendto(o, "other", 5, 0, SA(&name));
	sendto(s, "peer", 4, 0, SA(&name));
	t_check(ready(c, 1000) && recv(c, buf, 8, 0) == 4 &&
			FAILS(recv(c, buf, 8, MSG_DONTWAIT), EAGAIN),
		"only the peer is heard", "%.8s", buf);
	close(s);
	t_check(send(c, "x", 1, 0) == 1 && ready(c, 1000) & POLLERR &&
			FAILS(recv(c, buf, 8, 0), ECONNREFUSED),
		"nobody there: ECONNREFUSED", "not");
	name = (struct sockaddr_in){.sin_family = AF_UNSPEC};
	t_check(connect(c, SA(&name)) == 0 && FAILS(send(c, "x", 1, 0), EDESTADDRREQ),
		"no longer connected", "still");
	close(c);
	close(o);
}

static void messages(void)
{
	struct sockaddr_in at, from;
	char a[4], b[8], control[64];
	struct iovec v[2] = {{a, 4}, {b, 4}}, w = {(char *)"12345678", 8};
	struct msghdr h = {.msg_name = &from,
			   .msg_namelen = sizeof(from),
			   .msg_iov = v,
			   .msg_iovlen = 2,
			   .msg_control = control,
			   .msg_controllen = sizeof(control)};
	int s = bound(&at), c = socket(AF_INET, SOCK_DGRAM, 0), on = 1;
	struct msghdr out = {
		.msg_name = &at, .msg_namelen = sizeof(at), .msg_iov = &w, .msg_iovlen = 1};

	setsockopt(s, IPPROTO_IP, IP_RECVTTL, &on, sizeof(on));
	t_check(sendmsg(c, &out, 0) == 8 && ready(s, 1000) && recvmsg(s, &h, 0) == 8 &&
			memcmp(b, "5678", 4) == 0 && h.msg_namelen == sizeof(from) &&
			h.msg_flags == 0,
		"sendmsg, recvmsg", "flags %#x", h.msg_flags);
	struct cmsghdr *m = CMSG_FIRSTHDR(&h);

	t_check(m && m->cmsg_level == IPPROTO_IP && m->cmsg_type == IP_TTL &&
			*(int *)(void *)CMSG_DATA(m) == 64,
		"IP_RECVTTL", "no message");
	h.msg_iovlen = 1;
	h.msg_controllen = 4;
	t_check(sendmsg(c, &out, 0) == 8 && ready(s, 1000) && recvmsg(s, &h, 0) == 4 &&
			h.msg_flags == (MSG_TRUNC | MSG_CTRUNC),
		"what does not fit is told", "flags %#x", h.msg_flags);
	struct mmsghdr mm[3] = {{.msg_hdr = out}, {.msg_hdr = out}, {.msg_hdr = out}};
	char in[3][8];
	struct iovec iv[3] = {{in[0], 8}, {in[1], 8}, {in[2], 8}};

	t_check(sendmmsg(c, mm, 3, 0) == 3 && mm[2].msg_len == 8, "sendmmsg", "not");
	for (int i = 0; i < 3; i++)
		mm[i] = (struct mmsghdr){.msg_hdr = {.msg_iov = &iv[i], .msg_iovlen = 1}};
	t_sleep_ms(50);
	t_check(recvmmsg(s, mm, 3, MSG_WAITFORONE, NULL) == 3 && mm[2].msg_len == 8 &&
			memcmp(in[2], "12345678", 8) == 0,
		"recvmmsg", "not");
	close(s);
	close(c);
}

/* More in all than may ever wait: what was read has given its place back. */
static void many(void)
{
	static char buf[5000];
	struct sockaddr_in at;
	int s = bound(&at), c = socket(AF_INET, SOCK_DGRAM, 0), n = 0;

	while (n < 2000 && sendto(c, buf, sizeof(buf), 0, SA(&at)) == sizeof(buf) &&
	       ready(s, 1000) == POLLIN && recv(s, buf, sizeof(buf), 0) == sizeof(buf))
		n++;
	t_check(n == 2000, "two thousand, one after the other", "only %d", n);
	close(s);
	close(c);
}

static uint16_t sum(const void *data, size_t len)
{
	const uint16_t *p = data;
	uint32_t n = 0;

	for (; len > 1; len -= 2)
		n += *p++;
	n = (n >> 16) + (n & 0xffff);
	return (uint16_t) ~(n + (n >> 16));
}

/* A host may not allow it; a node does, to root. */
static void echo(void)
{
	struct sockaddr_in to = loopback(0);
	struct {
		struct icmphdr h;
		char data[8];
	} out = {.h = {.type = ICMP_ECHO, .un.echo = {htons(77), htons(3)}}, .data = "payload"};
	uint8_t in[128];
	long n = 0;
	int fd = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);

	if (fd < 0 && !t_whimbrel())
		return;
	out.h.checksum = sum(&out, sizeof(out));
	bool ok = sendto(fd, &out, sizeof(out), 0, SA(&to)) == sizeof(out);
	do /* it sees its own request first */
		n = ready(fd, 1000) == POLLIN ? recv(fd, in, sizeof(in), 0) : -1;
	while (n > 20 && in[20] == ICMP_ECHO);
	t_check(ok && n == 36 && in[0] == 0x45 && in[9] == IPPROTO_ICMP &&
			in[20] == ICMP_ECHOREPLY && memcmp(in + 28, "payload", 8) == 0,
		"a raw socket", "%ld bytes", n);
	close(fd);
	fd = socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP);
	if (fd < 0 && !t_whimbrel())
		return;
	out.h.checksum = 0;
	ok = sendto(fd, &out, sizeof(out), 0, SA(&to)) == sizeof(out);
	n = ready(fd, 1000) == POLLIN ? recv(fd, in, sizeof(in), 0) : -1;
	t_check(ok && n == 16 && in[0] == ICMP_ECHOREPLY && in[7] == 3 &&
			memcmp(in + 8, "payload", 8) == 0,
		"an echo socket", "%ld bytes", n);
	t_check(FAILS(recv(fd, in, 1, MSG_DONTWAIT), EAGAIN), "it sees only its own answers",
		"more");
	close(fd);
}

int main(void)
{
	sending();
	connected();
	messages();
	many();
	echo();
	return t_end();
}
