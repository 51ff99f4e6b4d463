/** A NIC's engine: the tasks of one NIC on its hardware thread, which wait on that actor's doorbell. */
import type { Doorbell } from '../../../kernel/lib/doorbell.ts';
import type { HostMemory } from '../../../kernel/lib/host_memory.ts';
import { type Actor, type Task, until } from '../../../kernel/lib/task.ts';
import type { Tracer } from '../../../kernel/lib/trace.ts';
import { checkFirstFrame, peBlock } from '../phb/pe.ts';
import { CAUSE, CTRL, REG, STATUS } from './e1000_regs.ts';
import { EchoHost } from './echo_host.ts';
import { InterruptUnit } from './interrupt_unit.ts';
import { linkUp, type NicContext } from './nic.ts';
import { lockNic, nicArea, nicNumber, unlockNic } from './nic_area.ts';
import { type DumpFailure, PcapWriter } from './pcap.ts';
import { phyLink } from './phy.ts';
import { Receiver } from './receiver.ts';
import { Transmitter } from './transmitter.ts';
import { cableEnd, farEnd, type NicOptions } from './wire.ts';

/** What an engine works on. */
export interface NicEngineOptions {
  readonly memory: HostMemory;
  readonly phbBase: number;
  readonly netBase: number;
  /** As the bridge was installed with. */
  readonly firstFrame: number;
  readonly pe: number;
  /** All NICs of the machine; the one behind the PE is this one. */
  readonly nics: readonly NicOptions[];
  readonly kernelDoorbell: Doorbell;
  /** Doorbell of the actor that runs the engine of a NIC, by its number. */
  readonly doorbellOf: (nic: number) => Doorbell;
  /** Seconds since 1970 at which the machine's clock was zero: for dumps. 0 when omitted. */
  readonly startTime?: number;
  readonly tracer?: Tracer;
  readonly log?: (line: string) => void;
}

/** A running engine. */
export interface NicEngine {
  /** Power-off. @returns why the dump ended before; undefined when it did not, or there is none */
  close(): DumpFailure | undefined;
}

/**
 * Starts the engine of the NIC behind a PE. @throws Error when its dump file cannot be made, or when the bridge was
 * installed with another first frame
 */
export function spawnNicEngine(actor: Actor, options: NicEngineOptions): NicEngine {
  const { memory, phbBase, netBase, pe, kernelDoorbell, tracer, log = () => {} } = options;
  checkFirstFrame(memory, phbBase, options.firstFrame);
  const block = peBlock(phbBase, pe);
  const area = nicArea(memory, block);
  const number = nicNumber(memory, block);
  const { wire, pcap: file } = options.nics[number];
  const pcap = file === undefined ? undefined : new PcapWriter(file, options.startTime ?? 0, log);
  const interrupts = new InterruptUnit({ memory, block, area, pe, actor, kernelDoorbell, tracer });
  const cable = cableEnd(memory, netBase, options.nics, number, options.doorbellOf);
  const nic: NicContext = { memory, phbBase, pe, block, area, actor, kernelDoorbell, cable, pcap, tracer, interrupts };
  const receiver = new Receiver(nic);
  actor.spawn(`receiver of NIC ${number}`, receive(receiver));
  actor.spawn(`transmitter of NIC ${number}`, transmit(new Transmitter(nic, receiver)));
  actor.spawn(`interrupts of NIC ${number}`, interrupt(interrupts));
  actor.spawn(`link of NIC ${number}`, link(nic));
  if (pcap !== undefined) actor.spawn(`dump of NIC ${number}`, dump(pcap));
  if (wire === 'echo')
    actor.spawn(`host at NIC ${number}`, answer(new EchoHost(memory, farEnd(memory, netBase, number))));
  return { close: () => pcap?.close() };
}

// Each turn is a batch; the wait between two of them lets other tasks run, even when it is over at once.

function* receive(receiver: Receiver): Task {
  for (;;) {
    yield receiver.wait;
    receiver.step();
  }
}

function* transmit(transmitter: Transmitter): Task {
  for (;;) {
    transmitter.rest();
    yield transmitter.wait;
    transmitter.step();
  }
}

function* interrupt(unit: InterruptUnit): Task {
  for (;;) {
    yield unit.wait;
    unit.service();
  }
}

function* dump(pcap: PcapWriter): Task {
  for (;;) {
    yield pcap.wait;
    pcap.flush();
  }
}

function* answer(host: EchoHost): Task {
  for (;;) {
    yield* until('a frame for the host at the cable', () => host.ready());
    host.step();
  }
}

/** STATUS.LU follows the PHY, once software has set CTRL.SLU (manual, table 13-3). */
function* link(nic: NicContext): Task {
  const { memory, area, pe } = nic;
  const wanted = () => (memory.load(area + REG.CTRL) & CTRL.SLU) !== 0 && phyLink(memory, area);
  for (;;) {
    yield* until(`link of the NIC of PE ${pe}`, () => wanted() !== linkUp(nic));
    lockNic(memory, area);
    const up = wanted();
    const changed = up !== linkUp(nic);
    if (up) memory.or(area + REG.STATUS, STATUS.LU);
    else memory.and(area + REG.STATUS, ~STATUS.LU);
    if (changed) memory.or(area + REG.ICR, CAUSE.LSC);
    unlockNic(memory, area);
    nic.interrupts.service();
  }
}
