/** A slot's connector: its states as a table, and as any order of what guest and user do. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Task } from '../../../kernel/lib/task.ts';
import { FakeMachine } from '../fake_machine.ts';
import { type DrcState, SpaprDrc } from './spapr_drc.ts';

const [ISOLATED, UNISOLATED] = [0, 1];
/** Calls of ibm,configure-connector for a node with one property: node, property, end. */
const CALLS = 3;

function connector() {
  const machine = new FakeMachine();
  const gone: string[] = [];
  const released: string[] = [];
  const drc = new SpaprDrc<string>({
    index: 0x4000_0008,
    name: 'C8',
    tracer: machine.tracer,
    *release(device): Task {
      gone.push(device);
      drc.detach();
    },
    released: (device) => released.push(device),
    populate: (device) => ({ name: `${device}@1`, properties: [{ name: 'reg', value: Uint8Array.of(8) }] }),
  });
  const set = (state: number) => machine.run(drc.setIsolation(state));
  const configure = () => Array.from({ length: CALLS }, () => drc.configure().response);
  /** A connector in a state, with a device. */
  function inState(state: DrcState): void {
    drc.attach('nic', state === 'configured');
    if (state === 'unisolated') set(UNISOLATED);
  }
  return { machine, drc, gone, released, set, configure, inState };
}

test.each([
  ['powered-on', ISOLATED, 0, 'powered-on'],
  ['powered-on', UNISOLATED, 0, 'unisolated'],
  ['powered-on', 2, -3, 'powered-on'],
  ['unisolated', ISOLATED, -3, 'unisolated'],
  ['unisolated', UNISOLATED, 0, 'unisolated'],
  ['unisolated', 0xffff_ffff, -3, 'unisolated'],
  ['configured', ISOLATED, 0, 'powered-on'],
  ['configured', UNISOLATED, 0, 'configured'],
  ['configured', 2, -3, 'configured'],
] as const)('%s, isolation state set to %i: status %i, and it is %s', (from, wanted, status, to) => {
  const { drc, set, inState, gone } = connector();
  inState(from);
  expect([set(wanted), drc.state, drc.device, gone]).toEqual([status, to, 'nic', []]);
});

test('an empty one cannot be unisolated, is not configurable, and senses nothing', () => {
  const { drc, set } = connector();
  expect([set(UNISOLATED), set(ISOLATED), drc.configure().response, drc.entitySense]).toEqual([-3, 0, -9003, 0]);
});

test('the light takes its four states and no other', () => {
  const { drc } = connector();
  expect([0, 1, 2, 3, 4, 0xffff_ffff].map((state) => drc.setIndicator(state))).toEqual([0, 0, 0, 0, -3, -3]);
  expect(drc.indicator).toBe(3);
});

test('a device is handed over piece by piece, configured by the last call; then the pieces begin anew', () => {
  const { drc, set, configure } = connector();
  drc.attach('nic', false);
  expect(drc.configure().response).toBe(-9003);
  set(UNISOLATED);
  expect(drc.configure()).toEqual({ response: 2, name: 'nic@1' });
  expect(drc.configure()).toEqual({ response: 3, name: 'reg', value: Uint8Array.of(8) });
  expect(drc.state).toBe('unisolated');
  expect([drc.configure().response, drc.state]).toEqual([0, 'configured']);
  expect([configure(), drc.state]).toEqual([[2, 3, 0], 'configured']);
});

test('isolating in the middle of the pieces begins them anew for the next time', () => {
  const { drc, set, configure } = connector();
  drc.attach('nic', true);
  drc.configure();
  set(ISOLATED);
  set(UNISOLATED);
  expect(configure()).toEqual([2, 3, 0]);
});

test.each([
  ['powered-on', true],
  ['unisolated', false],
  ['configured', false],
] as const)('asked for a device that is %s: gone at once is %s', (state, atOnce) => {
  const { machine, drc, gone, released, inState } = connector();
  inState(state);
  expect(machine.run(drc.requestUnplug())).toBe(atOnce);
  expect([drc.unplugRequested, gone.length]).toEqual([!atOnce, atOnce ? 1 : 0]);
  // Whoever asked knows: only what the guest releases is told.
  expect(released).toEqual([]);
});

test('what was asked for goes when the guest isolates it, and only once it is configured', () => {
  const { machine, drc, gone, released, set, configure, inState } = connector();
  inState('unisolated');
  machine.run(drc.requestUnplug());
  expect([set(ISOLATED), gone]).toEqual([-3, []]);
  configure();
  expect([set(ISOLATED), gone, released, drc.entitySense]).toEqual([0, ['nic'], ['nic'], 0]);
  expect([drc.unplugRequested, drc.state, set(ISOLATED), set(UNISOLATED)]).toEqual([false, 'powered-on', 0, -3]);
});

test('a reset takes out what was asked for, and configures what stays', () => {
  for (const asked of [false, true]) {
    const { machine, drc, gone, inState } = connector();
    inState('unisolated');
    if (asked) machine.run(drc.requestUnplug());
    machine.run(drc.reset());
    expect([gone.length, drc.state, drc.unplugRequested]).toEqual([
      asked ? 1 : 0,
      asked ? 'powered-on' : 'configured',
      false,
    ]);
  }
});

test('in any order of what guest and user do: a device goes when it was asked for and isolated, or never', () => {
  const step = fc.constantFrom('isolate', 'unisolate', 'configure', 'ask', 'reset', 'plug', 'hand over', 'nonsense');
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const { machine, drc, gone, set } = connector();
      let plugged = 0;
      for (const what of steps) {
        const before = { state: drc.state, asked: drc.unplugRequested, device: drc.device, gone: gone.length };
        if (what === 'isolate') set(ISOLATED);
        else if (what === 'unisolate') set(UNISOLATED);
        else if (what === 'nonsense') expect(set(7)).toBe(-3);
        else if (what === 'configure') drc.configure();
        else if (what === 'reset') machine.run(drc.reset());
        else if (what === 'ask' && drc.device !== undefined && !drc.unplugRequested) machine.run(drc.requestUnplug());
        else if (drc.device === undefined && (what === 'plug' || what === 'hand over'))
          drc.attach(`device ${++plugged}`, what === 'plug');
        // An empty connector is powered on, and nothing of it is asked for.
        if (drc.device === undefined) expect([drc.state, drc.unplugRequested]).toEqual(['powered-on', false]);
        if (gone.length === before.gone) continue;
        expect(gone.at(-1)).toBe(before.device);
        if (what === 'isolate') expect([before.asked, before.state]).toEqual([true, 'configured']);
        else if (what === 'reset') expect(before.asked).toBe(true);
        else expect([what, before.state]).toEqual(['ask', 'powered-on']);
      }
      expect(new Set(gone).size).toBe(gone.length);
    }),
  );
});
