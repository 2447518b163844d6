/* SPDX-License-Identifier: MIT */
/*
 * A password cracker: tries every word of a list, as it is and capitalised, against every account
 * of a shadow file (NAME:SALT:ROUNDS:DIGEST). Integer arithmetic only, little memory; the word list
 * is read little by little and stays open, and a find is written at once.
 */
#include "work.h"
#include "sha256.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_ACCOUNTS = 256, NAME_MAX_LEN = 31, HASHES_PER_REPORT = 1000000 };

struct account {
	char name[NAME_MAX_LEN + 1], salt[PASSWORD_MAX];
	long rounds;
	uint8_t digest[SHA256_LEN];
	int found;
};

static struct account accounts[MAX_ACCOUNTS];
static int naccounts;
static long hashes, tried, found, next_report = HASHES_PER_REPORT;

static int parse_account(const char *line, struct account *a)
{
	char hex[2 * SHA256_LEN + 1];

	/* The widths are NAME_MAX_LEN, PASSWORD_MAX - 1 and the length of `hex`. */
	if (sscanf(line, "%31[^:]:%22[^:]:%ld:%64[0-9a-f]", a->name, a->salt, &a->rounds, hex) != 4)
		return 0;
	if (a->rounds < 0 || strlen(hex) != 2 * SHA256_LEN)
		return 0;
	for (int i = 0; i < SHA256_LEN; i++) {
		char byte[3] = {hex[2 * i], hex[2 * i + 1], 0};

		a->digest[i] = (uint8_t)strtoul(byte, NULL, 16);
	}
	return 1;
}

static void read_accounts(const char *path)
{
	FILE *f = fopen(path, "r");
	char line[256];

	if (!f)
		work_die("%s", path);
	while (fgets(line, sizeof(line), f)) {
		errno = 0;
		if (naccounts == MAX_ACCOUNTS || !parse_account(line, &accounts[naccounts]))
			work_die("%s: account %d is not NAME:SALT:ROUNDS:DIGEST", path,
				 naccounts + 1);
		naccounts++;
	}
	fclose(f);
}

static void try_word(const char *word)
{
	uint8_t digest[SHA256_LEN];

	tried++;
	for (int i = 0; i < naccounts; i++) {
		struct account *a = &accounts[i];

		/* A longer pair does not fit the one block that the hash is made for. */
		if (a->found || strlen(a->salt) + strlen(word) >= PASSWORD_MAX)
			continue;
		password_hash(a->salt, word, a->rounds, digest);
		hashes += a->rounds + 1;
		if (memcmp(digest, a->digest, SHA256_LEN))
			continue;
		a->found = 1;
		found++;
		fprintf(work_out, "%s: %s (word %ld)\n", a->name, word, tried);
		fflush(work_out);
	}
	if (hashes >= next_report) {
		next_report += HASHES_PER_REPORT;
		work_progress("%ld words tried, %ld of %d found", tried, found, naccounts);
	}
}

int main(int argc, char **argv)
{
	const char *path[2];
	long limit = 0;
	const struct work_opt opts[] = {
		{"words", OPT_NUM, {.num = &limit}, 0, "try only so many words, 0: all"},
		{0},
	};
	const struct work_usage usage = {
		.name = "crack",
		.what = "Find the passwords of a shadow file with a list of words.",
		.operands = "SHADOW WORDS",
		.operand = path,
		.noperands = 2,
		.opts = opts,
	};
	char line[256];
	FILE *words;

	work_args(argc, argv, &usage);
	read_accounts(path[0]);
	words = fopen(path[1], "r");
	if (!words)
		work_die("%s", path[1]);
	while ((!limit || tried < limit) && fgets(line, sizeof(line), words)) {
		line[strcspn(line, "\r\n")] = 0;
		if (!*line)
			continue;
		try_word(line);
		if (islower((unsigned char)*line)) {
			*line = (char)toupper((unsigned char)*line);
			try_word(line);
		}
	}
	errno = 0;
	if (ferror(words))
		work_die("%s: cannot read", path[1]);
	fclose(words);
	fprintf(work_out, "%ld words tried, %ld hashes, %ld of %d found\n", tried, hashes, found,
		naccounts);
	return work_end(0);
}
