/** SIGNAL PROCESSOR: orders by code (SA22-7832 chapter 4, "CPU Signaling and Response"; s390x facts 11). */

import { type Machine, PGM, ProgramInterruption, type Vcpu } from '../../../hypervisor/machine_api.ts';
import { KVM_S390_INTERRUPT } from '../../../kernel/include/uapi/ioctl.ts';
import { KVM_S390, kvm_s390_interrupt } from '../../../kernel/include/uapi/kvm.ts';
import type { Task } from '../../../kernel/lib/task.ts';
import { low32 } from '../../../kernel/lib/words64.ts';

/** Status bits, placed in bits 32-63 of R1 with condition code 1. */
export const SIGP_STATUS = {
  INVALID_ORDER: 0x02,
  STOPPED: 0x40,
  EXTERNAL_CALL_PENDING: 0x80,
  INVALID_PARAMETER: 0x100,
  INCORRECT_STATE: 0x200,
  NOT_RUNNING: 0x400,
} as const;

/** Condition codes. */
export const SIGP_CC = { ACCEPTED: 0, STATUS_STORED: 1, BUSY: 2, NOT_OPERATIONAL: 3 } as const;

/** The configuration's CPUs, as the machine keeps them. Addresses are 0 to `count` - 1. */
export interface Cpus {
  readonly count: number;
  state(address: number): 'stopped' | 'operating';
  /** The vCPU's KVM descriptor. */
  descriptor(address: number): number;
  /** An external call was sent and is not taken yet. */
  externalCallPending(address: number): boolean;
  /** An order was given that the CPU has not performed yet. */
  busy(address: number): boolean;
  /** The vCPU executes on a host CPU now. */
  running(address: number): boolean;
  // The orders that follow are given, not waited for: the addressed CPU is busy until it has performed them.
  /** Lets a stopped CPU run from its PSW; no effect on an operating one. */
  start(address: number): Task;
  /** CPU reset, or initial CPU reset; the CPU is stopped then. */
  reset(address: number, initial: boolean): Task;
  /** Stores the architected status of a stopped CPU: 512 bytes at absolute `origin`. */
  storeStatus(address: number, origin: number): Task;
  /** Stops the CPU and has it store its status at its own lowcore. */
  stopAndStoreStatus(address: number): Task;
}

/** What an order's handler gets. */
interface Order {
  readonly machine: Machine;
  readonly cpus: Cpus;
  /** CPU address of the issuer and of the addressed CPU. */
  readonly from: number;
  readonly to: number;
  /** Bits 32-63 of the parameter register. */
  readonly parameter: number;
}

/** Bits of the parameter that are a prefix, and that are the origin of stored status. */
const PREFIX_MASK = 0x7fffe000;
const STATUS_MASK = 0x7ffffe00;
const PREFIX_AREA = 0x2000;
const STATUS_AREA = 0x200;

/** Sends an interrupt to the addressed vCPU. */
function* interrupt({ machine, cpus, to }: Order, type: number, parm = 0): Task {
  yield* machine.sys.ioctlStruct(
    cpus.descriptor(to),
    KVM_S390_INTERRUPT,
    kvm_s390_interrupt.make({ type, parm, parm64: BigInt(parm) }),
  );
}

function* sense({ cpus, to }: Order): Task<number> {
  let status = 0;
  if (cpus.externalCallPending(to)) status |= SIGP_STATUS.EXTERNAL_CALL_PENDING;
  if (cpus.state(to) === 'stopped') status |= SIGP_STATUS.STOPPED;
  return status;
}
function* externalCall(order: Order): Task<number> {
  if (order.cpus.externalCallPending(order.to)) return SIGP_STATUS.EXTERNAL_CALL_PENDING;
  yield* interrupt(order, KVM_S390.INT_EXTERNAL_CALL, order.from);
  return 0;
}
function* emergencySignal(order: Order): Task<number> {
  yield* interrupt(order, KVM_S390.INT_EMERGENCY, order.from);
  return 0;
}
function* start({ cpus, to }: Order): Task<number> {
  yield* cpus.start(to);
  return 0;
}
function* stop(order: Order): Task<number> {
  if (order.cpus.state(order.to) === 'operating') yield* interrupt(order, KVM_S390.SIGP_STOP);
  return 0;
}
function* restart(order: Order): Task<number> {
  yield* interrupt(order, KVM_S390.RESTART);
  return 0;
}
function* stopAndStoreStatus({ cpus, to }: Order): Task<number> {
  yield* cpus.stopAndStoreStatus(to);
  return 0;
}
function* initialCpuReset({ cpus, to }: Order): Task<number> {
  yield* cpus.reset(to, true);
  return 0;
}
function* cpuReset({ cpus, to }: Order): Task<number> {
  yield* cpus.reset(to, false);
  return 0;
}
function* setPrefix(order: Order): Task<number> {
  const prefix = order.parameter & PREFIX_MASK;
  if (prefix + PREFIX_AREA > order.machine.memory.size) return SIGP_STATUS.INVALID_PARAMETER;
  if (order.cpus.state(order.to) !== 'stopped') return SIGP_STATUS.INCORRECT_STATE;
  yield* interrupt(order, KVM_S390.SIGP_SET_PREFIX, prefix);
  return 0;
}
function* storeStatusAtAddress({ machine, cpus, to, parameter }: Order): Task<number> {
  const origin = parameter & STATUS_MASK;
  if (cpus.state(to) !== 'stopped') return SIGP_STATUS.INCORRECT_STATE;
  if (origin + STATUS_AREA > machine.memory.size) return SIGP_STATUS.INVALID_PARAMETER;
  yield* cpus.storeStatus(to, origin);
  return 0;
}
function* senseRunningStatus({ cpus, to }: Order): Task<number> {
  return cpus.running(to) ? 0 : SIGP_STATUS.NOT_RUNNING;
}

/** The orders, by code: what to do, giving the status (0: accepted). Set architecture is not here: it addresses no CPU. */
export const SIGP_ORDERS: Readonly<
  Record<number, { readonly name: string; readonly handler: (order: Order) => Task<number> }>
> = {
  [0x01]: { name: 'sense', handler: sense },
  [0x02]: { name: 'external call', handler: externalCall },
  [0x03]: { name: 'emergency signal', handler: emergencySignal },
  [0x04]: { name: 'start', handler: start },
  [0x05]: { name: 'stop', handler: stop },
  [0x06]: { name: 'restart', handler: restart },
  [0x09]: { name: 'stop and store status', handler: stopAndStoreStatus },
  [0x0b]: { name: 'initial CPU reset', handler: initialCpuReset },
  [0x0c]: { name: 'CPU reset', handler: cpuReset },
  [0x0d]: { name: 'set prefix', handler: setPrefix },
  [0x0e]: { name: 'store status at address', handler: storeStatusAtAddress },
  [0x15]: { name: 'sense running status', handler: senseRunningStatus },
};
const SET_ARCHITECTURE = 0x12;
/** Orders that a CPU takes while it has another to perform (chapter 4, "Conditions Determining Response"). */
const RESETS: readonly number[] = [0x0b, 0x0c];

/** Every CPU is in z/Architecture mode and stays there: the order is refused, with a reason that depends on the others. */
function setArchitecture(cpus: Cpus, issuer: number): number {
  for (let address = 0; address < cpus.count; address++)
    if (address !== issuer && cpus.state(address) !== 'stopped') return SIGP_STATUS.INCORRECT_STATE;
  return SIGP_STATUS.INVALID_PARAMETER;
}

/** SIGP R1,R3,D2(B2): order in bits 56-63 of the second-operand address. @returns condition code. @throws ProgramInterruption */
export function* sigp(machine: Machine, cpus: Cpus, vcpu: Vcpu): Task<number> {
  if (vcpu.problemState) throw new ProgramInterruption(PGM.PRIVILEGED);
  const r1 = vcpu.text[1] >> 4;
  const to = Number(vcpu.gpr(vcpu.text[1] & 0xf) & 0xffffn);
  const code = Number(vcpu.operand & 0xffn);
  const parameter = low32(vcpu.gpr(r1 | 1));
  let status: number;
  if (code === SET_ARCHITECTURE) status = setArchitecture(cpus, vcpu.address);
  else if (to >= cpus.count) return SIGP_CC.NOT_OPERATIONAL;
  else if (cpus.busy(to) && !RESETS.includes(code)) return SIGP_CC.BUSY;
  else {
    const row = SIGP_ORDERS[code];
    status =
      row === undefined
        ? SIGP_STATUS.INVALID_ORDER
        : yield* row.handler({ machine, cpus, from: vcpu.address, to, parameter });
  }
  if (status === 0) return SIGP_CC.ACCEPTED;
  vcpu.setGpr(r1, (vcpu.gpr(r1) & ~0xffff_ffffn) | BigInt(status));
  return SIGP_CC.STATUS_STORED;
}
