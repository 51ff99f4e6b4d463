/**
 * Where everything shared lies in host memory, who writes it and who waits for it. Made once by the thread that
 * switches the machine on, and handed to every other as a plain object of numbers.
 *
 * | words | written by | read or waited for by |
 * |---|---|---|
 * | control.stop | whoever ends the run (main, VMM, a dying thread) | every scheduler loop and every vCPU block: those of the process, or of the whole host |
 * | control.ended | each thread of a process, once it has left its loop (atomic add) | the kernel, which then ends the process: `kernel/exit.ts` |
 * | trace rings | each actor its own: a record, then the count | who reads the trace, at the end or while the actor goes on: counts and record numbers say what was overwritten meanwhile, see `trace.ts` |
 * | trace enable | main before the start, the VMM for the monitor: a byte for each event | every trace point; a change is seen sooner or later |
 * | doorbells | any waker (sequence; takes `sleeping` back), the owner (sleeping) | the owner; argument in `wait_strategy.ts` |
 * | syscall slots | VMM: number and arguments, then state POSTED; kernel: result, then state DONE | kernel waits for POSTED, VMM for DONE: the state word carries the data by its atomic store |
 * | vCPU run page | vCPU: exit, then owner VMM; VMM: answer, then owner VCPU | each waits for its own name in the owner word |
 * | vCPU hcall page | vCPU: arguments, then POSTED; kernel: result, then DONE | as for system calls |
 * | vCPU state block | the vCPU while it owns itself; the VMM between an exit and its answer | handed over by the run page's owner word |
 * | vCPU exit statistics | the vCPU, once it enters the guest again | the VMM, now and then: a row is there when its key is; counts may be those of a moment ago |
 * | vCPU mode, requests | mode: the vCPU; requests: kernel and VMM (atomic or) | the vCPU tests requests after it set mode, the kernel tests mode after it set requests: one of the two sees the other (as in KVM's vcpu->mode protocol) |
 * | floating interrupts | kernel adds, vCPU takes; under the area's lock | vCPU, woken by its doorbell |
 * | frames, page table | kernel; transient references by anyone (atomic add, then test of the entry) | everyone: see `kernel/mm` |
 * | storage keys | the vCPU and the kernel for the guest, channels their reference and change bits; every access atomic | whoever checks key-controlled protection |
 * | css, phb, soc | the physical machine and the kernel's drivers of it, under locks described in `devices/physical`; a vCPU at the registers of a mapped BAR, under its PE's mmioLock | the I/O processors and DMA engines wait for work, the kernel for interrupts, each woken by its doorbell |
 * | net | a NIC's two sides, as `devices/physical/net/nic_area.ts` says; cables: the engine that sends adds frames, the one that receives takes them | both engines, each woken by its doorbell |
 * | monitor | main: a line, then POSTED; VMM: the answer, then ANSWERED | VMM, woken by its doorbell; main looks now and then: `monitor_mailbox.ts` |
 * | vmStates | each VMM its machine's word | any VMM and main, for `info vms`: `vm_state.ts` |
 * | work | kernel: plain words, only ever counted up | VMM, when the guest reports a measurement: `kernel_work.ts` |
 * | kvm | kernel writes; the real-mode handlers of every vCPU read and exchange | see `kernel/kvm/book3s_64_vio_hv.ts` |
 *
 * A host may run several virtual machines, each in a VMM process of its own. What belongs to a process (control, syscalls,
 * vcpus, floating, memslots, monitor, kvm, work, pageTable) is there once for each; the rest is the host's and there once.
 * The map itself shows process 0; {@link processMap} shows another one under the same names.
 */
import { DOORBELL_SIZE } from './doorbell.ts';
import { PAGE_SIZE } from './host_memory.ts';
import { KERNEL_WORK_SIZE } from './kernel_work.ts';
import { MAILBOX_SIZE } from './monitor_mailbox.ts';
import { TRACE_ENABLE_SIZE, TRACE_RECORDS, traceRingSize } from './trace.ts';
import { vmStatesSize } from './vm_state.ts';

/** What one VMM process needs. */
export interface ProcessMapConfig {
  /** Bytes of guest RAM; a multiple of the page size. */
  readonly guestMemory: number;
  readonly vcpus: number;
}

/** What the map depends on. */
export interface SharedMapConfig extends ProcessMapConfig {
  /** VMM processes beside the first; none when omitted. */
  readonly others?: readonly ProcessMapConfig[];
  /** Hardware threads: channel I/O processors, then DMA engines. */
  readonly hardware: readonly string[];
  /** Network interfaces; none when omitted. */
  readonly nics?: number;
  /** Records each trace ring has room for, a power of two; TRACE_RECORDS when omitted. */
  readonly traceRecords?: number;
}

/** The shared areas of one vCPU (byte addresses). */
export interface VcpuAreas {
  /** kvm_run's role: see `kernel/include/uapi/kvm_run.ts`. */
  readonly run: number;
  /** CPU state block: see `guest/cpu/state.ts`. */
  readonly state: number;
  readonly tlb: number;
  readonly pcCache: number;
  /** Exits by their reason: see `kernel/include/uapi/kvm_exit_stat.ts`. */
  readonly exits: number;
}

/** One actor's own. */
export interface ActorAreas {
  readonly name: string;
  readonly doorbell: number;
  readonly trace: number;
}

/** What each VMM process has for itself. */
export interface ProcessAreas {
  readonly control: {
    /** Not 0: its threads leave their loops. */
    readonly stop: number;
    /** Threads that have left them. */
    readonly ended: number;
  };
  readonly syscalls: number;
  readonly vcpus: readonly VcpuAreas[];
  /** Floating interrupts of the virtual machine. */
  readonly floating: number;
  readonly memslots: number;
  /** The monitor's mailbox: see `monitor_mailbox.ts`. */
  readonly monitor: number;
  /** Counters of what the kernel worker did for the process: see `kernel_work.ts`. */
  readonly work: number;
  /** What the real-mode handlers read, laid out by `kernel/kvm`. */
  readonly kvm: number;
  /** The VMM process's page table: see `kernel/lib/address_space.ts`. */
  readonly pageTable: number;
  /** Virtual pages the page table covers. */
  readonly pageTableEntries: number;
}

export interface SharedMap extends ProcessAreas {
  readonly size: number;
  readonly actors: readonly ActorAreas[];
  readonly traceEnable: number;
  /** The channel subsystem's state and queues, laid out by `devices/physical/css`. */
  readonly css: number;
  /** The PCI host bridge's state, laid out by `devices/physical/phb`. */
  readonly phb: number;
  /** The Freescale SoC's registers (PAMU, MPIC, DMA), laid out by `devices/physical/pamu`. */
  readonly soc: number;
  /** The NICs' registers, FIFOs and cables, laid out by `devices/physical/net`. */
  readonly net: number;
  /** One descriptor per page frame of the memory: see `kernel/mm/page.ts`. */
  readonly frames: number;
  /** One storage key per page frame of the memory: see `storage_keys.ts`. */
  readonly storageKeys: number;
  /** What each virtual machine does, a word for each: see `vm_state.ts`. */
  readonly vmStates: number;
  /** First page frame that may be allocated. */
  readonly firstFrame: number;
  /** The VMM processes of the host, by number; one as a rule. Empty in the map of one of several. */
  readonly processes: readonly ProcessAreas[];
}

/** Sizes of the fixed areas, in bytes. */
export const AREA = {
  syscalls: 64 * 128,
  run: PAGE_SIZE,
  state: PAGE_SIZE,
  tlb: 0x10000,
  pcCache: 0x10000,
  exits: PAGE_SIZE,
  floating: 4 * PAGE_SIZE,
  memslots: PAGE_SIZE,
  css: 0x20000,
  phb: 0x20000,
  soc: 0x20000,
  /** Of one NIC. */
  nic: 0x70000,
  kvm: 0x40000,
  /** Bytes of a frame descriptor. */
  frame: 16,
} as const;

/** Memory the host keeps beside the guest's RAM: kernel structures, TCE tables, the VMM's own memory. */
const HOST_RESERVE = 48 * 1024 * 1024;
/** The same for each further virtual machine. */
const PROCESS_RESERVE = 32 * 1024 * 1024;
/** Virtual address space of the VMM beyond guest RAM: heap and mapped tables. */
const VMM_RESERVE = 64 * 1024 * 1024;

/** What the threads of process `process` are called, beside those of others: `vmm`, and `vm1.vmm`. */
export function actorName(process: number, name: string): string {
  return process === 0 ? name : `vm${process}.${name}`;
}
/** Number of the process that an actor is a thread of; undefined for the host's own. */
export function processOfActor(name: string): number | undefined {
  const match = /^(?:vm(\d+)\.)?(?:vmm|vcpu\d+)$/.exec(name);
  return match === null ? undefined : Number(match[1] ?? 0);
}
/** What a thread is called in its process's map. */
export function shortName(name: string): string {
  return name.replace(/^vm\d+\./, '');
}
/** Threads of a process: its VMM and its vCPUs. */
export function processThreads({ vcpus }: Pick<ProcessAreas, 'vcpus'>): number {
  return 1 + vcpus.length;
}

type Take = (size: number, align?: number) => number;

/** Names of a process's threads. */
function threadNames(process: number, vcpus: number): string[] {
  return ['vmm', ...Array.from({ length: vcpus }, (_, i) => `vcpu${i}`)].map((name) => actorName(process, name));
}

/** Lays everything out. @throws RangeError when it does not fit 32-bit WebAssembly memory (4 GiB). */
export function sharedMap(config: SharedMapConfig): SharedMap {
  let next = PAGE_SIZE; // address 0 stays unused, so that 0 can mean "none"
  const take: Take = (size, align = 64) => {
    const at = Math.ceil(next / align) * align;
    next = at + size;
    return at;
  };
  const { others = [] } = config;
  const [vmm, ...vcpuNames] = threadNames(0, config.vcpus);
  const otherNames = others.flatMap(({ vcpus }, i) => threadNames(i + 1, vcpus));
  const names = [vmm, 'kernel', ...vcpuNames, ...config.hardware, ...otherNames];
  const stop = take(64);
  const actors = names.map((name) => ({
    name,
    doorbell: take(DOORBELL_SIZE, DOORBELL_SIZE),
    trace: take(traceRingSize(config.traceRecords ?? TRACE_RECORDS)),
  }));
  const traceEnable = take(TRACE_ENABLE_SIZE);
  const css = take(AREA.css, PAGE_SIZE);
  const phb = take(AREA.phb, PAGE_SIZE);
  const soc = take(AREA.soc, PAGE_SIZE);
  const net = take((config.nics ?? 0) * AREA.nic, PAGE_SIZE);
  const processes = [config, ...others].map((process) => processAreas(take, process));
  const vmStates = take(vmStatesSize(processes.length));
  const reserve = HOST_RESERVE + others.length * PROCESS_RESERVE;
  const guests = [config, ...others].reduce((sum, { guestMemory }) => sum + guestMemory, 0);
  const framesWanted = (guests + reserve) / PAGE_SIZE;
  // Descriptors are indexed by frame number, so those of the areas above are counted too.
  const descriptors = framesWanted + Math.ceil(next / PAGE_SIZE) + 4096;
  const frames = take(descriptors * AREA.frame, PAGE_SIZE);
  const storageKeys = take(descriptors, PAGE_SIZE);
  const firstFrame = take(0, 0x10000);
  const size = firstFrame + framesWanted * PAGE_SIZE;
  if (size > 0xffff_0000) throw new RangeError(`guest memory of ${guests} bytes: at most 3.5 GiB fit the host`);
  const [first] = processes;
  const host = { size, actors, traceEnable, css, phb, soc, net, frames, storageKeys, vmStates, firstFrame };
  // One process's end is the host's: they have one word for it.
  if (others.length === 0) {
    const alone = { ...first, control: { stop, ended: stop + 4 } };
    return { ...alone, ...host, processes: [alone] };
  }
  return { ...first, ...host, control: { stop, ended: stop + 4 }, processes };
}

function processAreas(take: Take, { guestMemory, vcpus }: ProcessMapConfig): ProcessAreas {
  const pageTableEntries = (guestMemory + VMM_RESERVE) / PAGE_SIZE;
  const stop = take(64);
  return {
    control: { stop, ended: stop + 4 },
    syscalls: take(AREA.syscalls, PAGE_SIZE),
    vcpus: Array.from({ length: vcpus }, () => ({
      run: take(AREA.run, PAGE_SIZE),
      state: take(AREA.state, PAGE_SIZE),
      tlb: take(AREA.tlb, PAGE_SIZE),
      pcCache: take(AREA.pcCache, PAGE_SIZE),
      exits: take(AREA.exits, PAGE_SIZE),
    })),
    floating: take(AREA.floating, PAGE_SIZE),
    memslots: take(AREA.memslots, PAGE_SIZE),
    monitor: take(MAILBOX_SIZE, PAGE_SIZE),
    kvm: take(AREA.kvm, PAGE_SIZE),
    work: take(KERNEL_WORK_SIZE),
    pageTableEntries,
    pageTable: take(pageTableEntries * 4, PAGE_SIZE),
  };
}

/**
 * The map as the threads of process `process` see it: its own areas under the usual names, and of the actors its own by
 * short names (`vmm`, `vcpu0`) and the host's. The whole map for the only process of a host.
 */
export function processMap(map: SharedMap, process: number): SharedMap {
  if (map.processes.length <= 1) return map;
  const actors = map.actors.flatMap((actor) => {
    const owner = processOfActor(actor.name);
    if (owner === undefined) return [actor];
    return owner === process ? [{ ...actor, name: shortName(actor.name) }] : [];
  });
  return { ...map, ...map.processes[process], actors, processes: [] };
}

/** The doorbell or trace ring of a named actor. @throws Error for a name the map does not have. */
export function actorAreas(map: SharedMap, name: string): ActorAreas {
  const areas = map.actors.find((actor) => actor.name === name);
  if (areas === undefined) throw new Error(`no actor named ${name}`);
  return areas;
}
