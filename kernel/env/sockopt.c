/* SPDX-License-Identifier: MIT */
/* Class Socket: the options of SOL_SOCKET. Most are only kept here, for the families to look at. */
#include "env/socket.h"
#include "proc.h"
#include "usercopy.h"

#define SNDBUF_MIN   4608u
#define RCVBUF_MIN   2304u
#define TIMEO_MAX_NS (1ull << 62)

static int get_bool(const void *val, bool *to)
{
	*to = *(const i32 *)val != 0;
	return 0;
}

static u32 buffer_size(i32 asked, u32 least)
{
	return MAX(2 * MIN((u32)MAX(asked, 0), SOCK_BUF_MAX), least);
}

static int set_timeout(const i64 *timeval, u64 *ns)
{
	if (timeval[1] < 0 || timeval[1] >= 1000000)
		return -EDOM;
	u64 sec = timeval[0] < 0 ? 0 : MIN((u64)timeval[0], TIMEO_MAX_NS / NS_PER_SEC);
	*ns = sec * NS_PER_SEC + (u64)timeval[1] * 1000;
	if (timeval[0] < 0)
		*ns = 1; /* over at once, as by Linux */
	return 0;
}

/* What Linux wants at least of the value. */
static u32 option_size(int name)
{
	return name == SO_LINGER			    ? sizeof(struct linux_linger)
	       : name == SO_RCVTIMEO || name == SO_SNDTIMEO ? 16
							    : sizeof(i32);
}

static int set_common(struct socket *s, int name, const void *val)
{
	i32 n = *(const i32 *)val;
	switch (name) {
	case SO_REUSEADDR:
		return get_bool(val, &s->opt.reuseaddr);
	case SO_REUSEPORT:
		return get_bool(val, &s->opt.reuseport);
	case SO_BROADCAST:
		return get_bool(val, &s->opt.broadcast);
	case SO_KEEPALIVE:
		return get_bool(val, &s->opt.keepalive);
	case SO_OOBINLINE:
		return get_bool(val, &s->opt.oobinline);
	case SO_DONTROUTE:
		return get_bool(val, &s->opt.dontroute);
	case SO_PASSCRED:
		return s->ops->family == AF_UNIX ? get_bool(val, &s->opt.passcred) : -EOPNOTSUPP;
	case SO_PRIORITY:
		if (n < 0 || (n > 6 && current->u->names.euid))
			return -EPERM;
		s->opt.priority = (u32)n;
		return 0;
	case SO_SNDBUFFORCE:
	case SO_RCVBUFFORCE:
		if (current->u->names.euid)
			return -EPERM;
		__attribute__((fallthrough));
	case SO_SNDBUF:
	case SO_RCVBUF:
		if (name == SO_SNDBUF || name == SO_SNDBUFFORCE)
			s->opt.sndbuf = buffer_size(n, SNDBUF_MIN);
		else
			s->opt.rcvbuf = buffer_size(n, RCVBUF_MIN);
		return 0;
	case SO_RCVLOWAT:
		return n == 1 || n == 0 ? 0 : -ENOPROTOOPT;
	case SO_LINGER:
		s->opt.linger = *(const struct linux_linger *)val;
		s->opt.linger.on = s->opt.linger.on != 0;
		return 0;
	case SO_RCVTIMEO:
		return set_timeout(val, &s->opt.rcvtimeo_ns);
	case SO_SNDTIMEO:
		return set_timeout(val, &s->opt.sndtimeo_ns);
	case SO_TYPE:
	case SO_PROTOCOL:
	case SO_DOMAIN:
	case SO_ERROR:
	case SO_ACCEPTCONN:
		return -ENOPROTOOPT;
	default:
		return -ENOSYS; /* the family's, if anybody's */
	}
}

i64 socket_setopt(struct socket *s, int level, int name, u64 uval, u32 len)
{
	u64 val[4] = {0};
	if ((i32)len < 0)
		return -EINVAL;
	if (level == SOL_SOCKET && len < option_size(name))
		return -EINVAL;
	len = MIN(len, (u32)sizeof val);
	if (copy_from_user(val, uval, len))
		return -EFAULT;
	int r = level == SOL_SOCKET ? set_common(s, name, val) : -ENOSYS;
	if (r && r != -ENOSYS)
		return r;
	int theirs = s->ops->setopt ? s->ops->setopt(s, level, name, val, len) : -ENOPROTOOPT;
	return r == 0 && theirs == -ENOPROTOOPT ? 0 : theirs;
}

static u32 put_timeout(void *val, u64 ns)
{
	ns = ns == 1 ? 0 : ns;
	((i64 *)val)[0] = (i64)(ns / NS_PER_SEC);
	((i64 *)val)[1] = (i64)(ns % NS_PER_SEC / 1000);
	return 16;
}

/* Bytes of the value, or -ENOSYS. */
static i64 get_common(struct socket *s, int name, void *val)
{
	i32 *n = val;
	switch (name) {
	case SO_REUSEADDR:
		*n = s->opt.reuseaddr;
		break;
	case SO_REUSEPORT:
		*n = s->opt.reuseport;
		break;
	case SO_BROADCAST:
		*n = s->opt.broadcast;
		break;
	case SO_KEEPALIVE:
		*n = s->opt.keepalive;
		break;
	case SO_OOBINLINE:
		*n = s->opt.oobinline;
		break;
	case SO_DONTROUTE:
		*n = s->opt.dontroute;
		break;
	case SO_PASSCRED:
		*n = s->opt.passcred;
		break;
	case SO_PRIORITY:
		*n = (i32)s->opt.priority;
		break;
	case SO_SNDBUF:
		*n = (i32)s->opt.sndbuf;
		break;
	case SO_RCVBUF:
		*n = (i32)s->opt.rcvbuf;
		break;
	case SO_RCVLOWAT:
	case SO_SNDLOWAT:
		*n = 1;
		break;
	case SO_TYPE:
		*n = s->type;
		break;
	case SO_PROTOCOL:
		*n = s->protocol;
		break;
	case SO_DOMAIN:
		*n = s->ops->family;
		break;
	case SO_ERROR:
		*n = -socket_take_error(s);
		break;
	case SO_ACCEPTCONN:
		*n = s->listening;
		break;
	case SO_LINGER:
		memcpy(val, &s->opt.linger, sizeof s->opt.linger);
		return sizeof s->opt.linger;
	case SO_RCVTIMEO:
		return put_timeout(val, s->opt.rcvtimeo_ns);
	case SO_SNDTIMEO:
		return put_timeout(val, s->opt.sndtimeo_ns);
	default:
		return -ENOSYS;
	}
	return sizeof *n;
}

i64 socket_getopt(struct socket *s, int level, int name, u64 uval, u64 ulen)
{
	u64 val[32] = {0};
	i32 room;
	if (copy_from_user(&room, ulen, sizeof room))
		return -EFAULT;
	if (room < 0)
		return -EINVAL;
	i64 n = level == SOL_SOCKET ? get_common(s, name, val) : -ENOSYS;
	if (n == -ENOSYS) {
		u32 len = sizeof val;
		n = s->ops->getopt ? s->ops->getopt(s, level, name, val, &len) : -ENOPROTOOPT;
		n = n ? n : (i64)len;
	}
	if (n < 0)
		return n;
	room = (i32)MIN((i64)room, n);
	return copy_to_user(uval, val, (size_t)room) || copy_to_user(ulen, &room, sizeof room)
		       ? -EFAULT
		       : 0;
}
