/** Guests that mean no good, or make mistakes: the PE freezes, the host goes on. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Random } from '../../../kernel/lib/random.ts';
import { preempt } from '../../../kernel/lib/task.ts';
import { EEH_PE_STATE } from '../phb/host_bridge.ts';
import { exchangeTce } from '../phb/tce_table.ts';
import { RCTL, REG, STAT, TCTL, TXD_CMD } from './e1000_regs.ts';
import { E1000_REGISTERS } from './e1000_table.ts';
import { AT, BUS, frame, hostPage, MACS, mac, PAGES, type TestNics, testNics } from './test_nic.ts';

const ME = mac(MACS[0]);
const { EOP, IFCS, RS } = TXD_CMD;
const END = PAGES * 4096;

/** Everything that no DMA of NIC 0 may change: the machine's own areas but the NIC's and the bridge's, and others' pages. */
function foreign(host: TestNics): Buffer {
  const { u8 } = host.memory;
  return Buffer.concat([u8.slice(0, AT.doorbells), u8.slice(AT.tables, AT.memory), u8.slice(hostPage(1, 0))]);
}

test.each([
  ['a transmit ring', (n: TestNics['drivers'][0]) => n.write(REG.TDBAL, END)],
  ['a transmit ring above 4 GiB', (n: TestNics['drivers'][0]) => n.write(REG.TDBAH, 1)],
  ['a transmit ring in the other window', (n: TestNics['drivers'][0]) => n.write(REG.TDBAH, 1 << 27)],
  [
    'a transmit ring at the end of all addresses',
    (n: TestNics['drivers'][0]) => {
      n.write(REG.TDBAH, 0xffffffff);
      n.write(REG.TDBAL, 0xfffffff0);
    },
  ],
  ['a transmit buffer', (n: TestNics['drivers'][0]) => n.memory.dv.setUint32(n.hpa(BUS.TX_RING), END, true)],
  [
    'a transmit buffer that leaves the window',
    (n: TestNics['drivers'][0]) => n.memory.dv.setUint32(n.hpa(BUS.TX_RING), END - 30, true),
  ],
  [
    'a transmit buffer above 4 GiB',
    (n: TestNics['drivers'][0]) => n.memory.dv.setUint32(n.hpa(BUS.TX_RING) + 4, 0x80000000, true),
  ],
  ['a receive ring', (n: TestNics['drivers'][0]) => n.write(REG.RDBAL, END)],
  ['a receive buffer', (n: TestNics['drivers'][0]) => n.memory.dv.setUint32(n.hpa(BUS.RX_RING), END - 1, true)],
])('%s outside the window freezes the PE, and only a reset brings the NIC back', (_, spoil) => {
  const host = testNics(['loopback', 'loopback']);
  const [nic, other] = host.drivers;
  other.up();
  nic.up();
  host.settle();
  const before = foreign(host);
  nic.write(REG.TCTL, 0);
  nic.send(frame(ME, 60));
  spoil(nic);
  nic.write(REG.TCTL, TCTL.EN);
  host.settle();
  expect(host.bridge.eehState(0)).toBe(EEH_PE_STATE.STOPPED);
  expect(nic.read(REG.STATUS)).toBe(0xffffffff);
  expect(foreign(host).equals(before)).toBe(true);
  // Thawed without a reset it does nothing; reset, it works.
  host.bridge.eehUnfreeze(0);
  nic.write(REG.TDT, 3);
  host.settle();
  expect(host.bridge.eehState(0)).toBe(EEH_PE_STATE.NORMAL);
  expect(host.bridge.eehError(0).count).toBe(1);
  host.bridge.reset(0);
  host.bridge.configWrite(0, 4, 2, 6);
  nic.up();
  nic.send(frame(ME, 60, 3));
  host.settle();
  expect(nic.receive()?.bytes).toEqual(frame(ME, 60, 3));
  // The other PE never noticed.
  other.send(frame(mac(MACS[1]), 60, 4));
  host.settle();
  expect(other.receive()?.bytes).toEqual(frame(mac(MACS[1]), 60, 4));
});

test('a page that may only be read stops what is written to it: descriptors and frames', () => {
  for (const page of [BUS.TX_RING / 4096, BUS.RX_RING / 4096, BUS.RX / 4096]) {
    const host = testNics(['loopback']);
    const [nic] = host.drivers;
    nic.up();
    exchangeTce(host.memory, AT.tables, page, hostPage(0, page) + 1);
    host.bridge.tceKillPe(0);
    const before = host.memory.u8.slice(hostPage(0, page), hostPage(0, page) + 4096);
    nic.send(frame(ME, 60));
    const sent = host.memory.u8.slice(hostPage(0, page), hostPage(0, page) + 4096);
    host.settle();
    expect(host.bridge.eehError(0).reason).toBe('NO_PERMISSION');
    expect(host.memory.u8.slice(hostPage(0, page), hostPage(0, page) + 4096)).toEqual(page === 0 ? sent : before);
  }
});

test.each([
  ['no length', (n: TestNics['drivers'][0]) => n.write(REG.TDLEN, 0)],
  ['the head beyond the length', (n: TestNics['drivers'][0]) => n.write(REG.TDH, 0xffff)],
  ['the tail beyond the length', (n: TestNics['drivers'][0]) => n.write(REG.TDT, 0xffff)],
  ['the tail at the length', (n: TestNics['drivers'][0]) => n.write(REG.TDT, 8)],
])('a ring with %s stands still without a freeze', (_, spoil) => {
  const host = testNics(['loopback']);
  const [nic] = host.drivers;
  nic.up();
  nic.write(REG.TCTL, 0);
  nic.send(frame(ME, 60));
  spoil(nic);
  nic.write(REG.TCTL, TCTL.EN);
  host.settle();
  expect(host.bridge.eehState(0)).toBe(EEH_PE_STATE.NORMAL);
  expect(nic.read(STAT.GPTC)).toBe(0);
  nic.setTx(8);
  nic.send(frame(ME, 60, 6));
  host.settle();
  expect(nic.receive()?.bytes).toEqual(frame(ME, 60, 6));
});

test('a frame that never ends is dropped, and the next one goes out', () => {
  const host = testNics(['loopback']);
  const [nic] = host.drivers;
  nic.up({ rctl: RCTL.LPE | RCTL.UPE | RCTL.SECRC, rx: 64, tx: 64 });
  for (let i = 0; i < 30; i++) nic.post({ bytes: frame(ME, 1000, i), command: 0 });
  nic.post({ bytes: [1], command: EOP | IFCS | RS });
  nic.send(frame(ME, 60, 1));
  host.settle();
  expect(nic.receiveAll().map((f) => f.bytes)).toEqual([frame(ME, 60, 1)]);
  expect(nic.txStatus(30) & 1).toBe(1);
});

test('without bus mastering the NIC waits; with it, it goes on', () => {
  const host = testNics(['loopback']);
  const [nic] = host.drivers;
  nic.up();
  host.bridge.configWrite(0, 4, 2, 2);
  nic.send(frame(ME, 60, 1));
  host.settle();
  expect(nic.pending).toBe(1);
  host.bridge.configWrite(0, 4, 2, 6);
  host.settle();
  expect(nic.receive()?.bytes).toEqual(frame(ME, 60, 1));
  expect(host.bridge.eehError(0).count).toBe(0);
});

test('when a reset returns, no DMA of before follows, at whatever step it comes', () => {
  for (let seed = 1; seed <= 40; seed++) {
    const host = testNics(['loopback'], seed);
    const [nic] = host.drivers;
    nic.up({ tx: 64, rx: 32, give: 31 });
    host.run(function* () {
      for (let i = 0; i < 50; i++) nic.send(frame(ME, 900, i));
      for (let i = 0; i < seed * 2; i++) yield* preempt();
      if (seed % 2 === 0) nic.write(REG.CTRL, 2 ** 26);
      else host.bridge.reset(0);
    });
    const after = host.memory.u8.slice(hostPage(0, 0), hostPage(1, 0));
    host.bridge.configWrite(0, 4, 2, 6);
    host.settle();
    expect(Buffer.compare(host.memory.u8.slice(hostPage(0, 0), hostPage(1, 0)), after)).toBe(0);
    expect(nic.read(REG.TDH)).toBe(0);
    expect(nic.read(STAT.GPTC)).toBe(0);
    expect(nic.read(REG.ICR)).toBe(0);
  }
});

test('any register writes and any memory: no crash, no endless step, nothing beyond the window', () => {
  const offsets = E1000_REGISTERS.map((row) => row.at);
  const values = fc.oneof(
    fc.integer({ min: 0, max: 0xffffffff }),
    fc.constantFrom(0, 1, 0x80, 0x100, 0xfff80, 0xffffffff, BUS.RX_RING, RCTL.EN | RCTL.UPE, TCTL.EN, 0x41),
  );
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.constantFrom(...offsets), values), { minLength: 5, maxLength: 60 }),
      fc.integer({ min: 1, max: 1000 }),
      (writes, seed) => {
        const host = testNics(['loopback', 'none'], seed);
        const [nic] = host.drivers;
        const random = new Random(seed);
        const words = host.memory.i32.subarray(hostPage(0, 0) >> 2, hostPage(1, 0) >> 2);
        for (let i = 0; i < words.length; i++) words[i] = random.below(4) === 0 ? random.next() : random.below(END);
        nic.up({ tx: 16, rx: 16 });
        const before = foreign(host);
        host.run(function* () {
          for (const [at, value] of writes) {
            nic.write(at, value);
            if (random.below(3) === 0) yield* preempt();
          }
          for (let i = 0; i < 200; i++) yield* preempt();
        });
        expect(foreign(host).equals(before)).toBe(true);
        host.bridge.reset(0);
        host.bridge.configWrite(0, 4, 2, 6);
        nic.up();
        nic.send(frame(ME, 60, 3));
        host.settle();
        expect(nic.receiveAll().at(-1)?.bytes).toEqual(frame(ME, 60, 3));
      },
    ),
    { numRuns: 40 },
  );
});
