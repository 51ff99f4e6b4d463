/**
 * What the page asks, one row each: the question as the lists asked it, the scenarios whose figures answer it, and the
 * charts that show why. The arguments are those of DESIGN.md section 1, in its order.
 */
import { CCW_SECTION } from './sections/ccw.ts';
import { HALT_CLEAR_SECTION } from './sections/halt_clear.ts';
import { LIOBN_SECTION } from './sections/liobn.ts';
import type { SectionRow } from './sections/row.ts';
import { TCE_SECTION } from './sections/tce.ts';
import { WINDOWS_SECTION } from './sections/windows.ts';

export const SECTIONS: readonly SectionRow[] = [
  TCE_SECTION,
  CCW_SECTION,
  HALT_CLEAR_SECTION,
  LIOBN_SECTION,
  WINDOWS_SECTION,
];
