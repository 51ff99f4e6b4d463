/** `npm run durability -- --runs N --seed S`: kills minivisor in the middle of its guest's writes, again and again. */
import { parseArgs } from 'node:util';
import { workFolder } from '../support/cli.ts';
import { freshVolume, killRun } from './kill_run.ts';

const { values } = parseArgs({
  options: { runs: { type: 'string', default: '50' }, seed: { type: 'string', default: '1' } },
});
const runs = Number(values.runs);
const first = Number(values.seed);
if (!(runs >= 1) || !Number.isInteger(first)) {
  process.stderr.write('durability: give --runs N from 1 on, and --seed S\n');
  process.exit(1);
}

const { folder, remove } = workFolder();
const fresh = freshVolume(folder);
let writes = 0;
let completed = 0;
let failed = 0;
for (let seed = first; seed < first + runs; seed++) {
  const result = await killRun(folder, fresh, seed);
  writes += result.writes;
  if (result.completed > 0) completed++;
  if (result.problems.length > 0) failed++;
  const how = result.completed > 0 ? `, ${result.completed} bytes completed from the journal` : '';
  process.stdout.write(`seed ${seed}: killed after ${result.writes} writes${how}\n`);
  for (const problem of result.problems) process.stdout.write(`seed ${seed}: ${problem}\n`);
}
process.stdout.write(
  `${runs} runs, ${writes} writes reported, ${completed} runs completed from the journal, ${failed} failed\n`,
);
if (failed > 0)
  process.stdout.write(`the images are in ${folder}; one run again: npm run durability -- --runs 1 --seed N\n`);
else remove();
process.exitCode = failed === 0 ? 0 : 1;
