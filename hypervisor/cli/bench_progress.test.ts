import { expect, test } from 'vitest';
import { BenchProgress } from './bench_progress.ts';

/** A host whose time passes when it is told to. */
function host(left?: () => number | undefined) {
  let now = 0;
  let written = '';
  let timer: { readonly at: number; readonly action: () => void } | undefined;
  return {
    left,
    elapsed: () => now,
    after: (ms: number, action: () => void) => {
      timer = { at: now + ms, action };
      return () => {
        timer = undefined;
      };
    },
    write: (text: string) => {
      written += text;
    },
    pass(ms: number) {
      now += ms;
      const due = timer;
      if (due === undefined || due.at > now) return;
      timer = undefined;
      due.action();
    },
    get written() {
      return written;
    },
  };
}

test('without a terminal there is a line every five seconds at most, and the newest is never left out', () => {
  const at = host();
  const progress = new BenchProgress(false, at);
  progress.show('one');
  expect(at.written).toBe('one (0 s)\n');
  at.pass(1000);
  progress.show('two');
  at.pass(1000);
  progress.show('three');
  expect(at.written).toBe('one (0 s)\n');
  at.pass(3000);
  expect(at.written).toBe('one (0 s)\nthree (5 s)\n');
  at.pass(5000);
  progress.show('four');
  progress.show('five');
  progress.end();
  at.pass(60_000);
  expect(at.written).toBe('one (0 s)\nthree (5 s)\nfour (10 s)\n');
});

test('without a terminal a long step has a line every ten seconds, with how long it may still take', () => {
  let left: number | undefined;
  const at = host(() => left);
  const progress = new BenchProgress(false, at);
  progress.show('one');
  left = 31_000;
  for (let second = 0; second < 25; second++) at.pass(1000);
  progress.show('two');
  progress.end();
  at.pass(60_000);
  expect(at.written).toBe(
    'one (0 s)\none (10 s, about 30 s left)\none (20 s, about 30 s left)\ntwo (25 s, about 30 s left)\n',
  );
});

test('on a terminal each line takes the place of the one before, and the last one goes', () => {
  const at = host();
  const progress = new BenchProgress(true, at);
  progress.show('one');
  progress.show('two');
  progress.end();
  expect(at.written).toBe('\r\x1b[Kone (0 s)\r\x1b[Ktwo (0 s)\r\x1b[K');
});

test('on a terminal the seconds go on while nothing else happens', () => {
  const at = host();
  const progress = new BenchProgress(true, at);
  progress.show('one');
  at.pass(1000);
  at.pass(1000);
  expect(at.written).toBe('\r\x1b[Kone (0 s)\r\x1b[Kone (1 s)\r\x1b[Kone (2 s)');
  progress.end();
  at.pass(1000);
  expect(at.written).toBe('\r\x1b[Kone (0 s)\r\x1b[Kone (1 s)\r\x1b[Kone (2 s)\r\x1b[K');
});

test('how long it may still take stands beside how long it took, once it is known', () => {
  let left: number | undefined;
  const at = host(() => left);
  const progress = new BenchProgress(false, at);
  progress.show('one');
  left = 41_000;
  at.pass(5000);
  progress.show('two');
  expect(at.written).toBe('one (0 s)\ntwo (5 s, about 40 s left)\n');
});
