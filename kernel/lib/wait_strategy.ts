/**
 * Who spins, who sleeps: one table for every pair of threads, and the argument why it is right.
 *
 * Measured on two CPUs (medians): a futex wake-up across CPUs costs about 20 us one way because the idle CPU is
 * halted; a spinning partner answers in 0.15 us. With three parties on two CPUs, equal spinning makes everything
 * slower (up to 1 ms a chain): somebody spins on the CPU that the party with the work needs. The best arrangement
 * keeps one CPU busy with the *waiting guest* and lets VMM and kernel hand over by futex on the other CPU, where a
 * hand-over is a context switch of about 4 us. So:
 *
 * - a vCPU that waits for an answer spins, for it is the waiting guest;
 * - the VMM spins only on the guest, and only while the guest really runs and the host works at none of its I/Os: when
 *   the guest is idle or in the kernel, or has started an I/O, the CPU belongs to kernel and hardware; while the VMM
 *   waits for a system call it sleeps at once;
 * - the kernel spins only after it has served a hypercall (the two-party fast path, VMM asleep), never after a system
 *   call, when the VMM needs the CPU;
 * - hardware threads always sleep: their clients wait microseconds to milliseconds anyway.
 *
 * With four or more CPUs nobody takes a CPU from anybody, and everyone may spin for about 100 us. On a single CPU nobody
 * spins. Where spinning turns out vain, because other programs have the CPUs, `spin_budget.ts` shortens it.
 *
 * Ordering argument (lost wake-ups are impossible). A waker first stores the news (an atomic store), then adds 1 to
 * the doorbell's sequence, then exchanges its word `sleeping` for 0 (a load that finds 0 will do), and notifies if it
 * was 1. A sleeper first reads the sequence S, then tests all its waits; if none is ready it stores 1 in `sleeping`,
 * compares the sequence with S, and if it is the same waits while `sleeping` is 1. All are sequentially consistent
 * operations, hence in one total order. News stored before the sleeper's read of S was seen by the tests; news stored
 * after it is followed by an add. If that add comes before the sleeper's comparison, it does not sleep. Otherwise the
 * sleeper's store of 1 precedes the waker's look at the word. Either it finds the 1 and takes it; or another waker has
 * taken it since that store. Whoever took it notifies afterwards: a sleeper that has begun to wait is woken, and one that
 * has not yet finds 0 where it waits for the end of 1.
 *
 * Only the waker that took the word notifies. A wake-up takes long, and calls for one thread wait for each other in the
 * engine: a guest that hurries from its interruption to its next exit would wait for the kernel to have woken the VMM.
 *
 * An actor may serve one task repeatedly without testing the others (`ThreadedActor`): only while the sequence is
 * exactly one more than at the last look for each time that task became ready. Every waker adds once for each piece of
 * news, so a ring for somebody else makes the sequence larger than that, at the latest when the task's own ring, which
 * may lag behind its news, has arrived. It never sleeps on that: whatever ends the repetition, the sequence is read
 * anew and all tasks are tested before the next sleep, so that a wrong guess costs microseconds and loses nothing.
 *
 * A task may watch (`Wait.watch`): while it does, whoever has news for it sees so in a word of theirs and need not ring.
 * The watch takes the word back before it returns, and the task's `ready` is asked once more before the actor sleeps: news
 * whose bringer still found the word set was stored before that look. In a watch, too, the doorbell is looked at all the
 * time, and what it says ends the watch: news for others waits for one call at most.
 */
import type { WaitClass } from './task.ts';

export interface WaitStrategy {
  /** Loads of the doorbell before sleeping, with two or three CPUs. One load and loop turn is about 5 ns. */
  readonly spins2: number;
  /** The same with four CPUs and more. */
  readonly spins4: number;
  /** True: counts whenever a task of the actor waits so. False: only if the task that ran last waits so. */
  readonly always: boolean;
}

/** The table: how a thread waits, by what its tasks wait for. */
export const WAIT_STRATEGY: Readonly<Record<WaitClass, WaitStrategy>> = {
  /** vCPU, for the VMM to finish an exit. */
  vcpu_reply: { spins2: 100_000, spins4: 100_000, always: true },
  /** vCPU, for the kernel to finish a hypercall in virtual mode. */
  vcpu_hcall: { spins2: 100_000, spins4: 100_000, always: true },
  /** vCPU in an enabled wait: it is still the waiting guest while its I/O is under way. */
  vcpu_idle: { spins2: 60_000, spins4: 20_000, always: true },
  /** VMM, for the guest's next exit. */
  vmm_guest: { spins2: 100_000, spins4: 20_000, always: true },
  /** Kernel, for the next hypercall after it has served one. */
  kernel_hcall: { spins2: 10_000, spins4: 20_000, always: false },
  /** With few CPUs never spin while any task waits so (the VMM inside a system call): a row of 0 forbids it to all. */
  sleep: { spins2: 0, spins4: 10_000, always: true },
};

/** From so many CPUs on nobody takes one from anybody: the measurements above were made on two. */
export const FOUR_CPUS = 4;

/** Loads of the doorbell before sleeping, for one that waits so on a host with `cpus` CPUs. */
export function spinsOn(cpus: number, wait: WaitClass): number {
  if (cpus === 1) return 0;
  return cpus >= FOUR_CPUS ? WAIT_STRATEGY[wait].spins4 : WAIT_STRATEGY[wait].spins2;
}

/** The strategy that a host with `cpus` CPUs gets, in words. */
export function describeWaits(cpus: number): string {
  if (cpus === 1) return 'one CPU: everybody sleeps';
  if (cpus >= FOUR_CPUS) return 'four CPUs or more: everybody spins before it sleeps';
  return 'two or three CPUs: the guest spins, its VMM and kernel while they serve it; all others sleep';
}
