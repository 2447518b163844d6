/* SPDX-License-Identifier: MIT */
/* Strings, formatted text, bounded byte streams, kernel memory. */
#ifndef KERNEL_LIB_H
#define KERNEL_LIB_H
#include "types.h"
#include <stdarg.h>

/* Wide moves only: under TCG `rep movsb` runs byte by byte (facts.md). */
void *memcpy(void *dst, const void *src, size_t n);
void *memmove(void *dst, const void *src, size_t n);
void *memset(void *dst, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);
size_t strnlen(const char *s, size_t max);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t n);
char *strchr(const char *s, int c);
char *strrchr(const char *s, int c);
/* Copy with truncation, always terminated (cap > 0). Returns strlen(src). */
size_t strlcpy(char *dst, const char *src, size_t cap);
void page_zero(void *page);
void page_copy(void *dst, const void *src);

/* Text that is cut, never overflowed. %d %u %x %lx %ld %lu %s %c %p %% with width, 0, - and
 * .precision for %s. */
struct text {
	char *buf;
	size_t cap, len;
};
#define TEXT(buf_, cap_) ((struct text){.buf = (buf_), .cap = (cap_)})
void text_printf(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void text_vprintf(struct text *t, const char *fmt, va_list ap);

/* Kernel log: to the debug console (port 0xE9) and the log ring. */
/* The log in memory: how much of it at most; what there is since the last clear; that, or its end, into buf. */
i64 klog_size(void);
u64 klog_unread(void);
u64 klog_read(char *buf, u64 len);
void klog_clear(void);
void klog(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* What any program can bring about: no more than 20 lines a second in the long run. */
void klog_user(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Our own invariant is broken: print a symbolised backtrace and stop the node. */
void panic(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));
#define ASSERT(c)                                                                                  \
	do {                                                                                       \
		if (!(c))                                                                          \
			panic("%s:%d: assertion failed: %s", __FILE__, __LINE__, #c);              \
	} while (0)

/* Byte stream being written (pack) or read (unpack). `bad` is sticky; reads after it give zeros. */
struct blob {
	u8 *buf;
	size_t cap, pos;
	bool bad;
};
#define BLOB(buf_, cap_) ((struct blob){.buf = (void *)(buf_), .cap = (cap_)})
void blob_put(struct blob *b, const void *data, size_t len);
void blob_get(struct blob *b, void *data, size_t len);
static inline void blob_put_u32(struct blob *b, u32 v)
{
	blob_put(b, &v, sizeof v);
}
static inline void blob_put_u64(struct blob *b, u64 v)
{
	blob_put(b, &v, sizeof v);
}
static inline u32 blob_get_u32(struct blob *b)
{
	u32 v;
	blob_get(b, &v, sizeof v);
	return v;
}
static inline u64 blob_get_u64(struct blob *b)
{
	u64 v;
	blob_get(b, &v, sizeof v);
	return v;
}
/* u32 length + bytes. blob_get_str: at most cap-1 bytes, terminated; longer is bad. */
void blob_put_str(struct blob *b, const char *s);
void blob_get_str(struct blob *b, char *s, size_t cap);

/* Zeroed memory, 16-byte aligned; NULL when there is none. kfree(NULL) is allowed. */
void *kmalloc(size_t n);
size_t kmalloc_size(const void *p); /* what it occupies */
void kfree(void *p);
char *kstrdup(const char *s);
u64 kmem_in_use(void);

u64 rand64(void); /* not for secrets */
#endif
