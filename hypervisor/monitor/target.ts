/** What the monitor works on: the machine as the VMM's thread has it. */
import type { ChannelSubsystem } from '../../devices/virtual/s390x/css.ts';
import type { TraceEvent } from '../../kernel/include/trace_events.ts';
import type { Task } from '../../kernel/lib/task.ts';
import type { MachineConfig } from '../config.ts';
import type { Machine } from '../machine_api.ts';

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

export interface MonitorTarget {
  readonly machine: Machine;
  readonly css: ChannelSubsystem;
  readonly config: MachineConfig;
  /** Exits by kind, and system calls, so far. */
  readonly exits: Readonly<Record<string, number>>;
  readonly systemCalls: number;
  readonly running: boolean;
  cpus(): readonly CpuStatus[];
  /** False when it is so already. */
  stop(): Task<boolean>;
  cont(): Task<boolean>;
  reset(): Task;
  quit(): void;
  /** @throws Errno; Error, one sentence */
  plug(options: PlugOptions): Task<void>;
  /** Switches events on or off; returns how many match. */
  trace(pattern: string, on: boolean): number;
  /** The events that are on. */
  traced(): readonly TraceEvent[];
}
