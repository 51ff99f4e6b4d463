/** Results of a vfio-ccw device: IRBs and channel reports, fetched when their eventfd is signalled (vfio-ccw facts 2.4, 2.5). */

import type { Machine } from '../../../hypervisor/machine_api.ts';
import { CRW } from '../../../kernel/include/arch/s390/crw.ts';
import { IRB, type Irb } from '../../../kernel/include/arch/s390/irb.ts';
import { PMCW_CHARS } from '../../../kernel/include/arch/s390/schib.ts';
import {
  DSTAT,
  SCSW,
  SCSW_ACTL_START_PEND,
  SCSW_CTRL_MASK_STCTL,
  SCSW_FLAGS,
} from '../../../kernel/include/arch/s390/scsw.ts';
import { Errno } from '../../../kernel/include/uapi/errno.ts';
import { ccw_crw_region, ccw_io_region } from '../../../kernel/include/uapi/vfio.ts';
import type { Task } from '../../../kernel/lib/task.ts';
import { EVENT } from '../../../kernel/lib/trace.ts';
import type { ChannelSubsystem } from '../s390x/css.ts';
import type { Subchannel } from '../s390x/subchannel.ts';
import { resultStatus, type SyntheticStatus } from './ccw_errno.ts';
import type { CcwRegions } from './ccw_regions.ts';

/** The device whose results are fetched. */
interface ResultSource {
  readonly machine: Machine;
  readonly css: ChannelSubsystem;
  readonly sch: Subchannel;
  /** The device in messages. */
  readonly name: string;
  /** -1 once it is unplugged. */
  readonly fd: number;
  readonly regions: CcwRegions;
}

const dataView = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);

/**
 * The I/O eventfd was signalled: the region's IRB becomes the guest's status and the interruption is made pending.
 * Nothing looks whether the status is one the guest waits for; the last IRB wins when several were signalled.
 */
export function* ioNotifier(device: ResultSource): Task {
  const { sch, css, machine } = device;
  // An instruction that is under way ends first: its condition code goes before the interruption.
  yield* sch.lock.lock();
  try {
    // Unplugged while this task waited.
    if (device.fd < 0) return;
    const irb = yield* readIrb(device);
    if ('scsw' in irb) takeIrb(sch, irb);
    else synthesize(sch, irb);
    machine.tracer.point(EVENT.vfio_ccw_Q6, sch.traceId, sch.schib.scsw.ctrl & SCSW_CTRL_MASK_STCTL);
    const { intparm } = sch.schib.pmcw;
    machine.tracer.point(EVENT.vfio_ccw_Q7, sch.traceId, intparm, sch.isc);
    yield* css.injectIoInterrupt(sch);
  } finally {
    sch.lock.unlock();
  }
}

/** The IRB in the region, or the status that stands for one that cannot be read. */
function* readIrb({ machine, fd, regions, name }: ResultSource): Task<Irb | SyntheticStatus> {
  try {
    const bytes = yield* machine.sys.pread(fd, ccw_io_region.size, regions.io.offset, `${name} irb`);
    if (bytes.length !== ccw_io_region.size) return resultStatus('short');
    return IRB.at(dataView(bytes), ccw_io_region.offset.irb_area);
  } catch (error) {
    if (!(error instanceof Errno)) throw error;
    machine.log(error.message);
    return resultStatus(error.code);
  }
}

function takeIrb(sch: Subchannel, irb: Irb): void {
  const bytes = IRB.bytes(irb);
  SCSW.bytes(sch.schib.scsw).set(bytes.subarray(0, SCSW.size));
  sch.esw.set(bytes.subarray(IRB.offset.esw0, IRB.offset.ecw));
  const concurrent = (sch.schib.pmcw.chars & PMCW_CHARS.mask.CSENSE) !== 0;
  if (concurrent && (irb.scsw.dstat & DSTAT.UNIT_CHECK) !== 0) sch.senseData.set(irb.ecw);
}

function synthesize(sch: Subchannel, { stctl, cstat, cc }: SyntheticStatus): void {
  const { scsw } = sch.schib;
  scsw.ctrl = (scsw.ctrl & ~(SCSW_ACTL_START_PEND | SCSW_CTRL_MASK_STCTL)) | stctl;
  scsw.flags = SCSW_FLAGS.set(scsw.flags, 'CC', cc);
  scsw.dstat = 0;
  scsw.cstat = cstat;
}

/** The CRW eventfd was signalled: channel reports until the region has no more. */
export function* crwNotifier({ machine, css, fd, regions, name }: ResultSource): Task {
  const offset = regions.crw?.offset;
  if (offset === undefined) return;
  for (;;) {
    let bytes: Uint8Array;
    try {
      bytes = yield* machine.sys.pread(fd, ccw_crw_region.size, offset, `${name} crw`);
    } catch (error) {
      if (!(error instanceof Errno)) throw error;
      machine.log(error.message);
      return;
    }
    if (bytes.length !== ccw_crw_region.size) return;
    const { flags, rsid } = CRW.at(dataView(bytes));
    if (flags === 0 && rsid === 0) return;
    yield* css.queueReport({ flags, rsid });
  }
}
