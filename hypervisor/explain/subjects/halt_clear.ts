/**
 * HALT SUBCHANNEL and CLEAR SUBCHANNEL of a read on a slow device, the argument of 2019: vfio-ccw with its asynchronous
 * command region (Linux 5.2: Documentation/arch/s390/vfio-ccw.rst, "vfio-ccw cmd region"), and vfio-ccw without it, where
 * the VMM pretends.
 */
import { CSCH, HSCH, TSCH } from '../../../kernel/include/arch/s390/ioinst.ts';
import { IRB } from '../../../kernel/include/arch/s390/irb.ts';
import { KVM_EXIT, KVM_RUN } from '../../../kernel/include/uapi/kvm_run.ts';
import { NR } from '../../../kernel/include/uapi/syscall.ts';
import { ccw_cmd_region } from '../../../kernel/include/uapi/vfio.ts';
import { IRB_MANUAL, SUBSYSTEM_ID } from '../manual/channel.ts';
import { CMD_REGION_MANUAL, RUN_MANUAL } from '../manual/vfio.ts';
import type { Moment, Plot, Scene } from '../plot.ts';
import { guestPlace, hex, hostPlace, structure, userPlace } from '../story.ts';
import { RESULT } from './ccw_region.ts';
import { type ChannelNotes, channelNotes, DELIVERY, hostStatus } from './channel_parts.ts';

type FunctionScene = Scene<ChannelNotes>;
type FunctionMoment = Moment<ChannelNotes>;

/** The two functions, and what differs in their stories (SA22-7832 chapters 14 and 15). */
interface ChannelFunction {
  /** First two bytes of the instruction. */
  readonly opcode: number;
  readonly mnemonic: string;
  readonly instruction: string;
  /** As a verb, and as the command region has it. */
  readonly verb: string;
  /** What it does to a program that is under way. */
  readonly does: string;
  /** What the SCSW has of it once the instruction was issued. */
  readonly issued: string;
  /** What the status of one that was ended so looks like. */
  readonly ended: string;
  /** What function control says then. */
  readonly control: string;
  /** What the VMM sets where it only pretends. */
  readonly pretended: string;
}

const HALT: ChannelFunction = {
  opcode: HSCH,
  mnemonic: 'HSCH',
  instruction: 'HALT SUBCHANNEL',
  verb: 'halt',
  does: 'ends what is under way',
  issued: 'has the halt function too now, and halt pending',
  ended: 'It tells the device to stop, and the subchannel becomes status pending: long before the 2 ms are over.',
  control: 'Function control says start and halt: this is how the read ended.',
  pretended: 'status pending and device end',
};
const CLEAR: ChannelFunction = {
  opcode: CSCH,
  mnemonic: 'CSCH',
  instruction: 'CLEAR SUBCHANNEL',
  verb: 'clear',
  does: 'ends what is under way too, and throws away what was known of it',
  issued: 'has the clear function in place of the start now, and clear pending',
  ended:
    'It sends the device the clear signal, and the subchannel becomes status pending, long before the 2 ms are over: with the ' +
    'clear function alone, without channel end and device end. How far the read came nobody can tell.',
  control: 'Function control says clear, and of the start it says nothing any more.',
  pretended: 'status pending',
};

/** The only drive of these runs. */
const DRIVE = 0;
/** Condition codes of SSCH. */
const ACCEPTED = 0;
const BUSY = 2;

const [INJECT, INTERRUPTION, TAKE_STATUS] = DELIVERY;

const exit = ({ opcode, mnemonic, instruction, does, verb }: ChannelFunction): FunctionMoment => ({
  id: mnemonic.toLowerCase(),
  role: 'vcpu',
  event: 'kvm_userspace_exit',
  is: ([, reason, text]) => reason === KVM_EXIT.S390_SIEIC && text === opcode,
  title: `The guest executes ${mnemonic}, and leaves`,
  text:
    `The guest has started a read, and the device takes 2 ms over it. ${instruction} (${mnemonic}) ${does}: GR1 names the ` +
    `subchannel to ${verb}, and there is no operand. KVM leaves the guest (an exit) and describes the instruction in the ` +
    "run page. The subchannel-status word (SCSW) of the host's subchannel shows the read: start function, not ended.",
  show: ({ peek, args: [cpu] }) => {
    const { run } = peek.map.vcpus[cpu];
    const { gprs } = KVM_RUN.at(peek.memory.dv, run);
    const gr1 = new Uint8Array(4);
    new DataView(gr1.buffer).setUint32(0, new DataView(gprs.buffer, gprs.byteOffset).getUint32(8, true));
    return [
      structure(RUN_MANUAL, peek.host(run, KVM_RUN.size), hostPlace(run), ['exit_reason', 'text', 'psw_address']),
      structure(SUBSYSTEM_ID, gr1, 'bits 32 to 63 of general register 1'),
      ...hostStatus(peek, DRIVE),
    ];
  },
});

/** The guest has its condition code. */
const answered = ({ opcode }: ChannelFunction, text: string): FunctionMoment => ({
  id: 'cc',
  role: 'vmm',
  event: 's390_ioinst',
  is: ([instruction]) => instruction === opcode,
  title: 'The guest gets its condition code',
  text: ({ args: [, , cc] }) => `Condition code ${cc}: ${text}`,
});

/** The guest has taken the status of the function. */
const taken = (text: (scene: FunctionScene) => string): FunctionMoment => ({
  id: 'irb',
  role: 'vmm',
  event: 's390_ioinst',
  is: ([opcode, , cc]) => opcode === TSCH && cc === 0,
  title: 'The VMM stores the IRB',
  text,
  show: ({ peek, args: [, , , operand] }) => [
    structure(IRB_MANUAL, peek.guest(operand, IRB.size), guestPlace(operand), ['scsw']),
  ],
});

/** The program after it is accepted. */
const accepted = (after: string, text: string): FunctionMoment => ({
  id: 'accepted',
  role: 'vmm',
  event: 'vfio_ccw_Q5',
  after,
  is: ([, cc]) => cc === ACCEPTED,
  title: 'The next program is accepted',
  text,
});

const plot = (moments: readonly FunctionMoment[]): Plot<ChannelNotes> => ({ notes: channelNotes, moments });

const withCommandRegion = (channelFunction: ChannelFunction): Plot<ChannelNotes> => {
  const { mnemonic, verb, issued, ended, control } = channelFunction;
  return plot([
    exit(channelFunction),
    {
      id: 'pwrite',
      role: 'kernel',
      event: 'sys_enter',
      is: ([nr]) => nr === NR.pwrite64,
      title: 'The VMM writes the command region (pwrite)',
      text:
        'Beside its I/O region vfio-ccw has a region for commands that come while a start is under way. The VMM writes one ' +
        `of 8 bytes: ${verb}.`,
      show: ({ peek, args: [, , va] }) => [
        structure(CMD_REGION_MANUAL, peek.user(va, ccw_cmd_region.size), userPlace(va)),
      ],
    },
    {
      id: 'async',
      role: 'kernel',
      event: 'vfio_ccw_fsm_async_request',
      title: `The kernel issues ${mnemonic} on the host's subchannel`,
      text: ({ args: [, , errno] }) =>
        `The instruction reaches the hardware: ret_code ${errno} of the region. The SCSW ${issued}, if the I/O processor ` +
        'was not faster.',
      show: ({ peek, args: [schid] }) => hostStatus(peek, schid & 0xffff),
    },
    answered(
      channelFunction,
      `the ${verb} was accepted. The guest waits for the interruption that says that it is done.`,
    ),
    {
      id: 'status',
      role: 'iop',
      event: 'iop_status',
      title: 'The I/O processor ends the program',
      text: ended,
      show: ({ peek, args: [schid] }) => hostStatus(peek, schid & 0xffff),
    },
    ...RESULT,
    INJECT,
    INTERRUPTION,
    TAKE_STATUS,
    taken(() => `Condition code 0: there was status. ${control} Here it is what the host's subchannel had.`),
    accepted('irb', 'The guest starts a no-operation, and the device takes it at once: it is free.'),
  ]);
};

const withoutCommandRegion = (channelFunction: ChannelFunction): Plot<ChannelNotes> => {
  const { mnemonic, verb, pretended } = channelFunction;
  return plot([
    exit(channelFunction),
    {
      id: 'pretend',
      role: 'vmm',
      event: 'css_io_interrupt',
      title: 'The VMM pretends',
      text:
        'vfio-ccw has its I/O region only, to which nothing but a start can be written. So the VMM does as if: in the ' +
        `subchannel that it keeps for the guest it sets ${pretended}, and makes an interruption. The host's subchannel ` +
        'knows of nothing: it is the same as in step 1. (QEMU made no interruption; a guest that waits for one would wait ' +
        'for ever.)',
      show: ({ peek }) => hostStatus(peek, DRIVE),
    },
    INJECT,
    answered(channelFunction, `the guest is told that its ${verb} was accepted.`),
    INTERRUPTION,
    TAKE_STATUS,
    taken(
      ({ peek }) =>
        'Condition code 0: there was status, but nobody else than the VMM has ever seen it. For the guest the read is over. ' +
        `Function control of the host's subchannel is still ${hex(hostFunction(peek))}, start.`,
    ),
    {
      id: 'refused',
      role: 'vmm',
      event: 'vfio_ccw_Q5',
      after: 'irb',
      is: ([, cc]) => cc === BUSY,
      title: 'The next program is refused',
      text:
        'The guest starts a no-operation on a device that it believes to be free. vfio-ccw has a program under way and ' +
        'returns EBUSY, of which the VMM makes condition code 2: busy. The read goes on to change memory that the guest may ' +
        'have given to somebody else.',
      show: ({ peek }) => hostStatus(peek, DRIVE),
    },
    {
      id: 'status',
      role: 'iop',
      event: 'iop_status',
      after: 'refused',
      title: 'The read ends by itself',
      text:
        `After its 2 ms, with channel end and device end, as if there had been no ${mnemonic}. The guest asked again and ` +
        'again until now.',
      show: ({ peek, args: [schid] }) => hostStatus(peek, schid & 0xffff),
    },
    accepted('status', 'Only now is the device free.'),
  ]);
};

/** Function control of a host subchannel's SCSW. */
function hostFunction(peek: FunctionScene['peek']): number {
  const [{ fields }] = hostStatus(peek, DRIVE);
  const ctrl = fields.find(({ name }) => name === 'ctrl');
  return Number(ctrl?.parts.find(({ name }) => name === 'fctl')?.value ?? 0);
}

/** Sides of the argument, oldest first. */
const sides = (channelFunction: ChannelFunction) => ({
  'io-region': {
    title: `${channelFunction.instruction} of a read that is under way: vfio-ccw without its command region`,
    plot: withoutCommandRegion(channelFunction),
    closing:
      'The guest had an answer sooner than any hardware could give one, and it was wrong: the device worked on. This is what ' +
      `the command region of 2019 is for; minivisor explain ${channelFunction.verb} --ccw-api region shows it.`,
  },
  region: {
    title: `${channelFunction.instruction} of a read that is under way: vfio-ccw with its command region`,
    plot: withCommandRegion(channelFunction),
    closing:
      'The instruction went all the way to the hardware and its status all the way back: what the guest was told is what ' +
      `happened. minivisor explain ${channelFunction.verb} --ccw-api io-region shows what was before.`,
  },
});

/** Both functions, by the name of their subject. */
export const HALT_CLEAR_SIDES = { halt: sides(HALT), clear: sides(CLEAR) };
