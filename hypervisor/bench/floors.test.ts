import { expect, test } from 'vitest';
import { quantiles } from './figures.ts';
import { runFloor } from './floors.ts';

test('the time of a device is in every round trip of a chain that reaches it', { timeout: 30_000 }, async () => {
  const times = await runFloor('SSCH chain', 20, 2e6);
  expect(times.length).toBe(18);
  expect(Math.min(...times)).toBeGreaterThan(1.9e6);
  const { p50 } = quantiles(await runFloor('two parties', 20, 2e6));
  expect(p50).toBeLessThan(2e6);
});
