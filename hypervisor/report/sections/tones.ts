/** Which side has which colour, in every chart of the page. Numbers are `--tone-N` of page/page.css. */
import type { Tone } from '../chart.ts';

/** Orange what costs most where all began, blue and green what came after it. */
const TONES: Readonly<Record<string, Tone>> = {
  'exit to the VMM': 1,
  'kernel, virtual mode': 0,
  'kernel, real mode': 2,
  'big window': 3,
  'cmd-request': 1,
  region: 0,
  'type1 4K': 1,
  'type1 2M': 0,
  PAMU: 2,
  group: 0,
  'group-liobn': 1,
  container: 2,
};

/** A side's tone; of an unknown one, one that only unknown ones have. */
export function toneOf(side: string): Tone {
  return TONES[side] ?? 4;
}
