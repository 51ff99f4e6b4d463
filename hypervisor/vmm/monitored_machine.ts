/** The machine as the monitor sees it. */
import type { ChannelSubsystem } from '../../devices/virtual/s390x/css.ts';
import { TRACE_EVENTS, type TraceEvent } from '../../kernel/include/trace_events.ts';
import type { ActorContext } from '../../kernel/lib/actor_module.ts';
import type { Task } from '../../kernel/lib/task.ts';
import { disableTrace, enableTrace, matchTrace, traceEnabled } from '../../kernel/lib/trace.ts';
import type { MachineConfig } from '../config.ts';
import type { Machine } from '../machine_api.ts';
import { MonitorError } from '../monitor/monitor_error.ts';
import type { CpuStatus, MonitorTarget, PlugOptions } from '../monitor/target.ts';
import { mediatedDevice, passThroughUnsafe } from './host_setup.ts';
import { plugCcw } from './machine_toy.ts';
import { type Outcome, showPsw } from './outcome.ts';
import type { RunState } from './run_state.ts';
import type { Vmm } from './vmm.ts';

export class MonitoredMachine implements MonitorTarget {
  readonly machine: Machine;
  readonly css: ChannelSubsystem;
  readonly config: MachineConfig;
  readonly exits: Readonly<Record<string, number>>;
  readonly #vmm: Vmm;
  readonly #state: RunState;
  readonly #context: ActorContext<MachineConfig>;
  readonly #end: (how: Outcome) => void;

  /** @param exits counts of exits by kind, as they grow. @param end ends the run */
  constructor(
    vmm: Vmm,
    state: RunState,
    context: ActorContext<MachineConfig>,
    exits: Readonly<Record<string, number>>,
    end: (how: Outcome) => void,
  ) {
    this.machine = vmm;
    this.css = vmm.board.css;
    this.config = vmm.config;
    this.exits = exits;
    this.#vmm = vmm;
    this.#state = state;
    this.#context = context;
    this.#end = end;
  }

  get systemCalls(): number {
    return this.#vmm.sys.count;
  }
  get running(): boolean {
    return this.#state.running;
  }
  cpus(): readonly CpuStatus[] {
    return this.#vmm.vcpus.map(({ address, operating, run }) => ({
      address,
      operating,
      psw: showPsw(run.psw_mask, run.psw_address),
    }));
  }
  stop(): Task<boolean> {
    return this.#state.stop();
  }
  cont(): Task<boolean> {
    return this.#state.cont();
  }
  reset(): Task {
    return this.#state.reset();
  }
  quit(): void {
    this.#end({ status: 0, reason: '' });
  }

  *plug({ from, ...options }: PlugOptions): Task {
    const sysfsdev = 'sysfsdev' in from ? from.sysfsdev : yield* this.#drive(from.drive);
    // A drive comes back under its own number as long as that is free.
    const devno =
      options.devno ?? ('drive' in from ? this.#freeNumber(this.config.drives[from.drive].devno) : undefined);
    yield* plugCcw(this.#vmm, { ...options, devno, sysfsdev, hotplugged: true });
  }
  #freeNumber(devno: number): number | undefined {
    for (const { ssid, schib } of this.css.subchannels())
      if (ssid === 0 && schib.pmcw.devno === devno) return undefined;
    return devno;
  }
  *#drive(number: number): Task<string> {
    const { drives } = this.config;
    const drive = drives[number];
    if (drive === undefined)
      throw new MonitorError(`vfio-ccw: drive=${number}: the machine has ${drives.length}, counted from 0`);
    const setUp = this.config.ccwApi === 'cmd-request' ? passThroughUnsafe : mediatedDevice;
    return yield* setUp(this.#vmm.sys, drive);
  }

  trace(pattern: string, on: boolean): number {
    const { memory, map } = this.#context;
    (on ? enableTrace : disableTrace)(memory, map.traceEnable, pattern);
    return matchTrace(pattern).length;
  }
  traced(): readonly TraceEvent[] {
    const { memory, map } = this.#context;
    return (Object.keys(TRACE_EVENTS) as TraceEvent[]).filter((name) => traceEnabled(memory, map.traceEnable, name));
  }
}
