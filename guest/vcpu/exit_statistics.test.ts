import { beforeEach, expect, test } from 'vitest';
import { readExits } from '../../hypervisor/vmm/exit_statistics.ts';
import { EXIT_STAT_ROWS, SIE } from '../../kernel/include/uapi/kvm_exit_stat.ts';
import { smallMachine } from '../../test/support/small_machine.ts';
import type { Cpu } from '../cpu/cpu.ts';
import type { ExitReason } from '../cpu/exit_reason.ts';
import { ExitStatistics } from './exit_statistics.ts';
import type { Registers } from './registers.ts';

const NO_HYPERCALLS = [0, 0, 0];
let host: ReturnType<typeof smallMachine>;
let now: number;
let exits: ExitStatistics;

beforeEach(() => {
  host = smallMachine(4, 2);
  now = 0;
  exits = counters(0);
});
function counters(cpu: number): ExitStatistics {
  return new ExitStatistics(host.memory, host.map.vcpus[cpu].exits, () => now);
}

const registers = (high: number, low: number) => ({ gprHigh: () => high, gprLow: () => low }) as unknown as Registers;
function stay(
  reason: ExitReason,
  ns: number,
  { text = '0000', operand = 0, token = 0, high = 0, among = exits, wanted = [] as readonly number[] } = {},
): void {
  const cpu = { exitText: Buffer.from(text, 'hex'), exitOperand: BigInt(operand) } as unknown as Cpu;
  among.left(reason, cpu, registers(high, token));
  for (const code of wanted) among.wanted(code);
  now += ns;
  among.entered(NO_HYPERCALLS);
}
const names = () => readExits(host.memory, host.map).rows.map(({ name }) => name);

test('an exit lasts from leaving the guest to entering it again; the first entry ends none', () => {
  exits.entered(NO_HYPERCALLS);
  for (const ns of [30, 10, 20]) {
    now += 1000;
    stay('intercept', ns, { text: 'b2330000' });
  }
  exits.entered(NO_HYPERCALLS);
  const { rows } = readExits(host.memory, host.map);
  expect(rows).toEqual([{ name: 'SSCH', samples: 3, sum: 60, squares: 1400, min: 10, max: 30 }]);
});

test.each([
  ['intercept', { text: 'b2350000' }, 'TSCH'],
  ['intercept', { text: 'b25f0012' }, 'CHSC'],
  ['intercept', { text: 'b2200012' }, 'SERVC'],
  ['intercept', { text: 'b27d0000' }, 'STSI'],
  ['intercept', { text: 'ae020005', operand: 0xfff05 }, 'SIGP stop'],
  ['intercept', { text: 'ae020077', operand: 0x77 }, 'SIGP 0x77'],
  ['intercept', { text: '83010308', operand: 0x308 }, 'DIAG (0x308) ipl functions'],
  ['intercept', { text: '83010abc', operand: 0xabc }, 'DIAG (0xabc)'],
  ['hypercall', { token: 0x20 }, 'DIAG (0x5e0) H_PUT_TCE'],
  ['hypercall', { token: 0x10009 }, 'DIAG (0x5e0) FH_DMA_ENABLE'],
  ['hypercall', { token: 0x999 }, 'DIAG (0x5e0) 0x999'],
  ['hypercall', { token: -1 }, 'DIAG (0x5e0) 0xffffff or more'],
  ['hypercall', { token: 0x20, high: 1 }, 'DIAG (0x5e0) 0xffffff or more'],
  ['wait', {}, 'Wait state'],
  ['budget', {}, 'Host interruption'],
  ['retry', {}, 'Host interruption'],
  ['program_loop', {}, 'Program interruption'],
  ['attention', {}, 'Host interruption'],
  ['attention', { wanted: [SIE.IO_REQUEST] }, 'I/O request'],
  ['attention', { wanted: [SIE.EXTERNAL_REQUEST, SIE.IO_REQUEST] }, 'External request'],
  ['attention', { wanted: [SIE.STOP_REQUEST] }, 'Stop request'],
  ['wait', { wanted: [SIE.IO_REQUEST] }, 'Wait state'],
] as const)('%s %j is called %s', (reason, what, name) => {
  stay(reason, 1, what);
  expect(names()).toEqual([name]);
});

test('a hypercall that the kernel finished is no exit, and is counted for itself', () => {
  const cpu = {} as Cpu;
  exits.left('hypercall', cpu, registers(0, 0x20));
  exits.handledInKernel();
  exits.entered([5, 1, 0]);
  counters(1).entered([2, 3, 9]);
  expect(readExits(host.memory, host.map)).toEqual({ rows: [], inKernel: { real: 7, virtual: 4 } });
});

test('CPUs are added up, the most frequent reason first', () => {
  stay('wait', 100);
  stay('hypercall', 5, { token: 0x20 });
  const second = counters(1);
  stay('hypercall', 7, { token: 0x20, among: second });
  expect(readExits(host.memory, host.map).rows).toEqual([
    { name: 'DIAG (0x5e0) H_PUT_TCE', samples: 2, sum: 12, squares: 74, min: 5, max: 7 },
    { name: 'Wait state', samples: 1, sum: 100, squares: 10000, min: 100, max: 100 },
  ]);
});

test('a guest that makes up codes fills the page and nothing beyond it', () => {
  const { exits: area } = host.map.vcpus[0];
  const behind = host.memory.bytes(area + 4096, 64);
  const before = [...behind];
  for (let code = 0; code < 1000; code++) stay('intercept', 1, { text: '83010000', operand: 0x1000 + (code % 500) });
  const { rows } = readExits(host.memory, host.map);
  expect(rows).toHaveLength(EXIT_STAT_ROWS);
  expect(rows[0]).toMatchObject({ name: '(all further reasons)', samples: 2 * (500 - (EXIT_STAT_ROWS - 1)) });
  expect(rows.reduce((total, { samples }) => total + samples, 0)).toBe(1000);
  expect([...behind]).toEqual(before);
});
