/** Channel programs that the kernel has translated, as tests look at them. */

import { CCW1 } from '../../kernel/include/arch/s390/ccw.ts';
import { CcwFixture, RAM } from './ccw_fixture.ts';

export const NOP = 0x03;
export const READ = 0x02;
export const WRITE = 0x01;
export const TIC = 0x08;
/** An address outside guest memory. */
export const JUNK = 0x7ead_0000;
/** The first word that names no memory: the kernel's IDAWs for data that is not there. */
export const NOWHERE = 0xffff_ffff_ffff_f000n;

/** A machine whose device is open. */
export function opened(options = {}): CcwFixture {
  const t = new CcwFixture(options);
  t.run(t.openAll());
  return t;
}

/** The ORB the channel subsystem got. */
export const hostOrb = (t: CcwFixture) => t.css.subchannels[0].orb;
/** A CCW of the host's program. */
export const hostCcw = (t: CcwFixture, hpa: number) => CCW1.at(t.memory.dv, hpa);
/** The IDAL of a host CCW, `count` words. */
export const idal = (t: CcwFixture, hpa: number, count: number) =>
  Array.from({ length: count }, (_, i) => t.memory.dv.getBigUint64(hostCcw(t, hpa).cda + 8 * i));
/** Host address of a guest byte now. */
export const host = (t: CcwFixture, gpa: number) =>
  BigInt(t.kernel.mm.space.lookup(t.ram.start + gpa, true) + (gpa % 4096));
/** A list of addresses, as IDAWs of 4 or 8 bytes. */
export function words(size: 4 | 8, values: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(size * values.length);
  const dv = new DataView(bytes.buffer);
  for (const [i, value] of values.entries()) dv.setUint32(i * size + size - 4, value);
  return bytes;
}
/** Ends the program that runs. */
export function finish(t: CcwFixture): void {
  t.css.present(0);
  t.settle();
}

/** Every frame a word of an IDAL of the running program names. */
export function* hpasOf(t: CcwFixture): Iterable<number> {
  for (let gpa = 0; gpa < RAM; gpa += 8) {
    const hpa = t.device.cp.hostAddress(gpa);
    if (hpa === undefined) continue;
    const { cmd, cda } = hostCcw(t, hpa);
    if (cmd === TIC) continue;
    for (let at = cda; ; at += 8) {
      const word = t.memory.dv.getBigUint64(at);
      if (word >= NOWHERE) break;
      yield Number(word);
    }
  }
}
