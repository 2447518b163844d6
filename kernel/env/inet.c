/* SPDX-License-Identifier: MIT */
/*
 * Family AF_INET: TCP, UDP, and ICMP (echo sockets for everybody, raw ones for root). What a socket is, and what its state lets
 * programs do; bytes are moved in inet_stream.c and inet_dgram.c.
 */
#include "env/inet.h"
#include "poll.h"
#include "proc.h"
#include "usercopy.h"

#define POLLRDHUP   0x2000u
#define BACKLOG_MAX 64u
#define PORT_LOW    1024 /* below: root's */

enum ip_option {
	IP_TOS = 1,
	IP_TTL = 2,
	IP_HDRINCL = 3,
	IP_PKTINFO = 8,
	IP_MTU_DISCOVER = 10,
	IP_RECVTTL = 12,
};
enum tcp_option {
	TCP_NODELAY = 1,
	TCP_MAXSEG = 2,
	TCP_KEEPIDLE = 4,
	TCP_KEEPINTVL = 5,
	TCP_KEEPCNT = 6
};

/* ---- addresses ---- */

void inet_addr_out(const struct inet_addr *from, struct sockaddr_buf *a)
{
	struct linux_sockaddr_in in = {
		.family = AF_INET, .port = __builtin_bswap16(from->port), .addr = from->addr};
	memcpy(a->bytes, &in, sizeof in);
	a->len = sizeof in;
}

int inet_addr_in(const struct sockaddr_buf *a, struct inet_addr *to)
{
	struct linux_sockaddr_in in;
	if (a->len < sizeof in)
		return -EINVAL;
	memcpy(&in, a->bytes, sizeof in);
	*to = (struct inet_addr){in.addr, __builtin_bswap16(in.port)};
	return in.family == AF_INET || (in.family == AF_UNSPEC && !in.addr) ? 0 : -EAFNOSUPPORT;
}

static u32 host_order(const struct inet_addr *a)
{
	return __builtin_bswap32(a->addr);
}

static bool is_service_port(u16 port)
{
#define SERVICE(id, NAME, path, rank, port_, flags)                                                \
	if (port_ && port == port_)                                                                \
		return true;
#include "services.def"
#undef SERVICE
	return false;
}

/* Nodes talk to each other's services, their programs do not. 10.0/16: the cluster's wire, and the card to the host. */
static bool is_ours(const struct inet_addr *a)
{
	return host_order(a) >> 16 == 0x0a00 || host_order(a) >> 24 == 127 || !a->addr;
}

int inet_may_reach(const struct inet *i, const struct inet_addr *to)
{
	bool broadcast = to->addr == ~0u || host_order(to) == 0x0a0000ff;
	if (broadcast && (!i->s.opt.broadcast || i->s.type == SOCK_STREAM))
		return i->s.type == SOCK_STREAM ? -ENETUNREACH : -EACCES;
	return is_service_port(to->port) && is_ours(to) && i->s.protocol != IPPROTO_ICMP ? -EACCES
											 : 0;
}

/* ---- life ---- */

static int settle_protocol(struct socket *s)
{
	switch (s->type) {
	case SOCK_STREAM:
		if (s->protocol != IPPROTO_IP && s->protocol != IPPROTO_TCP)
			return -EPROTONOSUPPORT;
		s->protocol = IPPROTO_TCP;
		return 0;
	case SOCK_DGRAM:
		if (s->protocol == IPPROTO_IP)
			s->protocol = IPPROTO_UDP;
		return s->protocol == IPPROTO_UDP || s->protocol == IPPROTO_ICMP ? 0
										 : -EPROTONOSUPPORT;
	case SOCK_RAW:
		if (s->protocol == IPPROTO_IP)
			return -EPROTONOSUPPORT;
		if (current->u->names.euid)
			return -EPERM;
		return s->protocol == IPPROTO_ICMP ? 0 : -EPROTONOSUPPORT;
	default:
		return -ESOCKTNOSUPPORT;
	}
}

static int create(struct socket *s)
{
	struct inet *i = inet_of(s);
	list_init(&i->news_link);
	list_init(&i->queue);
	list_init(&i->queue_link);
	list_init(&i->datagrams);
	i->opt = (struct sock_options){
		.ttl = 64, .keep_idle_s = 7200, .keep_interval_s = 75, .keep_count = 9};
	int err = settle_protocol(s);
	if (!err)
		err = inet_number(i);
	if (err)
		return err;
	struct sock_req q = {.protocol = s->protocol, .raw = s->type == SOCK_RAW, .opt = i->opt};
	err = (int)inet_request(i, SOCK_OPEN, &q, NULL, 0);
	if (err)
		inet_unnumber(i);
	return err;
}

static void release(struct socket *s)
{
	inet_close(inet_of(s), s->opt.linger.on && s->opt.linger.seconds == 0);
}

/* ---- names ---- */

static int bind(struct socket *s, const struct sockaddr_buf *a)
{
	struct inet *i = inet_of(s);
	struct inet_addr to;
	int err = inet_addr_in(a, &to);
	if (err)
		return err;
	if (i->bound || i->state != INET_NEW)
		return -EINVAL;
	if (to.port && to.port < PORT_LOW && current->u->names.euid && s->protocol != IPPROTO_ICMP)
		return -EACCES;
	if (is_service_port(to.port) && s->protocol != IPPROTO_ICMP)
		return -EACCES;
	struct sock_req q = {.addr = to.addr, .port = to.port};
	err = (int)inet_request(i, SOCK_BIND, &q, NULL, 0);
	if (err)
		return err;
	i->local = (struct inet_addr){q.laddr, q.lport};
	i->bound = true;
	return 0;
}

static int name(struct socket *s, bool peer, struct sockaddr_buf *a)
{
	struct inet *i = inet_of(s);
	if (peer && i->state != INET_CONNECTED)
		return -ENOTCONN;
	inet_addr_out(peer ? &i->peer : &i->local, a);
	return 0;
}

/* ---- connecting ---- */

static int begin_connect(struct inet *i, const struct inet_addr *to)
{
	struct sock_req q = {.addr = to->addr, .port = to->port};
	int err = inet_may_reach(i, to);
	if (err)
		return err;
	if (i->s.type == SOCK_STREAM) { /* perhaps not its first */
		i->read = i->read_told = i->written = i->written_told = i->acked = 0;
		i->seg_count = i->pieces_read = 0;
		i->seg_bytes = i->ring_size = 0;
		i->eof = false;
		i->s.shut = 0;
		i->peer = *to;
		i->state = INET_CONNECTING; /* the answer may be overtaken by its outcome */
	}
	err = (int)inet_request(i, SOCK_CONNECT, &q, NULL, 0);
	if (err) {
		if (i->state == INET_CONNECTING)
			i->state = INET_NEW;
		return err;
	}
	if (i->s.type != SOCK_STREAM) {
		i->state = to->addr ? INET_CONNECTED : INET_NEW;
		i->peer = *to;
	}
	if (i->state != INET_ENDED) {
		i->local = (struct inet_addr){q.laddr, q.lport};
		i->bound = true;
	}
	return 0;
}

static int await_connected(struct inet *i, bool nonblock)
{
	u64 deadline = socket_deadline(i->s.opt.sndtimeo_ns);
	while (i->state == INET_CONNECTING) {
		int r = socket_wait(&i->s.writers, nonblock, deadline);
		if (r)
			return r == -EAGAIN ? -EINPROGRESS : r;
	}
	if (i->state == INET_CONNECTED)
		return 0;
	int err = socket_take_error(&i->s);
	i->state = INET_NEW;
	return err ? err : -ECONNABORTED;
}

static int connect_stream(struct inet *i, const struct inet_addr *to, bool nonblock)
{
	switch (i->state) {
	case INET_CONNECTED:
	case INET_LISTENING:
		return -EISCONN;
	case INET_CONNECTING:
		return nonblock ? -EALREADY : await_connected(i, nonblock);
	case INET_ENDED:
		if (i->s.error)
			return await_connected(i, nonblock);
		break;
	case INET_NEW:
		break;
	}
	if (!to->port)
		return -ECONNREFUSED;
	int err = begin_connect(i, to);
	return err ? err : await_connected(i, nonblock);
}

static int connect(struct socket *s, const struct sockaddr_buf *a, bool nonblock)
{
	struct inet *i = inet_of(s);
	struct inet_addr to;
	if (a->len < sizeof a->family)
		return -EINVAL;
	if (a->family == AF_UNSPEC && s->type != SOCK_STREAM) {
		to = (struct inet_addr){0, 0};
		return begin_connect(i, &to);
	}
	int err = inet_addr_in(a, &to);
	if (err)
		return err;
	if (!to.addr) /* "any" means this node, as by Linux */
		to.addr = __builtin_bswap32(0x7f000001);
	return s->type == SOCK_STREAM ? connect_stream(i, &to, nonblock) : begin_connect(i, &to);
}

static int listen(struct socket *s, int backlog)
{
	struct inet *i = inet_of(s);
	if (s->type != SOCK_STREAM)
		return -EOPNOTSUPP;
	if (i->state != INET_NEW && i->state != INET_LISTENING)
		return -EINVAL;
	i->backlog = MIN((u32)MAX(backlog, 0) + 1, BACKLOG_MAX);
	if (i->state == INET_LISTENING)
		return 0;
	struct sock_req q = {.backlog = i->backlog};
	i->state = INET_LISTENING;
	int err = (int)inet_request(i, SOCK_LISTEN, &q, NULL, 0);
	if (err) {
		i->state = INET_NEW;
		return err;
	}
	i->local = (struct inet_addr){q.laddr, q.lport};
	i->bound = true;
	s->listening = true;
	return 0;
}

static int accept(struct socket *s, bool nonblock, struct socket **conn, struct sockaddr_buf *a)
{
	struct inet *i = inet_of(s);
	u64 deadline = socket_deadline(s->opt.rcvtimeo_ns);
	if (s->type != SOCK_STREAM)
		return -EOPNOTSUPP;
	while (list_empty(&i->queue)) {
		if (i->state != INET_LISTENING || s->shut)
			return s->error ? socket_take_error(s) : -EINVAL;
		int r = socket_wait(&s->readers, nonblock, deadline);
		if (r)
			return r;
	}
	struct inet *c = container_of(i->queue.next, struct inet, queue_link);
	list_remove(&c->queue_link);
	i->queued--;
	inet_news(c, SOCK_N_ACCEPTED);
	inet_addr_out(&c->peer, a);
	*conn = &c->s;
	return 0;
}

static int shutdown(struct socket *s, int how)
{
	struct inet *i = inet_of(s);
	u8 bits = how == SHUT_RDWR ? 3 : (u8)(1 << how);
	if (i->state != INET_CONNECTED && !(i->state == INET_LISTENING && bits & 1))
		return -ENOTCONN;
	s->shut |= bits;
	if (s->type == SOCK_STREAM && i->state == INET_CONNECTED && bits & 1 << SHUT_WR)
		inet_news(i, SOCK_N_SHUT);
	poll_wake(&s->readers);
	poll_wake(&s->writers);
	return 0;
}

/* ---- bytes ---- */

static i64 send(struct socket *s, struct sock_io *io)
{
	struct inet *i = inet_of(s);
	return s->type == SOCK_STREAM ? inet_stream_send(i, io) : inet_dgram_send(i, io);
}

static i64 recv(struct socket *s, struct sock_io *io)
{
	struct inet *i = inet_of(s);
	return s->type == SOCK_STREAM ? inet_stream_recv(i, io) : inet_dgram_recv(i, io);
}

/* ---- options ---- */

static int set_byte(u8 *to, i32 value, i32 least, i32 most)
{
	if (value < least || value > most)
		return -EINVAL;
	*to = (u8)value;
	return 0;
}

static int set_word(u32 *to, i32 value, i32 most)
{
	if (value < 1 || value > most)
		return -EINVAL;
	*to = (u32)value;
	return 0;
}

static int set_ip(struct inet *i, int option, i32 n)
{
	switch (option) {
	case IP_TOS:
		return set_byte(&i->opt.tos, n & 0xff, 0, 255);
	case IP_TTL:
		return set_byte(&i->opt.ttl, n == -1 ? 64 : n, 1, 255);
	case IP_HDRINCL:
		if (i->s.type != SOCK_RAW)
			return -ENOPROTOOPT;
		i->opt.hdrincl = n != 0;
		return 0;
	case IP_PKTINFO:
		i->pktinfo = n != 0;
		return 0;
	case IP_RECVTTL:
		i->recvttl = n != 0;
		return 0;
	default:
		return -ENOPROTOOPT;
	}
}

static int set_tcp(struct inet *i, int option, i32 n)
{
	switch (option) {
	case TCP_NODELAY:
		i->opt.nodelay = n != 0;
		return 0;
	case TCP_KEEPIDLE:
		return set_word(&i->opt.keep_idle_s, n, 32767);
	case TCP_KEEPINTVL:
		return set_word(&i->opt.keep_interval_s, n, 32767);
	case TCP_KEEPCNT:
		return set_word(&i->opt.keep_count, n, 127);
	default:
		return -ENOPROTOOPT;
	}
}

static int setopt(struct socket *s, int level, int option, const void *val, u32 len)
{
	struct inet *i = inet_of(s);
	i32 n = len >= sizeof n ? *(const i32 *)val : *(const u8 *)val;
	int err = -ENOPROTOOPT;
	if (len == 0)
		return -EINVAL;
	if (level == IPPROTO_IP)
		err = set_ip(i, option, n);
	else if (level == IPPROTO_TCP && s->type == SOCK_STREAM)
		err = len < sizeof n ? -EINVAL : set_tcp(i, option, n);
	else if (level == SOL_SOCKET && (option == SO_REUSEADDR || option == SO_KEEPALIVE))
		err = 0;
	i->opt.reuseaddr = s->opt.reuseaddr;
	i->opt.keepalive = s->opt.keepalive;
	return err ? err : inet_announce(i);
}

static int getopt(struct socket *s, int level, int option, void *val, u32 *len)
{
	const struct inet *i = inet_of(s);
	i32 *n = val;
	*len = sizeof *n;
	if (level == IPPROTO_IP) {
		switch (option) {
		case IP_TOS:
			*n = i->opt.tos;
			return 0;
		case IP_TTL:
			*n = i->opt.ttl;
			return 0;
		case IP_PKTINFO:
			*n = i->pktinfo;
			return 0;
		case IP_RECVTTL:
			*n = i->recvttl;
			return 0;
		}
	}
	if (level == IPPROTO_TCP && s->type == SOCK_STREAM) {
		switch (option) {
		case TCP_NODELAY:
			*n = i->opt.nodelay;
			return 0;
		case TCP_KEEPIDLE:
			*n = (i32)i->opt.keep_idle_s;
			return 0;
		case TCP_KEEPINTVL:
			*n = (i32)i->opt.keep_interval_s;
			return 0;
		case TCP_KEEPCNT:
			*n = (i32)i->opt.keep_count;
			return 0;
		}
	}
	return -ENOPROTOOPT;
}

static i64 ioctl(struct socket *s, u32 cmd, u64 arg)
{
	const struct inet *i = inet_of(s);
	i32 n;
	switch (cmd) {
	case FIONREAD:
		if (i->state == INET_LISTENING)
			return -EINVAL;
		n = (i32)i->seg_bytes;
		if (!list_empty(&i->datagrams))
			n = (i32)container_of(i->datagrams.next, struct datagram, link)->len;
		break;
	case TIOCOUTQ:
		n = (i32)(i->written - i->acked);
		break;
	default:
		return -ENOTTY;
	}
	return copy_to_user(arg, &n, sizeof n);
}

/* ---- readiness ---- */

static u32 poll_stream(const struct inet *i)
{
	bool no_read = i->eof || i->s.shut & 1 << SHUT_RD, no_write = i->s.shut & 1 << SHUT_WR;
	u32 r = 0;
	switch (i->state) {
	case INET_NEW:
		return POLLOUT | POLLWRNORM | POLLHUP;
	case INET_CONNECTING:
		return 0;
	case INET_LISTENING:
		return list_empty(&i->queue) ? 0 : POLLIN | POLLRDNORM;
	case INET_ENDED:
		return POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM | POLLRDHUP | POLLHUP;
	case INET_CONNECTED:
		break;
	}
	if (i->seg_bytes || no_read)
		r |= POLLIN | POLLRDNORM;
	if (no_read)
		r |= POLLRDHUP | (no_write ? POLLHUP : 0);
	if (no_write || inet_ring_room(i) >= i->ring_size / 3)
		r |= POLLOUT | POLLWRNORM;
	return r;
}

static u32 poll(struct socket *s)
{
	const struct inet *i = inet_of(s);
	if (s->type == SOCK_STREAM)
		return poll_stream(i);
	bool ready = !list_empty(&i->datagrams) || s->shut & 1 << SHUT_RD;
	return POLLOUT | POLLWRNORM | (ready ? POLLIN | POLLRDNORM : 0);
}

/* ---- in words ---- */

static void print_addr(const struct inet_addr *a, struct text *out)
{
	const u8 *b = (const u8 *)&a->addr;
	if (a->addr)
		text_printf(out, "%u.%u.%u.%u:%u", b[0], b[1], b[2], b[3], a->port);
	else
		text_printf(out, "*:%u", a->port);
}

static void describe(const struct socket *s, struct text *out)
{
	const struct inet *i = (const struct inet *)s;
	text_printf(out, "%s ",
		    s->protocol == IPPROTO_TCP	 ? "tcp"
		    : s->protocol == IPPROTO_UDP ? "udp"
						 : "icmp");
	print_addr(&i->local, out);
	if (i->state == INET_CONNECTED || i->state == INET_CONNECTING) {
		text_printf(out, " -> ");
		print_addr(&i->peer, out);
	} else if (i->state == INET_LISTENING) {
		text_printf(out, " listening");
	}
}

const struct sock_family inet_family = {
	.family = AF_INET,
	.label = "inet",
	.size = sizeof(struct inet),
	.create = create,
	.bind = bind,
	.connect = connect,
	.listen = listen,
	.accept = accept,
	.name = name,
	.send = send,
	.recv = recv,
	.shutdown = shutdown,
	.setopt = setopt,
	.getopt = getopt,
	.ioctl = ioctl,
	.poll = poll,
	.release = release,
	.describe = describe,
};
