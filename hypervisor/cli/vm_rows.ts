/** Options that each virtual machine of a host may have with a value of its own (`--vm`). */
import { GUESTS } from './guests.ts';
import type { OptionRow } from './options.ts';

/** The guest, and what it runs in. */
export const GUEST_ROWS: readonly OptionRow[] = [
  {
    name: 'kernel',
    kind: 'text',
    value: 'FILE.elf',
    help: 'guest program: a static ELF64 executable for s390x; without it --guest',
  },
  {
    name: 'guest',
    kind: 'choice',
    choices: [...GUESTS],
    value: 'NAME',
    help: 'which of our own guests, toy when nothing is said: toy checks channel I/O and hypercalls, net streams frames through a NIC, dma drives and provokes a DMA engine',
  },
  {
    name: 'append',
    kind: 'text',
    value: 'TEXT',
    default: '',
    help: "command line, stored at X'10480'; for our own guests added to theirs",
  },
  {
    name: 'memory',
    alias: ['m'],
    kind: 'size',
    value: 'SIZE',
    min: 1 << 20,
    max: 2 ** 31,
    default: '128M',
    help: 'guest RAM',
  },
  { name: 'cpus', alias: ['smp'], kind: 'number', value: 'N', min: 1, max: 8, default: '1', help: 'guest CPUs' },
];

/** Who does what for it. */
export const TIER_ROWS: readonly OptionRow[] = [
  {
    name: 'tce',
    kind: 'choice',
    choices: ['real', 'virtual', 'user'],
    value: 'TIER',
    default: 'real',
    help: 'first tier that may finish a TCE hypercall: vCPU thread, kernel worker, or only the VMM',
  },
  {
    name: 'mmio',
    kind: 'choice',
    choices: ['kernel', 'exit'],
    value: 'TIER',
    default: 'kernel',
    help: "who does the guest's accesses to BARs that are mapped: KVM, in real or virtual mode as with --tce, or the VMM",
  },
  {
    name: 'tce-bind',
    kind: 'choice',
    choices: ['group', 'group-liobn', 'container'],
    value: 'SIDE',
    default: 'group',
    help: 'what KVM is told a LIOBN drives: the VFIO group, the group and a bus address as in the RFC, or the container',
  },
  {
    name: 'ccw-api',
    kind: 'choice',
    choices: ['region', 'io-region', 'cmd-request'],
    value: 'API',
    default: 'region',
    help: 'how drives are passed through: vfio-ccw of today, without its command region, or as in its 2016 RFC: blocking ioctl, no-IOMMU groups',
  },
];
