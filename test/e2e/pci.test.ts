/**
 * The sPAPR host bridge on the whole machine: a guest of real instructions drives the DMA port by RTAS, hypercalls and
 * interrupts, and nothing else.
 */
import { describe, expect, test } from 'vitest';
import { HcallScript } from '../support/hcall_script.ts';

const H = { PUT_TCE: 0x20, CI_LOAD: 0x3c, CI_STORE: 0x40, EOI: 0x64, CPPR: 0x68, XIRR: 0x74, STUFF_TCE: 0x138 };
const LIOBN = 0x8000_0000;
const DDW = 2 ** 59;
/** BUID in two words. */
const BUID = [0x0800_0000, 0x2000_0000];
const BAR = 0x100_8000_0000;
const PORT = { STATUS: 4, CONTROL: 8, LENGTH: 12, ADDRESS_LO: 16, ADDRESS_HI: 20, INTERRUPT: 24, CAUSE: 28 };
const [TO_BUFFER, TO_MEMORY] = [1, 2];
const [DONE, ERROR] = [2, 4];
const LSI = 0x1200;
const MSI = 0x1300;
/** Identification word: an adapter, interruption subclass 2. */
const ADAPTER = 0x9000_0000;
const page = (byte: number) => new Uint8Array(4096).fill(byte);
const swap = (word: number) => Buffer.from(new Uint32Array([word]).buffer).readUInt32BE(0);

class Script extends HcallScript {
  store(register: number, value: number): number {
    return this.hcall(H.CI_STORE, 4, BAR + register, swap(value));
  }
  load(register: number): number {
    return this.hcall(H.CI_LOAD, 4, BAR + register);
  }
  start(control: number, address: number, length = 4096): void {
    this.store(PORT.ADDRESS_LO, address % 2 ** 32);
    this.store(PORT.ADDRESS_HI, Math.floor(address / 2 ** 32));
    this.store(PORT.LENGTH, length);
    this.store(PORT.CONTROL, control);
  }
  /** Polls until the port has ended with `status`, or the PE has frozen: all ones. */
  ended(status: number): number {
    return this.until(0xffff_ffff, swap(status), H.CI_LOAD, 4, BAR + PORT.STATUS);
  }
  map(ioba: number, gpa: number, liobn = LIOBN): void {
    this.hcall(H.PUT_TCE, liobn, ioba, gpa + 3);
  }
  readConfig(register: number, size: number): number {
    return this.rtas(0x2016, [register, ...BUID, size], 2);
  }
  writeConfig(register: number, size: number, value: number): number {
    return this.rtas(0x2017, [register, ...BUID, size, value], 1);
  }
}

const SEEDS = [1, 2, 3].map((seed) => [seed] as const);

describe('configuration space', () => {
  test('the guest reads it, sizes a BAR, moves it, and switches memory space off and on', async () => {
    const s = new Script();
    const id = s.readConfig(0, 4);
    const bar = s.readConfig(0x10, 4);
    s.writeConfig(0x10, 4, 0xffff_ffff);
    const size = s.readConfig(0x10, 4);
    s.writeConfig(0x10, 4, 0x9000_0000);
    const [before, after] = [s.load(0), s.hcall(H.CI_LOAD, 4, BAR + 0x1000_0000)];
    s.writeConfig(0x04, 2, 4);
    const off = s.hcall(H.CI_LOAD, 4, BAR + 0x1000_0000);
    s.writeConfig(0x04, 2, 6);
    const on = s.hcall(H.CI_LOAD, 4, BAR + 0x1000_0000);
    const run = await s.simulate();
    expect(run.words(id, 2)).toEqual([0, 0x4d56_1234]);
    expect(run.words(bar, 2)).toEqual([0, 0x8000_0000 | 0]);
    expect(run.words(size, 2)).toEqual([0, 0xffff_c000 | 0]);
    const portId = BigInt(swap(0x4d564450));
    expect([before, after, off, on].map((step) => run.outcome(step))).toEqual([
      { ret: 0, value: 0xffff_ffffn },
      { ret: 0, value: portId },
      { ret: 0, value: 0xffff_ffffn },
      { ret: 0, value: portId },
    ]);
  });
});

describe('interrupts', () => {
  test.each(SEEDS)('INTx: one for each level; it comes again until the cause is gone (seed %i)', async (seed) => {
    const s = new Script();
    const memory = s.data(page(0x5a), 4096);
    const xive = s.rtas(0x200a, [LSI, 0, 5], 1);
    s.hcall(H.CPPR, 0xff);
    s.map(0x1000, memory);
    s.store(PORT.INTERRUPT, 1);
    s.start(TO_BUFFER, 0x1000);
    const first = s.wait();
    const xirr = s.hcall(H.XIRR);
    const none = s.hcall(H.XIRR);
    // Ended without the cause taken: the level is still there.
    s.hcall(H.EOI, 0xff00_0000 + LSI);
    const again = s.wait();
    s.hcall(H.XIRR);
    const cause = s.load(PORT.CAUSE);
    s.store(PORT.CAUSE, DONE);
    s.hcall(H.EOI, 0xff00_0000 + LSI);
    s.start(TO_BUFFER, 0x1000);
    const next = s.wait();
    const last = s.hcall(H.XIRR);
    const run = await s.simulate(['--seed', `${seed}`]);
    expect(run.words(xive, 1)).toEqual([0]);
    for (const step of [first, again, next]) expect(run.interruption(step)).toEqual([0, 0, ADAPTER]);
    expect(run.outcome(xirr)).toEqual({ ret: 0, value: BigInt(0xff00_0000 + LSI) });
    expect(run.outcome(none)).toEqual({ ret: 0, value: 0x0500_0000n });
    expect(run.outcome(cause).value).toBe(BigInt(swap(DONE)));
    expect(run.outcome(last).value).toBe(BigInt(0xff00_0000 + LSI));
  });

  test.each(SEEDS)('MSI-X: sources from ibm,change-msi, a vector for each kind of end (seed %i)', async (seed) => {
    const s = new Script();
    const memory = s.data(page(0x5a), 4096);
    const change = s.rtas(0x2019, [0, ...BUID, 4, 2, 1], 4);
    const queries = [0, 1, 2].map((vector) => s.rtas(0x2018, [0, ...BUID, vector], 3));
    s.hcall(H.CPPR, 0xff);
    for (const vector of [0, 1]) s.rtas(0x200a, [MSI + vector, 0, 5 + vector], 1);
    s.writeConfig(0x82, 2, 0x8000);
    const control = s.readConfig(0x82, 2);
    s.store(PORT.INTERRUPT, 1);
    s.map(0x1000, memory);
    s.start(TO_BUFFER, 0x1000);
    const wait = s.wait();
    const done = s.hcall(H.XIRR);
    s.hcall(H.EOI, 0xff00_0000 + MSI);
    // Nothing mapped there, and no bus mastering: an error, and its message is lost like the DMA.
    s.writeConfig(0x04, 2, 2);
    s.start(TO_BUFFER, 0x9000);
    s.ended(ERROR);
    const lost = s.hcall(H.XIRR);
    const release = s.rtas(0x2019, [0, ...BUID, 1, 0, 2], 3);
    const run = await s.simulate(['--seed', `${seed}`]);
    expect(run.words(change, 4)).toEqual([0, 2, 2, 2]);
    expect(queries.map((query) => run.words(query, 3))).toEqual([
      [0, MSI, 1],
      [0, MSI + 1, 1],
      [-1, 0, 0],
    ]);
    expect(run.words(control, 2)).toEqual([0, 0x8001]);
    expect(run.interruption(wait)).toEqual([0, 0, ADAPTER]);
    expect(run.outcome(done).value).toBe(BigInt(0xff00_0000 + MSI));
    expect(run.outcome(lost).value).toBe(0xff00_0000n);
    expect(run.words(release, 2)).toEqual([0, 0]);
  });

  test('back from MSI-X to the pin', async () => {
    const s = new Script();
    const memory = s.data(page(0x5a), 4096);
    s.rtas(0x2019, [0, ...BUID, 4, 2, 1], 4);
    s.rtas(0x200a, [LSI, 0, 5], 1);
    s.hcall(H.CPPR, 0xff);
    s.writeConfig(0x82, 2, 0x8000);
    s.writeConfig(0x82, 2, 0);
    s.store(PORT.INTERRUPT, 1);
    s.map(0x1000, memory);
    s.start(TO_BUFFER, 0x1000);
    s.wait();
    const xirr = s.hcall(H.XIRR);
    const run = await s.simulate();
    expect(run.outcome(xirr).value).toBe(BigInt(0xff00_0000 + LSI));
  });
});

describe('dynamic DMA windows', () => {
  test.each(SEEDS)('query, create with 64K pages, DMA above bit 59, remove (seed %i)', async (seed) => {
    const s = new Script();
    const source = s.data(page(0xa5), 0x1_0000);
    const target = s.data(new Uint8Array(4096), 0x1_0000);
    const before = s.rtas(0x2026, [0, ...BUID], 5);
    const create = s.rtas(0x2027, [0, ...BUID, 16, 24], 4);
    const after = s.rtas(0x2026, [0, ...BUID], 6);
    const full = s.rtas(0x2027, [0, ...BUID, 16, 24], 4);
    const liobn = LIOBN + 1;
    s.map(DDW, source, liobn);
    s.map(DDW + 0x1_0000, target, liobn);
    s.start(TO_BUFFER, DDW);
    s.ended(DONE);
    s.start(TO_MEMORY, DDW + 0x1_0000);
    s.ended(DONE);
    const remove = s.rtas(0x2028, [liobn], 1);
    const again = s.rtas(0x2028, [liobn], 1);
    const stale = s.hcall(H.PUT_TCE, liobn, DDW, source + 3);
    s.start(TO_BUFFER, DDW);
    s.ended(-1);
    const state = s.rtas(0x2022, [0, ...BUID], 4);
    const run = await s.simulate(['--seed', `${seed}`]);
    expect(run.words(before, 5)).toEqual([0, 1, 4096, 3, 0]);
    expect(run.words(create, 4)).toEqual([0, liobn | 0, 0x0800_0000, 0]);
    expect(run.words(after, 6)).toEqual([0, 0, 0, 4096, 3, 0]);
    expect(run.words(full, 4)).toEqual([-1, 0, 0, 0]);
    expect(run.words(target, 4)).toEqual(new Array(4).fill(0xa5a5_a5a5 | 0));
    expect([run.words(remove, 1), run.words(again, 1)]).toEqual([[0], [-3]]);
    expect(run.outcome(stale).ret).toBe(-4);
    expect(run.words(state, 4)).toEqual([0, 2, 1, 1000]);
  });

  test('without the default window the first one is made below 4 GiB; reset brings the default one back', async () => {
    const s = new Script();
    const memory = s.data(page(0xa5), 4096);
    const remove = s.rtas(0x2028, [LIOBN], 1);
    const create = s.rtas(0x2027, [0, ...BUID, 12, 20], 4);
    const beyond = s.hcall(H.PUT_TCE, LIOBN, 0x10_0000, memory + 3);
    const reset = s.rtas(0x2029, [0, ...BUID], 1);
    const query = s.rtas(0x2026, [0, ...BUID], 5);
    const inside = s.hcall(H.PUT_TCE, LIOBN, 0x10_0000, memory + 3);
    s.start(TO_BUFFER, 0x10_0000);
    s.ended(DONE);
    const run = await s.simulate();
    expect([remove, create, reset].map((at) => run.words(at, 1)[0])).toEqual([0, 0, 0]);
    expect(run.words(create, 4)).toEqual([0, LIOBN | 0, 0, 0]);
    expect([run.outcome(beyond).ret, run.outcome(inside).ret]).toEqual([-4, 0]);
    expect(run.words(query, 2)).toEqual([0, 1]);
  });

  test('none where RAM is not preregistered', async () => {
    const s = new Script();
    const query = s.rtas(0x2026, [0, ...BUID], 5);
    const run = await s.simulate(['--memory-pressure']);
    expect(run.words(query, 1)).toEqual([-3]);
  });
});

describe('EEH', () => {
  test.each(SEEDS)('a frozen PE is seen, reset, configured, and works again (seed %i)', async (seed) => {
    const s = new Script();
    const memory = s.data(page(0x5a), 4096);
    const address = s.rtas(0x2021, [0, ...BUID, 0], 2);
    const mode = s.rtas(0x2021, [0, ...BUID, 1], 2);
    const enable = s.rtas(0x2020, [0, ...BUID, 1], 1);
    const healthy = s.rtas(0x2022, [0, ...BUID], 5);
    s.start(TO_BUFFER, 0x5000);
    s.ended(-1);
    const id = s.load(0);
    const frozen = s.rtas(0x2022, [0, ...BUID], 5);
    const detail = s.rtas(0x2025, [0, ...BUID, 0, 0, 0, 0, 1], 1);
    const assert = s.rtas(0x2023, [0, ...BUID, 1], 1);
    const inReset = s.rtas(0x2022, [0, ...BUID], 5);
    const deassert = s.rtas(0x2023, [0, ...BUID, 0], 1);
    const configure = s.rtas(0x2024, [0, ...BUID], 1);
    for (const option of [2, 3]) s.rtas(0x2020, [0, ...BUID, option], 1);
    const well = s.rtas(0x2022, [0, ...BUID], 5);
    s.writeConfig(0x04, 2, 6);
    s.map(0x5000, memory);
    s.start(TO_BUFFER, 0x5000);
    s.ended(DONE);
    const buffer = s.load(0x1000);
    const run = await s.simulate(['--seed', `${seed}`]);
    expect([run.words(address, 2), run.words(mode, 2)]).toEqual([
      [0, 1],
      [0, 1],
    ]);
    expect(run.words(healthy, 5)).toEqual([0, 0, 1, 1000, 0]);
    expect(run.outcome(id).value).toBe(0xffff_ffffn);
    expect(run.words(frozen, 2)).toEqual([0, 2]);
    expect(run.words(detail, 1)).toEqual([1]);
    expect([enable, assert, deassert, configure].map((at) => run.words(at, 1)[0])).toEqual([0, 0, 0, 0]);
    expect([run.words(inReset, 2), run.words(well, 2)]).toEqual([
      [0, 1],
      [0, 0],
    ]);
    expect(run.outcome(buffer).value).toBe(0x5a5a_5a5an);
  });
});

describe('a NIC on the second bridge', () => {
  const NIC = 0x110_8000_0000;
  const NIC_BUID = [0x0800_0000, 0x2000_0001];
  const { ICR, ICS, IMS } = { ICR: 0xc0, ICS: 0xc8, IMS: 0xd0 };
  const LINK_CHANGE = 4;
  const nics = [{ mac: '52:54:00:12:34:56', wire: 'loopback' as const }];
  const store = (s: Script, register: number, value: number) => s.hcall(H.CI_STORE, 4, NIC + register, swap(value));

  test.each(SEEDS)('its pin is the second bridge’s (seed %i)', async (seed) => {
    const s = new Script();
    const id = s.rtas(0x2016, [0, ...NIC_BUID, 4], 2);
    s.rtas(0x200a, [LSI + 4, 0, 5], 1);
    s.hcall(H.CPPR, 0xff);
    s.hcall(H.CI_LOAD, 4, NIC + ICR);
    store(s, IMS, LINK_CHANGE);
    store(s, ICS, LINK_CHANGE);
    s.wait();
    const xirr = s.hcall(H.XIRR);
    const cause = s.hcall(H.CI_LOAD, 4, NIC + ICR);
    s.hcall(H.EOI, 0xff00_0000 + LSI + 4);
    const after = s.hcall(H.XIRR);
    const run = await s.simulate(['--seed', `${seed}`], { nics });
    expect(run.words(id, 2)).toEqual([0, 0x100e_8086]);
    expect(run.outcome(xirr).value).toBe(BigInt(0xff00_0000 + LSI + 4));
    expect(swap(Number(run.outcome(cause).value)) & LINK_CHANGE).toBe(LINK_CHANGE);
    expect(run.outcome(after).value).toBe(0xff00_0000n);
  });

  test.each(SEEDS)('its one MSI (seed %i)', async (seed) => {
    const s = new Script();
    const change = s.rtas(0x2019, [0, ...NIC_BUID, 3, 1, 0], 4);
    s.rtas(0x200a, [MSI, 0, 5], 1);
    s.hcall(H.CPPR, 0xff);
    s.rtas(0x2017, [0xf2, ...NIC_BUID, 2, 1], 1);
    const control = s.rtas(0x2016, [0xf2, ...NIC_BUID, 2], 2);
    s.hcall(H.CI_LOAD, 4, NIC + ICR);
    store(s, IMS, LINK_CHANGE);
    store(s, ICS, LINK_CHANGE);
    s.wait();
    const xirr = s.hcall(H.XIRR);
    const run = await s.simulate(['--seed', `${seed}`], { nics });
    expect([run.words(change, 4), run.words(control, 2)]).toEqual([
      [0, 1, 1, 1],
      [0, 0x81],
    ]);
    expect(run.outcome(xirr).value).toBe(BigInt(0xff00_0000 + MSI));
  });
});

test('the clock tells the time, and the end of the operating system ends the run with its last words', async () => {
  const s = new Script();
  s.rtas(0x2001, [], 8);
  const words = s.data(new TextEncoder().encode('panic: no root\n\0'));
  s.rtas(0x201f, [words], 1);
  await expect(s.simulate()).rejects.toThrow('(ibm,os-term): panic: no root.');
});
