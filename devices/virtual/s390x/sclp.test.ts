import fc from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';
import { FakeMachine, FakeVcpu } from '../fake_machine.ts';
import { ebcdic, ebcdicToAscii } from './ebcdic.ts';
import { SCLP_COMMANDS, Sclp } from './sclp.ts';
import { asciiConsole, lineModeConsole, operatorCommand, SignalQuiesce } from './sclp_console.ts';
import { ConsoleInput } from './sclp_console_input.ts';
import { storageIncrements } from './sclp_info.ts';

const AT = 0x6000;
const MASK_1A = 0x8000_0000 >>> 0x19;
const MASK_02 = 0x4000_0000;
const MASK_1D = 0x8000_0000 >>> 0x1c;

let machine: FakeMachine;
let sclp: Sclp;
let quiesce: SignalQuiesce;
let printed: string;
beforeEach(() => {
  machine = new FakeMachine();
  printed = '';
  const output = (bytes: Uint8Array) => {
    printed += Buffer.from(bytes).toString('latin1');
  };
  quiesce = new SignalQuiesce();
  sclp = new Sclp(machine, { ramSize: 512 << 20, cpuCount: 2, loadParameter: 'LOAD' }, [
    asciiConsole(output),
    lineModeConsole(output),
    quiesce,
  ]);
});

/** Runs SERVC on a block of `length` bytes with `body` behind its header; gives outcome, response code and the block. */
function servc(command: number, length: number, body: readonly number[] = [], at = AT, functionCode = 0) {
  const block = machine.memory.bytes;
  block.fill(0, at, Math.min(at + length, block.length));
  const dv = new DataView(block.buffer);
  if (at + 8 <= block.length) {
    dv.setUint16(at, length);
    block[at + 2] = functionCode;
    block.set(body, at + 8);
  }
  const vcpu = new FakeVcpu(machine).instruction([0xb2, 0x20, 0, 0x12]);
  vcpu.setGpr(1, BigInt(command));
  vcpu.setGpr(2, BigInt(at));
  const outcome = machine.outcome(sclp.servc(vcpu));
  const response = at + 8 <= block.length ? dv.getUint16(at + 6) : 0;
  return { outcome, response, block: new DataView(block.buffer, Math.min(at, block.length)) };
}
const be16 = (value: number) => [value >> 8, value & 0xff];
const be32 = (value: number) => [...be16(value >>> 16), ...be16(value & 0xffff)];
const event = (type: number, payload: readonly number[]) => [...be16(6 + payload.length), type, 0, 0, 0, ...payload];
const ascii = (text: string) => [...Buffer.from(text, 'latin1')];
/** A guest that wants and sends everything. */
const masks = (receive: number) => servc(0x00780005, 28, [0, 0, 0, 4, ...be32(receive), ...be32(0xffffffff)]);

describe('SERVC', () => {
  test.each([
    ['in lowcore', 0x1000],
    ['off an 8-byte boundary', AT + 4],
    ['above 2 GiB', 0x8000_6000],
  ])('a block %s is a specification exception', (_what, at) => {
    const vcpu = new FakeVcpu(machine).instruction([0xb2, 0x20, 0, 0x12]);
    vcpu.setGpr(1, 0x00020001n);
    vcpu.setGpr(2, BigInt(at));
    expect(machine.outcome(sclp.servc(vcpu))).toEqual({ interruption: 6 });
  });
  test('a block in the prefix area is a specification exception', () => {
    const vcpu = new FakeVcpu(machine).instruction([0xb2, 0x20, 0, 0x12]);
    vcpu.prefix = AT;
    vcpu.setGpr(2, BigInt(AT + 0x1000));
    expect(machine.outcome(sclp.servc(vcpu))).toEqual({ interruption: 6 });
  });
  test('a block outside storage is an addressing exception; one shorter than its header a specification exception', () => {
    expect(servc(0x00020001, 8, [], 0x20000).outcome).toEqual({ interruption: 5 });
    expect(servc(0x00020001, 7).outcome).toEqual({ interruption: 6 });
  });
  test('problem state is privileged', () => {
    const vcpu = new FakeVcpu(machine).instruction([0xb2, 0x20, 0, 0x12]);
    vcpu.problemState = true;
    expect(machine.outcome(sclp.servc(vcpu))).toEqual({ interruption: 2 });
  });
  test('the end of a command is a service signal with the address of the block', () => {
    expect(servc(0x00020001, 4096).outcome).toEqual({ value: 0 });
    expect(machine.services).toEqual([AT]);
  });
  test('a second CPU is told busy meanwhile', () => {
    const vcpus = [new FakeVcpu(machine, 0), new FakeVcpu(machine, 1)].map((vcpu) =>
      vcpu.instruction([0xb2, 0x20, 0, 0x12]),
    );
    machine.memory.bytes[AT + 1] = 8;
    for (const vcpu of vcpus) vcpu.setGpr(2, BigInt(AT));
    const first = sclp.servc(vcpus[0]);
    first.next();
    expect(machine.outcome(sclp.servc(vcpus[1]))).toEqual({ value: 2 });
    expect(machine.outcome(first)).toEqual({ value: 0 });
  });
});

/** Command, length, body, function code, expected response. */
const RESPONSES: [string, number, number, number[], number, number][] = [
  ['unknown command', 0x00ab0001, 8, [], 0, 0x01f0],
  ['a block that crosses its page', 0x00020001, 4104, [], 0, 0x0100],
  ['read SCP info', 0x00020001, 4096, [], 0, 0x0010],
  ['read SCP info, forced', 0x00120001, 4096, [], 0, 0x0010],
  ['read SCP info, too short for the CPUs', 0x00020001, 128 + 31, [], 0, 0x0300],
  ['read CPU info', 0x00010001, 4096, [], 0, 0x0010],
  ['read CPU info, too short', 0x00010001, 47, [], 0, 0x0300],
  ['write event mask', 0x00780005, 28, [0, 0, 0, 4], 0, 0x0020],
  ['write event mask, length 0', 0x00780005, 28, [0, 0, 0, 0], 0, 0x74f0],
  ['write event mask, length 1022', 0x00780005, 4096, [0, 0, ...be16(1022)], 0, 0x74f0],
  ['write event mask, too short', 0x00780005, 27, [0, 0, 0, 4], 0, 0x0300],
  ['write event mask without a length', 0x00780005, 8, [], 0, 0x0300],
  ['write text', 0x00760005, 16, event(0x1a, ascii('hi')), 0, 0x0020],
  ['write with a function code', 0x00760005, 16, event(0x1a, ascii('hi')), 1, 0x40f0],
  ['write an event nobody takes', 0x00760005, 14, event(0x09, []), 0, 0x40f0],
  ['write an event longer than the block', 0x00760005, 16, [0, 9, 0x1a], 0, 0x73f0],
  ['write an event shorter than its header', 0x00760005, 16, [0, 5, 0x1a], 0, 0x73f0],
  ['write a torn second event', 0x00760005, 17, [...event(0x1a, []), 0, 0, 0], 0, 0x73f0],
  ['write nothing', 0x00760005, 8, [], 0, 0x0300],
  ['write a message that is none', 0x00760005, 14, event(0x02, []), 0, 0x73f0],
  ['read without an event', 0x00770005, 64, [], 0, 0x60f0],
  ['read with a bad function code', 0x00770005, 64, [], 2, 0x40f0],
  ['read of events not asked for', 0x00770005, 64, be32(MASK_1D), 1, 0x70f0],
];
for (const [name, command, length, body, functionCode, response] of RESPONSES)
  test(`response: ${name}`, () => {
    const answer = servc(command, length, body, AT, functionCode);
    expect(answer.outcome).toEqual({ value: 0 });
    expect(answer.response.toString(16)).toBe(response.toString(16));
    expect(machine.services).toEqual([AT]);
  });
test('every command has a row above', () => {
  for (const command of Object.keys(SCLP_COMMANDS))
    expect(RESPONSES.some((row) => row[1] === Number(command))).toBe(true);
});

describe('information', () => {
  test('memory is increments times size, and every CPU has an entry', () => {
    const { block } = servc(0x00020001, 4096);
    expect([block.getUint16(8), block.getUint8(10)]).toEqual([512, 1]);
    expect([block.getUint16(16), block.getUint16(18), block.getUint16(120)]).toEqual([2, 128, 1]);
    expect([block.getUint8(128), block.getUint8(144)]).toEqual([0, 1]);
    expect(block.getUint32(48)).toBe(0x08000000);
    expect(Buffer.from(ebcdicToAscii(new Uint8Array(block.buffer, AT + 24, 8))).toString()).toBe('LOAD    ');
  });
  test('CPU information', () => {
    const { block } = servc(0x00010001, 4096);
    expect([8, 10, 12, 14].map((at) => block.getUint16(at))).toEqual([2, 16, 0, 48]);
  });
  test('increments are as few as the manual allows and lose no memory', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1 << 20 }), (mib) => {
        const { count, mib: size } = storageIncrements(mib * 2 ** 20);
        expect(count).toBeLessThanOrEqual(1020);
        expect(mib - count * size).toBeLessThan(size);
      }),
    );
  });
});

describe('events', () => {
  test('masks say what we take and give, in masks of any length', () => {
    const { block } = masks(MASK_1D);
    expect([block.getUint32(20), block.getUint32(24)]).toEqual([MASK_1A | MASK_02, MASK_1D]);
    expect(servc(0x00780005, 12 + 8, [0, 0, 0, 2, ...be16(0), ...be16(0)]).block.getUint16(16)).toBe(MASK_02 >>> 16);
  });
  test('text is printed and its event marked', () => {
    const { block } = servc(0x00760005, 8 + 8 + 9, [...event(0x1a, ascii('hi')), ...event(0x1a, ascii('!!\n'))]);
    expect(printed).toBe('hi!!\n');
    expect([block.getUint8(8 + 3), block.getUint8(16 + 3)]).toEqual([0x80, 0x80]);
  });
  const object = (type: number, body: readonly number[]) => [...be16(4 + body.length), ...be16(type), ...body];
  const line = (text: string) => object(4, [0x10, 0, 0, 0, 0, 0, ...ebcdic(text, text.length)]);
  const mdb = (objects: readonly number[], tag = 0xd4c4c240) => [
    ...be16(12 + objects.length),
    ...be16(1),
    ...be32(tag),
    ...be32(1),
    ...objects,
  ];
  const write = (payload: readonly number[]) => servc(0x00760005, 8 + 6 + payload.length, event(0x02, payload));
  test('a message is printed line by line from EBCDIC', () => {
    expect(write(mdb([...object(1, new Array(28).fill(0)), ...line('Hello,'), ...line('[world] 100%')])).response).toBe(
      0x20,
    );
    expect(printed).toBe('Hello,\n[world] 100%\n');
  });
  test.each([
    ['wrong tag', mdb(line('x'), 0)],
    ['unknown object', mdb(object(9, []))],
    ['object longer than the message', mdb([0, 99, 0, 4, 0, 0, 0, 0, 0, 0])],
    ['text shorter than its header', mdb([0, 4, 0, 4])],
    ['object of length 0', mdb([0, 0, 0, 1])],
    ['torn object', mdb([0, 4])],
  ])('a message with %s prints nothing', (_what, payload) => {
    expect(write(payload).response).toBe(0x73f0);
    expect(printed).toBe('');
  });
  test('quiesce waits until the guest wants it, is signalled, and is read once', () => {
    machine.run(sclp.quiesce(quiesce));
    expect(machine.services).toEqual([]);
    masks(MASK_1D);
    expect(machine.services).toEqual([AT | 1]);
    expect(servc(0x00770005, 16).response).toBe(0x0300);
    machine.run(sclp.quiesce(quiesce));
    expect(machine.services.at(-1)).toBe(1);
    const { response, block } = servc(0x00770005, 64, be32(MASK_1D), AT, 1);
    expect([response, block.getUint16(8), block.getUint8(10)]).toEqual([0x20, 9, 0x1d]);
    expect(servc(0x00770005, 64).response).toBe(0x60f0);
  });
});

describe('console input', () => {
  const MASK_01 = 0x8000_0000;
  const read = (length: number) => servc(0x00770005, length);
  let input: ConsoleInput;
  beforeEach(() => {
    input = new ConsoleInput();
    const nothing = () => {};
    sclp = new Sclp(machine, { ramSize: 512 << 20, cpuCount: 2, loadParameter: 'LOAD' }, [
      asciiConsole(nothing, input),
      operatorCommand(input),
      lineModeConsole(nothing),
    ]);
  });
  function type(text: string): void {
    expect(input.add(Uint8Array.from(ascii(text)))).toBe(true);
    machine.run(sclp.tell());
  }

  test('ASCII: the guest is told, reads what fits, and is told again that there is more', () => {
    const { block: mask } = masks(MASK_1A);
    expect(mask.getUint32(24)).toBe((MASK_1A | MASK_01) >>> 0);
    type('hello\n');
    expect(machine.services.at(-1)).toBe(1);
    const first = read(8 + 6 + 1 + 3);
    expect([first.response, first.block.getUint16(8), first.block.getUint8(10)]).toEqual([0x20, 6 + 4, 0x1a]);
    expect(Buffer.from(machine.memory.bytes.slice(AT + 14, AT + 18)).toString()).toBe('\0hel');
    expect(machine.services.at(-1)).toBe(AT | 1);
    expect(read(8 + 6 + 1).response).toBe(0x0300);
    expect(read(64).block.getUint16(8)).toBe(6 + 1 + 3);
    expect(machine.services.at(-1)).toBe(AT);
    expect(read(64).response).toBe(0x60f0);
  });
  test('an operator’s command is a whole line in EBCDIC, inside its vectors', () => {
    masks(MASK_01);
    type('log');
    expect(machine.services).toEqual([AT]);
    type('off\nnext\n');
    const { block } = read(256);
    expect([block.getUint16(8), block.getUint8(10)]).toEqual([6 + 16 + 6, 0x01]);
    const bytes = Buffer.from(machine.memory.bytes.slice(AT + 14, AT + 14 + 22));
    // MDS message unit, CP message unit, text command, self-defining text message, text: lengths include their headers.
    expect(bytes.subarray(0, 16).toString('hex')).toBe('0016131000121212000e13200a310830');
    expect(Buffer.from(ebcdicToAscii(bytes.subarray(16))).toString()).toBe('logoff');
    expect(read(24).response).toBe(0x0300);
    read(256);
    expect(Buffer.from(ebcdicToAscii(machine.memory.bytes.slice(AT + 30, AT + 34))).toString()).toBe('next');
    expect(read(256).response).toBe(0x60f0);
  });
  test('a line longer than a text message comes in pieces', () => {
    masks(MASK_01);
    type(`${'x'.repeat(300)}\n`);
    const length = () => read(1024).block.getUint16(8) - 6 - 16;
    expect([length(), length()]).toEqual([251, 49]);
  });
  test('what a guest does not read is kept up to a page’s worth; a reset forgets it', () => {
    expect(input.add(new Uint8Array(4080))).toBe(true);
    expect(input.add(Uint8Array.of(1))).toBe(false);
    sclp.reset();
    expect([input.empty, input.add(Uint8Array.of(1))]).toEqual([true, true]);
  });
});

test('EBCDIC and back', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary-ascii' }), (text) => {
      const plain = text.replace(/[^ -~]/g, ' ');
      expect(Buffer.from(ebcdicToAscii(ebcdic(plain, plain.length))).toString()).toBe(plain);
    }),
  );
});
