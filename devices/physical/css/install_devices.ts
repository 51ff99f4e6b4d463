/** Power-on: which devices answer on which subchannels. */
import { PMCW_FLAGS } from '../../../kernel/include/arch/s390/schib.ts';
import type { HostMemory } from '../../../kernel/lib/host_memory.ts';
import { CSS_AREA_SIZE, CssArea, MAX_IOPS, MAX_SUBCHANNELS } from './css_area.ts';
import { MAX_PATHS } from './path.ts';
import { Subchannel } from './subchannel.ts';

/** One row of the I/O configuration. */
export interface SubchannelConfig {
  /** Subchannel number in subchannel set 0, 0..63. */
  readonly schid: number;
  /** Device number, 0..FFFF. */
  readonly devno: number;
  /** I/O processor that serves it; 0 when omitted. */
  readonly iop?: number;
  /** CHPIDs of the channel paths that lead to the device, one to eight; the first is path 0x80. [80] when omitted. */
  readonly chpids?: readonly number[];
}

/** Channel path that every device has unless its row says otherwise. */
const DEFAULT_CHPIDS: readonly number[] = [0x80];

/**
 * Fills the subchannels of the machine. Called once, by the thread that powers on, before any other looks at them.
 * @throws Error for a row that does not fit the machine or a subchannel named twice.
 */
export function installDevices(memory: HostMemory, cssBase: number, table: readonly SubchannelConfig[]): void {
  memory.bytes(cssBase, CSS_AREA_SIZE).fill(0);
  const area = new CssArea(memory, cssBase);
  const seen = new Set<number>();
  for (const { schid, devno, iop = 0, chpids = DEFAULT_CHPIDS } of table) {
    const where = `subchannel ${schid}, device ${devno.toString(16).padStart(4, '0')}`;
    if (!Number.isInteger(schid) || schid < 0 || schid >= MAX_SUBCHANNELS)
      throw new Error(`${where}: subchannel numbers are 0 to ${MAX_SUBCHANNELS - 1}`);
    if (!Number.isInteger(devno) || devno < 0 || devno > 0xffff) throw new Error(`${where}: not a device number`);
    if (!Number.isInteger(iop) || iop < 0 || iop >= MAX_IOPS) throw new Error(`${where}: no I/O processor ${iop}`);
    if (seen.has(schid)) throw new Error(`${where}: the subchannel has a device already`);
    seen.add(schid);
    checkPaths(where, chpids);
    const subchannel = new Subchannel(area, schid);
    subchannel.iop = iop;
    const { pmcw } = subchannel;
    pmcw.flags = PMCW_FLAGS.mask.V;
    pmcw.devno = devno;
    const installed = (0xff00 >>> chpids.length) & 0xff;
    pmcw.lpm = installed;
    pmcw.pim = installed;
    pmcw.pam = installed;
    pmcw.pom = 0xff;
    pmcw.chpid.set(chpids);
  }
  area.installed = Math.max(0, ...[...seen].map((schid) => schid + 1));
}

function checkPaths(where: string, chpids: readonly number[]): void {
  if (chpids.length < 1 || chpids.length > MAX_PATHS)
    throw new Error(`${where}: ${chpids.length} channel paths; a subchannel has 1 to ${MAX_PATHS}`);
  for (const chpid of chpids)
    if (!Number.isInteger(chpid) || chpid < 0 || chpid > 0xff)
      throw new Error(`${where}: ${chpid} is no CHPID, 0 to ff`);
  if (new Set(chpids).size !== chpids.length) throw new Error(`${where}: a channel path is named twice`);
}
