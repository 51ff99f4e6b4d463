/** DIAGNOSE, except X'5E0' (hypercalls): function codes by table (s390x facts 13). */
import { PGM, ProgramInterruption, type Vcpu } from '../../../hypervisor/machine_api.ts';
import type { Task } from '../../../kernel/lib/task.ts';

/** What DIAGNOSE X'308' may ask of the machine. */
export interface Ipl {
  /**
   * Resets the machine and loads again: 0 modified clear, 1 load normal (both restart from the short PSW at real 0),
   * 3 re-IPL, 4 re-IPL for a dump. Does not return to the guest.
   */
  reset(subcode: number): Task;
}

/** What a handler gets. */
interface Diagnose {
  readonly vcpu: Vcpu;
  readonly r1: number;
  readonly r3: number;
  readonly ipl: Ipl | undefined;
}

const specification = () => new ProgramInterruption(PGM.SPECIFICATION);

/** Return codes of X'308' in R1 + 1. */
export const DIAG_308_RC = { OK: 0x0001, NO_CONFIGURATION: 0x0102, INVALID: 0x0402 } as const;
const PAGE = 4096n;

/** Voluntary time-slice end, with or without a target: the scheduler of the host decides anyway. */
function* yieldSlice(): Task {}

/** The page of an IPL-information block: R1 even, page-aligned address in it. */
function checkBlock({ vcpu, r1 }: Diagnose): void {
  if (r1 % 2 !== 0 || vcpu.gpr(r1) % PAGE !== 0n) throw specification();
}

function* resetMachine({ ipl, vcpu, r3 }: Diagnose): Task {
  if (ipl === undefined) throw specification();
  yield* ipl.reset(Number(vcpu.gpr(r3)));
}
function* setParameters(diagnose: Diagnose): Task {
  checkBlock(diagnose);
  const { vcpu, r1 } = diagnose;
  yield* vcpu.read(vcpu.gpr(r1), Number(PAGE));
  // There is no device to load from: no block is acceptable.
  vcpu.setGpr(r1 + 1, BigInt(DIAG_308_RC.INVALID));
}
function* storeParameters(diagnose: Diagnose): Task {
  checkBlock(diagnose);
  const { vcpu, r1 } = diagnose;
  yield* vcpu.checkWrite(vcpu.gpr(r1), Number(PAGE));
  vcpu.setGpr(r1 + 1, BigInt(DIAG_308_RC.NO_CONFIGURATION));
}

/** Subcodes of X'308', in R3. */
export const DIAG_308: Readonly<Record<number, (diagnose: Diagnose) => Task>> = {
  0: resetMachine,
  1: resetMachine,
  3: resetMachine,
  4: resetMachine,
  5: setParameters,
  6: storeParameters,
};

function* programDirectedIpl(diagnose: Diagnose): Task {
  const subcode = diagnose.vcpu.gpr(diagnose.r3);
  const row = subcode <= 0xffn ? DIAG_308[Number(subcode)] : undefined;
  if (row === undefined) throw specification();
  yield* row(diagnose);
}

/** Function codes. */
export const DIAGNOSE: Readonly<
  Record<number, { readonly name: string; readonly handler: (diagnose: Diagnose) => Task }>
> = {
  [0x44]: { name: 'voluntary time-slice end', handler: yieldSlice },
  [0x9c]: { name: 'voluntary time-slice end to a CPU', handler: yieldSlice },
  [0x308]: { name: 'program-directed IPL', handler: programDirectedIpl },
};

/** DIAGNOSE R1,R3,D2(B2): code in bits 48-63 of the second-operand address. The condition code is unchanged (-1). @throws ProgramInterruption specification for an unknown code */
export function* diag(vcpu: Vcpu, ipl?: Ipl): Task<number> {
  if (vcpu.problemState) throw new ProgramInterruption(PGM.PRIVILEGED);
  const row = DIAGNOSE[Number(vcpu.operand & 0xffffn)];
  if (row === undefined) throw specification();
  yield* row.handler({ vcpu, r1: vcpu.text[1] >> 4, r3: vcpu.text[1] & 0xf, ipl });
  return -1;
}
