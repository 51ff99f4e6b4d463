/**
 * A guest that takes part in PCI hot plug, on the whole machine: events, connectors, and the host that wants its device
 * back. The guest is a script of real instructions; see `pci_hotplug.test.ts` for guests that do not take part.
 */
import { describe, expect, test } from 'vitest';
import type { MachineConfig, NicConfig } from '../../hypervisor/config.ts';
import { ThreadedMachine } from '../../hypervisor/launch.ts';
import { traceText } from '../../hypervisor/simulate.ts';
import { after } from '../../kernel/lib/host_timer.ts';
import type { KernelStatistics } from '../../kernel/start.ts';
import { type HcallRun, HcallScript } from '../support/hcall_script.ts';

const H = { CI_LOAD: 0x3c, EOI: 0x64, CPPR: 0x68, XIRR: 0x74, RTAS: 0xf000 };
const NIC = '0000:01:01.0';
/** Of the second bridge, the NIC's; its first slot's connector, and the source of hot-plug events. */
const BUID = [0x0800_0000, 0x2000_0001];
const BAR = 0x110_8000_0000;
const DRC = 0x4001_0000;
const SOURCE = 0x1001;
const [ADD, REMOVE] = [1, 2];
/** Calls of ibm,configure-connector for the NIC: its node, 14 properties, the end. */
const PIECES = 16;
/** STATUS of the NIC after a reset, little-endian: full duplex at 1000 Mb/s. */
const STATUS = 0x08;
const STATUS_RESET = 0x8102_0000;
const NICS: readonly NicConfig[] = [{ mac: '52:54:00:12:34:56', wire: 'loopback' }];
const ABSENT: readonly NicConfig[] = [{ ...NICS[0], plug: false }];
const UNBIND = `sysfs_write /sys/bus/pci/drivers/vfio-pci/unbind ${NIC}`;
const at = (...commands: string[]) => commands.flatMap((command) => ['--at', command]);

/** A guest as it does the work of Linux's pseries hot plug. */
class Guest extends HcallScript {
  /** Routes the event source to CPU 0. */
  hear(): void {
    this.rtas(0x200a, [SOURCE, 0, 5], 1);
    this.hcall(H.CPPR, 0xff);
  }
  /** Sleeps until an event, and fetches it. Returns where status and log are, and the step of its XIRR. */
  event(): { readonly status: number; readonly log: number; readonly xirr: number } {
    this.wait();
    const xirr = this.hcall(H.XIRR);
    const log = this.data(new Uint8Array(256), 256);
    const status = this.rtas(0x200e, [0x500, SOURCE, 0x1000_0000, 0, log, 256], 1);
    this.hcall(H.EOI, 0xff00_0000 + SOURCE);
    return { status, log, xirr };
  }
  indicator(indicator: number, state: number): number {
    return this.rtas(0x201a, [indicator, DRC, state], 1);
  }
  sense(): number {
    return this.rtas(0x201d, [9003, DRC], 2);
  }
  readConfig(register: number): number {
    return this.rtas(0x2016, [register, ...BUID, 4], 2);
  }
  load(): number {
    return this.hcall(H.CI_LOAD, 4, BAR + STATUS);
  }
  /** Until nobody answers at the BAR. */
  gone(): void {
    this.until(0xffff_ffff, 0xffff_ffff, H.CI_LOAD, 4, BAR + STATUS);
  }
  /** Takes the device over: statuses of the calls of ibm,configure-connector. */
  takeOver(): number[] {
    this.indicator(9001, 1);
    const area = new Uint8Array(4096);
    new DataView(area.buffer).setUint32(0, DRC);
    const address = this.data(area, 4096);
    const statuses = Array.from({ length: PIECES }, () => this.rtas(0x201e, [address, 0], 1));
    this.indicator(9002, 1);
    return statuses;
  }
  /** Gives the device back. */
  release(): number {
    this.indicator(9002, 3);
    const isolated = this.indicator(9001, 0);
    this.indicator(9002, 0);
    return isolated;
  }
  async run(words: readonly string[], nics: readonly NicConfig[], change: Partial<MachineConfig> = {}) {
    return await this.simulate(words, { nics, ...change });
  }
}

/** Action and connector of a log. */
function told(run: HcallRun, { status, log, xirr }: ReturnType<Guest['event']>): readonly unknown[] {
  const dv = run.view(log, 116);
  return [run.words(status, 1)[0], Number(run.outcome(xirr).value), dv.getUint8(105), dv.getUint32(108)];
}
const EVENT = (action: number) => [0, 0xff00_0000 + SOURCE, action, DRC];
const notes = ({ machine }: HcallRun) => machine.console.split('\n').filter((line) => line.startsWith('(vfio-pci'));
const note = (what: string) => `(vfio-pci ${NIC} (nic0): ${what})`;
const kernelOf = ({ machine }: HcallRun) => machine.actors.kernel as KernelStatistics;

describe('a guest that hears of hot plug', () => {
  test.each([1, 2, 3, 4])(
    'is told of a NIC, takes it over, uses it, is asked for it, gives it back (seed %i)',
    async (seed) => {
      const g = new Guest();
      g.hear();
      const before = g.sense();
      const added = g.event();
      const plugged = g.sense();
      const pieces = g.takeOver();
      const used = [g.readConfig(0), g.load()];
      const asked = g.event();
      const still = g.load();
      const isolated = g.release();
      const after = [g.sense(), g.readConfig(0), g.load()];
      // So that it outlives the commands.
      g.event();
      const run = await g.run(
        [
          ...['--seed', `${seed}`],
          ...at(
            `1ms:device_add vfio-pci,host=${NIC}`,
            '3ms:info drc',
            '4ms:device_del nic0',
            '6ms:info drc',
            `7ms:device_add vfio-pci,host=${NIC}`,
          ),
        ],
        ABSENT,
      );
      const { console } = run.machine;
      expect([run.words(before, 2), run.words(plugged, 2), told(run, added)]).toEqual([[0, 0], [0, 1], EVENT(ADD)]);
      expect(pieces.map((piece) => run.words(piece, 1)[0])).toEqual([2, ...new Array(PIECES - 2).fill(3), 0]);
      expect([run.words(used[0], 2)[1], Number(run.outcome(used[1]).value)]).toEqual([0x100e_8086, STATUS_RESET]);
      expect([told(run, asked), Number(run.outcome(still).value)]).toEqual([EVENT(REMOVE), STATUS_RESET]);
      expect([run.words(isolated, 1), run.words(after[0], 2), run.words(after[1], 1)]).toEqual([[0], [0, 0], [-1]]);
      expect(run.outcome(after[2]).value).toBe(0xffff_ffffn);
      expect(console).toMatch(/0x40010000 +C65536 +pci\.1\.00 +nic0 +configured +active *\n/);
      expect(console).toContain("device 'nic0': the guest is asked to release it; info drc shows how far it is\n");
      expect(notes(run)).toEqual([note('the guest has released it; it is unplugged')]);
      expect(console.split('info drc\n')[2]).not.toMatch(/C65536/);
    },
  );

  test('that does not answer keeps its NIC, and the user is told so; a second wish is refused, a reset takes it out', async () => {
    const g = new Guest();
    g.hear();
    g.gone();
    g.wait();
    const run = await g.run(
      at(
        '1ms:device_del nic0',
        '2ms:info drc',
        '3ms:device_del nic0',
        '4ms:info pci',
        '5ms:system_reset',
        '6ms:info pci',
        '7ms:quit',
      ),
      NICS,
    );
    const { console } = run.machine;
    expect(console).toMatch(/nic0 +configured +inactive +release\n/);
    expect(console).toContain("Error: device 'nic0': the guest has been asked to release it already; info drc shows");
    expect(console.split('info pci\n')[1]).toContain('Ethernet controller');
    expect(console.split('info pci\n')[2]).not.toContain('Ethernet controller');
    expect(notes(run)).toEqual([note('the machine is reset; it is unplugged')]);
  });

  test('at any moment of any schedule: nothing hangs, nothing is left, and the same seed replays it', async () => {
    /** A guest that gives its NIC back and takes the next one over; without one it only waits. */
    const script = () => {
      const g = new Guest();
      g.hear();
      const asked = g.event();
      const isolated = g.release();
      const added = g.event();
      g.takeOver();
      const again = g.event();
      g.release();
      return { g, asked, isolated, added, again };
    };
    const idle = new Guest();
    idle.gone();
    const without = await idle.run(at('20ms:info vfio', '21ms:quit'), ABSENT);
    for (let seed = 1; seed <= 15; seed++) {
      const words = [
        ...['--seed', `${seed}`, '--tce', ['real', 'virtual', 'user'][seed % 3]],
        ...['--tce-bind', ['group', 'group-liobn', 'container'][seed % 3], '--cpus', `${1 + (seed % 2)}`],
        ...at(
          `${600 + 23 * seed}us:device_del nic0`,
          `3ms:device_add vfio-pci,host=${NIC}`,
          `${6000 + 31 * seed}us:device_del nic0`,
        ),
      ];
      const s = script();
      const run = await s.g.run(words, NICS);
      expect([told(run, s.asked), told(run, s.added), told(run, s.again)], `seed ${seed}`).toEqual([
        EVENT(REMOVE),
        EVENT(ADD),
        EVENT(REMOVE),
      ]);
      expect(run.words(s.isolated, 1)).toEqual([0]);
      expect(kernelOf(run).lockedVm).toBe(kernelOf(without).lockedVm);
      expect(run.machine.log.filter((line) => /BUG|failed|E[A-Z]{4,}/.test(line))).toEqual([]);
      if (seed % 5 === 0)
        expect(traceText((await script().g.run(words, NICS)).machine.trace)).toBe(traceText(run.machine.trace));
    }
  });
});

describe('the host wants its NIC back', () => {
  const BIND = `sysfs_write /sys/bus/pci/drivers/vfio-pci/bind ${NIC}`;

  test.each([1, 2, 3])(
    'from a guest that does not take part: it is unplugged, bound again, plugged again (seed %i)',
    async (seed) => {
      const g = new Guest();
      g.gone();
      g.until(0xffff_ffff, STATUS_RESET, H.CI_LOAD, 4, BAR + STATUS);
      const run = await g.run(
        [
          ...['--seed', `${seed}`, '--tce-bind', ['group', 'group-liobn', 'container'][seed % 3]],
          ...at(
            `1ms:${UNBIND}`,
            '2ms:sysfs_read /sys/bus/pci/drivers/vfio-pci',
            `3ms:device_add vfio-pci,host=${NIC}`,
            `4ms:${BIND}`,
            `5ms:device_add vfio-pci,host=${NIC}`,
          ),
        ],
        NICS,
      );
      const { console, log } = run.machine;
      expect(notes(run)).toEqual([note('the host asks for the device; it is unplugged')]);
      expect(console.split('sysfs_read')[1].split('(minivisor')[0].split('\n').slice(-4)).not.toContain(NIC);
      expect(console.match(/^Error: .*/gm)).toEqual([
        `Error: vfio-pci ${NIC}: there is no /dev/vfio/1: give the device to vfio-pci first, write ${NIC} to /sys/bus/pci/drivers/vfio-pci/bind`,
      ]);
      expect(log.filter((line) => line.includes('asked to give the device back'))).toHaveLength(1);
      expect(log.filter((line) => line.includes('BUG'))).toEqual([]);
    },
  );

  test('from a guest that takes part: the guest is asked, and unbind ends when it has released the NIC', async () => {
    const g = new Guest();
    g.hear();
    const asked = g.event();
    const isolated = g.release();
    g.gone();
    g.wait();
    const run = await g.run(at(`1ms:${UNBIND}`, '5ms:info drc', '6ms:sysfs_read /dev', '7ms:quit'), NICS);
    expect([told(run, asked), run.words(isolated, 1)]).toEqual([EVENT(REMOVE), [0]]);
    expect(notes(run)).toEqual([
      note('the host asks for the device; the guest is asked to release it'),
      note('the guest has released it; it is unplugged'),
    ]);
    expect(run.machine.console).not.toContain('goes on, its answer comes');
  });

  test('from a guest that does not answer: ten seconds later it is unplugged', async () => {
    const g = new Guest();
    g.hear();
    // Never: no event is fetched, and no other source is heard.
    g.wait();
    g.wait();
    const run = await g.run(
      ['--timeout', '30', ...at(`1ms:${UNBIND}`, '9s:info pci', '11s:info pci', '12s:quit')],
      NICS,
    );
    const [, before, after] = run.machine.console.split('info pci\n');
    expect(before).toContain('Ethernet controller');
    expect(after).not.toContain('Ethernet controller');
    expect(run.machine.console).toContain('sysfs_write: goes on, its answer comes');
    expect(run.machine.console).toContain(`(${UNBIND}: has ended)`);
    expect(notes(run)).toEqual([
      note('the host asks for the device; the guest is asked to release it'),
      note('the host asks for the device again; the guest has not released it, it is unplugged'),
    ]);
  });

  test('that was plugged with x-req=off: nobody hears the host, and its unbind waits for the user', async () => {
    const g = new Guest();
    // Asleep all the time: seconds are long for a guest that looks again and again.
    g.wait();
    const run = await g.run(
      at(
        `1ms:device_add vfio-pci,host=${NIC},x-req=off`,
        `2ms:${UNBIND}`,
        '5s:info vfio',
        '6s:device_del nic0',
        '6500ms:info vfio',
        '7s:quit',
      ),
      ABSENT,
    );
    const { console, log } = run.machine;
    expect(console).toContain('eventfds: no request notifier');
    expect(console).toContain(`(${UNBIND}: has ended)`);
    expect(notes(run)).toEqual([]);
    expect(log.filter((line) => line.includes('user space has no request notifier'))).toHaveLength(1);
  });
});

test('on threads: a guest of two CPUs gives its NIC back, and nobody hangs', async () => {
  const g = new Guest();
  g.hear();
  g.event();
  g.release();
  g.gone();
  const words = ['--cpus', '2', '--trace', 'spapr_drc_*', ...at('2s:device_del nic0')];
  const machine = new ThreadedMachine({ ...(await g.config(words)), nics: NICS, quiet: true }, 'silent');
  // A guest that was not asked, or whose NIC stays, would wait for ever.
  const cancel = after(20_000, () => machine.stop());
  const { result, trace } = await machine.run();
  cancel();
  expect(result.status).toBe(0);
  expect(
    trace.filter(({ event }) => event === 'spapr_drc_set_isolation_state_finalizing').map(({ args }) => args),
  ).toEqual([[DRC]]);
}, 30_000);
