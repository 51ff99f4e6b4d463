/** What ioctls need of the machine when no guest waits for them: set-up, before it runs or while it runs on. */
import type { KernelWorkDone } from '../../kernel/lib/kernel_work.ts';
import type { PerOperation } from './figures.ts';

/** Doorbells that a system call rings: the kernel's, and the VMM's when it is done (hypervisor/syscall.ts, kernel/syscall/entry.ts). */
const RINGS = 2;

/** @param ioctls of one operation, made one after the other. @param work what the kernel counted meanwhile */
export function workOfIoctls(ioctls: number, work: KernelWorkDone): PerOperation {
  return { exits: 0, systemCalls: ioctls, handOffs: RINGS * ioctls, ...work };
}
