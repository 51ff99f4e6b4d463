/** The register side: the table, the EEPROM, the PHY, resets. */
import { expect, test } from 'vitest';
import { CAUSE, CAUSES, REG, STAT } from './e1000_regs.ts';
import { E1000_REGISTERS } from './e1000_table.ts';
import { installNics, macBytes } from './install_nics.ts';
import { EEPROM_WORDS, REGISTERS_SIZE } from './nic_area.ts';
import { AT, MACS, mac, testNics } from './test_nic.ts';
import { checkCables } from './wire.ts';

const nic = () => testNics(['none']).drivers[0];
const plain = E1000_REGISTERS.filter((row) => row.write === undefined && row.read === undefined);

test.each(plain.map((row) => [row.name, row] as const))('%s starts as told and takes its own bits only', (_, row) => {
  const n = nic();
  for (const at of new Set([row.at, row.at + ((row.count ?? 1) - 1) * 4])) {
    if (!/^RA[LH]0$|^STATUS$/.test(row.name)) expect(n.read(at)).toBe((row.reset ?? 0) >>> 0);
    const kept = (n.read(at) & ~(row.mask ?? 0)) >>> 0;
    n.write(at, 0xffffffff);
    expect(n.read(at)).toBe((kept | (row.mask ?? 0)) >>> 0);
    n.write(at, 0);
    expect(n.read(at)).toBe(kept);
  }
});

test('what is between the registers reads zero and takes nothing, to the end of the BAR', () => {
  const n = nic();
  const known = new Set(
    E1000_REGISTERS.flatMap((row) => Array.from({ length: row.count ?? 1 }, (_, i) => row.at + i * 4)),
  );
  for (let at = 0; at < 0x20000; at += at < REGISTERS_SIZE ? 4 : 0x1004) {
    if (known.has(at)) continue;
    n.write(at, 0xffffffff);
    expect(n.read(at)).toBe(0);
  }
  expect(n.read(0x20000)).toBe(0xffffffff); // beyond it nobody answers
});

test('narrow loads give a part, narrow stores nothing, unaligned accesses are not for this device', () => {
  const n = nic();
  n.write(REG.RAL + 8, 0x12345678);
  expect([n.read(REG.RAL + 8, 1), n.read(REG.RAL + 9, 1), n.read(REG.RAL + 10, 2)]).toEqual([0x78, 0x56, 0x1234]);
  n.write(REG.RAL + 8, 0, 2);
  n.write(REG.RAL + 8, 0, 1);
  expect(n.read(REG.RAL + 8)).toBe(0x12345678);
  expect(n.read(REG.RAL + 9, 2)).toBe(0xffff);
});

test('configuration space names the 82540EM, its BAR, its pin and its message capability', () => {
  const { bridge } = testNics(['none']);
  expect([bridge.configRead(0, 0, 4), bridge.configRead(0, 8, 4)]).toEqual([0x100e8086, 0x02000003]);
  bridge.configWrite(0, 0x10, 4, 0xffffffff);
  expect(bridge.configRead(0, 0x10, 4)).toBe(0xfffe0000);
  expect(bridge.configRead(0, 0x3d, 1)).toBe(1);
  expect(bridge.configRead(0, 0x06, 2) & 0x10).toBe(0x10);
  const at = bridge.configRead(0, 0x34, 1);
  expect(bridge.configRead(0, at, 4)).toBe(0x0080_0005);
  bridge.configWrite(0, at + 2, 2, 0xffff);
  expect(bridge.configRead(0, at + 2, 2)).toBe(0x0081);
});

/** A word through EECD, bit by bit, as e1000_shift_out_ee_bits and e1000_shift_in_ee_bits do. */
function microwire(n: ReturnType<typeof nic>, word: number): number {
  const [SK, CS, DI, DO] = [1, 2, 4, 8];
  const REQ = 0x40;
  n.write(REG.EECD, REQ);
  expect(n.read(REG.EECD) & 0x80).toBe(0x80); // granted
  n.write(REG.EECD, REQ | CS);
  const command = (0b110 << 6) | word;
  for (let bit = 8; bit >= 0; bit--) {
    const data = ((command >> bit) & 1) !== 0 ? DI : 0;
    n.write(REG.EECD, REQ | CS | data);
    n.write(REG.EECD, REQ | CS | data | SK);
    n.write(REG.EECD, REQ | CS | data);
  }
  let value = 0;
  for (let bit = 0; bit < 16; bit++) {
    n.write(REG.EECD, REQ | CS | SK);
    value = (value << 1) | ((n.read(REG.EECD) & DO) !== 0 ? 1 : 0);
    n.write(REG.EECD, REQ | CS);
  }
  n.write(REG.EECD, REQ);
  n.write(REG.EECD, 0);
  return value;
}

test('the EEPROM reads the same by EERD and by EECD; its words add up; the address is in it', () => {
  const n = nic();
  const words = Array.from({ length: EEPROM_WORDS }, (_, word) => {
    n.write(REG.EERD, (word << 8) | 1);
    const value = n.read(REG.EERD);
    expect(value & 0x10).toBe(0x10);
    return value >>> 16;
  });
  expect(words.reduce((sum, word) => sum + word, 0) & 0xffff).toBe(0xbaba);
  expect(words.slice(0, 3).flatMap((word) => [word & 0xff, word >> 8])).toEqual(mac(MACS[0]));
  expect(words.map((_, word) => microwire(n, word))).toEqual(words);
});

test('the PHY answers at its address, resets itself, and shows the link it has', () => {
  const host = testNics(['loopback', 'none']);
  const phy = (n: (typeof host.drivers)[0], register: number, address = 1) => {
    n.write(REG.MDIC, (2 << 26) | (address << 21) | (register << 16));
    return n.read(REG.MDIC);
  };
  const [a, b] = host.drivers;
  expect(phy(a, 2) & 0x1000ffff).toBe(0x10000141);
  expect(phy(a, 1) & 0x24).toBe(0x24);
  expect(phy(b, 1) & 0x24).toBe(0);
  expect((phy(a, 2, 2) >>> 30) & 1).toBe(1); // nobody there
  a.write(REG.MDIC, (1 << 26) | (1 << 21) | 0x1940); // power down
  expect(phy(a, 1) & 0x24).toBe(0);
  a.write(REG.MDIC, (1 << 26) | (1 << 21) | 0x9140); // reset
  expect(phy(a, 0) & 0xffff).toBe(0x1140);
  a.write(REG.IMS, CAUSE.MDAC);
  a.write(REG.MDIC, (2 << 26) | (1 << 21) | (1 << 29));
  expect(a.read(REG.ICR) & CAUSE.MDAC).toBe(CAUSE.MDAC);
});

test('causes are set by ICS, masked by IMS and IMC, cleared by reading or by writing ones', () => {
  const n = nic();
  n.write(REG.ICS, 0xffffffff);
  expect(n.read(REG.ICR)).toBe(CAUSES);
  expect(n.read(REG.ICR)).toBe(0);
  n.write(REG.ICS, 0x83);
  n.write(REG.ICR, 0x81);
  expect(n.read(REG.ICR)).toBe(0x02);
  n.write(REG.IMS, 0x86);
  n.write(REG.IMC, 0x82);
  expect(n.read(REG.IMS)).toBe(0x04);
  expect([n.read(REG.ICS), n.read(REG.IMC)]).toEqual([0, 0]);
});

test.each(['CTRL.RST', 'a reset of the PE'])('%s restores every register and keeps the address', (kind) => {
  const host = testNics(['loopback']);
  const [n] = host.drivers;
  for (const row of E1000_REGISTERS)
    if (row.name !== 'CTRL' && row.name !== 'MDIC')
      for (let i = 0; i < (row.count ?? 1); i++) n.write(row.at + i * 4, 0xffffffff);
  host.settle();
  if (kind === 'CTRL.RST') n.write(REG.CTRL, 2 ** 26);
  else {
    host.bridge.reset(0);
    expect(n.read(REG.STATUS)).toBe(0xffffffff); // memory decoding is off again
    host.bridge.configWrite(0, 4, 2, 6);
  }
  for (const row of E1000_REGISTERS)
    if (!/^RA[LH]0$|^MDIC$/.test(row.name))
      for (let i = 0; i < (row.count ?? 1); i++)
        expect(n.read(row.at + i * 4), row.name).toBe(
          row.name === 'ICS' || row.name === 'IMC' ? 0 : (row.reset ?? 0) >>> 0,
        );
  expect(n.read(REG.RAL)).toBe(0x12005452);
  expect(n.read(REG.RAH)).toBe(0x80005634);
});

test('octet counters are pairs that the high word clears', () => {
  const host = testNics(['loopback']);
  const [n] = host.drivers;
  n.up();
  const area = AT.net;
  host.memory.store(area + STAT.GOTCL, -10); // near the carry
  n.send([...mac(MACS[0]), ...new Array(94).fill(1)]);
  host.settle();
  expect(n.read(STAT.GOTCL)).toBe(94);
  expect(n.read(STAT.GOTCL)).toBe(94);
  expect(n.read(STAT.GOTCL + 4)).toBe(1);
  expect([n.read(STAT.GOTCL), n.read(STAT.GOTCL + 4)]).toEqual([0, 0]);
  host.memory.store(area + STAT.GPTC, -1); // at its largest, a counter stays
  n.send([...mac(MACS[0]), ...new Array(94).fill(1)]);
  host.settle();
  expect(n.read(STAT.GPTC)).toBe(0xffffffff);
});

test.each(['52:54:00:12:34', '52-54-00-12-34-56', '53:54:00:12:34:56', '', '52:54:00:12:34:5g'])(
  'the address %s is refused',
  (text) => expect(() => macBytes(text)).toThrow('not the MAC address of a station'),
);

test('cables that cannot be are refused, each naming its NIC', () => {
  const nics = (...wires: ('none' | { pair: number })[]) => wires.map((wire) => ({ mac: MACS[0], wire }));
  expect(() => checkCables(nics({ pair: 0 }))).toThrow('NIC 0: its cable leads to itself');
  expect(() => checkCables(nics({ pair: 1 }))).toThrow('NIC 1, which does not exist');
  expect(() => checkCables(nics({ pair: 1 }, 'none'))).toThrow(
    'NIC 0: its cable leads to NIC 1, whose cable leads elsewhere',
  );
  expect(() => checkCables(nics({ pair: 1 }, { pair: 0 }))).not.toThrow();
  const { memory } = testNics(['none']);
  expect(() => installNics(memory, AT.phb, AT.net, nics({ pair: 7 }), 0)).toThrow('NIC 7');
});
