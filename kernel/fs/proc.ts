/** What /proc tells a process of itself (fs/proc/task_mmu.c). */
import type { Mm } from '../mm/mm.ts';
import type { Vfs } from './vfs.ts';

/** KiB in a page frame. */
const PAGE_KIB = 4;

/** Adds /proc/self/status, as far as it is known: VmLck counts the pages that are charged to the locked-memory limit. */
export function registerProc(vfs: Vfs, current: { readonly mm: Pick<Mm, 'lockedVm'> }): void {
  vfs.attribute(
    '/proc/self/status',
    () => `Name:\tminivisor\nVmLck:\t${`${current.mm.lockedVm * PAGE_KIB}`.padStart(8)} kB`,
  );
}
