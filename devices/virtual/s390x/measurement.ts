/** Measurement-block update: the count of started functions (SA22-7832 chapter 17, "Measurement-Block Update"). */
import { type GuestMemory, ProgramInterruption } from '../../../hypervisor/machine_api.ts';
import { PMCW_CHARS } from '../../../kernel/include/arch/s390/schib.ts';
import type { Task } from '../../../kernel/lib/task.ts';
import type { Subchannel } from './subchannel.ts';

/** PMCW.MM: measurement-block update enabled (the other bit is device-connect time). */
const MEASUREMENT_BLOCK_UPDATE_ENABLE = 0x0010;
/** Bytes of a format-0 measurement block; the index PMCW.MBI counts these. */
const FORMAT_0_BLOCK = 32;

/** Adds one to the SSCH+RSCH count: 16 bits at the origin by index (format 0), 32 bits at the block's own address (format 1). */
export function* updateMeasurement(memory: GuestMemory, origin: number, sch: Subchannel): Task {
  const { pmcw, mba } = sch.schib;
  if ((pmcw.flags & MEASUREMENT_BLOCK_UPDATE_ENABLE) === 0) return;
  const format1 = (pmcw.chars & PMCW_CHARS.mask.MBFC) !== 0;
  const address = format1 ? mba : origin + pmcw.mbi * FORMAT_0_BLOCK;
  try {
    const bytes = yield* memory.read(address, format1 ? 4 : 2);
    const count = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    // A count that overflows begins again.
    if (format1) count.setUint32(0, count.getUint32(0) + 1);
    else count.setUint16(0, count.getUint16(0) + 1);
    yield* memory.write(address, bytes);
  } catch (error) {
    // A block outside storage is not updated; it does not stop the I/O.
    if (!(error instanceof ProgramInterruption)) throw error;
  }
}
