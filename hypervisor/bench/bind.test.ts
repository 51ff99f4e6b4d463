import { expect, test } from 'vitest';
import { bind } from './bind.ts';
import type { Figure } from './figures.ts';

const EFFORT = { groups: [1, 4], repeats: 8, batches: 8, calls: 130 };

test('each side, for each number of groups: ioctls and what they need, times, and a hypercall afterwards', async () => {
  const rounds: number[] = [];
  const context = { rounds: 2, folder: '', round: (n: number) => rounds.push(n), progress() {} };
  const figures = await bind(context, EFFORT);
  const of = (column: string, name: string) => figures.find((f) => f.column === column && f.name === name) as Figure;
  expect(rounds).toEqual([1, 2]);
  expect(figures.length).toBe(2 * 3 * 5);
  const ioctls = (name: string) => ['group', 'group-liobn', 'container'].map((side) => of(side, `${name}, ioctls`).p50);
  expect([ioctls('1 group: bind'), ioctls('1 group: unbind')]).toEqual([
    [2, 2, 1],
    [1, 1, 1],
  ]);
  expect([ioctls('4 groups: bind'), ioctls('4 groups: unbind')]).toEqual([
    [8, 8, 1],
    [4, 4, 1],
  ]);
  const { perOperation, samples, rounds: each } = of('group', '4 groups: bind');
  expect(perOperation).toMatchObject({ exits: 0, systemCalls: 8, handOffs: 16, copies: 16, pins: 0 });
  expect([samples, each?.length]).toEqual([8, 2]);
  const put = of('container', '4 groups: H_PUT_TCE, real mode');
  expect(put.operations).toBe(put.samples * EFFORT.calls);
  for (const { p50 } of figures) expect(p50).toBeGreaterThan(0);
});
