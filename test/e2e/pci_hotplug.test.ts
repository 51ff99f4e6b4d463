/**
 * PCI devices that come and go while a guest uses them: what it sees in configuration space, at the BARs and of
 * interrupts; that the host has everything back afterwards; and that seeds replay it.
 */
import { afterAll, describe, expect, test } from 'vitest';
import type { MachineConfig, NicConfig } from '../../hypervisor/config.ts';
import { type SimulatedRun, traceText } from '../../hypervisor/simulate.ts';
import type { KernelStatistics } from '../../kernel/start.ts';
import { runCli, workFolder } from '../support/cli.ts';
import { type HcallRun, HcallScript } from '../support/hcall_script.ts';
import { toyDrive } from '../support/toy.ts';

const H = { PUT_TCE: 0x20, GET_TCE: 0x1c, CI_LOAD: 0x3c, CI_STORE: 0x40, EOI: 0x64, CPPR: 0x68, XIRR: 0x74 };
const SIDES = ['group', 'group-liobn', 'container'] as const;
const NIC = '0000:01:01.0';
/** Of the second bridge: the NIC's. */
const BUID = [0x0800_0000, 0x2000_0001];
const LIOBN = 0x8000_0100;
const BAR = 0x110_8000_0000;
const [MSI, LSI] = [0x1300, 0x1204];
const { STATUS, ICR, ICS, IMS } = { STATUS: 0x08, ICR: 0xc0, ICS: 0xc8, IMS: 0xd0 };
const LINK_CHANGE = 4;
const NICS: readonly NicConfig[] = [{ mac: '52:54:00:12:34:56', wire: 'loopback' }];
const ABSENT: readonly NicConfig[] = [{ ...NICS[0], plug: false }];
const swap = (word: number) => Buffer.from(new Uint32Array([word]).buffer).readUInt32BE(0);
const at = (...commands: string[]) => commands.flatMap((command) => ['--at', command]);
const kernelOf = ({ actors }: SimulatedRun) => actors.kernel as KernelStatistics;

class Script extends HcallScript {
  load(register: number): number {
    return this.hcall(H.CI_LOAD, 4, BAR + register);
  }
  store(register: number, value: number): number {
    return this.hcall(H.CI_STORE, 4, BAR + register, swap(value));
  }
  /** Until nobody answers at the BAR. */
  gone(): void {
    this.until(0xffff_ffff, 0xffff_ffff, H.CI_LOAD, 4, BAR + STATUS);
  }
  /** Until the NIC answers: STATUS after a reset, which is full duplex at 1000 Mb/s. */
  there(): void {
    this.until(0xffff_ffff, swap(0x281), H.CI_LOAD, 4, BAR + STATUS);
  }
  readConfig(register: number, size: number): number {
    return this.rtas(0x2016, [register, ...BUID, size], 2);
  }
  writeConfig(register: number, size: number, value: number): void {
    this.rtas(0x2017, [register, ...BUID, size, value], 1);
  }
  /** One message: sources from firmware, routed, switched on, caused. Returns where its XIRR is. */
  message(): { readonly change: number; readonly xirr: number } {
    const change = this.rtas(0x2019, [0, ...BUID, 3, 1, 0], 4);
    this.rtas(0x200a, [MSI, 0, 5], 1);
    this.hcall(H.CPPR, 0xff);
    this.writeConfig(0xf2, 2, 1);
    this.load(ICR);
    this.store(IMS, LINK_CHANGE);
    this.store(ICS, LINK_CHANGE);
    this.wait();
    const xirr = this.hcall(H.XIRR);
    this.hcall(H.EOI, 0xff00_0000 + MSI);
    return { change, xirr };
  }
  async run(words: readonly string[], nics: readonly NicConfig[], change: Partial<MachineConfig> = {}) {
    return await this.simulate(words, { nics, ...change });
  }
}

/** No complaint of the kernel's or the VMM's. */
function quiet(run: HcallRun): void {
  expect(run.machine.log.filter((line) => /BUG|warn|failed|E[A-Z]{4,}/.test(line))).toEqual([]);
}

describe('a NIC that is plugged into a running machine', () => {
  test.each(SIDES)('is in configuration space, at its BAR, has interrupts and a DMA window (%s)', async (side) => {
    for (const seed of [1, 2, 3]) {
      const s = new Script();
      const before = [s.readConfig(0, 4), s.load(STATUS)];
      s.there();
      const id = s.readConfig(0, 4);
      const bar = s.readConfig(0x10, 4);
      const put = s.hcall(H.PUT_TCE, LIOBN, 0x1000, 0x5003);
      const { change, xirr } = s.message();
      const run = await s.run(
        ['--seed', `${seed}`, '--tce-bind', side, ...at(`300us:device_add vfio-pci,host=${NIC}`)],
        ABSENT,
      );
      expect(run.words(before[0], 1), `seed ${seed}`).toEqual([-1]);
      expect(run.outcome(before[1]).value).toBe(0xffff_ffffn);
      expect([run.words(id, 2), run.words(bar, 2)]).toEqual([
        [0, 0x100e_8086],
        [0, 0x8000_0000 | 0],
      ]);
      expect(run.outcome(put).ret).toBe(0);
      expect(run.words(change, 4)).toEqual([0, 1, 1, 1]);
      expect(run.outcome(xirr).value).toBe(BigInt(0xff00_0000 + MSI));
      quiet(run);
    }
  });

  test('entries that the guest made before are in the window it gets', async () => {
    const s = new Script();
    const put = s.hcall(H.PUT_TCE, LIOBN, 0x3000, 0x7003);
    s.there();
    const get = s.hcall(H.GET_TCE, LIOBN, 0x3000);
    const run = await s.run(['--trace', 'tce_kill', ...at(`300us:device_add vfio-pci,host=${NIC}`)], ABSENT);
    expect([run.outcome(put).ret, run.outcome(get).value]).toEqual([0, 0x7003n]);
    // The entry's hardware table is the NIC's: PE 1, page 3.
    const kills = run.machine.trace.filter(({ event }) => event === 'tce_kill').map(({ args }) => args.slice(0, 3));
    expect(kills).toContainEqual([1, 3, 1]);
  });
});

describe('a NIC that is unplugged', () => {
  test('answers no more: configuration space fails, BARs read as ones, its sources are gone; then it comes again', async () => {
    for (const seed of [1, 2, 3]) {
      const s = new Script();
      const first = s.message();
      s.gone();
      const config = s.readConfig(0, 4);
      const stored = s.store(IMS, 1);
      const xive = s.rtas(0x200b, [MSI], 3);
      const change = s.rtas(0x2019, [0, ...BUID, 3, 1, 0], 4);
      const put = s.hcall(H.PUT_TCE, LIOBN, 0x1000, 0x5003);
      s.there();
      const second = s.message();
      const run = await s.run(
        ['--seed', `${seed}`, ...at('600us:device_del nic0', `1ms:device_add vfio-pci,host=${NIC}`)],
        NICS,
      );
      const message = BigInt(0xff00_0000 + MSI);
      expect(run.outcome(first.xirr).value, `seed ${seed}`).toBe(message);
      expect([run.words(config, 1), run.outcome(stored).ret, run.words(xive, 1)]).toEqual([[-1], 0, [-3]]);
      expect(run.words(change, 1)).toEqual([-3]);
      // The window is the bridge's: the guest's view of it stays.
      expect(run.outcome(put).ret).toBe(0);
      expect(run.outcome(second.xirr).value).toBe(message);
      quiet(run);
    }
  });

  test('while its pin is asserted: the source is quiet, and a next device has the pin', async () => {
    const s = new Script();
    s.rtas(0x200a, [LSI, 0, 5], 1);
    s.load(ICR);
    s.store(IMS, LINK_CHANGE);
    // With the processor priority at 0 nothing is presented.
    s.store(ICS, LINK_CHANGE);
    s.gone();
    s.hcall(H.CPPR, 0xff);
    const none = s.hcall(H.XIRR);
    s.there();
    s.store(IMS, LINK_CHANGE);
    s.store(ICS, LINK_CHANGE);
    s.wait();
    const xirr = s.hcall(H.XIRR);
    const run = await s.run(at('600us:device_del nic0', `1ms:device_add vfio-pci,host=${NIC}`), NICS);
    expect(run.outcome(none).value).toBe(0xff00_0000n);
    expect(run.outcome(xirr).value).toBe(BigInt(0xff00_0000 + LSI));
  });

  test.each([
    ...SIDES.map((side) => [side, [] as string[]] as const),
    ['group', ['--memory-pressure', '--memlock', '3G']] as const,
    ['group', ['--tce', 'user']] as const,
  ])('leaves nothing: pages, tables, locked memory (%s %j)', async (side, more) => {
    /** A guest that maps pages and uses the interrupts until the NIC is gone. */
    const script = (used: boolean) => {
      const s = new Script();
      if (used) {
        for (let page = 1; page < 20; page++) s.hcall(H.PUT_TCE, LIOBN, page * 4096, 0x20_0000 + page * 4096 + 3);
        s.message();
      }
      s.gone();
      return s;
    };
    const options = ['--tce-bind', side, ...more];
    const without = await script(false).run([...options, ...at('4ms:info vfio', '4500us:quit')], ABSENT);
    for (const seed of [1, 2, 3, 4]) {
      const words = [...options, '--seed', `${seed}`];
      const s = script(true);
      // So that the guest outlives the commands.
      s.until(1, 2, H.CI_LOAD, 4, BAR);
      const run = await s.run([...words, ...at('2ms:device_del nic0', '4ms:info vfio', '4500us:quit')], NICS);
      const [with_, never] = [run, without].map(({ machine }) => kernelOf(machine));
      expect([seed, with_.lockedVm, with_.allocatedFrames]).toEqual([seed, never.lockedVm, never.allocatedFrames]);
      expect(run.machine.console).not.toContain('nic0:');
      quiet(run);
    }
  });

  test('gives its descriptors and eventfds back: the tenth time it has the numbers of the first', async () => {
    const s = new Script();
    s.until(1, 2, H.CI_LOAD, 4, BAR);
    const cycle = (ms: number) => [`${ms}ms:device_add vfio-pci,host=${NIC}`, `${ms}ms:info vfio`];
    const cycles = Array.from({ length: 10 }, (_, i) => [...cycle(2 * i + 1), `${2 * i + 2}ms:device_del nic0`]);
    const { machine } = await s.run(at(...cycles.flat(), '30ms:info vfio', '31ms:quit'), ABSENT);
    const told = machine.console
      .split(/\(minivisor .*\) info vfio\n/)
      .slice(1)
      .map((text) => text.split('(minivisor')[0]);
    expect(told).toHaveLength(11);
    expect(told[0]).toMatch(/nic0:\n {2}host: 0000:01:01\.0\n {2}fd: \d+\n/);
    expect(told[9]).toBe(told[0]);
    expect(told[10]).not.toContain('nic0');
  });

  test('at any moment of any schedule: nothing hangs, and the same seed replays it', async () => {
    for (let seed = 1; seed <= 25; seed++) {
      const s = new Script();
      for (let i = 0; i < 20; i++) {
        s.hcall(H.PUT_TCE, LIOBN, 0x1000 * (i + 1), 0x20_0003 + 0x1000 * i);
        s.load(STATUS);
        s.store(IMS, LINK_CHANGE);
        s.store(ICS, LINK_CHANGE);
        s.readConfig(4, 4);
      }
      s.there();
      const words = [
        ...['--seed', `${seed}`, '--tce', ['real', 'virtual', 'user'][seed % 3], '--tce-bind', SIDES[seed % 3]],
        ...at(`${200 + 23 * seed}us:device_del nic0`, `3ms:device_add vfio-pci,host=${NIC}`),
      ];
      const run = await s.run(words, NICS);
      quiet(run);
      if (seed % 8 === 0)
        expect(traceText((await s.run(words, NICS)).machine.trace)).toBe(traceText(run.machine.trace));
    }
  });
});

test('buses, places and names: what is refused, in one sentence, and what info shows', async () => {
  const s = new Script();
  s.until(1, 2, H.CI_LOAD, 4, BAR);
  const run = await s.run(
    at(
      `1ms:device_add vfio-pci,host=${NIC}`,
      '1ms:device_add vfio-pci,host=0000:01:05.0',
      '1ms:device_add vfio-pci,host=0000:01:02.0,bus=pci.9',
      '1ms:device_add vfio-pci,host=0000:01:02.0,bus=pci.1,addr=0',
      '1ms:device_add vfio-pci,host=0000:01:02.0,id=nic0',
      '1ms:device_del nic7',
      '2ms:device_del nic0',
      '2ms:device_del nic0',
      '3ms:device_add vfio-pci,host=01:02.0,id=other,bus=pci.0,addr=3',
      '4ms:info pci',
      '5ms:info qtree',
      '6ms:quit',
    ),
    [NICS[0], { mac: '52:54:00:12:34:57', wire: 'none', plug: false }],
  );
  const { console } = run.machine;
  const errors = console.split('\n').filter((line) => line.startsWith('Error: '));
  expect(errors.map((line) => line.slice(7))).toEqual([
    `vfio-pci ${NIC}: device is already attached`,
    'vfio-pci 0000:01:05.0: no such host device: there is no /sys/bus/pci/devices/0000:01:05.0',
    "Bus 'pci.9' not found; there is pci.0, pci.1, pci.2",
    'vfio-pci 0000:01:02.0: slot 0 function 0 of pci.1 is in use by vfio-pci,id=nic0',
    "vfio-pci 0000:01:02.0: id=nic0 is another device's: choose another id=",
    "no device 'nic7'; info qtree lists them",
    "no device 'nic0'; info qtree lists them",
  ]);
  expect(console).toMatch(
    /pci\.0:\n {2}Bus {2}0, device {3}0, function 0:\n {4}System peripheral: PCI device 1234:4d56/,
  );
  expect(console).toMatch(/device {3}3, function 0:\n {4}Ethernet controller: PCI device 8086:100e\n {6}pin A\n/);
  expect(console).toMatch(/BAR0: 32 bit memory at 0x[0-9a-f]{8} \[0x[0-9a-f]{8}\]\.\n {6}id "other"\n/);
  expect(console).toMatch(/pci\.1: no device\n/);
  expect(console).toMatch(
    /bus: pci\.0 .*\n(.|\n)*dev: vfio-pci, id "other"\n {4}host = 0000:01:02\.0\n {4}addr = 03\.0\n/,
  );
});

const { folder, remove } = workFolder();
afterAll(remove);

test('the net guest, its NIC unplugged under it and the next one plugged: on threads nobody hangs', async () => {
  const { status, stdout, stderr } = await runCli(folder, [
    ...['boot', '--drive', toyDrive(folder), '--guest', 'net', '--append', 'frames=20000 exitframes=2000'],
    // Close together: the guest ends soon after it has found its NIC gone.
    ...at('800ms:device_del nic0', `805ms:device_add vfio-pci,host=${NIC}`, '810ms:info pci', '815ms:quit'),
  ]);
  expect(stderr).toBe('');
  expect(stdout).toMatch(/Ethernet controller: PCI device 8086:100e/);
  expect(stdout).not.toMatch(/Error:/);
  expect(status).toBe(0);
});
