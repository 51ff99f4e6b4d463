/**
 * What exits are called: the names that Linux gives them for `perf kvm stat`
 * (arch/s390/include/uapi/asm/sie.h: sie_intercept_code, sigp_order_codes, diagnose_codes, icpt_insn_codes).
 */
import { IO_INSTRUCTIONS } from '../../devices/virtual/s390x/ioinst.ts';
import { HCALL } from '../../kernel/include/arch/ppc/hcall.ts';
import { EXIT_KIND, EXIT_VALUE_BITS, EXIT_VALUE_MAX, SIE } from '../../kernel/include/uapi/kvm_exit_stat.ts';

const hex = (value: number) => `0x${value.toString(16)}`;

const INTERCEPT_NAMES: Readonly<Record<number, string>> = {
  [SIE.HOST_INTERRUPTION]: 'Host interruption',
  [SIE.PROGRAM_INTERRUPTION]: 'Program interruption',
  [SIE.EXTERNAL_REQUEST]: 'External request',
  [SIE.IO_REQUEST]: 'I/O request',
  [SIE.WAIT_STATE]: 'Wait state',
  [SIE.STOP_REQUEST]: 'Stop request',
};

/** Intercepted instructions outside the channel subsystem, by their first two bytes. */
const INSTRUCTION_NAMES: Readonly<Record<number, string>> = { 45600: 'SERVC', 45693: 'STSI' };

const SIGP_ORDERS: Readonly<Record<number, string>> = {
  1: 'sense',
  2: 'external call',
  3: 'emergency signal',
  4: 'start',
  5: 'stop',
  6: 'restart',
  9: 'stop and store status',
  11: 'initial cpu reset',
  12: 'cpu reset',
  13: 'set prefix',
  14: 'store status at address',
  18: 'set architecture',
  19: 'conditional emergency signal',
  21: 'sense running',
};

const DIAGNOSES: Readonly<Record<number, string>> = {
  16: 'release pages', // X'10'
  68: 'time slice end', // X'44'
  156: 'time slice end directed', // X'9C'
  516: 'logical-cpu utilization', // X'204'
  600: 'page-reference services', // X'258'
  648: 'watchdog functions', // X'288'
  776: 'ipl functions', // X'308'
  1280: 'KVM virtio functions', // X'500'
  1281: 'KVM breakpoint', // X'501'
};

const HCALL_NAMES: ReadonlyMap<number, string> = new Map(Object.entries(HCALL).map(([name, token]) => [token, name]));

const NAMES: Readonly<Record<number, (value: number) => string>> = {
  [EXIT_KIND.INTERCEPT]: (code) => INTERCEPT_NAMES[code] ?? `intercept ${hex(code)}`,
  [EXIT_KIND.INSTRUCTION]: (opcode) =>
    IO_INSTRUCTIONS[opcode]?.name.toUpperCase() ?? INSTRUCTION_NAMES[opcode] ?? `instruction ${hex(opcode)}`,
  [EXIT_KIND.DIAGNOSE]: (code) => `DIAG (${hex(code)}) ${DIAGNOSES[code] ?? ''}`.trimEnd(),
  [EXIT_KIND.SIGP]: (order) => `SIGP ${SIGP_ORDERS[order] ?? hex(order)}`,
  [EXIT_KIND.HCALL]: (token) => `DIAG (0x5e0) ${HCALL_NAMES.get(token) ?? unknownToken(token)}`,
  [EXIT_KIND.OTHER]: () => '(all further reasons)',
};

function unknownToken(token: number): string {
  return token === EXIT_VALUE_MAX ? `${hex(token)} or more` : hex(token);
}

/** The name of a key of `kvm_exit_stat`. */
export function exitName(key: number): string {
  const kind = key >>> EXIT_VALUE_BITS;
  return NAMES[kind]?.(key & EXIT_VALUE_MAX) ?? `exit ${hex(key)}`;
}
