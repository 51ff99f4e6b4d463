/** Which frames a NIC takes. */
import { expect, test } from 'vitest';
import { RCTL, REG, RXD_STAT } from './e1000_regs.ts';
import { frame, MACS, mac, type TestNics, testNics } from './test_nic.ts';

const ME = mac(MACS[0]);
const OTHER = mac('52:54:00:aa:bb:cc');
const ALL = mac('ff:ff:ff:ff:ff:ff');
const GROUP = mac('01:00:5e:01:02:03');

function up(rctl: number) {
  const host = testNics(['loopback']);
  const [nic] = host.drivers;
  nic.up({ rctl: RCTL.SECRC | rctl });
  return { host, nic };
}

/** Status of the descriptor a frame ends in; undefined when it is refused. */
function status(host: TestNics, bytes: readonly number[]): number | undefined {
  const [nic] = host.drivers;
  nic.send(bytes);
  host.settle();
  return nic.receive()?.status;
}

test.each([
  ['nothing set', 0, [true, false, false, false]],
  ['UPE', RCTL.UPE, [true, true, false, false]],
  ['MPE', RCTL.MPE, [true, false, true, true]],
  ['BAM', RCTL.BAM, [true, false, true, false]],
  ['everything', RCTL.UPE | RCTL.MPE | RCTL.BAM, [true, true, true, true]],
])('%s: own address, another, broadcast, group', (_, rctl, taken) => {
  const { host } = up(rctl);
  expect([ME, OTHER, ALL, GROUP].map((to) => status(host, frame(to, 60)) !== undefined)).toEqual(taken);
});

test('each of the sixteen receive addresses counts while it is valid', () => {
  const { host, nic } = up(0);
  for (let i = 0; i < 16; i++) {
    nic.write(REG.RAL + i * 8, 0xaa005452);
    nic.write(REG.RAH + i * 8, 0xccbb);
    expect(status(host, frame(OTHER, 60))).toBeUndefined();
    nic.write(REG.RAH + i * 8, 2 ** 31 + 0xccbb);
    expect(status(host, frame(OTHER, 60))).toBeDefined();
    nic.write(REG.RAH + i * 8, 2 ** 31 + 0xccba);
    expect(status(host, frame(OTHER, 60))).toBeUndefined();
    nic.write(REG.RAH + i * 8, 0);
  }
});

test('a receive address may be compared with the source', () => {
  const { host, nic } = up(0);
  nic.write(REG.RAL + 8, 0x12005452);
  nic.write(REG.RAH + 8, 2 ** 31 + 0x1_5634);
  expect(status(host, frame(OTHER, 60))).toBeDefined(); // every test frame comes from MACS[0]
});

test.each([
  [0, 47, 36],
  [1, 46, 35],
  [2, 45, 34],
  [3, 43, 32],
])('MO %i hashes bits %i to %i of the address; what only the hash lets pass is marked', (mo, high, low) => {
  expect(high - low).toBe(11);
  const { host, nic } = up(mo << RCTL.MO_SHIFT);
  // Byte 0 of the address is bits 0 to 7, byte 5 bits 40 to 47.
  const address = GROUP.reduce((value, byte, i) => value | (BigInt(byte) << BigInt(8 * i)), 0n);
  const hash = Number((address >> BigInt(low)) & 0xfffn);
  expect(status(host, frame(GROUP, 60))).toBeUndefined();
  nic.write(REG.MTA + (hash >> 5) * 4, (1 << (hash & 31)) >>> 0);
  expect((status(host, frame(GROUP, 60)) ?? 0) & RXD_STAT.PIF).toBe(RXD_STAT.PIF);
  for (let i = 0; i < 128; i++) nic.write(REG.MTA + i * 4, 0xffffffff);
  nic.write(REG.MTA + (hash >> 5) * 4, ~(1 << (hash & 31)) >>> 0);
  expect(status(host, frame(GROUP, 60))).toBeUndefined();
  expect(status(host, frame(OTHER, 60))).toBeUndefined(); // the table is for groups only
});

test('with VFE tagged frames need their bit of the VLAN table; CFI is compared when CFIEN says so', () => {
  const { host, nic } = up(RCTL.VFE);
  const tagged = (tag: number) => [
    ...frame(ME, 60).slice(0, 12),
    0x81,
    0,
    tag >> 8,
    tag & 0xff,
    ...frame(ME, 60).slice(12),
  ];
  expect(status(host, frame(ME, 60))).toBeDefined();
  expect(status(host, tagged(0x0123))).toBeUndefined();
  nic.write(REG.VFTA + (0x123 >> 5) * 4, 1 << (0x123 & 31));
  expect(status(host, tagged(0x0123))).toBeDefined();
  expect(status(host, tagged(0xe123))).toBeDefined(); // the priority does not count
  expect(status(host, tagged(0x0124))).toBeUndefined();
  nic.write(REG.RCTL, RCTL.EN | RCTL.SECRC | RCTL.VFE | RCTL.CFIEN);
  expect(status(host, tagged(0x0123))).toBeDefined();
  expect(status(host, tagged(0x1123))).toBeUndefined();
});

test('a receiver that is off takes nothing', () => {
  const { host, nic } = up(RCTL.UPE);
  nic.write(REG.RCTL, RCTL.UPE);
  expect(status(host, frame(ME, 60))).toBeUndefined();
  nic.write(REG.RCTL, RCTL.UPE | RCTL.EN | RCTL.SECRC);
  host.settle();
  expect(nic.receive()).toBeUndefined();
  expect(status(host, frame(ME, 60, 4))).toBeDefined();
});
