/**
 * The end of a process (kernel/exit.c, do_exit): its threads are gone, and the kernel takes back what it had, while other
 * processes go on. The end of the last one is the end of the host's run.
 */
import type { Kernel } from './kernel.ts';
import { processThreads } from './lib/shared_map.ts';
import { stopMachine } from './lib/stop.ts';
import { type Task, until } from './lib/task.ts';
import type { Process } from './process.ts';
import { BUG } from './syscall/ioctl.ts';

/** Waits for the process's threads to end, then closes its files and unmaps its memory. Runs for the process. */
export function* exitProcess(kernel: Kernel, process: Process): Task {
  const { memory } = kernel;
  const { comm, files, mm, map, posted } = process;
  yield* until(`threads of ${comm} to end`, () => memory.load(map.control.ended) >= processThreads(map));
  process.exiting = true;
  yield* until(`system calls of ${comm} to begin`, () => posted.empty());
  // A call may wait for what only this brings about: unbind of a device that the process itself has open.
  yield* files.closeAll();
  // What its threads have asked for and nobody waits for any more is done to its end, with the files and the memory it is
  // about: a call has references of its own to what it uses.
  yield* until(`system calls of ${comm} to end`, () => posted.empty() && process.calls === 0);
  // What those calls have opened.
  yield* files.closeAll();
  yield* mm.exit();
  if (mm.lockedVm !== 0) kernel.log(`${BUG}${comm}: ${mm.lockedVm} pages are charged after its end`);
  process.dead = true;
  if (kernel.processes.every(({ dead }) => dead)) stopMachine(memory, kernel.map);
}
