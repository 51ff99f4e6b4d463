/** What the monitor works on: the machine as the VMM's thread has it. */
import type { PluggedDevice as PluggedPci, SpaprPhb } from '../../devices/virtual/ppc/spapr_pci.ts';
import type { ChannelSubsystem } from '../../devices/virtual/s390x/css.ts';
import type { TraceEvent } from '../../kernel/include/trace_events.ts';
import type { Task } from '../../kernel/lib/task.ts';
import type { ExitReport, MachineConfig } from '../config.ts';
import type { Machine } from '../machine_api.ts';
import type { VmRow } from './vms_table.ts';

/** A CPU as `info status` shows it. */
export interface CpuStatus {
  readonly address: number;
  readonly operating: boolean;
  /** PSW at its last exit to the VMM. */
  readonly psw: string;
}

/** Options of a vfio-ccw device that is plugged. */
export interface PlugOptions {
  readonly id?: string;
  /** The mediated device's directory; or which of the machine's drives, prepared if it is not yet. */
  readonly from: { readonly sysfsdev: string } | { readonly drive: number };
  readonly devno?: number;
  readonly ssid?: number;
  readonly forceOrbPfch: boolean;
}

/** Options of a vfio-pci device that is plugged. */
export interface PlugPciOptions {
  readonly id?: string;
  /** PCI address on the host, `0000:01:00.0`. */
  readonly host: string;
  /** `pci.N`; without it the first bus that has no device. */
  readonly bus?: string;
  /** Device number on the bus; the lowest free one when omitted. */
  readonly slot?: number;
  /** False: the host's requests for the device are not heard. */
  readonly requests?: boolean;
}

/** A device that is to go: it is gone (true), somebody else had it out before (false), or the guest is asked for it. */
export type Unplugged = boolean | 'asked';

export interface MonitorTarget {
  readonly machine: Machine;
  readonly css: ChannelSubsystem;
  /** The PCI host bridges, by their numbers. */
  readonly phbs: readonly SpaprPhb[];
  readonly config: MachineConfig;
  /** System calls of the VMM so far. */
  readonly systemCalls: number;
  readonly running: boolean;
  /** The virtual machines of the host, this one too. */
  vms(): readonly VmRow[];
  /** Exits of all CPUs so far. */
  exits(): ExitReport;
  cpus(): readonly CpuStatus[];
  /** False when it is so already. */
  stop(): Task<boolean>;
  cont(): Task<boolean>;
  reset(): Task;
  quit(): void;
  /** Types at the guest's console; false when the guest has not read what was typed before. */
  type(text: string): Task<boolean>;
  /** @throws Errno; Error, one sentence */
  plug(options: PlugOptions): Task<void>;
  /** @throws Errno; Error, one sentence */
  plugPci(options: PlugPciOptions): Task<void>;
  /** @throws Errno; Error, one sentence */
  unplugPci(phb: SpaprPhb, plugged: PluggedPci): Task<Unplugged>;
  /** Switches events on or off; returns how many match. */
  trace(pattern: string, on: boolean): number;
  /** The events that are on. */
  traced(): readonly TraceEvent[];
}
