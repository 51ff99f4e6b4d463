/** Power-on: which devices answer on which subchannels. */
import { PMCW_FLAGS } from '../../../kernel/include/arch/s390/schib.ts';
import type { HostMemory } from '../../../kernel/lib/host_memory.ts';
import { CSS_AREA_SIZE, CssArea, MAX_IOPS, MAX_SUBCHANNELS } from './css_area.ts';
import { Subchannel } from './subchannel.ts';

/** One row of the I/O configuration. */
export interface SubchannelConfig {
  /** Subchannel number in subchannel set 0, 0..63. */
  readonly schid: number;
  /** Device number, 0..FFFF. */
  readonly devno: number;
  /** I/O processor that serves it; 0 when omitted. */
  readonly iop?: number;
  /** Channel path; 80 when omitted. */
  readonly chpid?: number;
}

/** The only installed path, as a mask: path 0. */
export const PATH_MASK = 0x80;
/** Channel path that every device has unless its row says otherwise. */
const DEFAULT_CHPID = 0x80;

/**
 * Fills the subchannels of the machine. Called once, by the thread that powers on, before any other looks at them.
 * @throws Error for a row that does not fit the machine or a subchannel named twice.
 */
export function installDevices(memory: HostMemory, cssBase: number, table: readonly SubchannelConfig[]): void {
  memory.bytes(cssBase, CSS_AREA_SIZE).fill(0);
  const area = new CssArea(memory, cssBase);
  const seen = new Set<number>();
  for (const { schid, devno, iop = 0, chpid = DEFAULT_CHPID } of table) {
    const where = `subchannel ${schid}, device ${devno.toString(16).padStart(4, '0')}`;
    if (!Number.isInteger(schid) || schid < 0 || schid >= MAX_SUBCHANNELS)
      throw new Error(`${where}: subchannel numbers are 0 to ${MAX_SUBCHANNELS - 1}`);
    if (!Number.isInteger(devno) || devno < 0 || devno > 0xffff) throw new Error(`${where}: not a device number`);
    if (!Number.isInteger(iop) || iop < 0 || iop >= MAX_IOPS) throw new Error(`${where}: no I/O processor ${iop}`);
    if (seen.has(schid)) throw new Error(`${where}: the subchannel has a device already`);
    seen.add(schid);
    const subchannel = new Subchannel(area, schid);
    subchannel.iop = iop;
    const { pmcw } = subchannel;
    pmcw.flags = PMCW_FLAGS.mask.V;
    pmcw.devno = devno;
    pmcw.lpm = PATH_MASK;
    pmcw.pim = PATH_MASK;
    pmcw.pam = PATH_MASK;
    pmcw.pom = 0xff;
    pmcw.chpid[0] = chpid;
  }
  area.installed = Math.max(0, ...[...seen].map((schid) => schid + 1));
}
