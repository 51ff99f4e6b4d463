/** All manuals: for the test that holds them to their layouts. */
import * as channel from './channel.ts';
import type { Manual } from './manual.ts';
import * as pamu from './pamu.ts';
import * as tce from './tce.ts';
import * as vfio from './vfio.ts';

const isManual = (value: unknown): value is Manual => typeof value === 'object' && value !== null && 'layout' in value;
const registers = vfio.hcallRegisters([tce.LIOBN_DOC, tce.IOBA_DOC, tce.GUEST_TCE_DOC]);

export const MANUALS: readonly Manual[] = [
  ...[channel, vfio, tce, pamu].flatMap((module) => Object.values<unknown>(module).filter(isManual)),
  registers,
];
