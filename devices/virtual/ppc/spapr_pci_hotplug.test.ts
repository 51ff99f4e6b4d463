/** Devices that come and go while the machine runs, by the monitor's wish and by the host's. */
import { describe, expect, test } from 'vitest';
import { Errno } from '../../../kernel/include/uapi/errno.ts';
import type { FakePciHost } from './fake_pci_host.ts';
import { spaprPci } from './spapr_pci_fixture.ts';

const [SET_XIVE, CHECK_EXCEPTION, SET_INDICATOR] = [0x200a, 0x200e, 0x201a];
const HOT_PLUG_SOURCE = 0x1001;
const HOT_PLUG = 0x1000_0000;
const LOG = 0x5000;
const HOST = '0000:01:00.0';
const NAME = `vfio-pci ${HOST} (nic)`;
const ASKED = `${NAME}: the host asks for the device; the guest is asked to release it`;

/** A bridge whose devices hear of the host's requests. @param heard the guest takes part in hot plug */
function hotplug({ heard = true, change = () => {} }: { heard?: boolean; change?: (host: FakePciHost) => void } = {}) {
  const fixture = spaprPci();
  const { machine, hypercalls, host, realize, rtas, settle } = fixture;
  change(host);
  const phb = realize({
    index: 1,
    *hostRequests(asking, devfn) {
      const plugged = asking.deviceAt(devfn << 8);
      if (plugged !== undefined) yield* hypercalls.hotplug.hostRequests(asking, plugged);
    },
  });
  if (heard) rtas(SET_XIVE, [HOT_PLUG_SOURCE, 0, 5], 1);
  return {
    ...fixture,
    phb,
    drc: phb.drcs[0],
    add: (requests?: boolean) => machine.run(hypercalls.hotplug.plug(phb, { host: HOST, id: 'nic', requests })),
    del: () => machine.run(hypercalls.hotplug.requestUnplug(phb, phb.devices()[0])),
    /** The oldest event: action and connector; undefined when there is none. */
    event(): readonly [action: number, drc: number] | undefined {
      const [status] = rtas(CHECK_EXCEPTION, [0, 0, HOT_PLUG, 0, LOG, 2048], 1);
      const dv = new DataView(machine.memory.bytes.buffer, LOG);
      return status === 0 ? [dv.getUint8(105), dv.getUint32(108)] : undefined;
    },
    isolate: (state: number) => rtas(SET_INDICATOR, [9001, phb.drcs[0].index, state], 1)[0],
    /** The host's kernel asks for the first device. */
    ask(): void {
      machine.kernel.signal(host.device(phb.devices()[0].device.fd).request);
      settle();
    },
  };
}

describe('a guest that does not hear of hot plug', () => {
  test('has a device at once, and loses it at once, without a word', () => {
    const { machine, phb, drc, add, del, hypercalls } = hotplug({ heard: false });
    add();
    expect([drc.state, hypercalls.events.waiting]).toEqual(['configured', 0]);
    expect([del(), phb.devices(), hypercalls.events.waiting, machine.notices]).toEqual(['unplugged', [], 0, []]);
  });
  test('that begins to hear later gives a device back that it had before', () => {
    const { phb, add, del, event, rtas, isolate } = hotplug({ heard: false });
    add();
    rtas(SET_XIVE, [HOT_PLUG_SOURCE, 0, 5], 1);
    expect([del(), event()]).toEqual(['asked', [2, 0x4001_0000]]);
    expect([isolate(0), phb.devices()]).toEqual([0, []]);
  });
});

describe('a guest that hears of hot plug', () => {
  test('is told of a device, which stays isolated until it takes it over', () => {
    const { drc, add, event } = hotplug();
    add();
    expect([event(), event(), drc.state, drc.entitySense]).toEqual([[1, 0x4001_0000], undefined, 'powered-on', 1]);
  });
  test('is asked for a device, and has it until it isolates it', () => {
    const { machine, host, phb, drc, event, plug, del, isolate } = hotplug();
    plug(HOST, phb);
    expect([del(), event(), drc.unplugRequested, phb.devices().length]).toEqual(['asked', [2, 0x4001_0000], true, 1]);
    expect([isolate(0), phb.devices(), host.windows.size]).toEqual([0, [], 0]);
    expect(machine.notices).toHaveLength(1);
  });
  test('asked twice: the second time is refused in one sentence, and nothing more is told', () => {
    const { phb, event, plug, del } = hotplug();
    plug(HOST, phb);
    del();
    event();
    expect(del).toThrow(/^device '0000:01:00.0': the guest has been asked to release it already; info drc /);
    expect(event()).toBe(undefined);
  });
  test('loses a device that it has not taken over yet at once', () => {
    const { phb, add, del } = hotplug();
    add();
    expect([del(), phb.devices()]).toEqual(['unplugged', []]);
  });
  test('a reset takes out what it was asked for, forgets events, and leaves the rest configured', () => {
    const { machine, hypercalls, phb, plug, del } = hotplug();
    plug(HOST, phb);
    plug('0000:02:00.0', phb);
    del();
    machine.run(hypercalls.reset());
    expect(phb.devices().map(({ host }) => host)).toEqual(['0000:02:00.0']);
    expect([phb.drcs[1].state, hypercalls.events.waiting]).toEqual(['configured', 0]);
    expect(machine.notices).toEqual([`vfio-pci ${HOST} (${HOST}): the machine is reset; it is unplugged`]);
  });
  test('a plug that fails tells it nothing', () => {
    const { host, drc, add, event } = hotplug();
    host.fails = 'VFIO_SET_IOMMU';
    expect(() => add()).toThrow();
    expect([event(), drc.device]).toEqual([undefined, undefined]);
  });
});

describe('the host asks for a device', () => {
  test('of a guest that does not hear: it is unplugged, and closed', () => {
    const { machine, phb, add, ask } = hotplug({ heard: false });
    add();
    ask();
    expect([phb.devices(), machine.notices]).toEqual([[], [`${NAME}: the host asks for the device; it is unplugged`]]);
    expect([...machine.kernel.open.values()].filter((path) => path === 'device' || path === 'eventfd')).toEqual([]);
  });
  test('of a guest that hears: the guest is asked; it is unplugged when the guest releases it', () => {
    const { machine, phb, add, ask, event, isolate, rtas } = hotplug();
    add();
    event();
    isolate(1);
    rtas(SET_INDICATOR, [9002, 0x4001_0000, 1], 1);
    while (phb.drcs[0].state !== 'configured') phb.drcs[0].configure();
    ask();
    expect([phb.devices().length, event(), machine.notices]).toEqual([1, [2, 0x4001_0000], [ASKED]]);
    isolate(0);
    expect(phb.devices()).toEqual([]);
    expect(machine.notices.at(-1)).toBe(`${NAME}: the guest has released it; it is unplugged`);
  });
  test('and asks again, for the guest has not answered: it is unplugged', () => {
    const { machine, hypercalls, phb, ask } = hotplug();
    machine.run(phb.plug({ host: HOST, id: 'nic' }));
    ask();
    expect([phb.devices().length, hypercalls.events.waiting]).toEqual([1, 1]);
    ask();
    expect(phb.devices()).toEqual([]);
    expect(machine.notices).toEqual([
      ASKED,
      `${NAME}: the host asks for the device again; the guest has not released it, it is unplugged`,
    ]);
  });
  test('that the user has asked for already: the guest keeps its time', () => {
    const { machine, hypercalls, phb, del, ask } = hotplug();
    machine.run(phb.plug({ host: HOST, id: 'nic' }));
    del();
    ask();
    expect([phb.devices().length, hypercalls.events.waiting, machine.notices]).toEqual([1, 1, [ASKED]]);
    ask();
    expect(phb.devices()).toEqual([]);
  });
  test('two of a group: each is asked for by itself', () => {
    const { machine, phb, ask } = hotplug({ heard: false });
    for (const host of [HOST, '0000:01:00.1']) machine.run(phb.plug({ host }));
    ask();
    expect(phb.devices().map(({ host }) => host)).toEqual(['0000:01:00.1']);
    ask();
    expect([phb.devices(), phb.container]).toEqual([[], undefined]);
  });
});

describe('the request notifier', () => {
  test('is registered with the device, and taken away before it is closed', () => {
    const { machine, host, settle, add, del } = hotplug({ heard: false });
    const { device } = add();
    expect(host.device(device.fd).request).toBe(device.requestEventfd);
    expect(machine.kernel.eventfds.has(device.requestEventfd ?? -1)).toBe(true);
    del();
    expect(host.device(device.fd).request).toBe(-1);
    settle();
    expect([...machine.kernel.open.values()].filter((path) => path === 'eventfd')).toEqual([]);
  });
  test.each([
    ['a kernel without one', true, (host: FakePciHost) => Object.assign(host, { notifies: false })],
    ['x-req=off', false, () => {}],
  ])('%s: the device works, and nobody is heard', (_, requests, change) => {
    const { machine, add } = hotplug({ heard: false, change });
    expect([add(requests).device.requestEventfd, machine.logs]).toEqual([undefined, []]);
  });
  test('one that is offered and refused is told, and the device works', () => {
    const { machine, add } = hotplug({
      heard: false,
      change: ({ kernel }) => {
        const setIrqs = kernel.ioctls.get('VFIO_DEVICE_SET_IRQS')!;
        kernel.ioctls.set('VFIO_DEVICE_SET_IRQS', (call) => {
          if (call.view.index === 4) throw new Errno('EINVAL', 'the notifier');
          return setIrqs(call);
        });
      },
    });
    expect(add().device.requestEventfd).toBe(undefined);
    expect(machine.logs).toEqual([`vfio-pci ${HOST}: request notifier: the notifier: EINVAL: Invalid argument`]);
  });
});
