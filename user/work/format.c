/* SPDX-License-Identifier: MIT */
/*
 * A text formatter: reads one file paragraph by paragraph, breaks each into lines with the least
 * total raggedness, justifies the lines, and writes another file. Both stay open throughout, the
 * one read in the middle, the other growing: the file half of a process's environment.
 *
 * Most of the time goes into avoiding rivers, that is, spaces that meet spaces of the line above:
 * each line's spaces are shuffled --effort times, and what does not improve the line is undone.
 */
#include "work.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_WORDS = 4096, MAX_TEXT = 65536, MAX_WIDTH = 250, LINES_PER_REPORT = 2000 };

struct word {
	const char *text;
	long len;
};

static long width = 72, effort = 16000, seed = 1, lines_set;
static uint64_t random_state;

static char text[MAX_TEXT];
static struct word words[MAX_WORDS];
static long nwords, text_len;

/* Columns of the line above (1: a space between words), with a margin on either side. */
static unsigned char above[MAX_WIDTH + 2];

/* best[i]: least cost of setting words i.. ; next[i]: the first word of the line after. */
static double best[MAX_WORDS + 1];
static long next[MAX_WORDS + 1];

static void break_lines(void)
{
	best[nwords] = 0;
	for (long i = nwords - 1; i >= 0; i--) {
		long len = -1;

		best[i] = 0;
		next[i] = 0;
		for (long j = i; j < nwords; j++) {
			double slack, cost;

			len += 1 + words[j].len;
			if (len > width && j > i)
				break;
			slack = len > width ? 0 : (double)(width - len);
			cost = j + 1 == nwords ? 0 : slack * slack * slack + best[j + 1];
			if (!next[i] || cost < best[i]) {
				best[i] = cost;
				next[i] = j + 1;
			}
		}
	}
}

static void mark_spaces(unsigned char *columns, long from, long to, const long *gap)
{
	long col = 1;

	memset(columns, 0, MAX_WIDTH + 2);
	for (long w = from; w + 1 < to; w++) {
		col += words[w].len;
		for (long k = 0; k < gap[w - from] && col <= width; k++)
			columns[col++] = 1;
	}
}

/* How bad a line looks: wide gaps, and spaces below spaces. */
static long ugliness(long from, long to, const long *gap)
{
	long sum = 0, col = 1;

	for (long w = from; w + 1 < to; w++) {
		long g = gap[w - from];

		col += words[w].len;
		sum += g * g * 2;
		for (long k = 0; k < g; k++, col++)
			sum += above[col] * 4 + above[col - 1] + above[col + 1];
	}
	return sum;
}

static void shuffle_spaces(long from, long to, long *gap)
{
	long now = ugliness(from, to, gap);
	uint32_t gaps = (uint32_t)(to - from - 1);

	for (long i = 0; i < effort; i++) {
		uint32_t a = work_below(&random_state, gaps), b = work_below(&random_state, gaps);
		long then;

		if (a == b || gap[a] < 2)
			continue;
		gap[a]--;
		gap[b]++;
		then = ugliness(from, to, gap);
		if (then <= now) {
			now = then;
			continue;
		}
		gap[a]++;
		gap[b]--;
	}
}

static void set_line(long from, long to)
{
	long gap[MAX_WIDTH] = {0}, gaps = to - from - 1, extra = width;

	for (long w = from; w < to; w++)
		extra -= words[w].len;
	for (long g = 0; g < gaps; g++)
		gap[g] = to == nwords ? 1 : extra / gaps + (g < extra % gaps);
	if (gaps > 1 && to != nwords)
		shuffle_spaces(from, to, gap);
	for (long w = from; w < to; w++)
		fprintf(work_out, "%.*s%*s", (int)words[w].len, words[w].text,
			w + 1 < to ? (int)gap[w - from] : 0, "");
	fputc('\n', work_out);
	mark_spaces(above, from, to, gap);
	if (++lines_set % LINES_PER_REPORT == 0)
		work_progress("%ld lines", lines_set);
}

static void set_paragraph(void)
{
	if (!nwords)
		return;
	break_lines();
	memset(above, 0, sizeof(above));
	for (long from = 0; from < nwords; from = next[from])
		set_line(from, next[from]);
	nwords = text_len = 0;
}

static void add_words(char *line)
{
	for (char *w = strtok(line, " \t\n"); w; w = strtok(NULL, " \t\n")) {
		long len = (long)strlen(w);

		if (nwords == MAX_WORDS || text_len + len > MAX_TEXT)
			set_paragraph();
		memcpy(text + text_len, w, (size_t)len);
		words[nwords++] = (struct word){text + text_len, len};
		text_len += len;
	}
}

int main(int argc, char **argv)
{
	const char *path;
	const struct work_opt opts[] = {
		{"width", OPT_NUM, {.num = &width}, 20, "columns of a line, at most 250"},
		{"effort", OPT_NUM, {.num = &effort}, 0, "shuffles of each line: the duration"},
		{"seed", OPT_NUM, {.num = &seed}, 0, "of the shuffles"},
		{0},
	};
	const struct work_usage usage = {
		.name = "format",
		.what = "Fill and justify the paragraphs of a text file.",
		.operands = "FILE",
		.operand = &path,
		.noperands = 1,
		.opts = opts,
	};
	char line[4096];
	FILE *in;

	work_args(argc, argv, &usage);
	if (width > MAX_WIDTH)
		work_die("width is at most %d", MAX_WIDTH);
	in = fopen(path, "r");
	if (!in)
		work_die("%s", path);
	random_state = (uint64_t)seed;
	for (int blank = 1; fgets(line, sizeof(line), in);) {
		if (line[strspn(line, " \t\n")]) {
			if (blank && lines_set)
				fputc('\n', work_out);
			blank = 0;
			add_words(line);
			continue;
		}
		set_paragraph();
		blank = 1;
	}
	set_paragraph();
	errno = 0;
	if (ferror(in))
		work_die("%s: cannot read", path);
	fclose(in);
	work_progress("%ld lines, done", lines_set);
	return work_end(0);
}
