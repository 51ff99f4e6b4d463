/**
 * Arrows through a timeline. One goes with each I/O: from the CPU's exit at SSCH through the steps of VMM and kernel, the
 * I/O processor, and the interruption, to the exit at TSCH. One goes with each TCE hypercall: to the kill in another
 * thread, and to every DMA that goes through an entry it wrote.
 */

import { HCALL } from '../../kernel/include/arch/ppc/hcall.ts';
import { TVE_SELECT_BIT } from '../../kernel/include/arch/ppc/tce.ts';
import { SSCH, TSCH } from '../../kernel/include/arch/s390/ioinst.ts';
import { KVM_S390 } from '../../kernel/include/uapi/kvm.ts';
import type { TraceRecord } from '../../kernel/lib/trace.ts';
import { type Family, SHAPES } from './shapes.ts';
import type { Slice } from './timeline.ts';

/** An arrow through several slices. */
export interface Flow {
  readonly id: number;
  readonly name: string;
  /** Slices it goes through. */
  points: number;
}

/** Finds the slice of a family that is open on a thread. */
export type FindOpen = (thread: string, family: Family, key: number) => Slice | undefined;

/** The actor that intercepts. */
const VMM = 'vmm';
/** Hypercalls that write TCEs. */
const WRITES_TCE: ReadonlySet<number> = new Set([HCALL.H_PUT_TCE, HCALL.H_PUT_TCE_INDIRECT, HCALL.H_STUFF_TCE]);
/** A kill of more entries than a hypercall writes is of a whole table. */
const MOST_ENTRIES = 512;
/** Bus addresses from here on are window 1's. */
const SECOND_WINDOW = 2 ** Number(TVE_SELECT_BIT);

interface Call {
  readonly slice: Slice;
  readonly name: string;
  readonly thread: string;
  flow?: Flow;
}

export class Arrows {
  readonly #flows: Flow[] = [];
  /** The I/O under way on each subchannel of the host's. */
  readonly #ios = new Map<number, Flow>();
  /** The host's subchannel behind each of the guest's, as far as it was seen; the same number otherwise. */
  readonly #hosts = new Map<number, number>();
  /** Subchannels of the steps whose instruction, or interruption, with the guest's number is still to come. */
  #started: number | undefined;
  #notified: number | undefined;
  /** CPUs by the instruction they are intercepted for, the last one last. */
  readonly #intercepted: { cpu: number; text: number }[] = [];
  /** Hypercalls under way, by thread. */
  readonly #calls = new Map<string, Call>();
  /** By endpoint, window and entry: the arrow of the call that wrote it last. */
  readonly #entries = new Map<string, Flow>();

  /** The host's subchannel of a guest's. */
  hostSubchannel(guest: number): number {
    return this.#hosts.get(guest) ?? guest;
  }
  /** Whether an instruction takes the status of an I/O. @param args of s390_ioinst */
  endsIo([opcode, , cc]: readonly number[]): boolean {
    return opcode === TSCH && cc === 0;
  }
  /** All arrows. */
  end(): readonly Flow[] {
    return this.#flows;
  }

  /** @param slice what the record begins, ends or is */
  add(record: TraceRecord, slice: Slice, open: FindOpen): void {
    const { event, args, actor } = record;
    switch (event) {
      case 'kvm_run_exit':
        this.#intercepted.push({ cpu: args[0], text: args[2] });
        return;
      case 'kvm_vcpu_ioctl':
        this.#forget(args[0]);
        return;
      case 'iop_start':
      case 's390_cio_interrupt':
        this.#through(this.#ios.get(args[0] & 0xffff), slice, 'begin');
        return;
      case 'css_io_interrupt':
        this.#virtualInterrupt(args[1] & 0xffff, slice);
        return;
      case 'kvm_s390_inject_vm':
        if (args[0] <= KVM_S390.INT_IO_MAX) this.#ofGuest(args[1], slice);
        return;
      case 'kvm_s390_deliver_interrupt':
        if (args[1] <= KVM_S390.INT_IO_MAX) this.#ofGuest(args[2], slice);
        return;
      case 's390_ioinst':
        this.#instruction(args, open);
        return;
      case 'kvm_hcall_enter':
        if (WRITES_TCE.has(args[1])) this.#calls.set(actor, { slice, name: slice.name, thread: actor });
        return;
      case 'kvm_hcall_exit':
        this.#calls.delete(actor);
        return;
      case 'tce_kill':
        this.#kill(record, slice);
        return;
      case 'phb_dma':
        this.#through(this.#entries.get(entryKey(args[0], args[1] >= SECOND_WINDOW ? 1 : 0, args[2])), slice, 'begin');
        return;
      default:
        if (SHAPES.get(event)?.kind === 'step') this.#step(record, slice, open);
    }
  }

  #flow(name: string): Flow {
    const flow = { id: this.#flows.length + 1, name, points: 0 };
    this.#flows.push(flow);
    return flow;
  }
  #through(flow: Flow | undefined, slice: Slice | undefined, at: 'begin' | 'end'): void {
    if (flow === undefined || slice === undefined) return;
    if (slice.flows?.some((point) => point.flow === flow) === true) return;
    slice.flows ??= [];
    slice.flows.push({ flow, at });
    flow.points++;
  }
  #forget(cpu: number): void {
    const at = this.#intercepted.findLastIndex((one) => one.cpu === cpu);
    if (at >= 0) this.#intercepted.splice(at, 1);
  }
  /** The exit and the interception of the CPU that the VMM handles this instruction for. */
  #throughExit(flow: Flow, text: number, open: FindOpen): void {
    const cpu = this.#intercepted.findLast((one) => one.text === text)?.cpu;
    if (cpu === undefined) return;
    this.#through(flow, open(`vcpu${cpu}`, 'exit', cpu), 'begin');
    this.#through(flow, open(VMM, 'interception', cpu), 'begin');
  }

  #step({ event, args }: TraceRecord, slice: Slice, open: FindOpen): void {
    const schid = args[0] & 0xffff;
    if (event === 'vfio_ccw_Q7' || event === 'ccw_rfc_Q4') this.#notified = schid;
    if (event === 'vfio_ccw_Q3' || event === 'ccw_rfc_Q1') {
      this.#started = schid;
      const flow = this.#flow('I/O');
      this.#ios.set(schid, flow);
      this.#throughExit(flow, SSCH, open);
    }
    this.#through(this.#ios.get(schid), slice, 'end');
  }
  #virtualInterrupt(guest: number, slice: Slice): void {
    if (this.#notified !== undefined) this.#hosts.set(guest, this.#notified);
    this.#notified = undefined;
    this.#through(this.#ios.get(this.hostSubchannel(guest)), slice, 'begin');
  }
  /** @param subsystemId subsystem-identification word */
  #ofGuest(subsystemId: number, slice: Slice): void {
    this.#through(this.#ios.get(this.hostSubchannel(subsystemId & 0xffff)), slice, 'begin');
  }
  #instruction(args: readonly number[], open: FindOpen): void {
    const [opcode, guest] = args;
    if (opcode === SSCH && this.#started !== undefined) {
      this.#hosts.set(guest & 0xffff, this.#started);
      this.#started = undefined;
    }
    if (!this.endsIo(args)) return;
    const host = this.hostSubchannel(guest & 0xffff);
    const flow = this.#ios.get(host);
    if (flow === undefined) return;
    this.#throughExit(flow, TSCH, open);
    this.#ios.delete(host);
  }

  #kill({ actor, args: [pe, entry, count, window] }: TraceRecord, slice: Slice): void {
    if (window < 0 || count > MOST_ENTRIES) return;
    // Real mode's own, or of the call that another thread works for: the last one that was made.
    const call = this.#calls.get(actor) ?? [...this.#calls.values()].at(-1);
    if (call === undefined) return;
    if (call.flow === undefined) {
      call.flow = this.#flow(call.name);
      this.#through(call.flow, call.slice, 'begin');
    }
    if (call.thread !== actor) this.#through(call.flow, slice, 'begin');
    for (let n = entry; n < entry + count; n++) this.#entries.set(entryKey(pe, window, n), call.flow);
  }
}

function entryKey(pe: number, window: number, entry: number): string {
  return `${pe} ${window} ${entry}`;
}
