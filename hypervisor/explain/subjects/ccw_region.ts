/** A read from a DASD through vfio-ccw as it was merged: the I/O region. Documentation/arch/s390/vfio-ccw.rst. */
import { SCHIB } from '../../../kernel/include/arch/s390/schib.ts';
import { NR } from '../../../kernel/include/uapi/syscall.ts';
import { ccw_io_region } from '../../../kernel/include/uapi/vfio.ts';
import { hostSubchannel } from '../areas/css.ts';
import { SCHIB_MANUAL } from '../manual/channel.ts';
import { IO_REGION_MANUAL } from '../manual/vfio.ts';
import type { Moment, Plot } from '../plot.ts';
import { hex, hostPlace, type Shown, structure, userPlace } from '../story.ts';
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

const regionIo = ([nr, count]: readonly number[], call: number) => nr === call && count === ccw_io_region.size;

/** The subchannel that the host's kernel has started, whole. */
function startedWhole(scene: Parameters<NonNullable<ChannelMoment['show']>>[0]): Shown[] {
  const { schib } = hostSubchannel(scene.peek, scene.args[0] & 0xffff);
  return [
    ...startedSubchannel(scene),
    structure(SCHIB_MANUAL, schib.bytes.subarray(0, SCHIB.size), hostPlace(schib.hpa)),
  ];
}

const REQUEST: readonly ChannelMoment[] = [
  {
    id: 'Q3',
    role: 'vmm',
    event: 'vfio_ccw_Q3',
    title: 'Q3: the VMM intercepts SSCH',
    text: ({ args: [schid, orb] }) =>
      `The VMM takes the instruction apart, copies the 12 bytes of the ORB from guest-physical ${hex(orb)}, refuses one ` +
      'with reserved bits, and finds the virtual subchannel: behind it is a subchannel of the host, ' +
      `0.0.${schid.toString(16).padStart(4, '0')}, that was given to this guest (passed through).`,
  },
  {
    id: 'Q4',
    role: 'vmm',
    event: 'vfio_ccw_Q4',
    title: 'Q4: the VMM writes ORB and SCSW to the I/O region',
    text:
      'vfio-ccw, the driver of the host that gives subchannels away, shows a device file with a few regions. A write to ' +
      'its I/O region asks for a start: the ORB, and the subchannel-status word (SCSW), whose function control says ' +
      'start. The VMM does not look at the channel program at all.',
  },
  {
    id: 'pwrite',
    role: 'kernel',
    event: 'sys_enter',
    is: ([nr]) => nr === NR.pwrite64,
    title: 'The write (pwrite) reaches the kernel',
    text:
      'A system call: 124 bytes for region 0 of the device. This is what the VMM has written. Of the SCSW only the ' +
      'function control counts; what else is in it was left there by the I/O before.',
    show: ({ peek, args: [, , va] }) => [
      structure(IO_REGION_MANUAL, peek.user(va, ccw_io_region.size), userPlace(va), [
        'orb_area',
        'scsw_area',
        'ret_code',
      ]),
    ],
  },
  {
    id: 'K1',
    role: 'kernel',
    event: 'vfio_ccw_K1',
    title: 'K1: the kernel copies the channel program',
    text: ({ args: [, cpa, ccws] }) =>
      `From here on the guest could change its program without effect: the ${ccws} CCWs at guest-physical ${hex(cpa)} are ` +
      'copied once into memory of the host that a channel can reach (below 2 GiB).',
  },
  {
    id: 'K2',
    role: 'kernel',
    event: 'vfio_ccw_K2',
    title: 'K2: the kernel pins the data and translates the addresses',
    text: ({ args: [, , pages] }) =>
      `A page of the guest may be moved by the host at any time. A page that a device is to use must not: ${pageCount(pages)} ` +
      'are pinned. The container (what holds the devices of one VMM and their view of memory) knows which user address ' +
      'each guest page has; its driver, type1, pins. For each CCW a list of indirect-data-address words (IDAWs) with host addresses is made.',
    show: (scene) => [pinnedPages(scene)],
  },
  {
    id: 'K3',
    role: 'kernel',
    event: 'vfio_ccw_K3',
    title: "K3: the kernel issues SSCH on the host's subchannel",
    text: ({ args: [, cpa] }) =>
      `The copy at host-physical ${hex(cpa)} is what the hardware will perform. Every CCW now has the flag IDA (its address is that of a list of IDAWs), and every ` +
      'address is one of the host: compare them with those of step 1.',
    show: (scene) => translatedProgram(scene, scene.args[1]),
  },
  {
    id: 'K4',
    role: 'kernel',
    event: 'vfio_ccw_K4',
    title: 'K4: the kernel returns how the start went',
    text: ({ args: [, errno] }) =>
      `Condition code 0 of the host's SSCH becomes ret_code ${errno} of the region, and the write is done. The ORB that the ` +
      "hardware got has another program address and another interruption parameter than the guest's; the subchannel " +
      'is start pending.',
    show: startedWhole,
  },
  {
    id: 'Q5',
    role: 'vmm',
    event: 'vfio_ccw_Q5',
    title: 'Q5: the guest gets its condition code',
    text: ({ args: [, cc] }) =>
      `Condition code ${cc}: the start was accepted. The guest goes on at once, while the device works; it has nothing ` +
      'else to do, so it waits for an interruption.',
  },
];

/** From the interruption of the host to the guest's that is pending. */
export const RESULT: readonly ChannelMoment[] = [
  HOST_INTERRUPTION,
  {
    id: 'K5',
    role: 'kernel',
    event: 'vfio_ccw_K5',
    title: 'K5: the kernel puts the IRB into the I/O region',
    text:
      'vfio-ccw makes the CCW address one of the guest again, frees the copied program, unpins the pages, and stores the ' +
      'interruption-response block (IRB: the SCSW and more about errors) in the region.',
  },
  {
    id: 'K6',
    role: 'kernel',
    event: 'vfio_ccw_K6',
    title: 'K6: the kernel signals the eventfd',
    text: 'An eventfd is a counter that a process can sleep on. The VMM registered one for this device when it was set up.',
  },
  {
    id: 'pread',
    role: 'kernel',
    event: 'sys_exit',
    is: (args) => regionIo(args, NR.pread64),
    title: 'The VMM, woken up, reads the region (pread)',
    text: 'The kernel copies the region to the VMM. This is what it got: the request as it was, and the IRB.',
    show: ({ peek, args: [, , slot] }) => {
      const va = peek.syscall(slot)[1];
      return [structure(IO_REGION_MANUAL, peek.user(va, ccw_io_region.size), userPlace(va), ['irb_area', 'ret_code'])];
    },
  },
  {
    id: 'Q6',
    role: 'vmm',
    event: 'vfio_ccw_Q6',
    title: 'Q6: the VMM takes the IRB',
    text: ({ args: [, stctl] }) =>
      `Its SCSW becomes that of the guest's virtual subchannel: status control ${hex(stctl)}, status pending among it.`,
  },
  {
    id: 'Q7',
    role: 'vmm',
    event: 'vfio_ccw_Q7',
    title: "Q7: the VMM makes the guest's interruption pending",
    text: ({ args: [, intparm, isc] }) =>
      `With what the guest chose: interruption parameter ${hex(intparm)} (from its ORB) and interruption subclass ${isc} ` +
      '(from its subchannel).',
  },
];

export const CCW_REGION: Plot<ChannelNotes> = {
  notes: channelNotes,
  wanted: isPlainRead,
  watches: CHANNEL_WATCHES,
  moments: [SSCH_EXIT, ...REQUEST, ...HARDWARE, ...RESULT, ...DELIVERY],
};
