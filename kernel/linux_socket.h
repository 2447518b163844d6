/* SPDX-License-Identifier: MIT */
/* Numbers and layouts of the Linux x86-64 ABI for sockets, as far as we know them. */
#ifndef KERNEL_LINUX_SOCKET_H
#define KERNEL_LINUX_SOCKET_H
#include "types.h"

enum sock_family_nr { AF_UNSPEC = 0, AF_UNIX = 1, AF_INET = 2, AF_MAX = 46 };
enum sock_type { SOCK_STREAM = 1, SOCK_DGRAM = 2, SOCK_RAW = 3, SOCK_SEQPACKET = 5 };
#define SOCK_TYPE_MASK 0xfu
#define SOCK_NONBLOCK  00004000u
#define SOCK_CLOEXEC   02000000u

enum ip_protocol { IPPROTO_IP = 0, IPPROTO_ICMP = 1, IPPROTO_TCP = 6, IPPROTO_UDP = 17 };

enum sock_shut { SHUT_RD = 0, SHUT_WR = 1, SHUT_RDWR = 2 };

enum msg_flags {
	MSG_OOB = 0x1,
	MSG_PEEK = 0x2,
	MSG_DONTROUTE = 0x4,
	MSG_CTRUNC = 0x8,
	MSG_TRUNC = 0x20,
	MSG_DONTWAIT = 0x40,
	MSG_EOR = 0x80,
	MSG_WAITALL = 0x100,
	MSG_NOSIGNAL = 0x4000,
	MSG_MORE = 0x8000,
	MSG_WAITFORONE = 0x10000,
	MSG_CMSG_CLOEXEC = 0x40000000,
};

#define SOL_SOCKET 1
enum so_name {
	SO_DEBUG = 1,
	SO_REUSEADDR = 2,
	SO_TYPE = 3,
	SO_ERROR = 4,
	SO_DONTROUTE = 5,
	SO_BROADCAST = 6,
	SO_SNDBUF = 7,
	SO_RCVBUF = 8,
	SO_KEEPALIVE = 9,
	SO_OOBINLINE = 10,
	SO_PRIORITY = 12,
	SO_LINGER = 13,
	SO_REUSEPORT = 15,
	SO_PASSCRED = 16,
	SO_PEERCRED = 17,
	SO_RCVLOWAT = 18,
	SO_SNDLOWAT = 19,
	SO_RCVTIMEO = 20,
	SO_SNDTIMEO = 21,
	SO_BINDTODEVICE = 25,
	SO_TIMESTAMP = 29,
	SO_ACCEPTCONN = 30,
	SO_SNDBUFFORCE = 32,
	SO_RCVBUFFORCE = 33,
	SO_PROTOCOL = 38,
	SO_DOMAIN = 39,
};

struct linux_linger {
	i32 on, seconds;
};

struct linux_msghdr {
	u64 name;
	u32 namelen, pad0;
	u64 iov, iovlen;
	u64 control, controllen;
	i32 flags, pad1;
};
_Static_assert(sizeof(struct linux_msghdr) == 56, "struct msghdr of x86-64");

struct linux_mmsghdr {
	struct linux_msghdr hdr;
	u32 len, pad;
};
_Static_assert(sizeof(struct linux_mmsghdr) == 64, "struct mmsghdr of x86-64");

struct linux_cmsghdr {
	u64 len; /* with this header */
	i32 level, type;
};
_Static_assert(sizeof(struct linux_cmsghdr) == 16, "struct cmsghdr of x86-64");

#define SOCK_ADDR_MAX 128 /* sizeof(struct sockaddr_storage) */
struct linux_sockaddr {
	u16 family;
	u8 data[14];
};
struct linux_sockaddr_in {
	u16 family, port; /* port and address in network order */
	u32 addr;
	u8 zero[8];
};
_Static_assert(sizeof(struct linux_sockaddr_in) == 16, "struct sockaddr_in");

/* ioctl */
#define FIONREAD   0x541bu
#define TIOCOUTQ   0x5411u
#define SIOCATMARK 0x8905u
#endif
