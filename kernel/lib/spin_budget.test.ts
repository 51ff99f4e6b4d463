import { expect, test } from 'vitest';
import { SpinBudget } from './spin_budget.ts';

test('spins that find their news stay long', () => {
  const budget = new SpinBudget();
  for (let i = 0; i < 100; i++) {
    expect(budget.grant(6400)).toBe(6400);
    budget.report(true);
  }
});

test('vain spins become short, but every eighth is tried in full', () => {
  const budget = new SpinBudget();
  const granted: number[] = [];
  for (let i = 0; i < 64; i++) {
    granted.push(budget.grant(6400));
    budget.report(false);
  }
  expect(granted.slice(0, 8)).toEqual([6400, 3200, 1600, 800, 400, 200, 100, 6400]);
  expect(granted.slice(-8)).toEqual([100, 100, 100, 100, 100, 100, 100, 6400]);
});

test('one full spin that finds its news makes all long again', () => {
  const budget = new SpinBudget();
  for (let i = 0; i < 15; i++) {
    budget.grant(6400);
    budget.report(false);
  }
  expect(budget.grant(6400)).toBe(6400); // the sixteenth
  budget.report(true);
  expect(budget.grant(6400)).toBe(6400);
});
