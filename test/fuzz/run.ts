/** `npm run fuzz -- SUBJECT [--runs N] [--seed S]`: the properties of the tests, for as long as one likes. */
import { parseArgs } from 'node:util';
import { fuzzBoot } from './boot.ts';
import { fuzzCcw } from './ccw/property.ts';

/** What can be fuzzed: runs that many cases from a seed, tells how many are done; throws at the first difference. */
const SUBJECTS: Readonly<
  Record<string, (runs: number, seed: number, progress: (done: number) => void) => Promise<void>>
> = { boot: fuzzBoot, ccw: fuzzCcw };

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { runs: { type: 'string', default: '100000' }, seed: { type: 'string' } },
});
const [name = ''] = positionals;
const subject = SUBJECTS[name];
const runs = Number(values.runs);
const seed = Number(values.seed ?? process.hrtime.bigint() & 0x7fff_ffffn);
if (subject === undefined || !Number.isInteger(runs) || runs < 1 || !Number.isInteger(seed)) {
  console.error(`usage: npm run fuzz -- ${Object.keys(SUBJECTS).join('|')} [--runs N] [--seed S]`);
  process.exit(2);
}
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
