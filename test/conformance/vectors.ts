/** The vector file: its types, and the defaults that make it short. README.md describes the format for other readers. */
import {
  AREA_A,
  AREA_B,
  AREA_SIZE,
  CC_SHIFT,
  defaultFpr,
  defaultGpr,
  PM_SHIFT,
  PSW_MASK_24,
  PSW_MASK_31,
  PSW_MASK_64,
  SLOT,
} from './layout.ts';

/** Registers (`r3`, `f3`: hex), storage (`m20f80`: hex bytes at that address), and the PSW pieces of one side of a vector. */
export interface Side {
  [register: `${'r' | 'f' | 'm'}${string}`]: string | undefined;
  cc?: number;
  /** Program mask. */
  pm?: number;
  /** Addressing mode; 64 when absent. */
  amode?: number;
  /** Output only: address of the next instruction, hex; absent: the one after the instruction. */
  next?: string;
  /** Output only: FPC, hex; absent: zero. */
  fpc?: string;
  /** Output only: program interruption code (hex), instruction length in bytes, data-exception code. */
  pgm?: string;
  ilc?: number;
  dxc?: string;
}

/** One code text with its cases: [input, output]. */
export interface Form {
  asm: string;
  code: string;
  cases: [Side, Side][];
}

/** vectors.json. */
export interface VectorFile {
  format: string;
  made: { qemu: string; cpu: string; assembler: string; seed: string; cases: number };
  notInOracle: string[];
  vectors: Record<string, Form[]>;
}

/** Everything a case reads or leaves, spelled out. */
export interface Machine {
  pswMask: bigint;
  address: bigint;
  gprs: bigint[];
  fprs: bigint[];
  fpc: number;
  areaA: Uint8Array;
  areaB: Uint8Array;
}

/** Bytes of hex digits. */
export function bytesOf(hex: string): Uint8Array {
  return Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

/** PSW mask for an addressing mode, program mask and condition code. */
export function pswMask(side: Side, cc: number): bigint {
  const mode = side.amode === 24 ? PSW_MASK_24 : side.amode === 31 ? PSW_MASK_31 : PSW_MASK_64;
  return mode | (BigInt(cc) << CC_SHIFT) | (BigInt(side.pm ?? 0) << PM_SHIFT);
}

/** Overlays the registers and storage a side gives. @throws RangeError for storage outside the areas. */
function overlay(machine: Machine, side: Side): void {
  for (const [key, value] of Object.entries(side)) {
    if (/^r\d/.test(key)) machine.gprs[Number(key.slice(1))] = BigInt(`0x${value}`);
    else if (/^f\d/.test(key)) machine.fprs[Number(key.slice(1))] = BigInt(`0x${value}`);
    else if (key[0] === 'm') {
      const address = Number.parseInt(key.slice(1), 16);
      const bytes = bytesOf(value as string);
      const [area, start] = address >= AREA_B ? [machine.areaB, AREA_B] : [machine.areaA, AREA_A];
      if (address < start || address + bytes.length > start + AREA_SIZE)
        throw new RangeError(`storage at ${key} is outside the areas`);
      area.set(bytes, address - start);
    }
  }
}

/** The machine before a case. */
export function before(input: Side): Machine {
  const numbers = [...Array(16).keys()];
  const machine: Machine = {
    pswMask: pswMask(input, input.cc ?? 0),
    address: BigInt(SLOT),
    gprs: numbers.map(defaultGpr),
    fprs: numbers.map(defaultFpr),
    fpc: 0,
    areaA: new Uint8Array(AREA_SIZE),
    areaB: new Uint8Array(AREA_SIZE),
  };
  overlay(machine, input);
  return machine;
}

/** Length of the instruction that starts with this byte (SA22-7832 5-5: bits 0-1). */
export function instructionLength(first: number): number {
  return first < 0x40 ? 2 : first < 0xc0 ? 4 : 6;
}

/** The machine after a case, the program interruption apart. */
export function after(form: Form, input: Side, output: Side): Machine {
  const machine = before(input);
  overlay(machine, output);
  machine.pswMask = pswMask(
    { amode: output.amode ?? input.amode, pm: output.pm ?? input.pm },
    output.cc ?? input.cc ?? 0,
  );
  const length = instructionLength(Number.parseInt(form.code.slice(0, 2), 16));
  machine.address = output.next ? BigInt(`0x${output.next}`) : BigInt(SLOT + length);
  machine.fpc = output.fpc ? Number.parseInt(output.fpc, 16) : 0;
  return machine;
}

/** Writes what differs between two machines in the short form. */
export function difference(from: Machine, to: Machine): Side {
  const side: Side = {};
  to.gprs.forEach((v, n) => {
    if (v !== from.gprs[n]) side[`r${n}`] = v.toString(16);
  });
  to.fprs.forEach((v, n) => {
    if (v !== from.fprs[n]) side[`f${n}`] = v.toString(16);
  });
  for (const [a, b, start] of [
    [from.areaA, to.areaA, AREA_A],
    [from.areaB, to.areaB, AREA_B],
  ] as const) {
    for (let i = 0; i < AREA_SIZE; i++) {
      if (a[i] === b[i]) continue;
      // A run goes on over up to three unchanged bytes: shorter than a new key.
      let end = i + 1;
      for (let j = end; j < AREA_SIZE && j < end + 4; j++) if (a[j] !== b[j]) end = j + 1;
      side[`m${(start + i).toString(16)}`] = Buffer.from(b.subarray(i, end)).toString('hex');
      i = end - 1;
    }
  }
  return side;
}
