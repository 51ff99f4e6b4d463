/** The configuration of one machine: plain data from the command line, handed to every actor. */
import type { FaultConfig } from '../kernel/include/fault_kinds.ts';

/** A monitor command and when it is given. */
export interface TimedCommand {
  /** Nanoseconds since the machine was switched on: of the host's clock, or virtual. */
  readonly ns: number;
  /** The time as the user wrote it. */
  readonly time: string;
  readonly command: string;
  /** Number of the virtual machine that gets it; 0 when omitted. */
  readonly vm?: number;
}

/** Which tier may finish H_PUT_TCE and its relatives. */
export type TceTier = 'real' | 'virtual' | 'user';

/** Who does H_LOGICAL_CI_LOAD and _STORE on a mapped BAR. */
export type MmioTier = 'kernel' | 'exit';

/**
 * What a LIOBN is bound to: the VFIO group, by the attribute that was merged, or by that of the 2016 RFC; or the
 * container, as proposed in its review.
 */
export type TceBind = 'group' | 'group-liobn' | 'container';

/** One channel device of the host, passed through to the guest. */
export interface DriveConfig {
  /** A 3390 on an image, which is the default, or the echo control unit of `devices/physical/echo`. */
  readonly type?: '3390' | 'echo';
  /** CKD image file, absolute path; empty for a type that has none. */
  readonly file: string;
  /** Host subchannel number, and the guest's. */
  readonly schid: number;
  /** Device number. */
  readonly devno: number;
  readonly readonly: boolean;
  readonly cache: 'writethrough' | 'writeback' | 'unsafe';
  /** Service time of every channel program, ns. */
  readonly serviceTimeNs: number;
  /** Every access to this cylinder takes that many ns: a fault hook. */
  readonly slow?: { readonly cylinder: number; readonly ns: number };
  /** Channel paths that lead to the device, at most eight CHPIDs; the first is path 0x80. [0x80] when omitted. */
  readonly chpids?: readonly number[];
  /** Number of the I/O processor that serves it, 0 to 7; 0 when omitted. */
  readonly iop?: number;
  /** What goes wrong with it, and when. */
  readonly faults?: readonly FaultConfig[];
  /** Number of the virtual machine that gets it; 0 when omitted. */
  readonly vm?: number;
}

/** One network interface of the host (82540EM), in a partitionable endpoint of its own. */
export interface NicConfig {
  /** `52:54:00:12:34:56`. */
  readonly mac: string;
  /**
   * What its cable leads to: back to itself, to NIC `pair` of this list, to a host that answers pings, or nowhere.
   * `elsewhere`: in the list of one virtual machine, that NIC is another one's, and the number is the host's.
   */
  readonly wire: 'loopback' | 'echo' | 'none' | { readonly pair: number; readonly elsewhere?: true };
  /** File that gets every frame of the cable at this end, in libpcap's format. */
  readonly pcap?: string;
  /** False: the host has it, but the machine only once the monitor plugs it. */
  readonly plug?: boolean;
  /** `down`: the cable is not plugged in at power-on. `up` when omitted. */
  readonly link?: 'up' | 'down';
  /** What it is called in the monitor; `nicN` when omitted. */
  readonly id?: string;
  /** Numbers of the virtual machines it is passed to, of which the host lets one have it; 0 when omitted. */
  readonly vms?: readonly number[];
}

/**
 * Which generation of vfio-ccw passes DASDs through: the regions of today; the I/O region alone, as it was merged (Linux
 * 4.12 to 5.1), where HSCH and CSCH are pretended; or the blocking ioctl of the 2016 RFC.
 */
export type CcwApi = 'region' | 'io-region' | 'cmd-request';

/** The guest's program, read and checked before anything is started. */
export interface KernelImage {
  readonly segments: readonly { readonly address: number; readonly bytes: Uint8Array; readonly memorySize: number }[];
  readonly entry: bigint;
}

/** The host's SoC, and what of it the guest gets. */
export interface PamuConfig {
  readonly classic?: boolean;
  /** What is in front of the DMA channels: PAMUs when omitted, or a 4K-page IOMMU that type1 drives. */
  readonly iommu?: 'pamu' | 'type1';
  /** Platform devices passed through with vfio-platform: `dma0`. */
  readonly devices?: readonly string[];
  /** Numbers of the virtual machines that get them, in the same order; 0 when omitted. */
  readonly vms?: readonly number[];
}

/** What `--trace` and `--trace-out` ask for. */
export interface TracingConfig {
  /** Globs of the events to be written as text, in their order; a leading `-` switches off. */
  readonly events: readonly string[];
  /** True: record what a timeline needs. */
  readonly out: boolean;
}

/** What each virtual machine of a host has for itself. */
export interface VmConfig {
  readonly kernel: KernelImage;
  /** What the guest is called where machines are listed: one of ours, or its file. */
  readonly guest?: string;
  /** Command line, at most 895 bytes. */
  readonly append: string;
  /** Bytes of guest RAM. */
  readonly memory: number;
  readonly cpus: number;
  /** True: the host has a DMA port for it, whose PE is passed through, with its LIOBN. */
  readonly dmaPort: boolean;
  readonly tce: TceTier;
  /** Who does the guest's accesses to mapped BARs: KVM, when omitted, or the VMM after an exit. */
  readonly mmio?: MmioTier;
  /** `group` when omitted. */
  readonly tceBind?: TceBind;
  /** The merged I/O region when omitted. */
  readonly ccwApi?: CcwApi;
}

/** A virtual machine as `info vms` lists it. */
export type VmSummary = Pick<VmConfig, 'guest' | 'memory' | 'cpus'>;

/** A host with its first virtual machine, or one virtual machine of several as its VMM sees it (`vms.ts`). */
export interface MachineConfig extends VmConfig {
  readonly machine: 'toy';
  /** Virtual machines beside the first, each in a VMM process of its own. */
  readonly others?: readonly VmConfig[];
  /** Of one virtual machine of several: its number; 0 when omitted. */
  readonly number?: number;
  /** Of one virtual machine of several: all of them, by number. */
  readonly machines?: readonly VmSummary[];
  /** Of one virtual machine of several: what its lines on the console begin with. */
  readonly label?: string;
  /** Of one virtual machine of several: PEs of its PCI devices on the host, the DMA port's first, then those of `nics`. */
  readonly pes?: readonly number[];
  readonly drives: readonly DriveConfig[];
  /** In the endpoints behind the DMA port's; none when omitted. */
  readonly nics?: readonly NicConfig[];
  /**
   * The host has a Freescale SoC with PAMUs and an Elo DMA engine; none when omitted. `classic`: its MPIC is of the
   * first generation, whose message banks share a page.
   */
  readonly pamu?: PamuConfig;
  /** RLIMIT_MEMLOCK of each VMM in pages. */
  readonly lockLimit: number;
  readonly memoryPressure: boolean;
  /** Seed of frame placement, of memory pressure and, when simulated, of the schedule. */
  readonly seed: number;
  /** TOD clock at power-on (units of 2^-12 us since 1900). */
  readonly todBase: bigint;
  /** Keep the guest's console to yourself. */
  readonly quiet?: boolean;
  /** Monitor commands that are given at certain times. */
  readonly at?: readonly TimedCommand[];
  /** True: the main thread may send monitor commands through the mailbox of each virtual machine. */
  readonly monitor?: boolean;
  /** Count exits by their reason, and time them, for the end of the run. */
  readonly exits?: boolean;
  /** Trace globs to switch on for whoever runs the machine. */
  readonly trace: readonly string[];
  /** What the user wants traced. */
  readonly tracing?: TracingConfig;
}

/** What a machine has done up to a moment. */
export interface WorkCounters {
  /** Exits that the VMM served. */
  readonly exits: number;
  /** System calls of the VMM. */
  readonly systemCalls: number;
  /** Rings of all doorbells: how often a thread handed another one something. */
  readonly handOffs: number;
  /** Copies between user memory and the kernel, and their bytes. */
  readonly copies: number;
  readonly copiedBytes: number;
  /** Pages pinned. */
  readonly pins: number;
}

/** One batch series that the guest reported (H_MINIVISOR_MARK). */
export interface MarkSeries {
  /** Calls in all batches. */
  readonly calls: number;
  /** Nanoseconds per call of each batch. */
  readonly batches: readonly number[];
  readonly work?: SeriesWork;
}

/** What the machine did for the operations between two reports of a series. */
export interface SeriesWork {
  /** What it had done at the first of them, and at the last. */
  readonly first: WorkCounters;
  readonly last: WorkCounters;
  /** Operations in between. */
  readonly operations: number;
  /** Reports in between, the last one included: each is an exit of its own. */
  readonly reports: number;
}

/** How a run ended, from the VMM. */
export interface MachineResult {
  /** Exit status of the process. */
  readonly status: number;
  /** One sentence when the status is not 0. */
  readonly reason: string;
  /** When the machine's run ended, ns of its time. */
  readonly endedNs: number;
  readonly marks: Readonly<Record<number, MarkSeries>>;
  readonly systemCalls: number;
  readonly exits: Readonly<Record<string, number>>;
  /** Where the configuration asks for them. */
  readonly exitStatistics?: ExitReport;
}

/** One exit reason, over all CPUs; times are nanoseconds from leaving the guest to entering it again. */
export interface ExitRow {
  /** As `perf kvm stat` names it. */
  readonly name: string;
  readonly samples: number;
  readonly sum: number;
  /** Sum of the squares. */
  readonly squares: number;
  readonly min: number;
  readonly max: number;
}

/** The exits of all CPUs, and the hypercalls that were none. */
export interface ExitReport {
  readonly rows: readonly ExitRow[];
  /** Hypercalls that the kernel finished, in real mode and in virtual mode. */
  readonly inKernel: { readonly real: number; readonly virtual: number };
}
