import { expect, test } from 'vitest';
import { CcwFixture, NOTHING } from '../../../test/support/ccw_fixture.ts';
import { ERRNO } from '../../include/uapi/errno.ts';
import { FSM } from './vfio_ccw_fsm.ts';
import { EVENTS, type Event, STATES, type State } from './vfio_ccw_private.ts';

function opened(): CcwFixture {
  const t = new CcwFixture();
  t.run(t.openAll());
  t.program(0x1000, [[0x03, 0, 1, 0]]);
  return t;
}

/** Brings the device into a state, as far as possible the way it comes there. */
function enter(t: CcwFixture, state: State): void {
  if (state === 'CP_PENDING') t.run(t.ssch(0x1000));
  if (state === 'STANDBY') t.run(t.device.fsm('CLOSE'));
  t.device.state = state;
}

/** The region an event's answer is in, with a valid request. */
function request(t: CcwFixture, event: Event): void {
  const { device } = t;
  const region = new Uint8Array(device.ioRegion.dv.buffer);
  if (event === 'IO_REQ') region.set(t.request(0x1000));
  if (event === 'ASYNC_REQ') {
    device.cmdRegion.command = 2;
    device.cmdRegion.ret_code = 0;
  }
}

type Cell = readonly [next: State, answer: 0 | keyof typeof ERRNO];
/** Every cell: the state after the event, and ret_code of the region that the event came by. */
const CELLS: Record<State, Record<Event, Cell>> = {
  NOT_OPER: {
    NOT_OPER: ['NOT_OPER', 0],
    IO_REQ: ['NOT_OPER', 'EIO'],
    INTERRUPT: ['NOT_OPER', 0],
    ASYNC_REQ: ['NOT_OPER', 'EIO'],
    OPEN: ['NOT_OPER', 0],
    CLOSE: ['NOT_OPER', 0],
  },
  STANDBY: {
    NOT_OPER: ['NOT_OPER', 0],
    IO_REQ: ['STANDBY', 'EIO'],
    INTERRUPT: ['STANDBY', 0],
    ASYNC_REQ: ['STANDBY', 'EIO'],
    OPEN: ['IDLE', 0],
    CLOSE: ['NOT_OPER', 0],
  },
  IDLE: {
    NOT_OPER: ['NOT_OPER', 0],
    IO_REQ: ['CP_PENDING', 0],
    INTERRUPT: ['IDLE', 0],
    ASYNC_REQ: ['IDLE', 0],
    OPEN: ['NOT_OPER', 0],
    CLOSE: ['STANDBY', 0],
  },
  CP_PROCESSING: {
    NOT_OPER: ['NOT_OPER', 0],
    IO_REQ: ['CP_PROCESSING', 'EAGAIN'],
    INTERRUPT: ['CP_PROCESSING', 0],
    ASYNC_REQ: ['CP_PROCESSING', 'EAGAIN'],
    OPEN: ['NOT_OPER', 0],
    CLOSE: ['STANDBY', 0],
  },
  CP_PENDING: {
    NOT_OPER: ['NOT_OPER', 0],
    IO_REQ: ['CP_PENDING', 'EBUSY'],
    INTERRUPT: ['CP_PENDING', 0],
    ASYNC_REQ: ['CP_PENDING', 0],
    OPEN: ['NOT_OPER', 0],
    CLOSE: ['STANDBY', 0],
  },
};

test('the table has a row for every state and a cell for every event', () => {
  expect(Object.keys(FSM)).toEqual([...STATES]);
  for (const row of Object.values(FSM)) expect(Object.keys(row).sort()).toEqual([...EVENTS].sort());
});

for (const state of STATES)
  test.each(EVENTS.map((event) => [event, ...CELLS[state][event]] as const))(
    `${state}: %s leads to %s, answer %s`,
    (event, next, answer) => {
      const t = opened();
      enter(t, state);
      request(t, event);
      const { device } = t;
      t.run(device.fsm(event));
      const region = event === 'ASYNC_REQ' ? device.cmdRegion : device.ioRegion;
      expect([device.state, region.ret_code | 0]).toEqual([next, answer === 0 ? 0 : -ERRNO[answer][0]]);
      const traced = t.trace().findLast((r) => r.event === 'vfio_ccw_fsm_event');
      expect(traced?.args).toEqual([0, STATES.indexOf(state), EVENTS.indexOf(event), STATES.indexOf(next)]);
      if (next === 'NOT_OPER' || next === 'STANDBY') expect(t.held).toBe(NOTHING);
    },
  );

test('an interruption nobody is there for disables the subchannel', () => {
  const t = opened();
  t.device.state = 'STANDBY';
  t.run(t.device.fsm('INTERRUPT'));
  expect(t.css.subchannels[0].enabled).toBe(false);
});

test('opening enables with subclass 3 and the own parameter; closing disables', () => {
  const t = opened();
  const { pmcw } = t.css.subchannels[0].schib;
  expect([pmcw.flags, pmcw.intparm]).toEqual([0x1881, 0x10000]);
  // The host's own driver had the subchannel before: concurrent sense is on.
  expect(pmcw.chars).toBe(1);
  t.run(t.user.close(t.fd));
  expect(pmcw.flags & 0x80).toBe(0);
});
