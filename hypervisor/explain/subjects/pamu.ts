/** A device behind a PAMU leaves its windows (facts: QorIQ manuals; Linux drivers/iommu/fsl_pamu.c). */

import { HCALL } from '../../../kernel/include/arch/ppc/hcall.ts';
import { PAMU_VIOLATION } from '../../../kernel/include/arch/ppc/pamu.ts';
import { generalRegisters } from '../areas/cpu.ts';
import {
  channelRegisters,
  mappedSize,
  primaryEntry,
  secondaryEntry,
  violationRegisters,
  windowsOf,
} from '../areas/soc.ts';
import { CHANNEL_MANUAL, PPAACE_MANUAL, SPAACE_MANUAL, sizeText, VIOLATION_MANUAL } from '../manual/pamu.ts';
import { hcallRegisters } from '../manual/vfio.ts';
import type { Moment, Plot, Scene } from '../plot.ts';
import { hex, hostPlace, type Rows, type Shown, structure } from '../story.ts';

/** What is noted of a transfer. */
interface PamuNotes {
  liodn: number;
}
type PamuScene = Scene<PamuNotes>;
type PamuMoment = Moment<PamuNotes>;

/** The channel that misbehaves, the guest's first device: its mode register is the first of its page. */
const CHANNEL = 0;
const MODE_REGISTER = 0;
const WRITE = 2;
/** A bus address behind RAM but below the far one that the guest tries too (guest/programs/dma/violations.c). */
const NEAR = 2 ** 32;

const CI_STORE = hcallRegisters([
  { title: 'bytes', decimal: true },
  'guest-physical address: a register of the device',
  'what is stored: the mode register, with the bit that starts the channel',
]);
const CI_LOAD = hcallRegisters([
  'return code',
  'what was loaded: the status register, with the bit TE (transfer error)',
]);
const TITLED = hcallRegisters(['device']);
const PRIMARY = ['wbah', 'addr_bitfields', 'impl_attr', 'twbah', 'win_bitfields', 'fspi'];

const registers = ({ peek, args: [cpu] }: PamuScene, manual: typeof CI_STORE, only: readonly string[]): Shown[] => {
  const { bytes, hpa } = generalRegisters(peek, cpu);
  return [structure(manual, bytes, `CPU ${cpu}, ${hostPlace(hpa)}`, only)];
};
/** CCSR is the block of all registers of the SoC. */
const registerPlace = (offset: number) => `registers at CCSR + ${hex(offset)}`;
const channel = ({ peek }: PamuScene): Shown[] => {
  const { bytes, offset } = channelRegisters(peek, CHANNEL);
  return [structure(CHANNEL_MANUAL, bytes, registerPlace(offset))];
};
const primary = ({ peek, notes }: PamuScene, only: readonly string[] = PRIMARY): Shown[] => {
  const { bytes, hpa } = primaryEntry(peek, notes.liodn);
  return [structure(PPAACE_MANUAL, bytes, `LIODN ${hex(notes.liodn)}, ${hostPlace(hpa)}`, only)];
};

/** Where an address is: window, offset in it, and the window's entry when it has one of its own. */
function placeOf({ peek, notes, args: [, address] }: PamuScene) {
  const entry = primaryEntry(peek, notes.liodn);
  const { base, size, count } = windowsOf(entry);
  const windowBytes = size / count;
  const window = Math.floor((address - base) / windowBytes);
  const secondary = window < 1 || window >= count ? undefined : secondaryEntry(peek, entry, window);
  return { base, size, count, windowBytes, window, offset: (address - base) % windowBytes, secondary };
}

/** How an address is looked up: aperture, window, offset. */
function lookedUp(scene: PamuScene): Shown[] {
  const { base, size, count, windowBytes, window, offset, secondary } = placeOf(scene);
  const rows: Rows = {
    kind: 'rows',
    title: 'How the bus address is looked up',
    head: ['bus address', 'aperture', 'windows', 'window', 'offset in it'],
    rows: [
      [
        hex(scene.args[1]),
        `${hex(base)}, ${sizeText(size)}`,
        `${count} of ${sizeText(windowBytes)}`,
        `${window}`,
        hex(offset),
      ],
    ],
  };
  if (secondary === undefined) return [rows];
  const place = `window ${window}, ${hostPlace(secondary.hpa)}`;
  return [rows, structure(SPAACE_MANUAL, secondary.bytes, place, PRIMARY.slice(0, 5))];
}

const MOMENTS: readonly PamuMoment[] = [
  {
    id: 'store',
    role: 'vcpu',
    event: 'kvm_hcall_enter',
    is: ([, token, , address]) => token === HCALL.H_LOGICAL_CI_STORE && address === MODE_REGISTER,
    title: 'The guest starts its DMA channel',
    text:
      'The guest owns a channel of a DMA engine, a device that copies memory by itself (direct memory access). It has ' +
      'told the channel where to copy from and to, and now stores to its mode register: a hypercall (a call ' +
      'of the host), H_LOGICAL_CI_STORE, which ends as a store to the register of the device. The guest wants the copy ' +
      'to end two pages behind its memory.',
    show: (scene) => registers(scene, CI_STORE, ['gpr1', 'gpr2', 'gpr3', 'gpr4']),
  },
  {
    id: 'start',
    role: 'elo',
    event: 'fsl_dma_start',
    is: ([number]) => number === CHANNEL,
    title: 'The channel begins',
    text: ({ args: [, , liodn], notes }) => {
      notes.liodn = liodn;
      return (
        `Everything that the channel puts on the bus carries its LIODN (logical I/O device number), ${hex(liodn)}: by it ` +
        'the bus knows who asks. These are its registers (CCSR is the block of all registers of the chip).'
      );
    },
    show: channel,
  },
  {
    id: 'access',
    role: 'elo',
    event: 'pamu_access',
    after: 'start',
    title: 'The PAMU lets the read pass',
    text: ({ args: [, address, physical] }) =>
      'Between the bus and memory is a PAMU (peripheral access management unit). The LIODN selects a primary entry in a ' +
      'table in memory: the aperture (the range of bus addresses that the device may use), cut into windows, each of ' +
      `which leads to one piece of host memory. Bus address ${hex(address)} became host-physical ${hex(physical)}.`,
    show: (scene) => [...primary(scene), ...lookedUp(scene)],
  },
  {
    id: 'violation',
    role: 'elo',
    event: 'pamu_violation',
    after: 'access',
    is: ([, address, code, kind]) => code === PAMU_VIOLATION.WAV && kind === WRITE && address < NEAR,
    title: 'The PAMU refuses the write',
    text: (scene) => {
      const { window, count, offset, secondary } = placeOf(scene);
      const inside = window >= 0 && window < count;
      const mapped = secondary === undefined ? undefined : sizeText(mappedSize(secondary));
      return (
        `Now the channel writes, to bus address ${hex(scene.args[1])}. That is ` +
        (inside
          ? `inside of the aperture, in window ${window}, where a message bank is (devices write there to interrupt); but of ` +
            `this window only the first ${mapped} are mapped, and the address is ${hex(offset)} behind its beginning. `
          : 'outside of the aperture. ') +
        'Nothing is written.'
      );
    },
    show: lookedUp,
  },
  {
    id: 'end',
    role: 'elo',
    event: 'fsl_dma_end',
    after: 'violation',
    is: ([number]) => number === CHANNEL,
    title: 'The violation is captured; the transfer ends with an error',
    text:
      'The PAMU keeps who, where and why in its violation registers until somebody clears them, and raises an interrupt ' +
      'of the host. The channel stops, with bytes left to copy.',
    show: (scene) => {
      const { bytes, offset } = violationRegisters(scene.peek);
      return [structure(VIOLATION_MANUAL, bytes, registerPlace(offset)), ...channel(scene)];
    },
  },
  {
    id: 'isolated',
    role: 'kernel',
    event: 'fsl_pamu_isolated',
    title: "The host's kernel isolates the device",
    text: ({ args: [liodn, address] }) =>
      `The interrupt handler reads the registers: LIODN ${hex(liodn)}, address ${hex(address)}. It clears the valid bit V of ` +
      'the primary entry: no device with this LIODN reaches anything any more. Then it clears the violation registers.',
    show: (scene) => primary(scene, ['addr_bitfields']),
  },
  {
    id: 'load',
    role: 'vcpu',
    event: 'kvm_hcall_exit',
    after: 'end',
    is: ([, token]) => token === HCALL.H_LOGICAL_CI_LOAD,
    title: 'The guest sees the error',
    text: 'It polls the status register of its channel, by the hypercall H_LOGICAL_CI_LOAD.',
    show: (scene) => registers(scene, CI_LOAD, ['gpr2', 'gpr3']),
  },
  {
    id: 'refused',
    role: 'elo',
    event: 'pamu_violation',
    after: 'isolated',
    is: ([, , code]) => code === PAMU_VIOLATION.LAV,
    title: 'A copy that would be in order is refused too',
    text: ({ args: [, address] }) =>
      `The guest tries a copy inside of its own memory, from bus address ${hex(address)}. The entry is not valid, so the ` +
      'look-up ends before any window: an authorization violation.',
    show: (scene) => primary(scene, ['addr_bitfields']),
  },
  {
    id: 'restart',
    role: 'vcpu',
    event: 'kvm_hcall_exit',
    after: 'refused',
    is: ([, token]) => token === HCALL.FH_DMA_ENABLE,
    title: 'The guest asks for its device again',
    text:
      "Freescale's hypercall FH_DMA_ENABLE: the VMM has VFIO enable DMA again, and the kernel sets V. It is the VMM that " +
      'decides; one that trusts no misbehaving guest would refuse.',
    show: (scene) => [...registers(scene, TITLED, ['gpr1']), ...primary(scene, ['addr_bitfields'])],
  },
];

export const PAMU_VIOLATION_PLOT: Plot<PamuNotes> = {
  notes: () => ({ liodn: 0 }),
  keep: 'violation',
  moments: MOMENTS,
};
