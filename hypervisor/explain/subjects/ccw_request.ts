/** The same read through the design of the RFC of April 2016: a blocking ioctl, and two translations. */

import { CCW1 } from '../../../kernel/include/arch/s390/ccw.ts';
import { SSCH } from '../../../kernel/include/arch/s390/ioinst.ts';
import { VFIO_DEVICE_CCW_CMD_REQUEST } from '../../../kernel/include/uapi/ioctl.ts';
import { NR } from '../../../kernel/include/uapi/syscall.ts';
import { VFIO_CCW_CHAIN, vfio_ccw_cmd } from '../../../kernel/include/uapi/vfio.ts';
import { CCW_MANUAL } from '../manual/channel.ts';
import { CHAIN_ADDRESS_MANUAL, CMD_MANUAL } from '../manual/vfio.ts';
import type { Moment, Plot, Scene } from '../plot.ts';
import { hex, type Shown, structure, userPlace } from '../story.ts';
import {
  CHANNEL_WATCHES,
  type ChannelNotes,
  channelNotes,
  DELIVERY,
  HARDWARE,
  HOST_INTERRUPTION,
  isPlainRead,
  pageCount,
  pinnedPages,
  SSCH_EXIT,
  startedSubchannel,
  translatedProgram,
} from './channel_parts.ts';

type ChannelMoment = Moment<ChannelNotes>;

/** The program in the VMM's buffer: CCWs in its lower half, an address for each in its upper half. */
function userProgram({ peek, notes, args: [, buffer] }: Scene<ChannelNotes>): Shown[] {
  return Array.from({ length: notes.ccws }, (_, i) => {
    const ccw = buffer + i * CCW1.size;
    const address = ccw + VFIO_CCW_CHAIN.CDA_OFFSET;
    return [
      structure(CCW_MANUAL, peek.user(ccw, CCW1.size), userPlace(ccw)),
      structure(CHAIN_ADDRESS_MANUAL, peek.user(address, 8), userPlace(address)),
    ];
  }).flat();
}

const REQUEST: readonly ChannelMoment[] = [
  {
    id: 'Q1',
    role: 'vmm',
    event: 'ccw_rfc_Q1',
    title: 'Q1: the VMM intercepts SSCH',
    text: ({ args: [schid, orb] }) =>
      `The VMM copies the ORB from guest-physical ${hex(orb)} and finds the virtual subchannel: behind it is a subchannel ` +
      `of the host, 0.0.${schid.toString(16).padStart(4, '0')}. From now to Q4 this CPU of the guest stands still.`,
  },
  {
    id: 'Q2',
    role: 'vmm',
    event: 'ccw_rfc_Q2',
    title: 'Q2: the VMM translates the program to user addresses',
    text: ({ args: [, cpa, ccws, idaws] }) =>
      `The first of two translations: the ${ccws} CCWs at guest-physical ${hex(cpa)} are written to a buffer of the VMM, ` +
      `their addresses made addresses of the VMM process (${idaws} IDAWs among them).`,
  },
  {
    id: 'Q3',
    role: 'vmm',
    event: 'ccw_rfc_Q3',
    title: 'Q3: the VMM calls CCW_CMD_REQUEST',
    text: ({ args: [, buffer] }) =>
      `The buffer at VMM address ${hex(buffer)} is ready. Its CCWs have offsets where addresses were: the address of CCW n ` +
      `is word n of the buffer's upper half.`,
    show: userProgram,
  },
  {
    id: 'ioctl',
    role: 'kernel',
    event: 'sys_enter',
    is: ([nr, , number]) => nr === NR.ioctl && number === VFIO_DEVICE_CCW_CMD_REQUEST.number,
    title: 'The ioctl reaches the kernel',
    text:
      'An ioctl is a system call with a command and a structure. This one asks for a start, and does not return before ' +
      'the program has ended.',
    show: ({ peek, args: [, , , slot], notes }) => {
      notes.buffer = peek.syscall(slot)[2];
      return [
        structure(CMD_MANUAL, peek.user(notes.buffer, vfio_ccw_cmd.size), userPlace(notes.buffer), [
          'argsz',
          'ccwchain_nr',
          'orb_area',
          'scsw_area',
          'ccwchain_buf',
        ]),
      ];
    },
  },
  {
    id: 'K1',
    role: 'kernel',
    event: 'ccw_rfc_K1',
    title: 'K1: the kernel copies the program in',
    text: ({ args: [, , ccws] }) => `${ccws} CCWs, from the process to memory of the host that a channel can reach.`,
  },
  {
    id: 'K2',
    role: 'kernel',
    event: 'ccw_rfc_K2',
    title: 'K2: the kernel translates it again, and pins',
    text: ({ args: [, , pages] }) =>
      `The second translation, from user to host addresses: ${pageCount(pages)} are pinned, so that the host does not move ` +
      'them while the device uses them. No IOMMU driver takes part (no-IOMMU): nothing limits what a device can reach.',
    show: (scene) => [pinnedPages(scene)],
  },
  {
    id: 'K3',
    role: 'kernel',
    event: 'ccw_rfc_K3',
    title: "K3: the kernel issues SSCH on the host's subchannel, and sleeps",
    text: ({ args: [, cpa] }) =>
      `The program at host-physical ${hex(cpa)} is what the hardware will perform: each CCW has a list of indirect-data-address ` +
      'words (IDAWs) with host addresses.',
    show: (scene) => translatedProgram(scene, scene.args[1]),
  },
];

const RESULT: readonly ChannelMoment[] = [
  HOST_INTERRUPTION,
  {
    id: 'K4',
    role: 'kernel',
    event: 'ccw_rfc_K4',
    title: 'K4: the interruption wakes the caller up',
    text: 'The status is final: nothing runs on the subchannel any more. Whoever sleeps in the ioctl goes on.',
    show: startedSubchannel,
  },
  {
    id: 'K5',
    role: 'kernel',
    event: 'ccw_rfc_K5',
    title: 'K5: the kernel builds the IRB',
    text: 'The interruption-response block: the subchannel-status word and more about errors. The pages are unpinned.',
  },
  {
    id: 'K6',
    role: 'kernel',
    event: 'ccw_rfc_K6',
    title: 'K6: IRB and SCSW go back to the VMM; the ioctl ends',
    text: 'The CCW address is the offset in the buffer that the VMM gave.',
    show: ({ peek, notes }) => [
      structure(CMD_MANUAL, peek.user(notes.buffer, vfio_ccw_cmd.size), userPlace(notes.buffer), [
        'scsw_area',
        'irb_area',
      ]),
    ],
  },
  {
    id: 'Q4',
    role: 'vmm',
    event: 'ccw_rfc_Q4',
    title: "Q4: the VMM updates the guest's IRB",
    text: ({ args: [, stctl, intparm] }) =>
      `The CCW address is made one of the guest, the status control is ${hex(stctl)}, and an interruption with the guest's ` +
      `parameter ${hex(intparm)} is to be made pending: the device is done before SSCH is.`,
  },
];

/** In this design the condition code comes after the interruption was made pending. */
const CONDITION_CODE: ChannelMoment = {
  id: 'cc',
  role: 'vmm',
  event: 's390_ioinst',
  is: ([opcode]) => opcode === SSCH,
  title: 'The guest gets its condition code at last',
  text: ({ args: [, , cc] }) =>
    `Condition code ${cc}: the start was accepted. The CPU goes on; the interruption is pending already.`,
};

export const CCW_REQUEST: Plot<ChannelNotes> = {
  notes: channelNotes,
  wanted: isPlainRead,
  watches: CHANNEL_WATCHES,
  moments: [SSCH_EXIT, ...REQUEST, ...HARDWARE, ...RESULT, DELIVERY[0], CONDITION_CODE, ...DELIVERY.slice(1)],
};
