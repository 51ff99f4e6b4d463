import { expect, test } from 'vitest';
import { exampleDocument } from '../../test/support/bench_document.ts';
import { busySigns, showMachine, thisMachine, widestFloor } from './machine.ts';
import { floorFigure, measured } from './series.ts';

const { machine } = exampleDocument();
const steady = floorFigure('s', 'chain', [[100], [110], [120]]);
const shaken = floorFigure('s', 'two parties', [[100], [310], [105]]);

test('a quiet machine gives no sign', () => {
  expect(busySigns(machine, [steady])).toEqual([]);
  expect(busySigns({ ...machine, loadAverage: undefined }, [])).toEqual([]);
});

test('a floor whose rounds lie far apart is a sign, a subject’s are not', () => {
  expect(busySigns(machine, [steady, shaken])).toEqual([
    'machine busy: the floor of two parties spread 3.1x between rounds; run again on a quiet machine',
  ]);
  expect(widestFloor([steady])?.spread).toBeCloseTo(1.2);
  expect(busySigns(machine, [measured({ scenario: 's', name: 'x', rounds: [[1], [9]] })])).toEqual([]);
});

test('a load beyond what a bench before this one leaves is a sign', () => {
  expect(busySigns({ ...machine, loadAverage: 2.5 }, [])).toEqual([]);
  expect(busySigns({ ...machine, loadAverage: 3.7 }, [])[0]).toMatch(/load average 3\.7 on 2 CPUs at the start/);
});

test('this machine is described', () => {
  const { node, cpus, waits } = thisMachine();
  expect(node).toBe(process.version);
  expect(cpus).toBeGreaterThan(0);
  expect(waits).toMatch(/CPU/);
  expect(showMachine(machine)).toBe('Example CPU, 2 CPUs, linux x64, Node v20.20.2, load 0.1');
});
