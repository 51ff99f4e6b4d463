/**
 * VFIO_DEVICE_CCW_CMD_REQUEST: one channel program per call, and the call ends when the program has (the vfio-ccw RFC of
 * April 2016, drivers/vfio/ccw/vfio_ccw.c; vfio-ccw facts section 4). The steps:
 *
 * K1 copy the program in, K2 translate and pin, K3 SSCH, then the caller sleeps; K4 the interruption wakes it, K5 the IRB
 * is built, K6 IRB and SCSW go back.
 *
 * What has no carrier: HSCH and CSCH (EOPNOTSUPP), status that nobody waits for (dropped and counted), and the status of
 * a program that still runs, which is added to the final one, as the common I/O layer does (ccw_device_accumulate_irb).
 */
import { IRB, type Irb } from '../../include/arch/s390/irb.ts';
import { ORB, ORB_CTRL0, type Orb } from '../../include/arch/s390/orb.ts';
import {
  SCSW,
  SCSW_ACTL_SUSP,
  SCSW_CTRL_MASK_STCTL,
  SCSW_FCTL_START_FUNC,
  SCSW_STCTL_PRIMARY,
} from '../../include/arch/s390/scsw.ts';
import { Errno } from '../../include/uapi/errno.ts';
import { vfio_ccw_cmd } from '../../include/uapi/vfio.ts';
import type { View } from '../../lib/struct.ts';
import { type Task, until } from '../../lib/task.ts';
import { EVENT } from '../../lib/trace.ts';
import { raceWindow } from '../../vfio/race_window.ts';
import { cioDisableSubchannel } from './cio.ts';
import { UserProgram } from './vfio_ccw_cmd_request_cp.ts';
import type { CmdRequest, VfioCcwRfc } from './vfio_ccw_cmd_request_private.ts';
import { isFinal, isSolicited } from './vfio_ccw_irq.ts';
import { subchannelIntparm } from './vfio_ccw_open.ts';
import { issue } from './vfio_ccw_request.ts';

/** The ioctl. @param arg user address of the structure. @throws Errno */
export function* cmdRequest(device: VfioCcwRfc, arg: number, cmd: View<typeof vfio_ccw_cmd.fields>): Task<number> {
  const { sch, host } = device;
  if (device.state !== 'IDLE')
    throw new Errno(device.state === 'NOT_OPER' ? 'ENODEV' : 'EIO', `${device.what}: request in state ${device.state}`);
  // The RFC lets a second caller write over the first one's program.
  if (device.request !== undefined) throw new Errno('EBUSY', `${device.what}: another request is under way`);
  const orb = requestOrb(device, cmd);
  const request: CmdRequest = { irb: IRB.make(), started: false, ended: false, failure: undefined };
  device.request = request;
  try {
    yield* perform(device, request, orb, cmd);
  } finally {
    device.request = undefined;
  }
  cmd.irb_area = IRB.bytes(request.irb);
  cmd.scsw_area = SCSW.bytes(request.irb.scsw);
  yield* host.kernel.mm.space.copy(arg, vfio_ccw_cmd.bytes(cmd), true);
  host.kernel.tracer.point(EVENT.ccw_rfc_K6, sch.schid);
  return 0;
}

/** The ORB, when the request is one that can be made. @throws Errno EOPNOTSUPP */
function requestOrb(device: VfioCcwRfc, cmd: View<typeof vfio_ccw_cmd.fields>): Orb {
  const { offset } = vfio_ccw_cmd;
  const refuse = (what: string) => new Errno('EOPNOTSUPP', `${device.what}: ${what}`);
  if ((SCSW.at(cmd.dv, cmd.address + offset.scsw_area).ctrl & SCSW_FCTL_START_FUNC) === 0)
    throw refuse('a function other than start');
  const orb = ORB.make();
  ORB.bytes(orb).set(cmd.orb_area);
  const { B, P, H } = ORB_CTRL0.mask;
  if ((orb.ctrl0 & B) !== 0) throw refuse('transport mode');
  if ((orb.ctrl0 & (P | H)) !== (P | H)) throw refuse('only prefetched programs with format-2 IDAWs');
  return orb;
}

function* perform(
  device: VfioCcwRfc,
  request: CmdRequest,
  orb: Orb,
  { ccwchain_buf: buffer, ccwchain_nr: nr }: View<typeof vfio_ccw_cmd.fields>,
): Task {
  const { sch, host } = device;
  const { kernel } = host;
  const { tracer, actor } = kernel;
  const context = { kernel, pool: host.pool, device: device.vfioDevice, users: device.memory, orb };
  const program = yield* UserProgram.copy(context, buffer, nr);
  try {
    tracer.point(EVENT.ccw_rfc_K1, sch.schid, buffer, nr);
    yield* raceWindow(actor);
    const pages = yield* program.prefetch();
    tracer.point(EVENT.ccw_rfc_K2, sch.schid, nr, pages);
    yield* raceWindow(actor);
    start(device, request, program);
    // Not interruptible, as in the RFC (wait_event): whoever made the call stays in it as long as the device works.
    yield* until(`end of the program on ${sch.busId}`, () => request.ended || request.failure !== undefined);
    if (request.failure !== undefined) throw request.failure;
    const { scsw } = request.irb;
    // Nobody could resume it: its program goes with this call.
    if ((scsw.ctrl & SCSW_ACTL_SUSP) !== 0) sch.bus.xsch(sch.schid);
    program.updateScsw(scsw);
    tracer.point(EVENT.ccw_rfc_K5, sch.schid, scsw.ctrl & SCSW_CTRL_MASK_STCTL, scsw.dstat, scsw.cstat);
  } finally {
    program.free();
  }
}

/** SSCH, without a pause between the look at the state and the instruction. @throws Errno */
function start(device: VfioCcwRfc, request: CmdRequest, program: UserProgram): void {
  const { sch, host } = device;
  if (request.failure !== undefined) throw request.failure;
  if (device.state !== 'IDLE' || device.closing) throw new Errno('EIO', `${device.what}: closed during the request`);
  const orb = program.orbFor(subchannelIntparm(sch), sch.lpm);
  host.kernel.tracer.point(EVENT.ccw_rfc_K3, sch.schid, orb.cpa);
  issue(sch, orb);
  request.started = true;
}

/** The interruption handler: wakes who waits once the program has ended. Looks at the processor's IRB before it sleeps. */
export function* rfcIrq(device: VfioCcwRfc): Task {
  const { sch, host, request } = device;
  const { irb } = host.css;
  const { ctrl, dstat, cstat } = irb.scsw;
  const stctl = ctrl & SCSW_CTRL_MASK_STCTL;
  device.interruptions++;
  if (device.closing) return;
  if (device.state !== 'IDLE') {
    yield* cioDisableSubchannel(host.kernel.actor, sch);
    return;
  }
  if (request?.started !== true || request.ended || !isSolicited(irb.scsw)) {
    device.lost++;
    host.kernel.tracer.point(EVENT.ccw_rfc_lost, sch.schid, stctl, dstat, cstat);
    host.kernel.log(`${device.what}: status ${stctl.toString(16)} ${dstat.toString(16)} lost: nobody waits for it`);
    return;
  }
  accumulate(request.irb, irb);
  if (!isFinal(irb.scsw)) return;
  host.kernel.tracer.point(EVENT.ccw_rfc_K4, sch.schid, stctl, dstat, cstat);
  request.ended = true;
}

/** Adds status to what came before. Where the program ended is told with primary status, even if device end came later. */
function accumulate(total: Irb, irb: Irb): void {
  const { ctrl, dstat, cstat, cpa, count } = total.scsw;
  IRB.copy(total, irb);
  const { scsw } = total;
  const primaryBefore = (ctrl & SCSW_STCTL_PRIMARY) !== 0 && (scsw.ctrl & SCSW_STCTL_PRIMARY) === 0;
  scsw.ctrl |= ctrl & SCSW_CTRL_MASK_STCTL;
  scsw.dstat |= dstat;
  scsw.cstat |= cstat;
  if (primaryBefore) Object.assign(scsw, { cpa, count });
}
