/** The configuration of one machine: plain data from the command line, handed to every actor. */

/** Which tier may finish H_PUT_TCE and its relatives. */
export type TceTier = 'real' | 'virtual' | 'user';

/** One DASD of the host, passed through to the guest. */
export interface DriveConfig {
  /** CKD image file, absolute path. */
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
}

/** The guest's program, read and checked before anything is started. */
export interface KernelImage {
  readonly segments: readonly { readonly address: number; readonly bytes: Uint8Array; readonly memorySize: number }[];
  readonly entry: bigint;
}

export interface MachineConfig {
  readonly machine: 'toy';
  readonly kernel: KernelImage;
  /** Command line, at most 895 bytes. */
  readonly append: string;
  /** Bytes of guest RAM. */
  readonly memory: number;
  readonly cpus: number;
  readonly drives: readonly DriveConfig[];
  /** True: the DMA port's PE is passed through, with its LIOBN. */
  readonly dmaPort: boolean;
  readonly tce: TceTier;
  /** RLIMIT_MEMLOCK of the VMM in pages. */
  readonly lockLimit: number;
  readonly memoryPressure: boolean;
  /** Seed of frame placement, of memory pressure and, when simulated, of the schedule. */
  readonly seed: number;
  /** TOD clock at power-on (units of 2^-12 us since 1900). */
  readonly todBase: bigint;
  /** Keep the guest's console to yourself. */
  readonly quiet?: boolean;
  /** Trace globs to switch on. */
  readonly trace: readonly string[];
}

/** One batch series that the guest reported (H_MINIVISOR_MARK). */
export interface MarkSeries {
  /** Calls in all batches. */
  readonly calls: number;
  /** Nanoseconds per call of each batch. */
  readonly batches: readonly number[];
}

/** How a run ended, from the VMM. */
export interface MachineResult {
  /** Exit status of the process. */
  readonly status: number;
  /** One sentence when the status is not 0. */
  readonly reason: string;
  readonly marks: Readonly<Record<number, MarkSeries>>;
  readonly systemCalls: number;
  readonly exits: Readonly<Record<string, number>>;
}
