/* SPDX-License-Identifier: MIT */
/*
 * Writes the input files of `format` and `crack`; runs on the host when the image is built. The
 * same arguments give the same bytes everywhere, so nothing generated is kept in the repository.
 */
#include "work.h"
#include "sha256.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { WORD_MAX = 16 };

static long count = 1500, kib = 1024, users = 8, rounds = 520, seed = 1;

/* Word number `i` of the language: one to four syllables, the frequent (low) ones shorter. */
static void make_word(long i, char word[WORD_MAX])
{
	static const char *const onset[] = {"b", "d", "f", "g", "k", "l", "m",	"n",  "p",
					    "r", "s", "t", "v", "w", "",  "st", "tr", "br"};
	static const char *const vowel[] = {"a", "e", "i", "o", "u", "ai", "ou"};
	static const char *const coda[] = {"", "", "", "n", "r", "s", "l", "m"};
	uint64_t state = (uint64_t)i * 0x2545f4914f6cdd1du + 12345;
	int syllables = 1 + (i > 40) + (i > 400 && work_below(&state, 2)) + (i > 900);

	*word = 0;
	while (syllables--) {
		char one[6];

		snprintf(one, sizeof(one), "%s%s%s", onset[work_below(&state, 18)],
			 vowel[work_below(&state, 7)],
			 syllables ? "" : coda[work_below(&state, 8)]);
		if (strlen(word) + strlen(one) < WORD_MAX)
			strcat(word, one);
	}
}

static void write_words(void)
{
	char word[WORD_MAX];

	for (long i = 0; i < count; i++) {
		make_word(i, word);
		fprintf(work_out, "%s\n", word);
	}
}

/* One sentence; low word numbers are the frequent ones. Returns its length. */
static long write_sentence(uint64_t *state, long *column)
{
	long n = 4 + work_below(state, 18), written = 0;
	char word[WORD_MAX];

	for (long i = 0; i < n; i++) {
		uint32_t most = 1 + work_below(state, (uint32_t)count);
		long len;

		make_word(work_below(state, most), word);
		if (i == 0)
			*word = (char)toupper((unsigned char)*word);
		len = fprintf(work_out, "%s%s%s", *column ? " " : "", word,
			      i + 1 == n		  ? "."
			      : work_below(state, 9) == 0 ? ","
							  : "");
		*column += len;
		written += len;
		if (*column > 60) {
			fputc('\n', work_out);
			*column = 0;
			written++;
		}
	}
	return written;
}

static void write_text(void)
{
	uint64_t state = (uint64_t)seed;
	long column = 0;

	for (long written = 0; written < kib * 1024;) {
		for (long s = 3 + work_below(&state, 10); s > 0; s--)
			written += write_sentence(&state, &column);
		written += fprintf(work_out, column ? "\n\n" : "\n");
		column = 0;
	}
}

/* Every account but the last has a password from the list; half of them are capitalised. */
static void write_shadow(void)
{
	uint64_t state = (uint64_t)seed;
	uint8_t digest[SHA256_LEN];
	char word[WORD_MAX], salt[8];

	for (long u = 0; u < users; u++) {
		make_word(work_below(&state, (uint32_t)count), word);
		if (u % 2)
			*word = (char)toupper((unsigned char)*word);
		if (u + 1 == users)
			strcpy(word, "not-a-word");
		snprintf(salt, sizeof(salt), "%06x", work_below(&state, 1 << 24));
		password_hash(salt, word, rounds, digest);
		fprintf(work_out, "user%ld:%s:%ld:", u + 1, salt, rounds);
		for (int i = 0; i < SHA256_LEN; i++)
			fprintf(work_out, "%02x", digest[i]);
		fputc('\n', work_out);
	}
}

int main(int argc, char **argv)
{
	const char *what;
	const struct work_opt opts[] = {
		{"count", OPT_NUM, {.num = &count}, 1, "words of the language"},
		{"kib", OPT_NUM, {.num = &kib}, 1, "size of the text in KiB"},
		{"users", OPT_NUM, {.num = &users}, 1, "accounts of the shadow file"},
		{"rounds", OPT_NUM, {.num = &rounds}, 0, "of each account's hash"},
		{"seed", OPT_NUM, {.num = &seed}, 0, "of the text and the accounts"},
		{0},
	};
	const struct work_usage usage = {
		.name = "geninput",
		.what = "Write the input of the workloads: a text, a list of words, or a shadow "
			"file.",
		.operands = "text|words|shadow",
		.operand = &what,
		.noperands = 1,
		.opts = opts,
	};

	work_args(argc, argv, &usage);
	if (!strcmp(what, "text"))
		write_text();
	else if (!strcmp(what, "words"))
		write_words();
	else if (!strcmp(what, "shadow"))
		write_shadow();
	else
		work_die("%s: text, words or shadow", what);
	return work_end(0);
}
