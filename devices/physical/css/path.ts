/**
 * Channel paths of a subchannel: which are available, and in which order they are tried (SA22-7832 chapter 15,
 * "Path-Management-Control Word", and chapter 17, "Channel-Path Availability"). A path is one bit of a mask; the first
 * of the PMCW's eight CHPIDs is 0x80.
 */
import type { Pmcw } from '../../../kernel/include/arch/s390/schib.ts';

/** Paths a subchannel may have. */
export const MAX_PATHS = 8;

/** Paths of a subchannel that are the channel path `chpid`. */
export function pathsOf(pmcw: Pmcw, chpid: number): number {
  const { pim, chpid: chpids } = pmcw;
  let mask = 0;
  for (let i = 0; i < MAX_PATHS; i++) if (chpids[i] === chpid) mask |= 0x80 >>> i;
  return mask & pim;
}

/** The most significant path of a mask that is not empty. */
const foremost = (mask: number) => 1 << (31 - Math.clz32(mask));

/**
 * The next path to try: paths take turns, so that all carry the load. (Which available path is chosen is the machine's
 * business.)
 * @param paths those left to try, not empty.
 * @param last the path used or tried last, 0 at first.
 */
export function nextPath(paths: number, last: number): number {
  const behind = paths & (last - 1);
  return foremost(behind !== 0 ? behind : paths);
}
