/** `npm run fuzz -- SUBJECT [--runs N] [--seed S]`: the properties of the tests, for as long as one likes. */
import { endingOfWords, readRunWords } from '../support/run_words.ts';
import { fuzzBoot } from './boot.ts';
import { fuzzCcw } from './ccw/property.ts';

/** What can be fuzzed: runs that many cases from a seed, tells how many are done; throws at the first difference. */
const SUBJECTS: Readonly<
  Record<string, (runs: number, seed: number, progress: (done: number) => void) => Promise<void>>
> = { boot: fuzzBoot, ccw: fuzzCcw };

const words = readRunWords(process.argv.slice(2), {
  name: 'fuzz',
  what: 'Runs random cases of a subject until one differs; a seed gives the same cases again.',
  subjects: Object.keys(SUBJECTS),
  runs: 100_000,
  seed: Number(process.hrtime.bigint() & 0x7fff_ffffn),
  seedIs: "the clock's",
});
if ('status' in words) endingOfWords(words);
const { subject: name, runs, seed } = words;
const subject = SUBJECTS[name];
console.log(`fuzz ${name}: ${runs} runs, seed ${seed}`);
const began = process.hrtime.bigint();
let shown = 0;
await subject(runs, seed, (done) => {
  const seconds = Number(process.hrtime.bigint() - began) / 1e9;
  if (seconds < shown + 5) return;
  shown = seconds;
  const left = (seconds / done) * Math.max(0, runs - done);
  console.log(`${done} of ${runs}, ${seconds.toFixed(0)} s, ${left.toFixed(0)} s left`);
});
console.log(`fuzz ${name}: no difference`);
