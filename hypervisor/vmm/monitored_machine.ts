/** The machine as the monitor sees it. */
import type { PluggedDevice as PluggedPci, SpaprPhb } from '../../devices/virtual/ppc/spapr_pci.ts';
import type { ChannelSubsystem } from '../../devices/virtual/s390x/css.ts';
import { TRACE_EVENTS, type TraceEvent } from '../../kernel/include/trace_events.ts';
import type { ActorContext } from '../../kernel/lib/actor_module.ts';
import type { Task } from '../../kernel/lib/task.ts';
import { disableTrace, enableTrace, matchTrace, TRACE_FOR, traceEnabled } from '../../kernel/lib/trace.ts';
import type { ExitReport, MachineConfig } from '../config.ts';
import type { Machine } from '../machine_api.ts';
import { MonitorError } from '../monitor/monitor_error.ts';
import type { CpuStatus, MonitorTarget, PlugOptions, PlugPciOptions, Unplugged } from '../monitor/target.ts';
import { type VmRow, vmRows } from '../monitor/vms_table.ts';
import { vmSummaries } from '../vms.ts';
import { readExits } from './exit_statistics.ts';
import { mediatedDevice, passThroughUnsafe } from './host_setup.ts';
import { plugPci, unplugPci } from './machine_pci.ts';
import { plugCcw } from './machine_toy.ts';
import { type Outcome, showPsw } from './outcome.ts';
import type { RunState } from './run_state.ts';
import type { Vmm } from './vmm.ts';

export class MonitoredMachine implements MonitorTarget {
  readonly machine: Machine;
  readonly css: ChannelSubsystem;
  readonly config: MachineConfig;
  readonly #vmm: Vmm;
  readonly #state: RunState;
  readonly #context: ActorContext<MachineConfig>;
  readonly #end: (how: Outcome) => void;

  /** @param end ends the run */
  constructor(vmm: Vmm, state: RunState, context: ActorContext<MachineConfig>, end: (how: Outcome) => void) {
    this.machine = vmm;
    this.css = vmm.board.css;
    this.config = vmm.config;
    this.#vmm = vmm;
    this.#state = state;
    this.#context = context;
    this.#end = end;
  }

  get phbs(): readonly SpaprPhb[] {
    return this.#vmm.hypercalls.phbs.all();
  }
  exits(): ExitReport {
    return readExits(this.#context.memory, this.#context.map);
  }
  *type(text: string): Task<boolean> {
    const { consoleInput, board, bql } = this.#vmm;
    if (!consoleInput.add(new TextEncoder().encode(text))) return false;
    yield* bql.lock();
    try {
      yield* board.sclp.tell();
    } finally {
      bql.unlock();
    }
    return true;
  }
  get systemCalls(): number {
    return this.#vmm.sys.count;
  }
  get running(): boolean {
    return this.#state.running;
  }
  vms(): readonly VmRow[] {
    const { memory, map } = this.#context;
    return vmRows(memory, map, vmSummaries(this.config));
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
    const { id } = options;
    if (id !== undefined && this.phbs.some((phb) => phb.devices().some((device) => device.id === id)))
      throw new Error(`vfio-ccw ${sysfsdev}: id=${id} is another device's: choose another id=`);
    // A drive comes back under its own number as long as that is free.
    const devno =
      options.devno ?? ('drive' in from ? this.#freeNumber(this.config.drives[from.drive].devno) : undefined);
    yield* plugCcw(this.#vmm, { ...options, devno, sysfsdev, hotplugged: true });
  }
  plugPci(options: PlugPciOptions): Task {
    return plugPci(this.#vmm, options);
  }
  unplugPci(phb: SpaprPhb, plugged: PluggedPci): Task<Unplugged> {
    return unplugPci(this.#vmm, phb, plugged);
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
    (on ? enableTrace : disableTrace)(memory, map.traceEnable, pattern, TRACE_FOR.TEXT);
    return matchTrace(pattern).length;
  }
  traced(): readonly TraceEvent[] {
    const { memory, map } = this.#context;
    return (Object.keys(TRACE_EVENTS) as TraceEvent[]).filter((name) =>
      traceEnabled(memory, map.traceEnable, name, TRACE_FOR.TEXT),
    );
  }
}
