/* SPDX-License-Identifier: MIT */
/* Address spaces: mapping, protection, brk, copy-on-write after fork, growth of the stack, W^X. */
#define _DEFAULT_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "t.h"

enum { PAGE = 4096, COW_PAGES = 512, STACK_KIB = 4096 };

static char *map(size_t len, int prot)
{
	char *p = mmap(NULL, len, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		t_die("mmap of %zu bytes", len);
	return p;
}

static void store(void *p)
{
	*(volatile char *)p = 1;
}

static void load(void *p)
{
	(void)*(volatile char *)p;
}

static void call(void *p)
{
	((void (*)(void))p)();
}

static bool segv(void (*fn)(void *), void *p)
{
	int s = t_in_child(fn, p);

	errno = 0;
	return WIFSIGNALED(s) && WTERMSIG(s) == SIGSEGV;
}

static void anonymous(void)
{
	char *p = map(64 * PAGE, PROT_READ | PROT_WRITE);
	bool zero = true;

	for (int i = 0; i < 64 * PAGE; i++)
		zero &= p[i] == 0;
	t_check(zero, "new memory is zero", "it is not");
	memset(p, 'a', 64 * PAGE);
	t_check(munmap(p + 16 * PAGE, 8 * PAGE) == 0, "munmap of a hole", "failed");
	t_check(segv(load, p + 16 * PAGE) && segv(load, p + 24 * PAGE - 1), "the hole faults",
		"it does not");
	t_check(p[16 * PAGE - 1] == 'a' && p[24 * PAGE] == 'a', "its neighbours stay",
		"they changed");
	char *q = mmap(p + 16 * PAGE, 8 * PAGE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

	t_check(q == p + 16 * PAGE && q[0] == 0 && q[8 * PAGE - 1] == 0,
		"MAP_FIXED fills it with zeros", "at %p", (void *)q);
	q = mmap(p, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	t_check(q == p && q[0] == 0 && q[PAGE] == 'a', "MAP_FIXED replaces", "at %p", (void *)q);
	munmap(p, 64 * PAGE);
	t_check(segv(load, p), "munmap of all", "the memory is still there");
	errno = 0;
	t_check(mmap(NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED &&
			errno == EINVAL,
		"no length gives EINVAL", "it does not");
	errno = 0;
	t_check(mmap(NULL, 1ul << 60, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED,
		"a mapping larger than the address space fails", "it does not");
}

static void protection(void)
{
	char *p = map(4 * PAGE, PROT_READ | PROT_WRITE);

	p[0] = p[PAGE] = 'x';
	t_check(mprotect(p, PAGE, PROT_READ) == 0 && segv(store, p) && p[0] == 'x',
		"a read-only page", "can be written");
	t_check(!segv(store, p + PAGE), "the next page", "cannot be written");
	t_check(mprotect(p + PAGE, PAGE, PROT_NONE) == 0 && segv(load, p + PAGE), "PROT_NONE",
		"can be read");
	t_check(mprotect(p, 2 * PAGE, PROT_READ | PROT_WRITE) == 0 && p[PAGE] == 'x' &&
			!segv(store, p),
		"protection can be lifted again", "it cannot");
	errno = 0;
	t_check(syscall(SYS_mprotect, p + 1, PAGE, PROT_READ) == -1 && errno == EINVAL,
		"a crooked address gives EINVAL", "it does not");
	munmap(p, 4 * PAGE);
	errno = 0;
	t_check(mprotect(p, PAGE, PROT_READ) == -1 && errno == ENOMEM, "nothing there gives ENOMEM",
		"it does not");
}

static void write_xor_execute(void)
{
	char *p = map(PAGE, PROT_READ | PROT_WRITE);

	p[0] = (char)0xc3; /* ret */
	t_check(segv(call, p), "data is not executed", "it is");
	t_check(segv(store, (void *)(uintptr_t)store), "text is not written", "it is");
	t_check(mprotect(p, PAGE, PROT_READ | PROT_EXEC) == 0 && !segv(call, p),
		"after mprotect it runs", "it does not");
	t_check(segv(store, p), "and then is not written", "it is");
	if (t_whimbrel()) { /* Linux allows both at once */
		errno = 0;
		t_check(mprotect(p, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC) == -1,
			"writable and executable is refused", "it is not");
		t_check(mmap(NULL, PAGE, PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			     0) == MAP_FAILED,
			"by mmap too", "it is not");
	}
	munmap(p, PAGE);
	t_check(segv(load, (void *)8) && segv(store, (void *)8), "page zero is not there", "it is");
	t_check(segv(load, (void *)0xffffffff80100000) && segv(store, (void *)0xffff800000100000),
		"the kernel is out of reach", "it is not");
	t_check(segv(load, (void *)0x8000000000001000), "an address that is none", "can be read");
}

/* The call itself: musl's sbrk refuses to move. */
static char *set_brk(char *to)
{
	return (char *)syscall(SYS_brk, to);
}

static void heap(void)
{
	char *start = set_brk(NULL), *end = start + 100 * PAGE;

	t_check(set_brk(end) == end && set_brk(NULL) == end, "brk grows", "it does not");
	memset(start, 'h', 100 * PAGE);
	t_check(set_brk(start + 50 * PAGE) == start + 50 * PAGE && segv(load, start + 75 * PAGE),
		"brk shrinks", "it does not");
	set_brk(end);
	t_check(start[50 * PAGE - 1] == 'h' && start[75 * PAGE] == 0, "what comes back is zero",
		"it is not");
	t_check(set_brk((char *)1) == end, "a break below the heap is refused", "it is not");
	set_brk(start);
}

static void copy_on_write(void)
{
	char *p = map(COW_PAGES * PAGE, PROT_READ | PROT_WRITE);
	int to[2], from[2], s;

	for (int i = 0; i < COW_PAGES; i++)
		t_fill(p + i * PAGE, PAGE, (uint64_t)i * PAGE, 1);
	if (pipe(to) < 0 || pipe(from) < 0)
		t_die("pipe");
	pid_t pid = fork();

	if (pid == 0) {
		char c;

		for (int i = 0; i < COW_PAGES; i += 2)
			t_fill(p + i * PAGE, PAGE, (uint64_t)i * PAGE, 2);
		t_write_all(from[1], "1", 1);
		t_read_all(to[0], &c, 1); /* the parent has written its own */
		for (int i = 0; i < COW_PAGES; i++)
			if (t_compare(p + i * PAGE, PAGE, (uint64_t)i * PAGE, i % 2 ? 1 : 2) >= 0)
				_exit(1);
		_exit(0);
	}
	char c;

	t_read_all(from[0], &c, 1);
	long bad = 0;

	for (int i = 0; i < COW_PAGES; i++)
		bad += t_compare(p + i * PAGE, PAGE, (uint64_t)i * PAGE, 1) >= 0;
	t_check(bad == 0, "the parent does not see what the child writes", "%ld pages differ", bad);
	for (int i = 0; i < COW_PAGES; i += 3)
		t_fill(p + i * PAGE, PAGE, (uint64_t)i * PAGE, 3);
	t_write_all(to[1], "2", 1);
	waitpid(pid, &s, 0);
	t_check(WIFEXITED(s) && WEXITSTATUS(s) == 0, "nor the child what the parent writes",
		"status %#x", s);
	bad = 0;
	for (int i = 0; i < COW_PAGES; i++)
		bad += t_compare(p + i * PAGE, PAGE, (uint64_t)i * PAGE, i % 3 ? 1 : 3) >= 0;
	t_check(bad == 0, "and the parent keeps what it wrote", "%ld pages differ", bad);
	munmap(p, COW_PAGES * PAGE);
}

static int deep(int left)
{
	volatile char block[1024];

	memset((char *)block, left & 127, sizeof(block));
	int below = left ? deep(left - 1) : 0;

	return below + (block[0] == (left & 127) && block[1023] == (left & 127));
}

static void overflow(void *arg)
{
	(void)arg;
	deep(1 << 24);
}

static void stack(void)
{
	t_check(deep(STACK_KIB) == STACK_KIB + 1, "the stack grows to 4 MB", "a frame was changed");
	t_check(segv(overflow, NULL), "a stack without end is a fault", "it is not");
}

static void files(void)
{
	char name[] = "/tmp/t_mem.XXXXXX";
	int fd = mkstemp(name);
	static char buf[3 * PAGE + 100];

	t_fill(buf, sizeof(buf), 0, 9);
	t_write_all(fd, buf, sizeof(buf));
	char *p = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);

	t_check(p != MAP_FAILED && !memcmp(p, buf, sizeof(buf)), "a mapped file shows its bytes",
		"it does not");
	t_check(p != MAP_FAILED && p[sizeof(buf)] == 0 && p[4 * PAGE - 1] == 0,
		"and zeros to the end of its last page", "it does not");
	memset(p, 'w', PAGE);
	char c;

	t_check(pread(fd, &c, 1, 0) == 1 && c == buf[0], "a private mapping is not written back",
		"it is");
	char *q = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, PAGE);

	t_check(q != MAP_FAILED && !memcmp(q, buf + PAGE, PAGE), "a mapping in the middle",
		"shows other bytes");
	close(fd);
	t_check(q != MAP_FAILED && !memcmp(q, buf + PAGE, PAGE),
		"a mapping outlives the descriptor", "it does not");
	unlink(name);
	munmap(p, 4 * PAGE);
	munmap(q, PAGE);
}

enum { SPLITS = 70000, FILES = 1500 };

/* Every second page of a large mapping is made different from its neighbours, from the end: no two can be merged. */
static void regions_without_end(void)
{
	size_t len = 2ul * SPLITS * PAGE;
	char *p = mmap(NULL, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int n = 0;

	if (p == MAP_FAILED)
		t_die("mmap of %zu bytes", len);
	while (n < SPLITS &&
	       mprotect(p + len - 2ul * (unsigned)(n + 1) * PAGE, PAGE, PROT_READ) == 0)
		n++;
	t_check(n > 500 && n < SPLITS && errno == ENOMEM, "a limit to the number of mappings",
		"there were %d", n);
	t_check(munmap(p, len) == 0, "munmap of all of them", "it failed");
}

/* Mappings of so many open files that closing them all at once, when the process ends, is more than the file server can
 * be asked for in one go: the driver of the test looks whether it still holds some. */
static void mapped_files(void)
{
	int n = 0;

	for (; n < FILES; n++) {
		int fd = open("/etc/passwd", O_RDONLY);
		if (fd < 0 || mmap(NULL, 1, PROT_READ, MAP_PRIVATE, fd, 0) == MAP_FAILED)
			break;
		close(fd);
	}
	t_check(n == FILES, "many mapped files", "only %d", n);
}

static unsigned other_selector(unsigned s)
{
	unsigned got;

	__asm__ volatile("mov %w1, %%gs\n\tmov %%gs, %0" : "=r"(got) : "r"(s));
	return got & 0xffff;
}

static unsigned selector(void)
{
	unsigned got;

	__asm__ volatile("mov %%gs, %0" : "=r"(got));
	return got & 0xffff;
}

/* Without meaning, but a program can see them: what one loads another must not find. */
static void segments(void)
{
	int s;
	unsigned before = selector();
	pid_t pid = fork();

	if (pid == 0) {
		bool same = other_selector(3) == 3;
		t_sleep_ms(100);
		_exit(!same || selector() != 3);
	}
	t_sleep_ms(30);
	t_check(selector() == before, "another process's segment register", "mine is %u, it was %u",
		selector(), before);
	waitpid(pid, &s, 0);
	t_check(s == 0, "a segment register is kept", "status %#x", (unsigned)s);
}

int main(void)
{
	anonymous();
	protection();
	write_xor_execute();
	heap();
	copy_on_write();
	stack();
	files();
	regions_without_end();
	segments();
	mapped_files();
	return t_end();
}
