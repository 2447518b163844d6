/* SPDX-License-Identifier: MIT */
/*
 * t_badelf DIR [--seed S] [--count N]: execute damaged copies of itself. A damage that makes the file no program gives
 * ENOEXEC; any other, drawn at random, gives some error, or a process that ends somehow.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "t.h"

enum { FILE_MAX = 1 << 20, NO_PROGRAM = 200, OTHER_ERROR = 201, LIMIT_S = 5 };

static unsigned char whole[FILE_MAX], bad[FILE_MAX];
static size_t len, bad_len;
static char path[PATH_MAX];

static Elf64_Ehdr *head(void)
{
	return (Elf64_Ehdr *)bad;
}

static Elf64_Phdr *first_load(void)
{
	Elf64_Phdr *p = (Elf64_Phdr *)(bad + head()->e_phoff);

	while (p->p_type != PT_LOAD)
		p++;
	return p;
}

static void intact(void)
{
	memcpy(bad, whole, len);
	bad_len = len;
}

/* Writes `bad` and executes it. The exit status of the child, NO_PROGRAM, OTHER_ERROR, or 1000 + signal. */
static int run(void)
{
	int s;

	unlink(path);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0755);

	if (fd < 0)
		t_die("%s", path);
	if (bad_len)
		t_write_all(fd, bad, bad_len);
	close(fd);
	fflush(stdout);
	pid_t pid = fork();

	if (pid == 0) {
		alarm(LIMIT_S); /* survives execve, and ends a program that only loops */
		execl(path, path, "--harmless", (char *)NULL);
		int err = errno;

		_exit(err == ENOEXEC ? NO_PROGRAM : OTHER_ERROR);
	}
	if (pid < 0)
		t_die("fork");
	waitpid(pid, &s, 0);
	return WIFEXITED(s) ? WEXITSTATUS(s) : 1000 + WTERMSIG(s);
}

static void truncate_to(long n)
{
	bad_len = (size_t)n;
}
static void magic(long n)
{
	bad[n] ^= 0x20;
}
static void class32(long n)
{
	bad[EI_CLASS] = (unsigned char)n;
}
static void machine(long n)
{
	head()->e_machine = (Elf64_Half)n;
}
static void type(long n)
{
	head()->e_type = (Elf64_Half)n;
}
static void phentsize(long n)
{
	head()->e_phentsize = (Elf64_Half)n;
}
static void phnum(long n)
{
	head()->e_phnum = (Elf64_Half)n;
}
static void phoff(long n)
{
	head()->e_phoff = (Elf64_Off)n;
}
static void entry(long n)
{
	head()->e_entry = (Elf64_Addr)n;
}
static void vaddr(long n)
{
	first_load()->p_vaddr = (Elf64_Addr)n;
}
static void memsz(long n)
{
	first_load()->p_memsz = (Elf64_Xword)n;
}
static void filesz(long n)
{
	first_load()->p_filesz = (Elf64_Xword)n;
}
static void offset(long n)
{
	first_load()->p_offset = (Elf64_Off)n;
}
static void no_loads(long n)
{
	Elf64_Phdr *p = (Elf64_Phdr *)(bad + head()->e_phoff);

	for (int i = 0; i < head()->e_phnum; i++)
		if (p[i].p_type == PT_LOAD)
			p[i].p_type = (Elf64_Word)n;
}

/* on_linux: Linux, too, says ENOEXEC; the others it does not care about, notices too late, or calls by other names. */
static const struct {
	const char *name;
	void (*damage)(long n);
	long n;
	bool on_linux;
} fatal[] = {
	{"an empty file", truncate_to, 0, true},
	{"one byte", truncate_to, 1, true},
	{"half a header", truncate_to, 32, true},
	{"a header only", truncate_to, 64, false},
	{"program headers cut off", truncate_to, 64 + 56, false},
	{"text cut off", truncate_to, 6000, false},
	{"a wrong first byte", magic, 0, true},
	{"a wrong third byte", magic, 2, true},
	{"32 bits", class32, ELFCLASS32, false},
	{"no class", class32, 77, false},
	{"another machine", machine, EM_AARCH64, true},
	{"an object file", type, ET_REL, true},
	{"a core dump", type, ET_CORE, true},
	{"program headers of size 0", phentsize, 0, true},
	{"program headers too large", phentsize, 4000, true},
	{"no program headers", phnum, 0, true},
	{"65535 program headers", phnum, 65535, true},
	{"program headers beyond the end", phoff, 1l << 40, false},
	{"program headers at a negative offset", phoff, -64, false},
	{"nothing to load", no_loads, PT_NOTE, false},
	{"an entry outside", entry, 0x10, false},
	{"an entry in the kernel", entry, (long)0xffffffff80100000, false},
	{"a segment in the kernel", vaddr, (long)0xffffffff80000000, false},
	{"a segment at the top of user space", vaddr, 0x7ffffffff000, false},
	{"a segment without end", memsz, -1, false},
	{"a segment longer than its memory", memsz, 1, false},
	{"a segment longer than the file", filesz, 1l << 30, false},
	{"a segment of negative length in the file", filesz, -4096, false},
	{"a segment beyond the end of the file", offset, 1l << 40, false},
	{"a segment at a crooked offset", offset, 123, false},
};

static void fatal_ones(void)
{
	for (unsigned i = 0; i < sizeof(fatal) / sizeof(fatal[0]); i++) {
		intact();
		fatal[i].damage(fatal[i].n);
		int r = run();

		errno = 0;
		if (t_whimbrel() || fatal[i].on_linux)
			t_check(r == NO_PROGRAM, fatal[i].name, "not ENOEXEC, but %s %d",
				r == OTHER_ERROR ? "another error"
				: r >= 1000	 ? "a signal:"
						 : "exit status",
				r >= 1000 ? r - 1000 : r);
	}
}

static void random_ones(uint64_t seed, long count)
{
	size_t headers = sizeof(Elf64_Ehdr) + ((Elf64_Ehdr *)whole)->e_phnum * sizeof(Elf64_Phdr);
	long refused = 0, ran = 0, died = 0;

	for (long i = 0; i < count; i++) {
		intact();
		if (t_below(&seed, 8) == 0) {
			bad_len = t_below(&seed, (uint32_t)len);
		} else {
			for (uint32_t n = 1 + t_below(&seed, 3); n; n--)
				bad[t_below(&seed, (uint32_t)headers)] =
					(unsigned char)t_random(&seed);
		}
		int r = run();

		if (r == NO_PROGRAM || r == OTHER_ERROR)
			refused++;
		else if (r == 0)
			ran++;
		else
			died++;
	}
	printf("of %ld damaged at random %ld were refused, %ld ran, %ld died\n", count, refused,
	       ran, died);
	errno = 0;
	/* Whimbrel checks everything before it gives up the old program; Linux notices much of it too late. */
	t_check(refused >= (t_whimbrel() ? count / 4 : 1), "random damages are noticed",
		"only %ld of %ld", refused, count);
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "--harmless"))
		return 0;
	if (argc < 2) {
		fprintf(stderr, "usage: t_badelf DIR [--seed S] [--count N]\n");
		return 2;
	}
	snprintf(path, sizeof(path), "%s/bad", argv[1]);
	int fd = open("/proc/self/exe", O_RDONLY);

	if (fd < 0)
		t_die("/proc/self/exe");
	for (ssize_t n; (n = read(fd, whole + len, sizeof(whole) - len)) > 0;)
		len += (size_t)n;
	close(fd);
	intact();
	int r = run();

	errno = 0;
	t_check(r == 0, "the copy itself runs", "it gave %d", r);
	fatal_ones();
	random_ones((uint64_t)t_option(argc, argv, "--seed", 1),
		    t_option(argc, argv, "--count", 100));
	intact();
	r = run();
	errno = 0;
	t_check(r == 0, "the copy still runs", "it gave %d", r);
	unlink(path);
	return t_end();
}
