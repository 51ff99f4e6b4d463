/** Assembles the cases and lets qemu-system-s390x (TCG) run them on the bare machine of harness.S. */
import { execFileSync } from 'node:child_process';
import { closeSync, copyFileSync, mkdtempSync, openSync, readFileSync, readSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AT, CODE_SIZE, RECORD, RESULTS } from './layout.ts';
import type { Machine } from './vectors.ts';

const PREFIX = 's390x-linux-gnu-';
/** The QEMU CPU: every instruction TCG knows. */
export const QEMU_CPU = 'max';
const GUEST_BYTES = 256 << 20;

/** What the harness found after a case. */
export interface Outcome {
  machine: Machine;
  ilc: number;
  code: number;
  dxc: number;
}

/** First lines of `--version`. */
export function versions(): { qemu: string; assembler: string } {
  const first = (command: string) => execFileSync(command, ['--version'], { encoding: 'utf8' }).split('\n')[0]!;
  return { qemu: first('qemu-system-s390x'), assembler: first(`${PREFIX}as`) };
}

/** Machine code of assembler texts, each placed at the same distance from its neighbours. @throws when the assembler rejects one, or when one is too long. */
export function assemble(texts: string[]): Uint8Array[] {
  const dir = mkdtempSync(join(tmpdir(), 'conformance-'));
  try {
    const lines = ['.machine z15', '.text'];
    texts.forEach((text, n) => {
      lines.push(
        `.org ${n * CODE_SIZE}`,
        '1:',
        ...text.split(' ^ ')[0]!.split(';'),
        '2:',
        '.section .lengths,"a"',
        '.long 2b-1b',
        '.text',
      );
    });
    lines.push(`.org ${texts.length * CODE_SIZE}`, '');
    writeFileSync(join(dir, 'codes.s'), lines.join('\n'));
    execFileSync(`${PREFIX}as`, ['-m64', 'codes.s', '-o', 'codes.o'], { cwd: dir });
    const section = (name: string) => {
      execFileSync(
        `${PREFIX}objcopy`,
        ['-O', 'binary', '-j', name, '--set-section-flags', `${name}=alloc,load,contents`, 'codes.o', `codes${name}`],
        { cwd: dir },
      );
      return readFileSync(join(dir, `codes${name}`));
    };
    const code = section('.text');
    const lengths = section('.lengths');
    return texts.map((text, n) => {
      const length = lengths.readUInt32BE(4 * n);
      if (length > CODE_SIZE || length === 0) throw new RangeError(`"${text}" has ${length} bytes`);
      const bytes = code.subarray(n * CODE_SIZE, n * CODE_SIZE + length);
      const patch = / \^ byte (\d) (\w\w)$/.exec(text);
      if (patch) bytes[Number(patch[1])]! ^= Number.parseInt(patch[2]!, 16);
      return bytes;
    });
  } finally {
    rmSync(dir, { recursive: true });
  }
}

/** One input record of the harness. */
function writeRecord(buffer: Buffer, machine: Machine, code: Uint8Array): void {
  buffer.writeBigUInt64BE(machine.pswMask, AT.psw);
  buffer.writeBigUInt64BE(machine.address, AT.psw + 8);
  machine.gprs.forEach((v, n) => {
    buffer.writeBigUInt64BE(v, AT.inGprs + 8 * n);
  });
  machine.fprs.forEach((v, n) => {
    buffer.writeBigUInt64BE(v, AT.inFprs + 8 * n);
  });
  buffer.set(code, AT.inCode);
  buffer.set(machine.areaA, AT.areaA);
  buffer.set(machine.areaB, AT.areaB);
}

/** One output record. */
function readRecord(buffer: Buffer): Outcome {
  const numbers = [...Array(16).keys()];
  return {
    machine: {
      pswMask: buffer.readBigUInt64BE(AT.psw),
      address: buffer.readBigUInt64BE(AT.psw + 8),
      gprs: numbers.map((n) => buffer.readBigUInt64BE(AT.outGprs + 8 * n)),
      fprs: numbers.map((n) => buffer.readBigUInt64BE(AT.outFprs + 8 * n)),
      fpc: buffer.readUInt32BE(AT.outFpc),
      areaA: buffer.subarray(AT.areaA, AT.areaA + 512),
      areaB: buffer.subarray(AT.areaB, AT.areaB + 512),
    },
    ilc: buffer[AT.outInfo + 1]!,
    code: buffer.readUInt16BE(AT.outInfo + 2),
    dxc: buffer.readUInt32BE(AT.outInfo + 4),
  };
}

/** Runs all cases in one QEMU. The guest's storage is a file, read when the guest has ended in a disabled wait. @throws when QEMU fails or takes over two minutes. */
export function runQemu(inputs: Machine[], codes: Uint8Array[]): Outcome[] {
  const dir = mkdtempSync(join(tmpdir(), 'conformance-'));
  try {
    const table = Buffer.alloc(256 + inputs.length * RECORD);
    table.writeBigUInt64BE(BigInt(inputs.length), 0);
    inputs.forEach((machine, n) => {
      writeRecord(table.subarray(256 + n * RECORD, 256 + (n + 1) * RECORD), machine, codes[n]!);
    });
    writeFileSync(join(dir, 'table.bin'), table);
    for (const name of ['harness.S', 'harness.ld']) copyFileSync(new URL(name, import.meta.url), join(dir, name));
    execFileSync(
      `${PREFIX}gcc`,
      [
        '-m64',
        '-march=z14',
        '-nostdlib',
        '-static',
        '-Wl,--build-id=none',
        '-T',
        'harness.ld',
        'harness.S',
        '-o',
        'harness.elf',
      ],
      { cwd: dir },
    );
    const memory = [
      '-m',
      `${GUEST_BYTES >> 20}`,
      '-object',
      `memory-backend-file,id=ram,size=${GUEST_BYTES},mem-path=ram,share=on`,
    ];
    const machine = [
      '-M',
      's390-ccw-virtio,memory-backend=ram',
      '-accel',
      'tcg',
      '-cpu',
      QEMU_CPU,
      '-nodefaults',
      '-display',
      'none',
    ];
    let failure: unknown;
    try {
      execFileSync('qemu-system-s390x', [...machine, ...memory, '-kernel', 'harness.elf'], {
        cwd: dir,
        timeout: 120_000,
        stdio: ['ignore', 'inherit', 'inherit'],
      });
    } catch (e) {
      failure = e;
    }
    const results = Buffer.alloc(inputs.length * RECORD);
    const file = openSync(join(dir, 'ram'), 'r');
    readSync(file, results, 0, results.length, RESULTS);
    closeSync(file);
    // A record that was written has a PSW; QEMU can die of a case (a bug of its own), which is named then.
    const done = inputs.findIndex((_, n) => results.readBigUInt64BE(n * RECORD + AT.psw + 8) === 0n);
    if (failure || done >= 0)
      throw new Error(`QEMU stopped at case ${done}, code ${Buffer.from(codes[done] ?? []).toString('hex')}`, {
        cause: failure,
      });
    return inputs.map((_, n) => readRecord(results.subarray(n * RECORD, (n + 1) * RECORD)));
  } finally {
    rmSync(dir, { recursive: true });
  }
}
