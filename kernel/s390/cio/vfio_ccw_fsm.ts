/** The state machine of a vfio-ccw device: one table, state x event -> action (vfio-ccw facts 3.2). */

import { ERRNO, Errno, type ErrnoName } from '../../include/uapi/errno.ts';
import type { Task } from '../../lib/task.ts';
import { EVENT } from '../../lib/trace.ts';
import { cioDisableSubchannel } from './cio.ts';
import { asyncRegionRefuse, asyncRequest } from './vfio_ccw_async.ts';
import { irq } from './vfio_ccw_irq.ts';
import { close, notOper, open } from './vfio_ccw_open.ts';
import { EVENTS, type Event, STATES, type State, type VfioCcwPrivate } from './vfio_ccw_private.ts';
import { ioRequest } from './vfio_ccw_request.ts';

/** What a state does about an event. */
export type Action = (device: VfioCcwPrivate) => Task;

function* nop(): Task {}

/** An I/O request that the state cannot take: the errno goes into the region. */
function ioRefused(code: ErrnoName): Action {
  return function* ioRefusal(device) {
    device.refusal = new Errno(code, `vfio-ccw ${device.sch.busId}: I/O request in state ${device.state}`);
    device.ioRegion.ret_code = -ERRNO[code][0];
  };
}

/** The same for the asynchronous region. */
function asyncRefused(code: ErrnoName): Action {
  return function* asyncRefusal(device) {
    asyncRegionRefuse(device, new Errno(code, `vfio-ccw ${device.sch.busId}: command in state ${device.state}`));
  };
}

/** An interruption nobody is there for. */
function* disabledIrq(device: VfioCcwPrivate): Task {
  yield* cioDisableSubchannel(device.host.kernel.actor, device.sch);
}

const ioError = ioRefused('EIO');
const ioRetry = ioRefused('EAGAIN');
const ioBusy = ioRefused('EBUSY');
const asyncError = asyncRefused('EIO');
const asyncRetry = asyncRefused('EAGAIN');

/** The table. Columns: the device is gone; region 0 written; region 1 written; interruption; first open; last close. */
export const FSM: Readonly<Record<State, Readonly<Record<Event, Action>>>> = {
  NOT_OPER: {
    NOT_OPER: nop,
    IO_REQ: ioError,
    ASYNC_REQ: asyncError,
    INTERRUPT: disabledIrq,
    OPEN: nop,
    CLOSE: nop,
  },
  STANDBY: {
    NOT_OPER: notOper,
    IO_REQ: ioError,
    ASYNC_REQ: asyncError,
    INTERRUPT: disabledIrq,
    OPEN: open,
    CLOSE: notOper,
  },
  IDLE: {
    NOT_OPER: notOper,
    IO_REQ: ioRequest,
    ASYNC_REQ: asyncRequest,
    INTERRUPT: irq,
    OPEN: notOper,
    CLOSE: close,
  },
  CP_PROCESSING: {
    NOT_OPER: notOper,
    IO_REQ: ioRetry,
    ASYNC_REQ: asyncRetry,
    INTERRUPT: irq,
    OPEN: notOper,
    CLOSE: close,
  },
  CP_PENDING: {
    NOT_OPER: notOper,
    IO_REQ: ioBusy,
    ASYNC_REQ: asyncRequest,
    INTERRUPT: irq,
    OPEN: notOper,
    CLOSE: close,
  },
};

/** vfio_ccw_fsm_event: runs the action of the cell. */
export function* fsmEvent(device: VfioCcwPrivate, event: Event): Task {
  const before = device.state;
  yield* FSM[before][event](device);
  device.host.kernel.tracer.point(
    EVENT.vfio_ccw_fsm_event,
    device.sch.schid,
    STATES.indexOf(before),
    EVENTS.indexOf(event),
    STATES.indexOf(device.state),
  );
}
