import { expect, test } from 'vitest';
import { hopsOf } from './floor.ts';

const shown = (route: string) => hopsOf(route).map(({ party, from, rings }) => `${from}>${party}:${rings.join()}`);

test('each hop of a route rings the next, and the last one the first', () => {
  expect(shown('GVKV')).toEqual(['V>G:1', 'G>V:2', 'V>K:3', 'K>V:0']);
});

test('a chain in parentheses is rung beside the one that goes on, after it, and ends', () => {
  expect(shown('GVK(VG)IK(V)')).toEqual(['K>G:1', 'G>V:2', 'V>K:5,3', 'K>V:4', 'V>G:', 'K>I:6', 'I>K:0,7', 'K>V:']);
});
