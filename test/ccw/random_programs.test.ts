/** Random channel programs through the whole machine and through a plain reference (`npm run fuzz -- ccw` does more). */
import { test } from 'vitest';
import { fuzzCcw } from '../fuzz/ccw/property.ts';

/** Every run of the tests draws the same programs, for a failure must not come and go; fuzzing draws new ones. */
const SEED = 20160523;

test('2,000 random channel programs, valid and hostile, end as the reference says, and nothing stays pinned', async () => {
  await fuzzCcw(2000, SEED);
}, 240_000);
