/* SPDX-License-Identifier: MIT */
/* Free space of the mounted file system. Blocks are taken and given back in runs: libext2fs asks much of each call. See fs.h. */
#include <stdlib.h>

#include "fs.h"

bool fs_block_valid(const struct fs *fs, uint64_t blk)
{
	return blk > fs->e2->super->s_first_data_block && blk < ext2fs_blocks_count(fs->e2->super);
}

uint64_t fs_ready_blocks(const struct fs *fs)
{
	return ext2fs_free_blocks_count(fs->e2->super) + fs->run_len;
}

uint64_t fs_free_blocks(const struct fs *fs)
{
	return fs_ready_blocks(fs) + fs->freed_blocks;
}

/* Those behind blk that are free, too, as far as the operation wants them. */
static void take_run(struct fs *fs, uint64_t blk)
{
	uint64_t last = blk + (fs->expected ? fs->expected - 1 : 0),
		 end = ext2fs_blocks_count(fs->e2->super) - 1;
	blk64_t used;

	if (last > end)
		last = end;
	if (last > blk &&
	    ext2fs_find_first_set_block_bitmap2(fs->e2->block_map, blk + 1, last, &used) == 0)
		last = used - 1;
	fs->run = blk;
	fs->run_len = (unsigned)(last - blk + 1);
	ext2fs_block_alloc_stats_range(fs->e2, blk, fs->run_len, +1);
}

uint64_t fs_new_block(struct fs *fs, uint64_t goal)
{
	blk64_t blk;

	if (!fs->run_len) {
		if (ext2fs_new_block2(fs->e2, goal, NULL, &blk))
			return 0;
		take_run(fs, blk);
	}
	fs->run_len--;
	fs->expected -= fs->expected > 0;
	return fs->run++;
}

void fs_expect_blocks(struct fs *fs, unsigned n)
{
	if (fs->run_len)
		ext2fs_block_alloc_stats_range(fs->e2, fs->run, fs->run_len, -1);
	fs->run_len = 0;
	fs->expected = n;
}

enum { FREED_ROOM = 256 }; /* runs */

void fs_free_block(struct fs *fs, uint64_t blk)
{
	struct freed_run *last = fs->freed_runs ? &fs->freed[fs->freed_runs - 1] : NULL;

	bcache_forget(&fs->bc, blk);
	if (last && blk == last->blk + last->len) {
		last->len++;
	} else {
		if (fs->freed_runs == fs->freed_room) {
			unsigned room = fs->freed_room ? 2 * fs->freed_room : FREED_ROOM;
			struct freed_run *more = realloc(fs->freed, room * sizeof(*more));

			if (!more) {
				fs_log("no memory to free block %llu: it is lost",
				       (unsigned long long)blk);
				return;
			}
			fs->freed = more;
			fs->freed_room = room;
		}
		fs->freed[fs->freed_runs++] = (struct freed_run){.blk = blk, .len = 1};
	}
	fs->freed_blocks++;
}

void fs_release_freed(struct fs *fs)
{
	for (unsigned i = 0; i < fs->freed_runs; i++) {
		struct freed_run *r = &fs->freed[i];
		blk64_t blk = r->blk, end = blk + r->len, stop;

		while (blk < end) {
			if (ext2fs_find_first_zero_block_bitmap2(fs->e2->block_map, blk, end - 1,
								 &stop))
				stop = end;
			if (stop > blk)
				ext2fs_block_alloc_stats_range(fs->e2, blk, (blk_t)(stop - blk),
							       -1);
			if (stop < end)
				fs_log("block %llu was freed twice", (unsigned long long)stop);
			blk = stop + 1;
		}
	}
	fs->freed_runs = 0;
	fs->freed_blocks = 0;
	if (fs->freed_room > FREED_ROOM) { /* a rare large removal must not cost memory for ever */
		free(fs->freed);
		fs->freed = NULL;
		fs->freed_room = 0;
	}
}
