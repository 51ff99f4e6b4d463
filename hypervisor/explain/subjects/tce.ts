/** H_PUT_TCE in each of its tiers (PAPR; arch/powerpc/kvm/book3s_64_vio_hv.c, book3s_64_vio.c; QEMU hw/ppc/spapr_iommu.c). */

import { HCALL } from '../../../kernel/include/arch/ppc/hcall.ts';
import { TCE_PERMISSION_MASK } from '../../../kernel/include/arch/ppc/tce.ts';
import { VFIO_IOMMU_MAP_DMA } from '../../../kernel/include/uapi/ioctl.ts';
import { HCALL_TIER, KVM_EXIT, KVM_RUN } from '../../../kernel/include/uapi/kvm_run.ts';
import { NR } from '../../../kernel/include/uapi/syscall.ts';
import { vfio_iommu_type1_dma_map } from '../../../kernel/include/uapi/vfio.ts';
import type { TceTier } from '../../config.ts';
import { generalRegisters } from '../areas/cpu.ts';
import { STT_MANUAL, TABLE_MANUAL, windowTables } from '../areas/kvm.ts';
import { GUEST_TCE_DOC, IOBA_DOC, LIOBN_DOC, TCE_MANUAL, USERSPACE_MANUAL, VIEW_MANUAL } from '../manual/tce.ts';
import { DMA_MAP_MANUAL, HCALL_ARGS_MANUAL, HCALL_RESULT, hcallRegisters, RUN_MANUAL } from '../manual/vfio.ts';
import type { Moment, Plot, Scene } from '../plot.ts';
import { hex, hostPlace, type Shown, structure } from '../story.ts';
import { ioctlArgument } from './ioctl_argument.ts';

/** What is noted of a call. */
interface TceNotes {
  liobn: number;
  ioba: number;
  cpu: number;
}
type TceScene = Scene<TceNotes>;
type TceMoment = Moment<TceNotes>;

const REGISTERS = hcallRegisters([LIOBN_DOC, IOBA_DOC, GUEST_TCE_DOC]);
const STT_FIELDS = ['liobn', 'pageShift', 'size', 'view'];
const TABLE_FIELDS = ['table', 'entries', 'userspace', 'pes', 'levels'];

const gpr = ({ peek, args: [cpu] }: TceScene, n: number): bigint =>
  new DataView(generalRegisters(peek, cpu).bytes.buffer).getBigUint64(8 * n, true);
const isPut = (token: number) => token === HCALL.H_PUT_TCE;

/** Fields of the tables of the call's window, as far as there are some. */
function tables({ peek, notes: { liobn, ioba } }: TceScene, show: 'tables' | 'view'): Shown[] {
  const found = windowTables(peek, liobn, ioba);
  if (found === undefined) return [];
  const { stt, table, hardware, userspace, view } = found;
  if (show === 'view') return [structure(VIEW_MANUAL, view.bytes, `entry ${found.index}, ${hostPlace(view.hpa)}`)];
  return [
    structure(STT_MANUAL, stt.bytes, hostPlace(stt.hpa), STT_FIELDS),
    structure(TABLE_MANUAL, table.bytes, hostPlace(table.hpa), TABLE_FIELDS),
    ...(hardware ? [structure(TCE_MANUAL, hardware.bytes, `entry ${found.index}, ${hostPlace(hardware.hpa)}`)] : []),
    ...(userspace ? [structure(USERSPACE_MANUAL, userspace.bytes, hostPlace(userspace.hpa))] : []),
  ];
}

/** The guest's registers at the call. */
const ENTER: TceMoment = {
  id: 'enter',
  role: 'vcpu',
  event: 'kvm_hcall_enter',
  is: ([, token]) => isPut(token),
  title: 'The guest makes the hypercall',
  text:
    'A driver of the guest wants a device to reach a page of its memory. Between device and memory there is a table of ' +
    'translation control entries (TCEs), which only the host may change: the guest asks for it by a hypercall, a call of ' +
    "the host as a system call is one of a kernel. Here that is DIAGNOSE X'5E0', with token and arguments in general " +
    'registers as PAPR, the rules of Power platforms, has them. H_PUT_TCE sets one entry.',
  show: (scene) => {
    const { peek, notes, args } = scene;
    const { bytes, hpa } = generalRegisters(peek, args[0]);
    Object.assign(notes, { cpu: args[0], liobn: Number(gpr(scene, 2)), ioba: Number(gpr(scene, 3)) });
    return [structure(REGISTERS, bytes, `CPU ${args[0]}, ${hostPlace(hpa)}`, ['gpr1', 'gpr2', 'gpr3', 'gpr4'])];
  },
};

/** The hardware's entry has been exchanged. */
function kill(role: 'vcpu' | 'kernel', text: string): TceMoment {
  return {
    id: 'kill',
    role,
    event: 'tce_kill',
    title: 'The entry is exchanged, and killed in the caches of the host bridge',
    text: (scene) =>
      `${text} Host bridges cache entries: TCE kill of endpoint ${scene.args[0]} (the isolated group of devices that uses ` +
      `the table) makes sure that the old entry ${scene.args[1]} is used no more, and that DMA under way has ended.`,
    show: (scene) => tables(scene, 'tables'),
  };
}

/** The guest has its answer. */
function exit(tier: number, text: string): TceMoment {
  return {
    id: 'exit',
    role: 'vcpu',
    event: 'kvm_hcall_exit',
    is: ([, token, , by]) => isPut(token) && by === tier,
    title: 'The guest goes on',
    text,
    show: (scene) => {
      const { bytes, hpa } = generalRegisters(scene.peek, scene.args[0]);
      return [
        ...(tier === HCALL_TIER.REAL ? tables(scene, 'view') : []),
        structure(HCALL_RESULT, bytes, `CPU ${scene.args[0]}, ${hostPlace(hpa)}`, ['gpr2']),
      ];
    },
  };
}

const LOOKED_UP =
  'By the LIOBN (logical I/O bus number) the table of this window was found, by the IOBA (I/O bus address) the entry in ' +
  'it. The guest-physical page of the TCE became a user address of the VMM, that a host page, which was pinned ' +
  'beforehand (preregistered) so that it stays where it is; the TCE of the hardware has the host page.';

const plot = (moments: readonly TceMoment[]): Plot<TceNotes> => ({
  notes: () => ({ liobn: 0, ioba: 0, cpu: 0 }),
  // A mapping, not the taking back of one.
  wanted: (scene) => (gpr(scene, 4) & BigInt(TCE_PERMISSION_MASK)) !== 0n,
  moments,
});

const REAL_MODE = plot([
  ENTER,
  kill(
    'vcpu',
    'Real mode: the handler runs at once on the CPU that made the call, without leaving it for any other thread, and ' +
      `must neither wait nor allocate. ${LOOKED_UP}`,
  ),
  exit(
    HCALL_TIER.REAL,
    "The guest's view of the table, which H_GET_TCE reads, has the TCE as the guest wrote it. No exit, no other " +
      'thread, no system call.',
  ),
]);

const VIRTUAL_MODE = plot([
  ENTER,
  {
    id: 'posted',
    role: 'kernel',
    event: 'hypercall',
    is: ([token]) => isPut(token),
    title: 'The call is posted to the kernel',
    text:
      'Real mode may not answer here, or found it too hard (H_TOO_HARD, which no guest ever sees): the CPU puts token ' +
      "and arguments where the kernel finds them and waits a moment. In virtual mode the kernel's own thread may wait " +
      'and allocate.',
    show: ({ peek, notes: { cpu } }) => {
      const hpa = peek.map.vcpus[cpu].run + KVM_RUN.offset.hcall_nr;
      return [
        structure(HCALL_ARGS_MANUAL, peek.host(hpa, HCALL_ARGS_MANUAL.layout.size), hostPlace(hpa), [
          'nr',
          'arg1',
          'arg2',
          'arg3',
        ]),
      ];
    },
  },
  kill('kernel', LOOKED_UP),
  {
    id: 'answered',
    role: 'kernel',
    event: 'hypercall_ret',
    is: ([token, ret, tier]) => isPut(token) && ret === 0 && tier === HCALL_TIER.VIRTUAL,
    title: 'The kernel answers',
    text: "Return code 0 (H_SUCCESS) for the CPU that waits. The guest's view of the table has the TCE as the guest wrote it.",
    show: (scene) => tables(scene, 'view'),
  },
  exit(HCALL_TIER.VIRTUAL, 'Two hand-offs between threads, no exit to the VMM, no system call.'),
]);

const USER = plot([
  ENTER,
  {
    id: 'exit-to-vmm',
    role: 'vcpu',
    event: 'kvm_userspace_exit',
    is: ([, reason]) => reason === KVM_EXIT.PAPR_HCALL,
    title: 'The CPU leaves the guest',
    text:
      'KVM may not answer the call itself here. It leaves the guest (an exit): all registers go into the run page, which ' +
      'vCPU and VMM share, and the VMM is woken up.',
    show: ({ peek, args: [cpu] }) => {
      const { run } = peek.map.vcpus[cpu];
      return [structure(RUN_MANUAL, peek.host(run, KVM_RUN.size), hostPlace(run), ['exit_reason', 'psw_address'])];
    },
  },
  {
    id: 'map',
    role: 'kernel',
    event: 'sys_enter',
    is: ([nr, , number]) => nr === NR.ioctl && number === VFIO_IOMMU_MAP_DMA.number,
    title: 'The VMM asks VFIO for the mapping',
    text:
      'The VMM looks the LIOBN up in its own list, and turns the guest-physical page into its own address. Then it calls ' +
      'VFIO, the interface by which a process gives its memory to a device, by an ioctl (a system call with a command and ' +
      'a structure): VFIO_IOMMU_MAP_DMA.',
    show: ioctlArgument(DMA_MAP_MANUAL, vfio_iommu_type1_dma_map.size),
  },
  kill(
    'kernel',
    'The kernel finds the container (what holds the devices of one VMM and their view of memory), its table by the bus address, and the host page by ' +
      'the user address; that page was pinned beforehand (preregistered), so that it stays where it is.',
  ),
  {
    id: 'mapped',
    role: 'kernel',
    event: 'sys_exit',
    after: 'map',
    is: ([nr, ret]) => nr === NR.ioctl && ret === 0,
    title: 'The system call ends',
    text: 'Return value 0; the VMM is woken up again.',
  },
  {
    id: 'put',
    role: 'vmm',
    event: 'spapr_iommu_put',
    title: "The VMM writes the guest's view",
    text: ({ args: [liobn, ioba, tce] }) =>
      `LIOBN ${hex(liobn)}, bus address ${hex(ioba)}: TCE ${hex(tce)}, as the guest wrote it, for H_GET_TCE to read.`,
    show: (scene) => tables(scene, 'view'),
  },
  {
    id: 'answered',
    role: 'vmm',
    event: 'hypercall_ret',
    is: ([token, , tier]) => isPut(token) && tier === HCALL_TIER.VMM,
    title: 'The VMM answers',
    text: 'The return code goes into the register of the run page, and the CPU is told to go on.',
  },
  exit(HCALL_TIER.VMM, 'One exit and one system call: four hand-offs between threads.'),
]);

/** A tier, how `boot` is told of it, and the guest's series of it (guest/programs/toy/bench.c). */
export const TCE_TIERS: Readonly<
  Record<TceTier, { readonly title: string; readonly plot: Plot<TceNotes>; readonly series: number }>
> = {
  real: { title: 'kernel, real mode', plot: REAL_MODE, series: 0 },
  virtual: { title: 'kernel, virtual mode', plot: VIRTUAL_MODE, series: 1 },
  user: { title: 'exit to the VMM', plot: USER, series: 2 },
};
