/** What both designs of channel I/O pass-through have in common: the guest's side, the hardware's side, and the pins. */

import { CCW_FLAG, CCW1 } from '../../../kernel/include/arch/s390/ccw.ts';
import { SSCH, TSCH } from '../../../kernel/include/arch/s390/ioinst.ts';
import { IRB } from '../../../kernel/include/arch/s390/irb.ts';
import { ORB } from '../../../kernel/include/arch/s390/orb.ts';
import { SCHIB } from '../../../kernel/include/arch/s390/schib.ts';
import { DSTAT, SCSW } from '../../../kernel/include/arch/s390/scsw.ts';
import { KVM_S390_INTERRUPT } from '../../../kernel/include/uapi/ioctl.ts';
import { KVM_S390, kvm_s390_interrupt } from '../../../kernel/include/uapi/kvm.ts';
import { KVM_EXIT, KVM_RUN, type KvmRun } from '../../../kernel/include/uapi/kvm_run.ts';
import { NR } from '../../../kernel/include/uapi/syscall.ts';
import { CCW_SIZE, countCcws, idawBlock, idawCount } from '../../../kernel/lib/ccw_program.ts';
import { PAGE_SIZE } from '../../../kernel/lib/host_memory.ts';
import { hostSubchannel } from '../areas/css.ts';
import {
  CCW_MANUAL,
  IDAW_MANUAL,
  IO_INTERRUPTION_CODE,
  IRB_MANUAL,
  ORB_MANUAL,
  SCSW_MANUAL,
  SUBSYSTEM_ID,
} from '../manual/channel.ts';
import { CHANNEL_COMMANDS } from '../manual/commands.ts';
import { KVM_INTERRUPT_MANUAL, RUN_MANUAL } from '../manual/vfio.ts';
import type { Peek } from '../peek.ts';
import type { Moment, Scene, Watch } from '../plot.ts';
import { guestPlace, hex, hostPlace, type Rows, type Shown, type Structure, structure } from '../story.ts';
import { ioctlArgument } from './ioctl_argument.ts';

/** What is noted of an I/O. */
export interface ChannelNotes {
  /** Host subchannel number, and the CCWs of the program. */
  schid: number;
  ccws: number;
  /** Guest-physical address of the data of the last CCW, and how much it is. */
  data: number;
  count: number;
  ctrl0: number;
  /** VMM addresses that were pinned. */
  readonly pins: number[];
  /** CCWs that the I/O processor performed. */
  readonly executed: (readonly [command: number, flags: number, count: number])[];
  /** User address of the buffer of the last system call that has one. */
  buffer: number;
}

export const channelNotes = (): ChannelNotes => ({
  schid: 0,
  ccws: 0,
  data: 0,
  count: 0,
  ctrl0: 0,
  pins: [],
  executed: [],
  buffer: 0,
});

type ChannelScene = Scene<ChannelNotes>;
type ChannelMoment = Moment<ChannelNotes>;

/** READ DATA, multitrack, of a block of the toy guest: what is explained. */
const READ_MT = 0x86;
const BLOCK_SIZE = 4096;
/** Real location of the I/O-interruption code (SA22-7832 chapter 3, "Assigned Storage Locations"). */
const LOWCORE_IO_CODE = 0xb8;
/** Fields of the run page that an intercepted instruction uses. */
const RUN_FIELDS = ['exit_reason', 'text', 'operand', 'psw_address'];
/** Bytes of data that are shown. */
const DATA_SHOWN = 16;

const runPage = ({ peek }: ChannelScene, cpu: number): KvmRun => KVM_RUN.at(peek.memory.dv, peek.map.vcpus[cpu].run);

/** The CCWs of the program at a guest-physical address, as they stand there. */
function guestCcws(peek: Peek, cpa: number): { readonly address: number; readonly bytes: Uint8Array }[] {
  const most = peek.guest(cpa, 16 * CCW_SIZE);
  const length = countCcws(new DataView(most.buffer), cpa, 16) ?? 0;
  return Array.from({ length }, (_, i) => ({
    address: cpa + i * CCW_SIZE,
    bytes: most.slice(i * CCW_SIZE, (i + 1) * CCW_SIZE),
  }));
}
const ccwOf = (bytes: Uint8Array) => CCW1.at(new DataView(bytes.buffer, bytes.byteOffset));

/** Only a read of a block to an address that the CCW itself has: the shortest program with a transfer from the disk. */
export function isPlainRead(scene: ChannelScene): boolean {
  const orb = ORB.at(new DataView(scene.peek.guest(Number(runPage(scene, scene.args[0]).operand), ORB.size).buffer));
  const last = guestCcws(scene.peek, orb.cpa).at(-1);
  if (last === undefined) return false;
  const { cmd, flags, count, cda } = ccwOf(last.bytes);
  // What is left of an error in the status of the last I/O would only lead astray.
  const { dstat } = SCSW.at(new DataView(hostSubchannel(scene.peek, 0).schib.bytes.buffer), SCHIB.offset.scsw);
  if (dstat !== (DSTAT.CHANNEL_END | DSTAT.DEVICE_END)) return false;
  return cmd === READ_MT && count === BLOCK_SIZE && (flags & CCW_FLAG.IDA) === 0 && cda % BLOCK_SIZE === 0;
}

/** SSCH leaves the guest: everything the guest has prepared. */
export const SSCH_EXIT: ChannelMoment = {
  id: 'ssch',
  role: 'vcpu',
  event: 'kvm_userspace_exit',
  is: ([, reason, text]) => reason === KVM_EXIT.S390_SIEIC && text === SSCH,
  title: 'The guest executes SSCH, and leaves',
  text:
    'To read a block from its disk the guest has written a channel program: channel-command words (CCWs), one after ' +
    'another, that a channel device performs by itself. START SUBCHANNEL (SSCH) starts it: GR1 names the subchannel ' +
    '(the address of the device), the operand an operation-request block (ORB) that says where the program is. A CPU ' +
    'cannot perform SSCH on a device it only believes to have: KVM leaves the guest (an exit) and describes the ' +
    'instruction in the run page, which vCPU and VMM share.',
  show: (scene) => {
    const { peek, notes, args } = scene;
    const run = runPage(scene, args[0]);
    const operand = Number(run.operand);
    const gr1 = new Uint8Array(4);
    new DataView(gr1.buffer).setUint32(0, new DataView(run.gprs.buffer, run.gprs.byteOffset).getUint32(8, true));
    const bytes = peek.guest(operand, ORB.size);
    const orb = ORB.at(new DataView(bytes.buffer));
    const ccws = guestCcws(peek, orb.cpa);
    const last = ccwOf((ccws.at(-1) as { bytes: Uint8Array }).bytes);
    Object.assign(notes, { ccws: ccws.length, ctrl0: orb.ctrl0, data: last.cda, count: last.count });
    const { run: hpa } = peek.map.vcpus[args[0]];
    return [
      structure(RUN_MANUAL, peek.host(hpa, KVM_RUN.size), hostPlace(hpa), RUN_FIELDS),
      structure(SUBSYSTEM_ID, gr1, 'bits 32 to 63 of general register 1'),
      structure(ORB_MANUAL, bytes, guestPlace(operand)),
      ...ccws.map((ccw) => structure(CCW_MANUAL, ccw.bytes, guestPlace(ccw.address))),
    ];
  },
};

/** Pins and CCWs are noted as they happen. */
export const CHANNEL_WATCHES: readonly Watch<ChannelNotes>[] = [
  {
    event: 'mm_pin',
    role: 'kernel',
    note: ({ args, notes }) => {
      notes.pins.push(args[0]);
    },
  },
  {
    event: 'ccw_execute',
    role: 'iop',
    note: ({ args: [, command, flags, count], notes }) => {
      notes.executed.push([command, flags, count]);
    },
  },
];

/** Guest page, VMM address and host frame of everything that was pinned, each page once. */
export function pinnedPages({ peek, notes }: ChannelScene): Rows {
  const start = peek.hva(0);
  const pages = [...new Set(notes.pins)];
  const times = (hva: number) => notes.pins.filter((pin) => pin === hva).length;
  return {
    kind: 'rows',
    title: 'Pages pinned, by their three addresses',
    head: ['guest-physical', 'VMM (user) address', 'host-physical', 'pinned'],
    rows: pages.map((hva) => [
      hex(hva - start),
      hex(hva),
      hex(peek.frame(hva)),
      times(hva) === 1 ? 'once' : `${times(hva)} times`,
    ]),
  };
}

/** The translated program at a host-physical address, each CCW with its IDAWs. */
export function translatedProgram({ peek, notes }: ChannelScene, cpa: number): Shown[] {
  return Array.from({ length: notes.ccws }, (_, i) => cpa + i * CCW_SIZE).flatMap((hpa) => {
    const bytes = peek.host(hpa, CCW_SIZE);
    const { flags, count, cda } = ccwOf(bytes);
    const ccw = structure(CCW_MANUAL, bytes, hostPlace(hpa));
    if ((flags & CCW_FLAG.IDA) === 0) return [ccw];
    const first = Number(new DataView(peek.host(cda, 8).buffer).getBigUint64(0));
    const words = idawCount(first, count, idawBlock(notes.ctrl0));
    return [
      ccw,
      ...Array.from({ length: words }, (_, word) => cda + 8 * word).map((at) =>
        structure(IDAW_MANUAL, peek.host(at, 8), hostPlace(at)),
      ),
    ];
  });
}

/** What the host's kernel has started: the ORB it gave, and the subchannel it gave it to. */
export function startedSubchannel({ peek, args }: ChannelScene): Shown[] {
  const { orb } = hostSubchannel(peek, args[0] & 0xffff);
  return [structure(ORB_MANUAL, orb.bytes, hostPlace(orb.hpa))];
}

/** Status of a subchannel of the host. */
export function hostStatus(peek: Peek, schid: number): [Structure] {
  const { schib } = hostSubchannel(peek, schid);
  const at = SCHIB.offset.scsw;
  return [structure(SCSW_MANUAL, schib.bytes.slice(at, at + SCSW.size), hostPlace(schib.hpa + at))];
}
const status = ({ peek, args }: ChannelScene): Shown[] => hostStatus(peek, args[0] & 0xffff);

/** The first bytes of the data, at both addresses. */
function dataBytes({ peek, notes }: ChannelScene): Rows {
  const gpa = notes.data;
  const hpa = peek.frame(peek.hva(gpa));
  const bytes = [...peek.host(hpa, DATA_SHOWN)].map((byte) => byte.toString(16).padStart(2, '0')).join(' ');
  return {
    kind: 'rows',
    title: `The first ${DATA_SHOWN} of ${notes.count} bytes that came from the disk`,
    head: ['guest-physical', 'host-physical', 'bytes'],
    rows: [[hex(gpa), hex(hpa), bytes]],
  };
}

/** The hardware performs the program. */
export const HARDWARE: readonly ChannelMoment[] = [
  {
    id: 'start',
    role: 'iop',
    event: 'iop_start',
    title: 'The I/O processor takes the subchannel up',
    text:
      'A channel subsystem has processors of its own: from here on nobody needs a CPU. The I/O processor finds the ' +
      "subchannel in its work queue, chooses a path to the device, and fetches the first CCW. It reads the host's " +
      'memory with the addresses it is given, and knows of no guest.',
    show: status,
  },
  {
    id: 'execute',
    role: 'iop',
    event: 'ccw_execute',
    is: ([, command, , count]) => command === READ_MT && count === BLOCK_SIZE,
    title: 'The I/O processor performs CCW after CCW',
    text: 'Each command goes to the control unit of the disk, its controller; chain command (CC) makes the next CCW follow when the device is done with one.',
    show: ({ notes }) => [
      {
        kind: 'rows',
        title: 'Commands performed',
        head: ['command', 'what', 'flags', 'bytes'],
        rows: notes.executed.map(([command, flags, count]) => [
          hex(command),
          CHANNEL_COMMANDS[command] ?? '',
          Object.entries(CCW_FLAG)
            .filter(([, mask]) => (flags & mask) !== 0)
            .map(([name]) => name)
            .join(' '),
          `${count}`,
        ]),
      },
    ],
  },
  {
    id: 'status',
    role: 'iop',
    event: 'iop_status',
    title: 'The program has ended: status, and an interruption',
    text:
      'The data is in memory, placed there by direct memory access (DMA). Channel end says that the channel is done, ' +
      'device end that the device is. The subchannel becomes status pending, and an I/O interruption of the host is ' +
      'made pending. The CCW address is still a host address.',
    show: (scene) => [...status(scene), dataBytes(scene)],
  },
];

/** The host's kernel hears of the end. */
export const HOST_INTERRUPTION: ChannelMoment = {
  id: 'host-interruption',
  role: 'kernel',
  event: 's390_cio_interrupt',
  title: "The host's kernel takes the interruption",
  text: ({ args: [schid, intparm, isc] }) =>
    'The kernel learns which subchannel interrupts (TEST PENDING INTERRUPTION) and takes its status (TEST SUBCHANNEL). ' +
    `Subchannel 0.0.${schid.toString(16).padStart(4, '0')}, interruption parameter ${hex(intparm)} (the kernel's own: the ` +
    `guest's was replaced in the ORB), interruption subclass ${isc}.`,
};

/** What TSCH has stored. */
const guestIrb = ({ peek, args: [, , , operand] }: ChannelScene): Uint8Array => peek.guest(operand, IRB.size);

/** The virtual interruption on its way to the guest, and what the guest makes of it. */
export const DELIVERY: readonly ChannelMoment[] = [
  {
    id: 'inject',
    role: 'kernel',
    event: 'sys_enter',
    is: ([nr, , number]) => nr === NR.ioctl && number === KVM_S390_INTERRUPT.number,
    title: 'KVM is asked to interrupt the guest',
    text:
      "The VMM's ioctl (a system call with a command and a structure) KVM_S390_INTERRUPT reaches the kernel, which puts " +
      "the interruption on the guest's queue: a " +
      "floating one, for any CPU of the guest that is enabled for it. The parameter is the guest's own again.",
    show: ioctlArgument(KVM_INTERRUPT_MANUAL, kvm_s390_interrupt.size),
  },
  {
    id: 'interruption',
    role: 'vcpu',
    event: 'kvm_s390_deliver_interrupt',
    is: ([, type]) => type <= KVM_S390.INT_IO_MAX,
    title: 'The guest is interrupted',
    text:
      'The guest CPU was waiting with I/O interruptions enabled. It stores the interruption code in the low storage of ' +
      "the guest, at X'B8', as hardware would, and goes on at the address of the I/O new PSW (program-status word).",
    show: ({ peek, args: [cpu] }) => {
      const { prefix } = KVM_RUN.at(peek.memory.dv, peek.map.vcpus[cpu].run);
      const at = prefix + LOWCORE_IO_CODE;
      return [structure(IO_INTERRUPTION_CODE, peek.guest(at, 12), guestPlace(at))];
    },
  },
  {
    id: 'tsch',
    role: 'vcpu',
    event: 'kvm_userspace_exit',
    is: ([, reason, text]) => reason === KVM_EXIT.S390_TSCH && text === TSCH,
    title: 'The guest executes TSCH, and leaves again',
    text: "TEST SUBCHANNEL asks for the status and takes it away from the subchannel: the guest's, which the VMM keeps.",
  },
  {
    id: 'irb',
    role: 'vmm',
    event: 's390_ioinst',
    is: ([opcode, , cc]) => opcode === TSCH && cc === 0,
    title: 'The VMM stores the IRB; the I/O is over',
    text: (scene) => {
      const dstat = guestIrb(scene)[IRB.offset.scsw + SCSW.offset.dstat];
      const normal = dstat === (DSTAT.CHANNEL_END | DSTAT.DEVICE_END);
      return (
        "The interruption-response block (IRB) is stored where TSCH's operand points. Condition code 0: there was status. " +
        `Device status ${hex(dstat)} ${normal ? 'is channel end and device end without an error' : 'tells how it ended'}, and ` +
        "the CCW address is the guest's again."
      );
    },
    show: (scene) => [structure(IRB_MANUAL, guestIrb(scene), guestPlace(scene.args[3]))],
  },
];

/** `3 pages`. */
export const pageCount = (count: number): string => `${count} page${count === 1 ? '' : 's'} of ${PAGE_SIZE} bytes`;
