import { expect, test } from 'vitest';
import { SYSTEM_EVENT } from '../../kernel/include/uapi/kvm_run.ts';
import { type CpuEnd, outcome, showPsw } from './outcome.ts';

const WAIT = 0x0002_0001_8000_0000n;
const end = (cpu: number, event: number, pswAddress = 0n): CpuEnd => ({ cpu, event, pswMask: WAIT, pswAddress });

test.each<[string, CpuEnd[]]>([
  ['no CPU ever ran', []],
  ['stopped, wherever its PSW is', [end(0, SYSTEM_EVENT.STOPPED, 0x1234n)]],
  ['a disabled wait at address 0', [end(0, SYSTEM_EVENT.DISABLED_WAIT)]],
  ['both', [end(1, SYSTEM_EVENT.STOPPED, 0x99n), end(0, SYSTEM_EVENT.DISABLED_WAIT)]],
])('success: %s', (_, ends) => {
  expect(outcome(ends)).toEqual({ status: 0, reason: '' });
});

test('a disabled wait elsewhere is told with CPU and PSW, also when another CPU ended well', () => {
  const bad = end(3, SYSTEM_EVENT.DISABLED_WAIT, 0xdeadn);
  for (const ends of [[bad], [end(0, SYSTEM_EVENT.STOPPED), bad], [bad, end(0, SYSTEM_EVENT.STOPPED)]])
    expect(outcome(ends)).toEqual({
      status: 1,
      reason: 'cpu 3 waits disabled at address 0xdead, PSW 0002000180000000 000000000000dead',
    });
});

test('a loop of program interruptions is failure, at address 0 too', () => {
  expect(outcome([end(1, SYSTEM_EVENT.PROGRAM_LOOP)])).toMatchObject({
    status: 1,
    reason: expect.stringMatching(/^cpu 1 is in a loop of program interruptions, PSW 0002000180000000 0{16}: /),
  });
});

test('a PSW is two doublewords of 16 digits', () => {
  expect(showPsw(1n, 0xffff_ffff_ffff_ffffn)).toBe('0000000000000001 ffffffffffffffff');
});
