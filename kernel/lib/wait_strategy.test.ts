import { expect, test } from 'vitest';
import { describeWaits, spinsOn } from './wait_strategy.ts';

test('on one CPU nobody spins, for the partner cannot run meanwhile', () => {
  expect(spinsOn(1, 'vcpu_reply')).toBe(0);
  expect(describeWaits(1)).toMatch(/everybody sleeps/);
});

test('on two and three CPUs those that wait for kernel or hardware sleep at once', () => {
  for (const cpus of [2, 3]) {
    expect(spinsOn(cpus, 'sleep')).toBe(0);
    expect(spinsOn(cpus, 'vcpu_reply')).toBeGreaterThan(spinsOn(cpus, 'kernel_hcall'));
  }
});

test('from four CPUs on everybody spins', () => {
  expect(spinsOn(4, 'sleep')).toBeGreaterThan(0);
  expect(describeWaits(64)).toMatch(/four CPUs or more/);
});
