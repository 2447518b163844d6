/* SPDX-License-Identifier: MIT */
/* Formatted text into bounded buffers, and bounded byte streams. */
#include "lib.h"

static void put(struct text *t, char c)
{
	if (t->len + 1 < t->cap) {
		t->buf[t->len++] = c;
		t->buf[t->len] = 0;
	}
}

static void put_str(struct text *t, const char *s, size_t n, int width, bool left)
{
	for (int i = (int)n; !left && i < width; i++)
		put(t, ' ');
	for (size_t i = 0; i < n; i++)
		put(t, s[i]);
	for (int i = (int)n; left && i < width; i++)
		put(t, ' ');
}

static void put_num(struct text *t, u64 v, bool neg, unsigned base, int width, bool left, bool zero)
{
	char b[24];
	int n = 0;
	do {
		b[n++] = "0123456789abcdef"[v % base];
		v /= base;
	} while (v);
	if (neg && zero) {
		put(t, '-');
		width--;
	}
	while (zero && n < width && n < 22)
		b[n++] = '0';
	if (neg && !zero)
		b[n++] = '-';
	char rev[24];
	for (int i = 0; i < n; i++)
		rev[i] = b[n - 1 - i];
	put_str(t, rev, (size_t)n, width, left);
}

void text_vprintf(struct text *t, const char *fmt, va_list ap)
{
	for (; *fmt; fmt++) {
		if (*fmt != '%') {
			put(t, *fmt);
			continue;
		}
		bool left = false, zero = false, lng = false;
		int width = 0, prec = -1;
		for (fmt++; *fmt == '-' || *fmt == '0'; fmt++)
			*fmt == '-' ? (left = true) : (zero = true);
		if (*fmt == '*') {
			width = va_arg(ap, int);
			fmt++;
		}
		for (; *fmt >= '0' && *fmt <= '9'; fmt++)
			width = width * 10 + (*fmt - '0');
		if (*fmt == '.') {
			fmt++;
			prec = 0;
			if (*fmt == '*') {
				prec = va_arg(ap, int);
				fmt++;
			}
			for (; *fmt >= '0' && *fmt <= '9'; fmt++)
				prec = prec * 10 + (*fmt - '0');
		}
		for (; *fmt == 'l' || *fmt == 'z'; fmt++)
			lng = true;
		switch (*fmt) {
		case 'd':
		case 'i': {
			i64 v = lng ? va_arg(ap, i64) : va_arg(ap, int);
			put_num(t, v < 0 ? -(u64)v : (u64)v, v < 0, 10, width, left, zero);
			break;
		}
		case 'u':
			put_num(t, lng ? va_arg(ap, u64) : va_arg(ap, unsigned), false, 10, width,
				left, zero);
			break;
		case 'o':
			put_num(t, lng ? va_arg(ap, u64) : va_arg(ap, unsigned), false, 8, width,
				left, zero);
			break;
		case 'x':
			put_num(t, lng ? va_arg(ap, u64) : va_arg(ap, unsigned), false, 16, width,
				left, zero);
			break;
		case 'p':
			put_num(t, (u64)va_arg(ap, void *), false, 16, 16, false, true);
			break;
		case 'c': {
			char c = (char)va_arg(ap, int);
			put_str(t, &c, 1, width, left);
			break;
		}
		case 's': {
			const char *s = va_arg(ap, const char *);
			if (!s)
				s = "(null)";
			put_str(t, s, prec >= 0 ? strnlen(s, (size_t)prec) : strlen(s), width,
				left);
			break;
		}
		case 0:
			return;
		default:
			put(t, *fmt);
		}
	}
}

void text_printf(struct text *t, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	text_vprintf(t, fmt, ap);
	va_end(ap);
}

void blob_put(struct blob *b, const void *data, size_t len)
{
	if (b->bad || len > b->cap - b->pos) {
		b->bad = true;
		return;
	}
	memcpy(b->buf + b->pos, data, len);
	b->pos += len;
}

void blob_get(struct blob *b, void *data, size_t len)
{
	if (b->bad || len > b->cap - b->pos) {
		b->bad = true;
		memset(data, 0, len);
		return;
	}
	memcpy(data, b->buf + b->pos, len);
	b->pos += len;
}

void blob_put_str(struct blob *b, const char *s)
{
	u32 n = (u32)strlen(s);
	blob_put_u32(b, n);
	blob_put(b, s, n);
}

void blob_get_str(struct blob *b, char *s, size_t cap)
{
	u32 n = blob_get_u32(b);
	s[0] = 0;
	if (n >= cap || n > b->cap - b->pos) {
		b->bad = true;
		return;
	}
	blob_get(b, s, n);
	s[n] = 0;
}
