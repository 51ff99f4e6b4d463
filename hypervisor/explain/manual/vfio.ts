/** Words for the structures between VMM and kernel: VFIO's and KVM's (include/uapi/linux/vfio.h, vfio_ccw.h, kvm.h). */
import { hcallName, hcallReturnName } from '../../../kernel/include/arch/ppc/hcall.ts';
import { kvm_s390_interrupt } from '../../../kernel/include/uapi/kvm.ts';
import { KVM_EXIT, KVM_RUN } from '../../../kernel/include/uapi/kvm_run.ts';
import {
  ccw_cmd_region,
  ccw_io_region,
  VFIO_CCW_ASYNC_CMD,
  VFIO_DMA_MAP_FLAG,
  vfio_ccw_cmd,
  vfio_iommu_type1_dma_map,
} from '../../../kernel/include/uapi/vfio.ts';
import { struct, u64, u64n } from '../../../kernel/lib/struct.ts';
import { IRB_MANUAL, ORB_MANUAL, SCSW_MANUAL } from './channel.ts';
import { type Manual, manual } from './manual.ts';

export const IO_REGION_MANUAL = manual(ccw_io_region, {
  name: 'ccw_io_region',
  title: 'I/O region: how the VMM asks vfio-ccw for a start, and is answered',
  source: 'include/uapi/linux/vfio_ccw.h',
  fields: {
    orb_area: { title: "the guest's ORB", holds: ORB_MANUAL },
    scsw_area: { title: "the guest's SCSW: which function is asked for", holds: SCSW_MANUAL },
    irb_area: { title: 'IRB, once there is status', holds: IRB_MANUAL },
    ret_code: 'how the request ended: 0, or an errno below zero',
  },
});

export const CMD_REGION_MANUAL = manual(ccw_cmd_region, {
  name: 'ccw_cmd_region',
  title: 'command region: what the VMM asks for while a start is under way',
  source: 'include/uapi/linux/vfio_ccw.h',
  fields: {
    command: {
      title: 'which function',
      means: { [VFIO_CCW_ASYNC_CMD.HSCH]: 'halt', [VFIO_CCW_ASYNC_CMD.CSCH]: 'clear' },
    },
    ret_code: 'how the request ended: 0, or an errno below zero',
  },
});

export const CMD_MANUAL = manual(vfio_ccw_cmd, {
  name: 'vfio_ccw_cmd',
  title: 'argument of VFIO_DEVICE_CCW_CMD_REQUEST',
  source: 'vfio-ccw RFC of April 2016',
  fields: {
    argsz: { title: 'bytes of this structure', decimal: true },
    ccwchain_nr: { title: 'CCWs in the buffer', decimal: true },
    orb_area: { title: "the guest's ORB", holds: ORB_MANUAL },
    scsw_area: { title: 'in: the function asked for; out: how it ended', holds: SCSW_MANUAL },
    irb_area: { title: 'out: the IRB', holds: IRB_MANUAL },
    ccwchain_buf: 'user address of the buffer with the program',
  },
});

/** The upper half of the buffer of the RFC's program: an address for each CCW (VFIO_CCW_CHAIN). */
export const CHAIN_ADDRESS_MANUAL = manual(struct('ccwchain_cda', 'le', { cda: u64n }, { size: 8 }), {
  name: 'address word',
  title: 'what the data address of the CCW stands for',
  source: 'vfio-ccw RFC of April 2016, "User-space ccw program format"',
  fields: { cda: "the VMM's address of the data" },
});

export const DMA_MAP_MANUAL = manual(vfio_iommu_type1_dma_map, {
  name: 'vfio_iommu_type1_dma_map',
  title: 'argument of VFIO_IOMMU_MAP_DMA',
  source: 'include/uapi/linux/vfio.h',
  fields: {
    argsz: { title: 'bytes of this structure', decimal: true },
    flags: {
      title: 'what the device may do',
      masks: { WRITE: VFIO_DMA_MAP_FLAG.WRITE, READ: VFIO_DMA_MAP_FLAG.READ },
      bits: { READ: 'read memory', WRITE: 'write memory' },
    },
    vaddr: "the page in the VMM's address space",
    iova: 'I/O virtual address: what the device will say',
    size: { title: 'bytes', decimal: true },
  },
});

export const KVM_INTERRUPT_MANUAL = manual(kvm_s390_interrupt, {
  name: 'kvm_s390_interrupt',
  title: 'argument of KVM_S390_INTERRUPT',
  source: 'include/uapi/linux/kvm.h',
  fields: {
    type: 'an I/O interruption, with adapter bit, css, set and subchannel number',
    parm: 'subsystem-identification word',
    parm64: {
      title: 'interruption parameter and identification word',
      ranges: { parameter: [0, 32], A: [32, 1], ISC: [34, 3] },
      bits: { parameter: "the guest's own interruption parameter", A: 'of an adapter', ISC: 'interruption subclass' },
    },
  },
});

const EXITS: Readonly<Record<number, string>> = Object.fromEntries(
  Object.entries(KVM_EXIT).map(([name, number]) => [number, `KVM_EXIT_${name}`]),
);

const gprs = Object.fromEntries(Array.from({ length: 16 }, (_, n) => [`gpr${n}`, u64]));
const GPRS = struct('gprs', 'le', gprs, { size: 128 });
/** General registers, as the run page and a CPU's state block keep them: native byte order. */
const registers = (words: Readonly<Record<string, Manual['fields'][string]>>): Manual =>
  manual(GPRS, {
    name: 'GPRs',
    title: 'general registers',
    source: "PAPR, with the registers of DIAGNOSE X'5E0'",
    fields: Object.fromEntries(Object.keys(gprs).map((name) => [name, words[name] ?? 'a general register'])),
  });

/** What the registers hold when a hypercall is made. @param args what the arguments are, from GPR2 on */
export function hcallRegisters(args: readonly Manual['fields'][string][]): Manual {
  return registers({
    gpr1: { title: 'token: which hypercall', means: (value) => hcallName(Number(value)) },
    ...Object.fromEntries(args.map((doc, i) => [`gpr${2 + i}`, doc])),
  });
}

/** What they hold when it is answered. */
export const HCALL_RESULT = registers({
  gpr2: {
    title: 'return code',
    means: (value) => hcallReturnName(Number(BigInt.asIntN(64, value))),
  },
});

export const RUN_MANUAL = manual(KVM_RUN, {
  name: 'kvm_run',
  title: 'run page: what vCPU and VMM hand each other',
  source: 'include/uapi/linux/kvm.h, struct kvm_run',
  fields: {
    owner: { title: 'who may touch the page', means: { 0: 'the vCPU', 1: 'the VMM' } },
    exit_reason: { title: 'why the guest was left', means: EXITS },
    mode: { title: 'inside the guest', means: { 0: 'no', 1: 'yes' } },
    requests: 'what the vCPU is to do before it goes on',
    cpu_state: { title: 'operating state', means: { 0: 'stopped', 1: 'operating' } },
    idle: 'the CPU waits',
    parked: 'the CPU is at rest for good',
    reserved0: 'not used',
    hcall_state: {
      title: 'hypercall words',
      means: { 0: 'idle', 1: 'posted to the kernel', 2: 'done', 3: 'posted, and the vCPU sleeps' },
    },
    hcall_tier: {
      title: 'who is to finish it, or has',
      means: { 0: 'real mode', 1: 'virtual mode', 2: 'the VMM' },
    },
    hcall_nr: { title: 'token', means: (value) => hcallName(Number(value)) },
    hcall_args: 'arguments; then the return code and values',
    hcall_real: { title: 'calls finished in real mode so far', decimal: true },
    hcall_virtual: { title: 'calls finished in virtual mode so far', decimal: true },
    io_taken: 'interruptions taken',
    reserved1: 'not used',
    text: 'the instruction, as it stands in storage',
    operand: 'its operand address',
    ilc: { title: 'its length in bytes', decimal: true },
    answer_kind: {
      title: 'what the vCPU is to do',
      means: { 0: 'go on', 1: 'set the condition code', 2: 'take a program interruption', 3: 'rest' },
    },
    answer_value: 'the condition code',
    dirty_regs: 'registers that the VMM has changed',
    io_dequeued: 'an interruption was taken off the queue for TSCH',
    io_subsystem_id: 'its subsystem-identification word',
    io_intparm: 'its parameter',
    io_word: 'its identification word',
    event: 'which system event',
    reserved2: 'not used',
    psw_mask: 'program-status word, mask half',
    psw_address: 'program-status word: the next instruction',
    gprs: { title: 'general registers', holds: registers({}) },
    prefix: 'where the low storage of this CPU is',
    reserved3: 'not used',
    crs: 'control registers',
    acrs: 'access registers',
    reserved4: 'not used',
    hcall_watched: { title: 'the kernel looks at the hypercall words', means: { 0: 'no', 1: 'yes' } },
    hcall_turns: { title: 'how long the vCPU looks for the answer, turns', decimal: true },
    hcall_seen: { title: 'answers it has seen so far', decimal: true },
    hcall_unrung: { title: 'calls posted without ringing the kernel so far', decimal: true },
    reserved5: 'not used',
  },
});

/** The hypercall words of the run page: four arguments. */
export const HCALL_ARGS_MANUAL = manual(
  struct('hcall_args', 'le', { nr: u64, arg1: u64, arg2: u64, arg3: u64, arg4: u64 }, { size: 40 }),
  {
    name: 'hypercall words',
    title: 'how a vCPU hands a call to the kernel thread',
    source: 'kernel/include/uapi/kvm_run.ts',
    fields: {
      nr: { title: 'token', means: (value) => hcallName(Number(value)) },
      arg1: 'first argument; in the answer the return code',
      arg2: 'second argument',
      arg3: 'third argument',
      arg4: 'fourth argument',
    },
  },
);

/** How many there are of something: the counter of an eventfd. */
export const EVENTFD_MANUAL = manual(struct('eventfd', 'le', { count: u64 }, { size: 8 }), {
  name: 'eventfd',
  title: 'what reading the eventfd gave',
  source: 'eventfd(2)',
  fields: { count: { title: 'signals since the last read', decimal: true } },
});
