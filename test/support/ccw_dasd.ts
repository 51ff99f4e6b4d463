/** The kernel's vfio-ccw on the physical channel subsystem with a 3390, in a simulated run. */
import { ChannelSubsystem } from '../../devices/physical/css/channel_subsystem.ts';
import { installDevices } from '../../devices/physical/css/install_devices.ts';
import { spawnIoProcessor } from '../../devices/physical/css/io_processor.ts';
import { createVolume } from '../../devices/physical/dasd/volume.ts';
import { CCW_FLAG } from '../../kernel/include/arch/s390/ccw.ts';
import { Doorbell } from '../../kernel/lib/doorbell.ts';
import { actorAreas } from '../../kernel/lib/shared_map.ts';
import type { Task } from '../../kernel/lib/task.ts';
import { Tracer } from '../../kernel/lib/trace.ts';
import { type CcwFields, CcwFixture } from './ccw_fixture.ts';

const { CC } = CCW_FLAG;
/** A cylinder whose every access takes a fifth of a second. */
export const SLOW = 2;
export const SLOW_NS = 2e8;

/** Makes a volume of four cylinders whose records have known words. */
export function createTestVolume(file: string): void {
  createVolume(file, { volser: 'MV0001', cylinders: 4, layout: 'cdl', pattern: true });
}

/** The device behind subchannel 0.0.0000, opened. @param options.autoprobe see {@link CcwFixture} */
export function openedDasd(file: string, options: { seed?: number; autoprobe?: boolean } = {}): CcwFixture {
  const { seed = 1, autoprobe } = options;
  const t = new CcwFixture({ seed, autoprobe, hardware: ['iop0'] }, ({ memory, map, simulation }) => {
    const devices = [
      { schid: 0, devno: 0x1000, file, cache: 'unsafe' as const, slow: { cylinder: SLOW, ns: SLOW_NS } },
    ];
    installDevices(memory, map.css, devices);
    const actor = simulation.actor('iop0');
    const areas = actorAreas(map, 'iop0');
    spawnIoProcessor(actor, {
      memory,
      cssBase: map.css,
      firstFrame: map.firstFrame,
      kernelDoorbell: new Doorbell(memory, actorAreas(map, 'kernel').doorbell),
      tracer: new Tracer(memory, map.traceEnable, areas.trace, () => actor.now()),
      iop: 0,
      devices,
    });
    return new ChannelSubsystem(memory, map.css, { iopDoorbells: [new Doorbell(memory, areas.doorbell)] });
  });
  t.run(t.openAll());
  return t;
}

/** Until the device has signalled `count` interruptions. */
export function* signalled(t: CcwFixture, count: number): Task {
  yield { what: `${count} interruptions`, ready: () => t.signals >= count };
}

/** Define extent and locate record for `count` records of a track, then one CCW per record. */
export function readTrack(
  t: CcwFixture,
  gpa: number,
  cylinder: number,
  head: number,
  records: readonly CcwFields[],
): void {
  const extent = new Uint8Array(16);
  const locate = new Uint8Array(16);
  const dv = new DataView(extent.buffer);
  extent[0] = 0x40;
  extent[1] = 0xc0;
  dv.setUint16(8, cylinder);
  dv.setUint16(12, cylinder);
  dv.setUint16(14, 14);
  const lv = new DataView(locate.buffer);
  locate[0] = 0x06;
  locate[3] = records.length;
  for (const at of [4, 8]) {
    lv.setUint16(at, cylinder);
    lv.setUint16(at + 2, head);
  }
  locate[12] = 1;
  locate[13] = 0xff;
  t.poke(0x800, extent);
  t.poke(0x810, locate);
  t.program(gpa, [[0x63, CC, 16, 0x800], [0x47, CC, 16, 0x810], ...records]);
}

/** Guest bytes, page by page. */
export function peek(t: CcwFixture, gpa: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let done = 0; done < length; done += 1024)
    bytes.set(t.user.bytes(t.ram.start + gpa + done, Math.min(1024, length - done)), done);
  return bytes;
}
