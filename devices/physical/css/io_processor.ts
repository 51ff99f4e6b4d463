/**
 * An I/O processor: takes subchannels from its work ring and performs their functions, each in a task of its own, so
 * that a slow device holds up nobody else. At most one task serves a subchannel at a time.
 */

import { CRW, CRW_ERC, CRW_FLAGS, CRW_RSC } from '../../../kernel/include/arch/s390/crw.ts';
import { DSTAT } from '../../../kernel/include/arch/s390/scsw.ts';
import type { Doorbell } from '../../../kernel/lib/doorbell.ts';
import type { HostMemory } from '../../../kernel/lib/host_memory.ts';
import type { StorageKeys } from '../../../kernel/lib/storage_keys.ts';
import { type Actor, sleep, type Task, until } from '../../../kernel/lib/task.ts';
import type { Tracer } from '../../../kernel/lib/trace.ts';
import { type DriveOptions, openDrive } from '../dasd/drive.ts';
import type { ChannelDevice, DeviceHost } from './channel_device.ts';
import type { ProgramContext } from './channel_program.ts';
import { CssArea } from './css_area.ts';
import { pathsOf } from './path.ts';
import { Subchannel } from './subchannel.ts';
import { SubchannelTask } from './subchannel_task.ts';

/** A device that exists already, on a subchannel. */
export interface AttachedDevice {
  readonly schid: number;
  readonly device: ChannelDevice;
}

/** What hangs on a subchannel: the options of a 3390 drive, or a device made by the caller. */
export type DeviceConfig = DriveOptions | AttachedDevice;

export interface IoProcessorOptions {
  readonly memory: HostMemory;
  readonly cssBase: number;
  /** Lowest address a channel program may name. */
  readonly firstFrame: number;
  /** Checked against the key of the ORB, and told of references and changes; without it nothing is protected. */
  readonly storageKeys?: StorageKeys;
  readonly kernelDoorbell: Doorbell;
  readonly tracer: Tracer;
  /** Number of this I/O processor, as in the table of `installDevices`. */
  readonly iop: number;
  readonly devices: readonly DeviceConfig[];
}

/** What can be done to a running I/O processor, on its own thread. */
export interface IoProcessor {
  /** A device presents status of its own accord. @param dstat device status; attention when omitted. */
  attention(schid: number, dstat?: number): void;
  /** Varies a channel path online or offline: PAM of every subchannel that has it, and a channel report. */
  configureChpid(chpid: number, online: boolean): void;
  /** Powers the devices off. */
  close(): void;
}

/**
 * Starts an I/O processor on its actor. Opens the devices' images.
 * @throws ImageError when an image cannot be used; Error when a subchannel is not this processor's.
 */
export function spawnIoProcessor(actor: Actor, options: IoProcessorOptions): IoProcessor {
  const processor = new Processor(actor, options);
  actor.spawn(`iop${options.iop}`, processor.dispatch());
  return processor;
}

class Processor implements IoProcessor {
  readonly #actor: Actor;
  readonly #options: IoProcessorOptions;
  readonly #area: CssArea;
  readonly #context: ProgramContext;
  readonly #devices = new Map<number, ChannelDevice>();
  readonly #tasks = new Map<number, SubchannelTask>();
  /** Subchannels that a task serves now. */
  readonly #serving = new Set<number>();

  constructor(actor: Actor, options: IoProcessorOptions) {
    const { memory, firstFrame, storageKeys, tracer, kernelDoorbell } = options;
    const area = new CssArea(memory, options.cssBase);
    this.#actor = actor;
    this.#options = options;
    this.#area = area;
    const notify = () => kernelDoorbell.ring();
    const addressLimit = () => area.addressLimit;
    this.#context = { actor, memory, firstFrame, storageKeys, tracer, notify, addressLimit };
    for (const config of options.devices) {
      const subchannel = new Subchannel(area, config.schid);
      if (!subchannel.valid() || subchannel.iop !== options.iop)
        throw new Error(`subchannel ${config.schid} has no device on I/O processor ${options.iop}`);
      const device: ChannelDevice = 'device' in config ? config.device : openDrive(config);
      device.attach?.(this.#hostOf(config.schid));
      this.#devices.set(config.schid, device);
      this.#tasks.set(config.schid, new SubchannelTask(this.#context, subchannel, device));
    }
  }

  attention(schid: number, dstat: number = DSTAT.ATTENTION): void {
    const task = this.#task(schid);
    task.attention(dstat);
    this.#take(task);
  }

  configureChpid(chpid: number, online: boolean): void {
    for (let number = 0; number < this.#area.installed; number++) {
      const subchannel = new Subchannel(this.#area, number);
      subchannel.locked(() => {
        const { pmcw } = subchannel;
        const paths = pathsOf(pmcw, chpid);
        pmcw.pam = online ? pmcw.pam | paths : pmcw.pam & ~paths;
      });
    }
    this.#report(chpid, online ? CRW_ERC.INIT : CRW_ERC.PERRN, 0);
  }

  /** What the device on a subchannel may ask for. */
  #hostOf(schid: number): DeviceHost {
    return {
      now: () => this.#actor.now(),
      presentLater: (ns, dstat, about) =>
        this.#actor.spawn(`device on subchannel ${schid}`, this.#later(schid, ns, dstat, about)),
    };
  }

  *#later(schid: number, ns: number, dstat: number, about = () => {}): Task {
    yield* sleep(this.#actor, ns);
    about();
    this.attention(schid, dstat);
  }

  close(): void {
    for (const device of this.#devices.values()) device.close();
  }

  /** The processor's own task: hands every subchannel of the work ring to a task that serves it. */
  *dispatch(): Task {
    const { iop } = this.#options;
    const area = this.#area;
    const ring = area.work(iop);
    for (;;) {
      yield* until('work for the I/O processor', () => !ring.empty() || area.chpResetWanted(iop));
      if (area.chpResetWanted(iop)) this.#actor.spawn('channel-path reset', this.#resetPath(area.takeChpReset(iop)));
      const number = ring.pop();
      if (number === undefined) continue;
      const task = this.#task(number);
      task.subchannel.locked(() => task.subchannel.dequeued());
      this.#take(task);
    }
  }

  /** RESET CHANNEL PATH, as far as this processor's subchannels are concerned. */
  *#resetPath(chpid: number): Task {
    const { iop } = this.#options;
    const concerned: Subchannel[] = [];
    for (const task of this.#tasks.values()) {
      const { subchannel } = task;
      const paths = subchannel.locked(() => pathsOf(subchannel.pmcw, chpid));
      if (paths === 0 || !task.resetPaths(paths)) continue;
      concerned.push(subchannel);
      this.#take(task);
    }
    yield* until('reset of the devices on a channel path', () => !concerned.some((one) => one.resetting()));
    if (!this.#area.chpResetDone(iop)) return;
    this.#area.endChpReset();
    this.#report(chpid, CRW_ERC.INIT, CRW_FLAGS.mask.S);
  }

  /** Queues a channel report about a channel path. @param solicited CRW.S: RESET CHANNEL PATH asked for it. */
  #report(chpid: number, erc: number, solicited: number): void {
    const crw = CRW.make({ rsid: chpid });
    crw.flags = CRW_FLAGS.set(CRW_FLAGS.set(solicited, 'RSC', CRW_RSC.CHP), 'ERC', erc);
    this.#area.report(crw.dv.getUint32(0));
    this.#context.notify();
  }

  #task(number: number): SubchannelTask {
    let task = this.#tasks.get(number);
    if (task === undefined) {
      task = new SubchannelTask(this.#context, new Subchannel(this.#area, number), undefined);
      this.#tasks.set(number, task);
    }
    return task;
  }

  #take(task: SubchannelTask): void {
    // A task that serves the subchannel already looks for work again before it ends.
    const { number } = task.subchannel;
    if (this.#serving.has(number)) return;
    this.#serving.add(number);
    this.#actor.spawn(`subchannel ${number}`, this.#serve(task));
  }

  *#serve(task: SubchannelTask): Task {
    yield* task.serve();
    this.#serving.delete(task.subchannel.number);
  }
}
