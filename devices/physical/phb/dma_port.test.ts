import { expect, test } from 'vitest';
import { createMemory } from '../../../kernel/lib/host_memory.ts';
import { Simulation } from '../../../kernel/lib/simulated.ts';
import { preempt, type Task, until } from '../../../kernel/lib/task.ts';
import { MSIX_AT } from './config_space.ts';
import { DMA_PORT, DMA_PORT_BUFFER_SIZE, DMA_PORT_CONTROL, DMA_PORT_STATUS, spawnDmaEngine } from './dma_port.ts';
import { EEH_PE_STATE } from './host_bridge.ts';
import { pinAsserted } from './interrupts.ts';
import { sendPendingVectors, takeVectors, vectorsSent } from './msix.ts';
import { PE_PART, peBlock } from './pe.ts';
import { AT, InterleavedMemory, pageAt, READ, type TestBridge, testBridge, WINDOW1 } from './test_bridge.ts';

const ONES = 0xffffffff;
const { MEMORY_TO_BUFFER, BUFFER_TO_MEMORY, RESET } = DMA_PORT_CONTROL;
const { BUSY, DONE, ERROR } = DMA_PORT_STATUS;

/** The driver's side of one port. */
function port({ bridge }: TestBridge, pe = 0) {
  const read = (offset: number, size = 4) => bridge.mmioRead(pe, 0, offset, size);
  const write = (offset: number, value: number, size = 4) => bridge.mmioWrite(pe, 0, offset, size, value);
  return {
    read,
    write,
    start(command: number, address: bigint, length: number) {
      write(DMA_PORT.ADDRESS_LO, Number(address & 0xffffffffn));
      write(DMA_PORT.ADDRESS_HI, Number(address >> 32n));
      write(DMA_PORT.LENGTH, length);
      write(DMA_PORT.CONTROL, command);
    },
    /** Polls until not busy (or frozen) and returns STATUS. */
    *finish(): Task<number> {
      for (;;) {
        const status = read(DMA_PORT.STATUS);
        if (status === ONES || (status & BUSY) === 0) return status;
        yield* preempt();
      }
    },
  };
}

/** Runs `driver` as the kernel's task beside an engine for every port. */
function run(seed: number, host: TestBridge, driver: (p: ReturnType<typeof port>) => Task): void {
  const simulation = new Simulation(seed);
  const hardware = simulation.actor('dma');
  for (const pe of host.bridge.pes()) {
    spawnDmaEngine(hardware, {
      memory: host.memory,
      phbBase: AT.phb,
      firstFrame: AT.firstFrame,
      pe,
      tracer: host.tracer,
    });
  }
  let ended = false;
  simulation.actor('kernel').spawn(
    'driver',
    (function* () {
      yield* driver(port(host));
      ended = true;
    })(),
  );
  simulation.run(() => ended, 100_000);
}

const pattern = (length: number, seed: number) => Uint8Array.from({ length }, (_, i) => (i * 7 + seed) & 0xff);
const SEEDS = Array.from({ length: 40 }, (_, i) => i + 1);

test.each([
  ['a page', 0x1000n, 4096],
  ['one byte', 0x1fffn, 1],
  ['across a page boundary', 0x1ffdn, 6],
  ['4096 bytes over two pages', 0x1001n, 4096],
  ['through window 1', WINDOW1 + 0x1ffdn, 100],
])('memory to buffer and back: %s', (_, address, length) => {
  const host = testBridge();
  host.map(1, 9);
  host.map(2, 4); // not adjacent in host memory
  host.bridge.setWindow(0, 1, { tableHpa: AT.table, entries: 16, pageShift: 12 });
  const inWindow = Number(address % WINDOW1) - 0x1000;
  const hpaOf = (i: number) => (inWindow + i < 4096 ? pageAt(9) + inWindow + i : pageAt(4) + inWindow + i - 4096);
  const data = pattern(length, 3);
  data.forEach((byte, i) => {
    host.memory.u8[hpaOf(i)] = byte;
  });
  run(5, host, function* (p) {
    p.start(MEMORY_TO_BUFFER, address, length);
    expect(yield* p.finish()).toBe(DONE);
    for (let i = 0; i < length; i++) {
      expect(p.read(DMA_PORT.BUFFER + i, 1)).toBe(data[i]);
      p.write(DMA_PORT.BUFFER + i, data[i] ^ 0xff, 1);
    }
    if (length < DMA_PORT_BUFFER_SIZE) expect(p.read(DMA_PORT.BUFFER + length, 1)).toBe(0);
    const before = host.memory.u8.slice(AT.page);
    p.start(BUFFER_TO_MEMORY, address, length);
    expect(yield* p.finish()).toBe(DONE);
    const after = host.memory.u8.slice(AT.page);
    data.forEach((byte, i) => {
      expect(after[hpaOf(i) - AT.page]).toBe(byte ^ 0xff);
      after[hpaOf(i) - AT.page] = byte;
    });
    expect(Buffer.compare(after, before)).toBe(0); // and nothing beside it
  });
});

test('the buffer is little-endian by 1, 2 and 4 bytes', () => {
  const host = testBridge();
  const p = port(host);
  p.write(DMA_PORT.BUFFER, 0x89abcdef);
  expect([p.read(DMA_PORT.BUFFER), p.read(DMA_PORT.BUFFER, 2), p.read(DMA_PORT.BUFFER, 1)]).toEqual([
    0x89abcdef, 0xcdef, 0xef,
  ]);
  p.write(DMA_PORT.BUFFER + 2, 0x1122, 2);
  expect(p.read(DMA_PORT.BUFFER)).toBe(0x1122cdef);
  p.write(DMA_PORT.BUFFER + 4095, 0x7f, 1);
  expect(p.read(DMA_PORT.BUFFER + 4095, 1)).toBe(0x7f);
});

test.each([0, 4097, ONES])('LENGTH %i is an error at once, without DMA or a freeze', (length) => {
  const host = testBridge();
  const p = port(host);
  p.start(MEMORY_TO_BUFFER, 0n, length);
  expect(p.read(DMA_PORT.STATUS)).toBe(ERROR);
  expect(host.bridge.eehState(0)).toBe(EEH_PE_STATE.NORMAL);
  p.write(DMA_PORT.CONTROL, RESET);
  expect(p.read(DMA_PORT.STATUS)).toBe(0);
});

test('without bus master the port issues no DMA: an error, no freeze', () => {
  const host = testBridge();
  host.map(1, 1);
  host.bridge.configWrite(0, 4, 2, 0x0002);
  run(1, host, function* (p) {
    p.start(MEMORY_TO_BUFFER, 0x1000n, 4);
    expect(yield* p.finish()).toBe(ERROR);
  });
  expect(host.bridge.eehState(0)).toBe(EEH_PE_STATE.NORMAL);
});

test('unknown commands and writes to read-only registers do nothing', () => {
  const host = testBridge();
  const p = port(host);
  for (const command of [0, 3, 5, 8, ONES]) p.start(command, 0n, 4);
  p.write(DMA_PORT.STATUS, ONES);
  p.write(DMA_PORT.ID, 0);
  p.write(0x20, 1);
  expect([p.read(DMA_PORT.STATUS), p.read(DMA_PORT.CONTROL), p.read(0x20)]).toEqual([0, 0, 0]);
});

test('a busy port ignores starts and register writes', () => {
  const host = testBridge();
  const p = port(host); // no engine runs: busy stays
  p.start(MEMORY_TO_BUFFER, 0x1234n, 8);
  p.start(BUFFER_TO_MEMORY, 0x5678n, 16);
  expect(p.read(DMA_PORT.STATUS)).toBe(BUSY);
  expect([p.read(DMA_PORT.ADDRESS_LO), p.read(DMA_PORT.LENGTH)]).toEqual([0x1234, 8]);
});

test('a refused write leaves memory as it was and freezes this PE only; CONTROL reset recovers', () => {
  const host = testBridge();
  host.map(1, 1, READ);
  host.map(2, 2);
  run(2, host, function* (p) {
    p.write(DMA_PORT.BUFFER, 0x55);
    p.start(BUFFER_TO_MEMORY, 0x1000n, 1);
    expect(yield* p.finish()).toBe(ONES);
    while (p.read(DMA_PORT.STATUS) !== ONES) yield* preempt();
    expect(host.memory.u8[pageAt(1)]).toBe(0);
    expect(host.bridge.eehState(0)).toBe(EEH_PE_STATE.STOPPED);
    expect(host.bridge.mmioRead(1, 0, DMA_PORT.STATUS, 4)).toBe(0);
    // Any other store is dropped while frozen.
    p.start(BUFFER_TO_MEMORY, 0x2000n, 1);
    p.write(DMA_PORT.CONTROL, RESET, 1);
    expect(host.bridge.eehState(0)).toBe(EEH_PE_STATE.STOPPED);
    p.write(DMA_PORT.CONTROL, RESET);
    expect(host.bridge.eehState(0)).toBe(EEH_PE_STATE.NORMAL);
    expect([p.read(DMA_PORT.STATUS), p.read(DMA_PORT.BUFFER)]).toEqual([0, 0x55]);
    p.start(BUFFER_TO_MEMORY, 0x2000n, 1);
    expect(yield* p.finish()).toBe(DONE);
    expect(host.memory.u8[pageAt(2)]).toBe(0x55);
  });
  const seen = host.events().map(([event]) => event);
  const transfer = ['dma_port_start', 'phb_dma', 'dma_port_end'];
  expect(seen).toEqual(['dma_port_start', 'pe_freeze', 'dma_port_end', ...transfer]);
});

test('the latched error can be read once the kernel has thawed MMIO', () => {
  const host = testBridge();
  run(3, host, function* (p) {
    p.start(MEMORY_TO_BUFFER, 0x1000n, 4);
    while (host.bridge.eehState(0) === EEH_PE_STATE.NORMAL) yield* preempt();
    host.bridge.eehUnfreeze(0);
    expect(yield* p.finish()).toBe(ERROR);
  });
});

test('a transfer that fails on its second page has moved the first', () => {
  const host = testBridge();
  host.map(1, 1);
  run(4, host, function* (p) {
    for (let i = 0; i < 8; i += 4) p.write(DMA_PORT.BUFFER + i, 0x01010101);
    p.start(BUFFER_TO_MEMORY, 0x1ffcn, 8);
    expect(yield* p.finish()).toBe(ONES);
    expect([...host.memory.bytes(pageAt(1) + 0xffc, 8)]).toEqual([1, 1, 1, 1, 0, 0, 0, 0]);
    expect(host.bridge.eehError(0)).toMatchObject({ address: 0x2000n, length: 4, reason: 'NO_PERMISSION' });
  });
});

test('after a reset the old transfer does nothing more, and the next is not confused with it', () => {
  let cut = 0;
  for (const seed of SEEDS) {
    const host = testBridge();
    for (const entry of [1, 2, 3, 4]) host.map(entry, entry);
    run(seed, host, function* (p) {
      for (let i = 0; i < 4096; i += 4) p.write(DMA_PORT.BUFFER + i, 0x11111111);
      p.start(BUFFER_TO_MEMORY, 0x1800n, 4096);
      for (let i = 0; i < seed % 6; i++) yield* preempt();
      p.write(DMA_PORT.CONTROL, RESET);
      const after = host.memory.u8.slice(pageAt(1), pageAt(3));
      if (after[0x800] === 0x11 && after[0x1000] === 0) cut++;
      p.start(MEMORY_TO_BUFFER, 0x3000n, 16);
      expect(yield* p.finish()).toBe(DONE);
      for (let i = 0; i < 5; i++) yield* preempt();
      expect(p.read(DMA_PORT.STATUS)).toBe(DONE);
      expect([p.read(DMA_PORT.BUFFER), p.read(DMA_PORT.BUFFER + 16)]).toEqual([0, 0x11111111]);
      expect(Buffer.compare(host.memory.u8.slice(pageAt(1), pageAt(3)), after)).toBe(0);
    });
  }
  expect(cut).toBeGreaterThan(0); // some schedules stop it between its two pages
});

test('a reset at any point of a transaction waits for it: nothing moves after the reset', () => {
  const memory = new InterleavedMemory(createMemory(AT.size));
  let waited = 0;
  for (let at = 0, ran = true; ran; at++) {
    memory.stopAt = -1;
    memory.drained = false;
    const host = testBridge(['dma_port'], memory);
    host.map(1, 1);
    memory.u8[pageAt(1)] = 0;
    const simulation = new Simulation(1);
    const options = { memory, phbBase: AT.phb, firstFrame: AT.firstFrame, pe: 0 };
    spawnDmaEngine(simulation.actor('dma'), options);
    const p = port(host);
    p.write(DMA_PORT.BUFFER, 0x77);
    p.start(BUFFER_TO_MEMORY, 0x1000n, 4);
    ran = false;
    let atReset = 0;
    memory.other = () => {
      ran = true;
      p.write(DMA_PORT.CONTROL, RESET);
      atReset = memory.u8[pageAt(1)];
    };
    memory.operations = 0;
    memory.stopAt = at;
    simulation.run(() => simulation.steps > 5 || (memory.load(AT.phb + PE_PART.device) & BUSY) === 0);
    memory.stopAt = -1;
    if (!ran) break;
    if (memory.u8[pageAt(1)] !== atReset) {
      expect(memory.drained).toBe(true);
      waited++;
    }
    expect(p.read(DMA_PORT.STATUS) & ~DONE).toBe(0);
    expect(host.bridge.eehState(0)).toBe(EEH_PE_STATE.NORMAL);
  }
  expect(waited).toBeGreaterThan(0);
});

test('after change and kill no DMA reaches the old page, under any schedule; without the kill it does', () => {
  const touched = (seed: number, kill: boolean) => {
    const host = testBridge();
    host.map(1, 1);
    let writes = 0;
    run(seed, host, function* (p) {
      p.start(BUFFER_TO_MEMORY, 0x1000n, 4); // the cache has the entry
      yield* p.finish();
      p.write(DMA_PORT.BUFFER, 0x77);
      p.start(BUFFER_TO_MEMORY, 0x1000n, 4);
      for (let i = 0; i < seed % 5; i++) yield* preempt();
      host.map(1, 2);
      if (kill) host.bridge.tceKill(0, 1, 1);
      host.memory.u8[pageAt(1)] = 0; // unpinned: another's now
      expect(yield* p.finish()).toBe(DONE);
      p.start(BUFFER_TO_MEMORY, 0x1000n, 4);
      expect(yield* p.finish()).toBe(DONE);
      writes = host.memory.u8[pageAt(1)];
    });
    return writes !== 0;
  };
  expect(SEEDS.filter((seed) => touched(seed, true))).toEqual([]);
  expect(SEEDS.filter((seed) => touched(seed, false))).toEqual(SEEDS);
});

test('two ports transfer at the same time through windows of their own', () => {
  const host = testBridge();
  host.bridge.setWindow(1, 0, { tableHpa: AT.table, entries: 16, pageShift: 12 });
  host.map(1, 1);
  host.map(2, 2);
  run(6, host, function* (p) {
    const other = port(host, 1);
    p.write(DMA_PORT.BUFFER, 0xa);
    other.write(DMA_PORT.BUFFER, 0xb);
    p.start(BUFFER_TO_MEMORY, 0x1000n, 4);
    other.start(BUFFER_TO_MEMORY, 0x2000n, 4);
    expect([yield* p.finish(), yield* other.finish()]).toEqual([DONE, DONE]);
  });
  expect([host.memory.u8[pageAt(1)], host.memory.u8[pageAt(2)]]).toEqual([0xa, 0xb]);
});

// Interrupts

const COMMAND_INTX_DISABLE = 0x0400;
const MSIX_CONTROL = MSIX_AT + 2;
const MSIX_ENABLE = 0x8000;
const MSIX_MASK_ALL = 0x4000;

test.each([1, 2, 3, 4, 5])(
  'INTA# is asserted from the end of a transfer until software has taken the cause (seed %i)',
  (seed) => {
    const host = testBridge();
    host.map(1, 1);
    const block = peBlock(AT.phb, 0);
    const asserted = () => pinAsserted(host.memory, block);
    run(seed, host, function* (p) {
      p.start(MEMORY_TO_BUFFER, 0x1000n, 4);
      yield* p.finish();
      expect([asserted(), p.read(DMA_PORT.CAUSE)]).toEqual([false, 0]);
      p.write(DMA_PORT.INTERRUPT, 1);
      p.start(MEMORY_TO_BUFFER, 0x1000n, 4);
      yield* until('interrupt', asserted);
      expect(p.read(DMA_PORT.CAUSE)).toBe(DONE);
      host.bridge.configWrite(0, 4, 2, 0x0006 | COMMAND_INTX_DISABLE);
      expect(asserted()).toBe(false);
      host.bridge.configWrite(0, 4, 2, 0x0006);
      p.write(DMA_PORT.CAUSE, ERROR);
      expect(asserted()).toBe(true);
      p.write(DMA_PORT.CAUSE, DONE);
      expect(asserted()).toBe(false);
    });
  },
);

test('with MSI-X the end of a transfer is a message, of vector 0 or 1; a masked vector keeps it', () => {
  const host = testBridge();
  const { memory, bridge } = host;
  host.map(1, 1);
  const block = peBlock(AT.phb, 0);
  bridge.reset(0);
  bridge.configWrite(0, 4, 2, 0x0006);
  const mask = (vector: number, value: number) =>
    bridge.mmioWrite(0, 0, DMA_PORT.MSIX_TABLE + vector * 16 + 12, 4, value);
  run(1, host, function* (p) {
    expect(p.read(DMA_PORT.MSIX_TABLE + 12)).toBe(1);
    p.write(DMA_PORT.INTERRUPT, 1);
    bridge.configWrite(0, MSIX_CONTROL, 2, MSIX_ENABLE);
    mask(1, 0);
    p.start(MEMORY_TO_BUFFER, 0x1000n, 4);
    yield* until('cause', () => p.read(DMA_PORT.CAUSE) === DONE && p.read(DMA_PORT.MSIX_PENDING) === 1);
    expect([vectorsSent(memory, block), pinAsserted(memory, block)]).toEqual([false, false]);
    bridge.configWrite(0, MSIX_CONTROL, 2, MSIX_ENABLE | MSIX_MASK_ALL);
    mask(0, 0);
    expect(vectorsSent(memory, block)).toBe(false);
    bridge.configWrite(0, MSIX_CONTROL, 2, MSIX_ENABLE);
    sendPendingVectors(memory, block);
    expect([takeVectors(memory, block), p.read(DMA_PORT.MSIX_PENDING), vectorsSent(memory, block)]).toEqual([
      1,
      0,
      false,
    ]);
    bridge.configWrite(0, 4, 2, 0x0002);
    p.start(MEMORY_TO_BUFFER, 0x1000n, 4);
    yield* until('error', () => p.read(DMA_PORT.CAUSE) === (DONE | ERROR));
    // The transfer failed for want of bus mastering, and so did the message of that.
    expect(takeVectors(memory, block)).toBe(0);
    bridge.configWrite(0, 4, 2, 0x0006);
    p.write(DMA_PORT.LENGTH, 0);
    p.write(DMA_PORT.ADDRESS_LO, 0x9000);
    p.write(DMA_PORT.LENGTH, 4);
    p.write(DMA_PORT.CONTROL, MEMORY_TO_BUFFER);
    // The PE freezes before the end: no message leaves it.
    yield* until('freeze', () => bridge.eehState(0) === EEH_PE_STATE.STOPPED);
    for (let i = 0; i < 20; i++) yield* preempt();
    expect(takeVectors(memory, block)).toBe(0);
  });
});
