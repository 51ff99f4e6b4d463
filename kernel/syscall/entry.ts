/** The kernel's end of a process's system-call line: takes posted slots off the ring and runs each call as a task. */

import { Errno } from '../include/uapi/errno.ts';
import { NR, SLOT, SYSCALL_SLOT } from '../include/uapi/syscall.ts';
import type { Kernel } from '../kernel.ts';
import { type Task, until, type Wait } from '../lib/task.ts';
import { EVENT } from '../lib/trace.ts';
import type { Process } from '../process.ts';
import { SYSCALLS } from './syscalls.ts';

const { offset, size } = SYSCALL_SLOT;

/** Serves system calls of a process as long as it lives. */
export function* syscallEntry(kernel: Kernel, process: Process): Task {
  const { posted } = process;
  const { syscalls } = process.map;
  const some = () => !posted.empty() || process.dead;
  while (!process.dead) {
    yield* until('system call', some);
    for (let slot = posted.pop(); slot !== undefined; slot = posted.pop()) {
      process.calls++;
      begin(kernel, process, serve(kernel, process, syscalls + slot * size));
    }
  }
}

/**
 * A call that need not wait is over before the next one is looked at: most are. Where the schedule is simulated every call
 * is a task from its beginning, so that others may come first.
 */
function begin(kernel: Kernel, process: Process, call: Task): void {
  if (!kernel.actor.simulated) {
    const { done, value } = call.next();
    if (done === true) return;
    kernel.spawn(process, 'syscall', rest(call, value as Wait));
    return;
  }
  kernel.spawn(process, 'syscall', call);
}

/** A call that waits already. */
function* rest(call: Task, wait: Wait): Task {
  yield wait;
  yield* call;
}

function* serve(kernel: Kernel, process: Process, slot: number): Task {
  const { memory } = kernel;
  const nr = memory.dv.getUint32(slot + offset.nr, true);
  const args = argumentsOf(memory.dv, slot + offset.args);
  const number = (slot - process.map.syscalls) / size;
  kernel.tracer.point(EVENT.sys_enter, nr, args[0], args[1], number);
  let result: number;
  try {
    const row = SYSCALLS[nr];
    if (row === undefined) throw new Errno('ENOSYS', `system call ${nr}`);
    result = yield* row.handler(kernel, args);
  } catch (error) {
    if (!(error instanceof Errno)) throw error;
    kernel.lastError = error;
    if (nr !== NR.close) kernel.log(`${SYSCALLS[nr]?.name ?? nr}: ${error.message}`);
    result = -error.errno;
  }
  kernel.tracer.point(EVENT.sys_exit, nr, result, number);
  memory.dv.setFloat64(slot + offset.ret, result, true);
  memory.store(slot + offset.state, SLOT.DONE);
  process.vmmDoorbell.ring();
  process.calls--;
}

/** The six arguments; said one by one, they are an array of doubles that is made in one go. */
function argumentsOf(dv: DataView, at: number): number[] {
  const argument = (i: number) => dv.getFloat64(at + 8 * i, true);
  return [argument(0), argument(1), argument(2), argument(3), argument(4), argument(5)];
}
