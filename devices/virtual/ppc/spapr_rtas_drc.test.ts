/** RTAS calls on connectors: what a guest gets of a device that is handed over, and what is refused. */
import { expect, test } from 'vitest';
import { BUID, spaprPci } from './spapr_pci_fixture.ts';

const [SET_INDICATOR, SET_POWER, GET_POWER, GET_SENSOR, CONFIGURE] = [0x201a, 0x201b, 0x201c, 0x201d, 0x201e];
const [ISOLATION, LIGHT, ALLOCATION] = [9001, 9002, 9003];
/** Slot 0 of bridge 0, and slot 3. */
const [FIRST, OTHER] = [0x4000_0000, 0x4000_0018];
const AREA = 0x8000;

function connectors() {
  const fixture = spaprPci();
  const { machine, phb, rtas } = fixture;
  const area = new DataView(machine.memory.bytes.buffer, AREA);
  const text = (at: number) => new TextDecoder().decode(machine.memory.bytes.subarray(AREA + at)).split('\0')[0];
  return {
    ...fixture,
    area,
    handOver: () => machine.run(phb.plug({ host: '0000:01:00.0' }, true)),
    set: (indicator: number, index: number, state: number) => rtas(SET_INDICATOR, [indicator, index, state], 1)[0],
    sense: (index: number) => rtas(GET_SENSOR, [9003, index], 2),
    /** One call of ibm,configure-connector, and what it put into the work area. */
    configure(index: number): { readonly status: number; readonly name: string; readonly value: string } {
      area.setUint32(0, index);
      area.setUint32(4, 0);
      const [status] = rtas(CONFIGURE, [AREA, 0], 1);
      const [nameAt, length, valueAt] = [8, 12, 16].map((at) => area.getUint32(at));
      const value = Buffer.from(machine.memory.bytes.subarray(AREA + valueAt, AREA + valueAt + length));
      return { status, name: text(nameAt), value: value.toString('hex') };
    },
  };
}

test('a device that is handed over: present, unisolated, described, configured', () => {
  const { handOver, sense, set, configure, phb } = connectors();
  expect(sense(FIRST)).toEqual([0, 0]);
  handOver();
  expect([sense(FIRST), set(ISOLATION, FIRST, 1)]).toEqual([[0, 1], 0]);
  expect(configure(FIRST)).toMatchObject({ status: 2, name: 'ethernet@0' });
  const properties: Record<string, string> = {};
  for (;;) {
    const { status, name, value } = configure(FIRST);
    if (status === 0) break;
    expect(status).toBe(3);
    properties[name] = value;
  }
  expect(properties).toEqual({
    name: Buffer.from('ethernet\0').toString('hex'),
    'vendor-id': '00008086',
    'device-id': '0000100e',
    'revision-id': '00000002',
    'class-code': '00020000',
    interrupts: '00000001',
    '#address-cells': '00000003',
    '#size-cells': '00000002',
    'ibm,req#msi': '00000004',
    'ibm,req#msi-x': '00000003',
    'ibm,pci-config-space-type': '00000000',
    'ibm,my-drc-index': '40000000',
    'ibm,loc-code': Buffer.from('C0\0').toString('hex'),
    // Configuration space, then BAR 0: 32-bit memory, register 10, 2000 bytes; firmware put it at 80000000.
    reg: `${'00'.repeat(20)}0200001000000000000000000000000000002000`,
    'assigned-addresses': '8200001000000000800000000000000000002000',
  });
  expect([phb.drcs[0].state, set(LIGHT, FIRST, 1), phb.drcs[0].indicator]).toEqual(['configured', 0, 1]);
});

test('a device in another slot: its unit address and its addresses say where it is', () => {
  const { machine, phb, set, configure } = connectors();
  machine.run(phb.plug({ host: '0000:01:00.0', slot: 3 }, true));
  set(ISOLATION, OTHER, 1);
  expect(configure(OTHER).name).toBe('ethernet@3');
  for (;;) {
    const { name, value, status } = configure(OTHER);
    expect(status).toBe(3);
    if (name !== 'reg') continue;
    expect(value.slice(0, 8)).toBe('00001800');
    break;
  }
});

test('isolating what was asked for takes it out: it answers nowhere, and its slot senses empty', () => {
  const { machine, phb, plug, set, sense, readConfig } = connectors();
  plug();
  machine.run(phb.drcs[0].requestUnplug());
  expect(readConfig(0, 4)[0]).toBe(0);
  expect([set(LIGHT, FIRST, 3), set(ISOLATION, FIRST, 0)]).toEqual([0, 0]);
  expect([sense(FIRST), phb.devices(), readConfig(0, 4)[0]]).toEqual([[0, 0], [], -1]);
  expect(machine.notices).toEqual(['vfio-pci 0000:01:00.0 (0000:01:00.0): the guest has released it; it is unplugged']);
});

test('isolating what was not asked for leaves it in the machine, and it can be unisolated again', () => {
  const { phb, plug, set, sense, configure } = connectors();
  plug();
  expect([set(ISOLATION, FIRST, 0), sense(FIRST)]).toEqual([0, [0, 1]]);
  expect(configure(FIRST).status).toBe(-9003);
  expect([set(ISOLATION, FIRST, 1), configure(FIRST).status, phb.devices().length]).toEqual([0, 2, 1]);
});

const BAD_INDEXES = [0, 1, 0x4000_0001, 0x4000_0100, 0x4001_0000, 0x3000_0000, 0x8000_0000, 0xffff_ffff];
test.each(BAD_INDEXES)('index %i is no connector: every call refuses it', (index) => {
  const { plug, phb, set, sense, configure } = connectors();
  plug();
  expect([ISOLATION, LIGHT, ALLOCATION].map((indicator) => set(indicator, index, 0))).toEqual([-3, -3, -3]);
  expect([sense(index)[0], configure(index).status]).toEqual([-3, -3]);
  expect(phb.drcs[0].state).toBe('configured');
});

test.each([
  ['an allocation state: a slot is a physical connector', SET_INDICATOR, [ALLOCATION, FIRST, 1], 1],
  ['an indicator there is not', SET_INDICATOR, [9004, FIRST, 1], 1],
  ['an indicator of another platform', SET_INDICATOR, [7, 0, 1], 1],
  ['an indicator beyond all', SET_INDICATOR, [0xffff_ffff, FIRST, 1], 1],
  ['an isolation state there is not', SET_INDICATOR, [ISOLATION, FIRST, 2], 1],
  ['a light there is not', SET_INDICATOR, [LIGHT, FIRST, 4], 1],
  ['unisolating an empty slot', SET_INDICATOR, [ISOLATION, OTHER, 1], 1],
  ['a sensor there is not', GET_SENSOR, [9001, FIRST], 2],
  ['a sensor beyond all', GET_SENSOR, [0xffff_ffff, FIRST], 2],
  ['a power domain there is not', SET_POWER, [0, 100], 2],
  ['its level', GET_POWER, [1], 2],
] as const)('%s is refused', (_, token, args, nret) => {
  const { plug, phb, rtas } = connectors();
  plug();
  expect(rtas(token, args, nret)[0]).toBe(-3);
  expect([phb.drcs[0].state, phb.drcs[0].indicator, phb.devices().length]).toEqual(['configured', 0, 1]);
});

test('every slot is in the power domain of live insertion, which is always on', () => {
  const { rtas } = connectors();
  expect([rtas(SET_POWER, [0xffff_ffff, 0], 2), rtas(GET_POWER, [0xffff_ffff], 2)]).toEqual([
    [0, 100],
    [0, 100],
  ]);
});

test.each([
  ['behind memory', 0x2_0000],
  ['across its end', 0x1_f004],
  ['at the last byte', 0x1_ffff],
  ['far away', 0xffff_f000],
])('a work area %s is refused, and nothing is written', (_, address) => {
  const { machine, plug, rtas, phb } = connectors();
  plug();
  // The index is there wherever the area's first word is in memory: slot 0 of bridge 0.
  new DataView(machine.memory.bytes.buffer).setUint32(0x1_f004, FIRST);
  const before = machine.memory.bytes.slice(0x1_0000);
  expect(rtas(CONFIGURE, [address, 0], 1)).toEqual([-3]);
  expect(Buffer.compare(machine.memory.bytes.subarray(0x1_0000), before)).toBe(0);
  expect(phb.drcs[0].configure().response).toBe(2);
});

test('a work area right up to the end of memory, and at any alignment, is as good', () => {
  const { machine, plug, rtas } = connectors();
  plug();
  const dv = new DataView(machine.memory.bytes.buffer);
  for (const address of [machine.memory.size - 4096, 0x9003]) {
    dv.setUint32(address, FIRST);
    expect(rtas(CONFIGURE, [address, 0], 1)[0]).toBeGreaterThan(0);
  }
});

test('a device that went while it was being described is described no more', () => {
  const { machine, phb, handOver, set, configure } = connectors();
  handOver();
  set(ISOLATION, FIRST, 1);
  expect([configure(FIRST).status, configure(FIRST).status]).toEqual([2, 3]);
  machine.run(phb.unplug(phb.devices()[0]));
  expect(configure(FIRST).status).toBe(-9003);
  handOver();
  set(ISOLATION, FIRST, 1);
  expect(configure(FIRST)).toMatchObject({ status: 2, name: 'ethernet@0' });
});

test('connectors of a second bridge have their own indexes', () => {
  const { machine, realize, sense, configure } = connectors();
  const other = realize({ index: 1 });
  machine.run(other.plug({ host: '0000:02:00.0', slot: 31 }));
  expect([sense(0x4001_00f8), sense(0x4001_0000), configure(0x4001_00f8).name]).toEqual([
    [0, 1],
    [0, 0],
    'ethernet@1f',
  ]);
  expect(BUID[1] + 1).toBe(Number(other.buid & 0xffff_ffffn));
});
