/* SPDX-License-Identifier: MIT */
/* Numbers and layouts of the Linux x86-64 ABI that class File answers with. */
#ifndef KERNEL_LINUX_FILE_H
#define KERNEL_LINUX_FILE_H
#include "types.h"

#define O_RDONLY    00000000u
#define O_WRONLY    00000001u
#define O_RDWR	    00000002u
#define O_ACCMODE   00000003u
#define O_CREAT	    00000100u
#define O_EXCL	    00000200u
#define O_NOCTTY    00000400u
#define O_TRUNC	    00001000u
#define O_APPEND    00002000u
#define O_NONBLOCK  00004000u
#define O_DSYNC	    00010000u
#define O_SYNC	    04010000u
#define O_DIRECTORY 00200000u
#define O_NOFOLLOW  00400000u
#define O_CLOEXEC   02000000u
#define O_PATH	    010000000u
#define O_TMPFILE   020000000u
#define O_LARGEFILE 00100000u
/* What an open file remembers of its flags. */
#define O_KEPT                                                                                     \
	(O_ACCMODE | O_APPEND | O_NONBLOCK | O_SYNC | O_DIRECTORY | O_NOFOLLOW | O_LARGEFILE |     \
	 O_PATH)

#define S_IFMT	   0170000u
#define S_IFREG	   0100000u
#define S_IFDIR	   0040000u
#define S_IFLNK	   0120000u
#define S_IFCHR	   0020000u
#define S_IFIFO	   0010000u
#define S_IFSOCK   0140000u
#define S_ISUID	   04000u
#define S_ISGID	   02000u
#define S_ISDIR(m) ((S_IFMT & (m)) == S_IFDIR)
#define S_ISREG(m) ((S_IFMT & (m)) == S_IFREG)

#define AT_SYMLINK_NOFOLLOW 0x100u
#define AT_EACCESS	    0x200u
#define AT_REMOVEDIR	    0x200u
#define AT_SYMLINK_FOLLOW   0x400u
#define AT_NO_AUTOMOUNT	    0x800u
#define AT_EMPTY_PATH	    0x1000u
#define AT_STATX_SYNC	    0x6000u

#define F_DUPFD		0
#define F_GETFD		1
#define F_SETFD		2
#define F_GETFL		3
#define F_SETFL		4
#define F_GETLK		5
#define F_SETLK		6
#define F_SETLKW	7
#define F_OFD_GETLK	36
#define F_OFD_SETLK	37
#define F_OFD_SETLKW	38
#define F_DUPFD_CLOEXEC 1030
#define FD_CLOEXEC	1u

#define SEEK_SET 0
#define SEEK_CUR 1
#define SEEK_END 2

#define LOCK_SH 1u
#define LOCK_EX 2u
#define LOCK_NB 4u
#define LOCK_UN 8u

#define UTIME_NOW  ((1ll << 30) - 1)
#define UTIME_OMIT ((1ll << 30) - 2)

#define X_OK 1u
#define W_OK 2u
#define R_OK 4u

#define DT_DIR 4
#define DT_CHR 2
#define DT_REG 8
#define DT_LNK 10

struct linux_stat {
	u64 st_dev, st_ino, st_nlink;
	u32 st_mode, st_uid, st_gid, pad0;
	u64 st_rdev;
	i64 st_size, st_blksize, st_blocks;
	i64 st_atime, st_atime_ns, st_mtime, st_mtime_ns, st_ctime, st_ctime_ns;
	i64 unused[3];
};
_Static_assert(sizeof(struct linux_stat) == 144, "struct stat of x86-64");

struct linux_flock {
	short l_type, l_whence;
	i32 pad;
	i64 l_start, l_len; /* l_len 0: to the end, however far that moves */
	i32 l_pid, pad2;
};
_Static_assert(sizeof(struct linux_flock) == 32, "struct flock of x86-64");

struct linux_statx_time {
	i64 sec;
	u32 nsec, pad;
};
struct linux_statx {
	u32 mask, blksize;
	u64 attributes;
	u32 nlink, uid, gid;
	u16 mode, pad;
	u64 ino, size, blocks, attributes_mask;
	struct linux_statx_time atime, btime, ctime, mtime;
	u32 rdev_major, rdev_minor, dev_major, dev_minor;
	u64 spare[14];
};
_Static_assert(sizeof(struct linux_statx) == 256, "struct statx");

struct linux_statfs {
	i64 f_type, f_bsize;
	u64 f_blocks, f_bfree, f_bavail, f_files, f_ffree;
	i32 f_fsid[2];
	i64 f_namelen, f_frsize, f_flags, f_spare[4];
};
_Static_assert(sizeof(struct linux_statfs) == 120, "struct statfs of x86-64");

struct linux_dirent64 {
	u64 d_ino;
	i64 d_off;
	u16 d_reclen;
	u8 d_type;
	char d_name[];
};

struct linux_iovec {
	u64 base, len;
};

/* What one read or write moves at most. */
#define RW_MAX	0x7ffff000ul
#define IOV_MAX 1024
#endif
