/** The status a CPU stores for SIGP (SA22-7832 chapter 4, "Store Status"; s390x facts 5). */
import { bytes, struct, u32, u64 } from '../../kernel/lib/struct.ts';
import type { Cpu } from './cpu.ts';

/** The 512 bytes from real X'1200' on. */
export const STATUS_AREA = struct(
  'store_status',
  'be',
  {
    fpr: bytes(128),
    gpr: bytes(128),
    psw_mask: u64,
    psw_address: u64,
    reserved110: bytes(8),
    prefix: u32,
    fpc: u32,
    reserved120: bytes(4),
    tod_programmable: u32,
    cpu_timer: u64,
    reserved130: bytes(1),
    clock_comparator: bytes(7),
    reserved138: bytes(8),
    ar: bytes(64),
    cr: bytes(128),
  },
  {
    size: 512,
    offsets: {
      gpr: 0x80,
      psw_mask: 0x100,
      prefix: 0x118,
      fpc: 0x11c,
      tod_programmable: 0x124,
      cpu_timer: 0x128,
      clock_comparator: 0x131,
      ar: 0x140,
      cr: 0x180,
    },
  },
);

/** Where a CPU stores its own status: in its lowcore. */
export const LOWCORE_STATUS = 0x1200;

/** The area's bytes for a CPU that is stopped. */
export function storedStatus(cpu: Cpu): Uint8Array {
  const { state } = cpu;
  const psw = cpu.psw();
  const area = STATUS_AREA.make({
    psw_mask: psw.mask,
    psw_address: psw.address,
    prefix: state.prefix,
    fpc: state.fpc,
    tod_programmable: state.todProgrammable,
    cpu_timer: BigInt.asUintN(64, cpu.cpuTimer()),
    clock_comparator: bigEndian(BigUint64Array.of(state.clockComparator)).subarray(0, 7),
    fpr: bigEndian(state.fpr),
    gpr: bigEndian(state.gpr),
    cr: bigEndian(state.cr),
  });
  const ar = new DataView(new ArrayBuffer(64));
  state.ar.forEach((value, i) => {
    ar.setUint32(i * 4, value);
  });
  area.ar = new Uint8Array(ar.buffer);
  return STATUS_AREA.bytes(area);
}

function bigEndian(words: BigUint64Array): Uint8Array {
  const dv = new DataView(new ArrayBuffer(words.length * 8));
  words.forEach((value, i) => {
    dv.setBigUint64(i * 8, value);
  });
  return new Uint8Array(dv.buffer);
}
