/** `npm run durability -- --runs N --seed S`: kills minivisor in the middle of its guest's writes, again and again. */
import { workFolder } from '../support/cli.ts';
import { endingOfWords, readRunWords } from '../support/run_words.ts';
import { freshVolume, killRun } from './kill_run.ts';

const words = readRunWords(process.argv.slice(2), {
  name: 'durability',
  what: "Kills minivisor in the middle of its guest's writes and looks at the image, once for each seed from S on.",
  runs: 50,
  seed: 1,
});
if ('status' in words) endingOfWords(words);
const { runs, seed: first } = words;

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
