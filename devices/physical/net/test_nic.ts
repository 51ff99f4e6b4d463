/** A small host with NICs behind an installed bridge, and a driver for one of them: what this folder's tests start from. */
import { DOORBELL_SIZE, Doorbell } from '../../../kernel/lib/doorbell.ts';
import { createMemory, HostMemory } from '../../../kernel/lib/host_memory.ts';
import { Simulation } from '../../../kernel/lib/simulated.ts';
import { preempt, type Task } from '../../../kernel/lib/task.ts';
import { HostBridge, installHostBridge } from '../phb/host_bridge.ts';
import { pinAsserted, takeMessages } from '../phb/interrupts.ts';
import { PHB_AREA_SIZE, peBlock } from '../phb/pe.ts';
import { exchangeTce } from '../phb/tce_table.ts';
import { CTRL, RCTL, REG, STAT, TCTL, TXD_CMD } from './e1000_regs.ts';
import { type NicEngine, spawnNicEngine } from './engine.ts';
import { installNics } from './install_nics.ts';
import { NIC_AREA_SIZE } from './nic_area.ts';
import type { NicOptions } from './wire.ts';

const PAGE = 4096;
/** Pages of each NIC's memory; bus page n of PE p is page n of its part. */
export const PAGES = 128;
const MAX_NICS = 2;

/** Where things lie in the test host. */
export const AT = {
  doorbells: 0x1000,
  phb: 0x4000,
  net: 0x4000 + PHB_AREA_SIZE,
  firstFrame: 0x20_0000,
  tables: 0x20_0000,
  memory: 0x21_0000,
  size: 0x21_0000 + MAX_NICS * PAGES * PAGE,
} as const;
if (AT.net + MAX_NICS * NIC_AREA_SIZE > AT.firstFrame) throw new Error('the test host has areas that overlap');

/** Bus addresses of the parts of a driver's memory. */
export const BUS = { TX_RING: 0x0000, RX_RING: 0x1000, TX: 0x10000, RX: 0x40000 } as const;

export interface TestNics {
  readonly memory: HostMemory;
  readonly bridge: HostBridge;
  readonly simulation: Simulation;
  readonly engines: readonly NicEngine[];
  readonly log: string[];
  readonly drivers: readonly Driver[];
  /** Doorbell of the engine of a NIC. */
  readonly doorbells: readonly Doorbell[];
  readonly kernelDoorbell: Doorbell;
  /** Runs `driver` as the kernel's task beside the engines. */
  run(driver: () => Task): void;
  /** Lets the engines work for a while. */
  settle(): void;
  /** Level of a PE's interrupt pin. */
  pin(pe?: number): boolean;
  /** Takes the messages that a PE's device has sent. */
  messages(pe?: number): number;
}

/** Doorbell of the kernel (0) or of NIC n (n + 1). */
export const doorbellAt = (n: number) => AT.doorbells + n * DOORBELL_SIZE;

export const MACS = ['52:54:00:12:34:56', '52:54:00:12:34:57'] as const;
/** Bytes of an address. */
export const mac = (text: string) => text.split(':').map((part) => Number.parseInt(part, 16));

/** NICs with MMIO and DMA enabled and all their pages mapped read-write, without engines; NIC n behind PE n. */
export function pluggedNics(wires: readonly (NicOptions['wire'] | Partial<NicOptions>)[]) {
  const memory = new HostMemory(createMemory(AT.size));
  const nics = wires.map((wire, i): NicOptions => {
    const options = typeof wire === 'object' && !('pair' in wire) ? wire : { wire };
    return { mac: MACS[i], wire: 'none', ...options } as NicOptions;
  });
  installHostBridge(memory, AT.phb, { firstFrame: AT.firstFrame, pes: nics.map(() => ({ device: 'e1000' as const })) });
  installNics(memory, AT.phb, AT.net, nics, 0);
  const doorbells = nics.map((_, i) => new Doorbell(memory, doorbellAt(i + 1)));
  const bridge = new HostBridge(memory, AT.phb, { firstFrame: AT.firstFrame, doorbells });
  for (let pe = 0; pe < nics.length; pe++) {
    bridge.configWrite(pe, 4, 2, 0x0006);
    const tableHpa = AT.tables + pe * PAGE;
    bridge.setWindow(pe, 0, { tableHpa, entries: PAGES, pageShift: 12 });
    for (let page = 0; page < PAGES; page++) exchangeTce(memory, tableHpa, page, hostPage(pe, page) + 3);
  }
  const drivers = nics.map((_, pe) => new Driver(memory, bridge, pe));
  return { memory, nics, doorbells, bridge, drivers, kernelDoorbell: new Doorbell(memory, doorbellAt(0)) };
}

/** {@link pluggedNics} with their engines under the simulated scheduler. */
export function testNics(wires: readonly (NicOptions['wire'] | Partial<NicOptions>)[], seed = 1): TestNics {
  const host = pluggedNics(wires);
  const { memory, nics, doorbells, kernelDoorbell } = host;
  const simulation = new Simulation(seed);
  const log: string[] = [];
  const engines = nics.map((_, pe) =>
    spawnNicEngine(simulation.actor(`dma${pe}`), {
      memory,
      phbBase: AT.phb,
      netBase: AT.net,
      firstFrame: AT.firstFrame,
      pe,
      nics,
      kernelDoorbell,
      doorbellOf: (nic) => doorbells[nic],
      startTime: 1_000_000_000.5,
      log: (line) => log.push(line),
    }),
  );
  return {
    ...host,
    simulation,
    engines,
    log,
    run(driver) {
      let ended = false;
      simulation.actor('kernel').spawn(
        'driver',
        (function* () {
          yield* driver();
          ended = true;
        })(),
      );
      simulation.run(() => ended, 200_000);
    },
    settle() {
      this.run(function* () {
        for (let i = 0; i < 400; i++) yield* preempt();
      });
    },
    pin: (pe = 0) => pinAsserted(memory, peBlock(AT.phb, pe)),
    messages: (pe = 0) => takeMessages(memory, peBlock(AT.phb, pe)),
  };
}

/** HPA of a page of a NIC's memory. */
export const hostPage = (pe: number, page: number) => AT.memory + (pe * PAGES + page) * PAGE;

/** A received frame as the driver found it. */
export interface Received {
  readonly bytes: number[];
  readonly status: number;
  readonly errors: number;
  readonly special: number;
  readonly descriptors: number;
}

/** A piece of a frame: its own descriptor. */
interface Piece {
  readonly bytes: readonly number[];
  readonly command: number;
  readonly special?: number;
  readonly cso?: number;
  readonly css?: number;
}

/** How a driver sets its NIC up: ring sizes, RCTL and TCTL beside EN, receive descriptors given at once. */
interface DriverOptions {
  readonly tx?: number;
  readonly rx?: number;
  readonly rctl?: number;
  readonly tctl?: number;
  readonly give?: number;
}

/** A polling driver: fills rings, moves tails, looks at DD. */
export class Driver {
  readonly memory: HostMemory;
  readonly pe: number;
  readonly #bridge: HostBridge;
  txSize = 0;
  #tail = 0;
  #txBuffer: number = BUS.TX;
  rxSize = 0;
  bufferSize = 2048;
  #rxNext = 0;
  #missed = 0;

  constructor(memory: HostMemory, bridge: HostBridge, pe: number) {
    this.memory = memory;
    this.#bridge = bridge;
    this.pe = pe;
  }

  read(offset: number, size = 4): number {
    return this.#bridge.mmioRead(this.pe, 0, offset, size);
  }
  write(offset: number, value: number, size = 4): void {
    this.#bridge.mmioWrite(this.pe, 0, offset, size, value);
  }
  /** HPA behind a bus address. */
  hpa(bus: number): number {
    return hostPage(this.pe, 0) + bus;
  }

  /** Rings, link and both sides on. */
  up(options: DriverOptions = {}): void {
    const { tx = 8, rx = 8, rctl = RCTL.UPE | RCTL.MPE | RCTL.BAM | RCTL.SECRC, tctl = TCTL.PSP } = options;
    const { give = rx - 1 } = options;
    this.write(REG.CTRL, CTRL.SLU | CTRL.FD);
    this.setTx(tx);
    this.setRx(rx, give);
    this.write(REG.RCTL, RCTL.EN | rctl);
    this.write(REG.TCTL, TCTL.EN | tctl);
  }

  setTx(size: number, ring: number = BUS.TX_RING): void {
    this.txSize = size;
    this.#tail = 0;
    this.write(REG.TDBAL, ring);
    this.write(REG.TDBAH, 0);
    this.write(REG.TDLEN, size * 16);
    this.write(REG.TDH, 0);
    this.write(REG.TDT, 0);
  }

  /** A ring whose buffers lie one behind the other. @param give descriptors that the NIC gets at once. */
  setRx(size: number, give: number): void {
    this.rxSize = size;
    this.#rxNext = 0;
    for (let i = 0; i < size; i++) this.#rxDescriptor(i);
    this.write(REG.RDBAL, BUS.RX_RING);
    this.write(REG.RDBAH, 0);
    this.write(REG.RDLEN, size * 16);
    this.write(REG.RDH, 0);
    this.write(REG.RDT, give);
  }

  #rxDescriptor(i: number): void {
    const at = this.hpa(BUS.RX_RING) + i * 16;
    this.memory.dv.setUint32(at, BUS.RX + i * this.bufferSize, true);
    this.memory.bytes(at + 4, 12).fill(0);
  }

  /** Queues the pieces of frames and moves the tail past them. */
  post(...pieces: Piece[]): void {
    const { dv, u8 } = this.memory;
    for (const { bytes, command, special = 0, cso = 0, css = 0 } of pieces) {
      if (this.#txBuffer + bytes.length > BUS.RX) this.#txBuffer = BUS.TX;
      u8.set(bytes, this.hpa(this.#txBuffer));
      const at = this.hpa(BUS.TX_RING) + this.#tail * 16;
      dv.setUint32(at, this.#txBuffer, true);
      dv.setUint32(at + 4, 0, true);
      dv.setUint32(at + 8, bytes.length | (cso << 16) | (command << 24), true);
      dv.setUint32(at + 12, (css << 8) | (special << 16), true);
      this.#txBuffer += bytes.length;
      this.#tail = (this.#tail + 1) % this.txSize;
    }
    this.write(REG.TDT, this.#tail);
  }

  /** The next buffer begins at this offset in a page. */
  alignBuffer(shift: number): void {
    this.#txBuffer = Math.ceil(this.#txBuffer / PAGE) * PAGE + shift;
  }

  /** Frames that the NIC has lost for lack of room; MPC, which reading clears, added up. */
  get missed(): number {
    this.#missed += this.read(STAT.MPC);
    return this.#missed;
  }

  /** One frame in one descriptor. */
  send(bytes: readonly number[], command: number = TXD_CMD.EOP | TXD_CMD.IFCS | TXD_CMD.RS): void {
    this.post({ bytes, command });
  }

  /** Descriptors that wait to be sent. */
  get pending(): number {
    return (this.#tail - this.read(REG.TDH) + this.txSize) % this.txSize;
  }

  /** Status of transmit descriptor `i`. */
  txStatus(i: number): number {
    return this.memory.u8[this.hpa(BUS.TX_RING) + i * 16 + 12];
  }

  /** Takes one received frame, if all of it is there; its descriptors go back. */
  receive(giveBack = true): Received | undefined {
    const { dv, u8 } = this.memory;
    const bytes: number[] = [];
    for (let count = 1, i = this.#rxNext; count <= this.rxSize; count++, i = (i + 1) % this.rxSize) {
      const at = this.hpa(BUS.RX_RING) + i * 16;
      const status = u8[at + 12];
      if ((status & 1) === 0) return undefined;
      bytes.push(
        ...u8.slice(this.hpa(dv.getUint32(at, true)), this.hpa(dv.getUint32(at, true)) + dv.getUint16(at + 8, true)),
      );
      if ((status & 2) === 0) continue;
      const received = { bytes, status, errors: u8[at + 13], special: dv.getUint16(at + 14, true), descriptors: count };
      for (let j = 0; j < count; j++) this.#rxDescriptor((this.#rxNext + j) % this.rxSize);
      this.#rxNext = (i + 1) % this.rxSize;
      if (giveBack) this.write(REG.RDT, (this.#rxNext + this.rxSize - 1) % this.rxSize);
      return received;
    }
    return undefined;
  }

  /** Everything that has come. */
  receiveAll(): Received[] {
    const all: Received[] = [];
    for (let frame = this.receive(); frame !== undefined; frame = this.receive()) all.push(frame);
    return all;
  }
}

/** A frame: addresses, type, and `length` bytes in all, told apart by `seed`. */
export function frame(to: readonly number[], length: number, seed = 0, type = 0x88b5): number[] {
  const head = [...to, ...mac(MACS[0]), type >> 8, type & 0xff];
  return [...head, ...Array.from({ length: length - head.length }, (_, i) => (i * 7 + seed) & 0xff)];
}

/** One frame of one piece. */
export const whole = (bytes: readonly number[], command: number = TXD_CMD.EOP | TXD_CMD.IFCS | TXD_CMD.RS): Piece => ({
  bytes,
  command,
});
