/** Puts the guest's program and command line where it expects them (QEMU hw/s390x/ipl.c; s390x facts 15). */
import type { Task } from '../../kernel/lib/task.ts';
import type { KernelImage } from '../config.ts';
import type { GuestMemory } from '../machine_api.ts';

/** Where the command line goes, NUL-ended ASCII. */
export const COMMAND_LINE = 0x10480;
/** PSW of a started guest: 64-bit addressing, everything disabled. */
const START_PSW_MASK = 0x0000_0001_8000_0000n;

/** Bytes of zeros written at once. */
const ZEROS = new Uint8Array(0x10000);

/**
 * Loads; returns the PSW to start with. The command line goes last: images may cover its place with zeros.
 * @param again RAM has been used: what a segment has beyond its file is cleared. RAM outside the segments stays
 */
export function* loadGuest(
  memory: GuestMemory,
  image: KernelImage,
  commandLine: string,
  again = false,
): Task<{ mask: bigint; address: bigint }> {
  // RAM comes zeroed: what a segment has beyond its file is zero already.
  for (const { address, bytes, memorySize } of image.segments) {
    yield* memory.write(address, bytes);
    for (let at = bytes.length; again && at < memorySize; at += ZEROS.length)
      yield* memory.write(address + at, ZEROS.subarray(0, Math.min(ZEROS.length, memorySize - at)));
  }
  yield* memory.write(COMMAND_LINE, Buffer.from(`${commandLine}\0`, 'latin1'));
  return { mask: START_PSW_MASK, address: image.entry };
}
