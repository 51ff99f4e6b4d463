/** Frames through a NIC: descriptors, buffers, rings, cables. */
import { expect, test } from 'vitest';
import { until } from '../../../kernel/lib/task.ts';
import { CAUSE, RCTL, REG, RXD_STAT, STAT, TCTL, TXD_CMD } from './e1000_regs.ts';
import { FrameRing } from './frame_ring.ts';
import { CABLE_CAPACITY, NIC_PART } from './nic_area.ts';
import { AT, BUS, frame, MACS, mac, testNics, whole } from './test_nic.ts';
import { nicAreaAt } from './wire.ts';

const { EOP, IFCS, RS, VLE, IC } = TXD_CMD;
const ME = mac(MACS[0]);
const SIZES = [60, 61, 63, 64, 300, 1514];

test.each(['loopback', 'mac loopback', 'phy loopback'] as const)('%s gives every frame back byte for byte', (kind) => {
  const host = testNics([kind === 'loopback' ? 'loopback' : 'none']);
  const [nic] = host.drivers;
  nic.up({ rctl: RCTL.SECRC | (kind === 'mac loopback' ? 1 << 6 : 0) });
  if (kind === 'phy loopback') nic.write(REG.MDIC, (1 << 26) | (1 << 21) | 0x4140);
  SIZES.forEach((size, i) => {
    nic.send(frame(ME, size, i));
    host.settle();
    const got = nic.receive();
    expect(got?.bytes).toEqual(frame(ME, size, i));
    expect(got?.status).toBe(RXD_STAT.DD | RXD_STAT.EOP | RXD_STAT.IXSM);
    expect(got?.errors).toBe(0);
    expect(nic.txStatus(i % nic.txSize) & 1).toBe(1);
  });
  expect(nic.receive()).toBeUndefined();
});

test('a pair carries frames both ways at once, in order, over many turns of the rings', () => {
  const host = testNics([{ wire: { pair: 1 } }, { wire: { pair: 0 } }], 7);
  const [a, b] = host.drivers;
  a.up({ tx: 8, rx: 16 });
  b.up({ tx: 16, rx: 8 });
  const got: [number[][], number[][]] = [[], []];
  const want: [number[][], number[][]] = [[], []];
  host.run(function* () {
    for (let i = 0; i < 60; i++) {
      for (const [nic, side] of [
        [a, 1],
        [b, 0],
      ] as const) {
        yield* until('room', () => nic.pending < nic.txSize - 1);
        const bytes = frame(mac(MACS[side]), 60 + ((i * 37) % 1400), i);
        want[side].push(bytes);
        nic.send(bytes);
      }
      got[0].push(...a.receiveAll().map((f) => f.bytes));
      got[1].push(...b.receiveAll().map((f) => f.bytes));
    }
    yield* until('all', () => {
      got[0].push(...a.receiveAll().map((f) => f.bytes));
      got[1].push(...b.receiveAll().map((f) => f.bytes));
      return got[0].length === 60 && got[1].length === 60;
    });
  });
  expect(got).toEqual(want);
  expect(a.read(STAT.GPTC)).toBe(60);
  expect(b.read(STAT.GPRC)).toBe(60);
  expect(b.read(STAT.MPC)).toBe(0);
});

test('a frame of several descriptors goes out as one, the reports as each asked for', () => {
  const host = testNics(['loopback']);
  const [nic] = host.drivers;
  nic.up();
  const bytes = frame(ME, 1000, 5);
  nic.post(
    { bytes: bytes.slice(0, 14), command: RS },
    { bytes: [], command: 0 },
    { bytes: bytes.slice(14, 15), command: 0 },
    { bytes: bytes.slice(15), command: EOP | IFCS | RS },
  );
  host.settle();
  expect(nic.receiveAll().map((f) => f.bytes)).toEqual([bytes]);
  expect([0, 1, 2, 3].map((i) => nic.txStatus(i) & 1)).toEqual([1, 0, 0, 1]);
  expect(nic.pending).toBe(0);
});

test('nothing goes out before the descriptor that ends the frame is there', () => {
  const host = testNics(['loopback']);
  const [nic] = host.drivers;
  nic.up();
  const bytes = frame(ME, 200, 5);
  nic.post({ bytes: bytes.slice(0, 100), command: 0 });
  host.settle();
  expect(nic.pending).toBe(0);
  expect(nic.receive()).toBeUndefined();
  nic.post({ bytes: bytes.slice(100), command: EOP | IFCS });
  host.settle();
  expect(nic.receive()?.bytes).toEqual(bytes);
});

test.each([
  [256, RCTL.BSIZE_SHIFT, 3, 0],
  [512, RCTL.BSIZE_SHIFT, 2, 0],
  [1024, RCTL.BSIZE_SHIFT, 1, 0],
  [2048, RCTL.BSIZE_SHIFT, 0, 0],
  [4096, RCTL.BSIZE_SHIFT, 3, RCTL.BSEX],
  [8192, RCTL.BSIZE_SHIFT, 2, RCTL.BSEX],
  [16384, RCTL.BSIZE_SHIFT, 1, RCTL.BSEX],
])('a frame of 9018 bytes comes in buffers of %i', (size, shift, value, extended) => {
  const host = testNics(['loopback']);
  const [nic] = host.drivers;
  nic.bufferSize = size;
  nic.up({ rx: size < 512 ? 48 : size > 4096 ? 8 : 24, rctl: RCTL.LPE | RCTL.UPE | (value << shift) | extended });
  const bytes = frame(ME, 9014, 1);
  nic.send(bytes);
  host.settle();
  const got = nic.receive();
  expect(got?.bytes.slice(0, -4)).toEqual(bytes); // and 4 bytes of check sequence
  expect(got?.bytes.length).toBe(9018);
  expect(got?.descriptors).toBe(Math.ceil(9018 / size));
});

test('without LPE frames of more than 1522 bytes are too long, and counted', () => {
  const host = testNics(['loopback']);
  const [nic] = host.drivers;
  nic.up();
  nic.send(frame(ME, 1518));
  nic.send(frame(ME, 1519));
  host.settle();
  expect(nic.receiveAll().map((f) => f.bytes.length)).toEqual([1518]);
  expect(nic.read(STAT.ROC)).toBe(1);
  expect(nic.read(STAT.ROC)).toBe(0); // reading clears
});

test('the check sequence is computed where asked for, and checked where software supplied it', () => {
  const host = testNics(['loopback']);
  const [nic] = host.drivers;
  nic.up({ rctl: RCTL.UPE });
  nic.send(frame(ME, 60, 3));
  host.settle();
  const good = nic.receive()?.bytes as number[];
  expect(good.slice(0, 60)).toEqual(frame(ME, 60, 3));
  nic.send(good, EOP); // the same with its own
  nic.send([...good.slice(0, 63), good[63] ^ 1], EOP);
  host.settle();
  expect(nic.receiveAll().map((f) => f.bytes)).toEqual([good]);
  expect(nic.read(STAT.CRCERRS)).toBe(1);
  nic.write(REG.RCTL, RCTL.EN | RCTL.UPE | RCTL.SBP);
  nic.send([...good.slice(0, 63), good[63] ^ 1], EOP);
  host.settle();
  expect(nic.receive()?.errors).toBe(1);
});

test('the check sequence of a known frame is the one of IEEE 802.3', () => {
  // CRC-32 of "123456789" is CBF43926 (the check value of CRC-32/ISO-HDLC); here it is of a frame, so by its residue.
  const host = testNics(['loopback']);
  const [nic] = host.drivers;
  nic.up({ rctl: RCTL.UPE });
  nic.send(frame(ME, 60, 3));
  host.settle();
  let crc = -1;
  for (const byte of nic.receive()?.bytes ?? []) {
    crc ^= byte;
    for (let i = 0; i < 8; i++) crc = (crc & 1) !== 0 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  }
  expect(crc >>> 0).toBe(0xdebb20e3);
});

test('short frames are padded when TCTL.PSP says so, else they are runts', () => {
  const host = testNics(['loopback']);
  const [nic] = host.drivers;
  nic.up({ tctl: 0 });
  nic.send(frame(ME, 20));
  host.settle();
  expect(nic.receive()).toBeUndefined();
  expect(nic.read(STAT.RUC)).toBe(1);
  nic.write(REG.TCTL, TCTL.EN | TCTL.PSP);
  nic.send(frame(ME, 20));
  host.settle();
  expect(nic.receive()?.bytes).toEqual([...frame(ME, 20), ...new Array(40).fill(0)]);
});

test('tags are put in and taken off', () => {
  const host = testNics(['loopback']);
  const [nic] = host.drivers;
  nic.up();
  const VME = 2 ** 30;
  nic.write(REG.VET, 0x8100);
  nic.write(REG.CTRL, nic.read(REG.CTRL) + VME);
  nic.post({ ...whole(frame(ME, 100), EOP | IFCS | VLE), special: 0x2005 });
  host.settle();
  const stripped = nic.receive();
  expect(stripped?.bytes).toEqual(frame(ME, 100));
  expect(stripped?.special).toBe(0x2005);
  expect((stripped?.status ?? 0) & RXD_STAT.VP).toBe(RXD_STAT.VP);
  nic.write(REG.CTRL, nic.read(REG.CTRL) - VME);
  const tagged = [...frame(ME, 100).slice(0, 12), 0x81, 0, 0x20, 5, ...frame(ME, 100).slice(12)];
  nic.send(tagged);
  host.settle();
  const kept = nic.receive();
  expect(kept?.bytes).toEqual(tagged);
  expect((kept?.status ?? 0) & RXD_STAT.VP).toBe(0);
});

test('a checksum is inserted where the last descriptor says', () => {
  const host = testNics(['loopback']);
  const [nic] = host.drivers;
  nic.up();
  const bytes = [
    ...frame(ME, 14),
    0x45,
    0,
    0,
    46,
    1,
    2,
    0,
    0,
    64,
    17,
    0,
    0,
    10,
    0,
    0,
    1,
    10,
    0,
    0,
    2,
    ...frame(ME, 40),
  ];
  nic.post({ ...whole(bytes, EOP | IFCS | IC), css: 14, cso: 24 });
  nic.post({ ...whole(bytes, EOP | IFCS | IC), css: 200, cso: 24 }); // outside the frame: nothing
  nic.post({ ...whole(bytes, EOP | IFCS | IC), css: 14, cso: 255 });
  host.settle();
  const [got, ...others] = nic.receiveAll().map((f) => f.bytes);
  let sum = 0;
  for (let i = 14; i < bytes.length; i += 2) sum += (got[i] << 8) | (got[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  expect(sum).toBe(0xffff);
  expect(others).toEqual([bytes, bytes]);
});

test('extended descriptors are used up and reported, and their frame is not sent', () => {
  const host = testNics(['loopback']);
  const [nic] = host.drivers;
  nic.up();
  const DEXT = TXD_CMD.DEXT;
  nic.post({ bytes: [], command: DEXT | RS | 1 }); // a context (DTYP 0): its bit 0 is no EOP
  nic.post({ bytes: frame(ME, 60), command: DEXT | EOP | RS, cso: 0x10 });
  nic.send(frame(ME, 60, 9));
  host.settle();
  expect([0, 1, 2].map((i) => nic.txStatus(i) & 1)).toEqual([1, 1, 1]);
  expect(nic.receiveAll().map((f) => f.bytes)).toEqual([frame(ME, 60, 9)]);
});

test('frames wait in the FIFO for descriptors; what does not fit is an overrun', () => {
  const host = testNics(['loopback']);
  const [nic] = host.drivers;
  nic.up({ give: 0, tx: 64 });
  nic.write(REG.PBA, 8);
  for (let i = 0; i < 10; i++) nic.send(frame(ME, 1000, i));
  host.settle();
  expect(nic.receive()).toBeUndefined();
  expect(nic.read(REG.ICR) & CAUSE.RXO).toBe(CAUSE.RXO);
  const missed = nic.read(STAT.MPC);
  expect(missed).toBeGreaterThan(0);
  expect(nic.read(STAT.RNBC)).toBeGreaterThan(0);
  nic.write(REG.RDT, 7);
  host.settle();
  const got: number[][] = [];
  for (let i = 0; i < 4; i++) {
    got.push(...nic.receiveAll().map((f) => f.bytes));
    host.settle();
  }
  // The oldest are kept.
  expect(got).toEqual(Array.from({ length: 10 - missed }, (_, i) => frame(ME, 1000, i)));
});

test('a frame that began in the last descriptor goes on when there are more', () => {
  const host = testNics(['loopback']);
  const [nic] = host.drivers;
  nic.bufferSize = 256;
  nic.up({ rx: 8, give: 2, rctl: RCTL.UPE | RCTL.SECRC | (3 << RCTL.BSIZE_SHIFT) });
  nic.send(frame(ME, 1000, 1));
  nic.send(frame(ME, 60, 2));
  host.settle();
  expect(nic.read(REG.RDH)).toBe(2);
  nic.write(REG.RDT, 3);
  host.settle();
  expect(nic.receive()).toBeUndefined();
  nic.write(REG.RDT, 7);
  host.settle();
  expect(nic.receiveAll().map((f) => f.bytes)).toEqual([frame(ME, 1000, 1), frame(ME, 60, 2)]);
});

test('a descriptor without a buffer is passed over', () => {
  const host = testNics(['loopback']);
  const [nic] = host.drivers;
  nic.up();
  nic.memory.dv.setUint32(nic.hpa(BUS.RX_RING), 0, true);
  nic.send(frame(ME, 60, 2));
  host.settle();
  const { dv } = nic.memory;
  expect(dv.getUint16(nic.hpa(BUS.RX_RING) + 8, true)).toBe(0);
  expect(nic.memory.u8[nic.hpa(BUS.RX_RING) + 12]).toBe(RXD_STAT.DD);
  expect(dv.getUint16(nic.hpa(BUS.RX_RING) + 24, true)).toBe(60);
});

test('the sender of a full cable waits, and loses nothing', () => {
  const host = testNics([{ wire: { pair: 1 } }, { wire: { pair: 0 } }], 3);
  const [a, b] = host.drivers;
  a.up({ tx: 64 });
  b.up({ rx: 128, give: 127 });
  host.settle(); // the links are up
  // The receiving engine has not run since: the cable is all but full before the first frame is sent.
  const cable = new FrameRing(host.memory, nicAreaAt(AT.net, 1) + NIC_PART.inbound, CABLE_CAPACITY);
  const staged = a.hpa(BUS.RX);
  let queued = 0;
  for (; ; queued++) {
    host.memory.u8.set(frame(mac(MACS[1]), 1500, queued), staged);
    if (!cable.push(staged, 1500, 0)) break;
  }
  expect(queued).toBeGreaterThan(80);
  for (let i = 0; i < 30; i++) a.send(frame(mac(MACS[1]), 1500, queued + i), EOP | IFCS);
  const got: number[][] = [];
  host.run(function* () {
    yield* until('all', () => {
      got.push(...b.receiveAll().map((f) => f.bytes));
      return got.length === queued + 30;
    });
  });
  expect(got).toEqual(Array.from({ length: queued + 30 }, (_, i) => frame(mac(MACS[1]), 1500, i)));
  expect(a.read(STAT.GPTC)).toBe(30);
});

test('without a link nothing is sent; when the cable comes back, what waited goes out', () => {
  const host = testNics(['loopback']);
  const [nic] = host.drivers;
  nic.up();
  nic.write(REG.CTRL, 1);
  host.settle();
  expect(nic.read(REG.STATUS) & 2).toBe(0);
  nic.send(frame(ME, 60, 2));
  host.settle();
  expect(nic.pending).toBe(1);
  nic.write(REG.CTRL, 0x41);
  host.settle();
  expect(nic.read(REG.STATUS) & 2).toBe(2);
  expect(nic.receive()?.bytes).toEqual(frame(ME, 60, 2));
});
