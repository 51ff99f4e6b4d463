/** The kernel's end of the system-call line: takes posted slots off the ring and runs each call as a task. */

import { Errno } from '../include/uapi/errno.ts';
import { NR, SLOT, SYSCALL_RING, SYSCALL_RING_CAPACITY, SYSCALL_SLOT } from '../include/uapi/syscall.ts';
import type { Kernel } from '../kernel.ts';
import { Ring } from '../lib/ring.ts';
import { type Task, until, type Wait } from '../lib/task.ts';
import { EVENT } from '../lib/trace.ts';
import { SYSCALLS } from './syscalls.ts';

const ARGS = 6;
const { offset, size } = SYSCALL_SLOT;

/** Serves system calls for ever. */
export function* syscallEntry(kernel: Kernel): Task {
  const ring = new Ring(kernel.memory, kernel.map.syscalls + SYSCALL_RING, SYSCALL_RING_CAPACITY);
  const some = () => !ring.empty();
  for (;;) {
    yield* until('system call', some);
    for (let slot = ring.pop(); slot !== undefined; slot = ring.pop()) {
      begin(kernel, serve(kernel, kernel.map.syscalls + slot * size));
    }
  }
}

/**
 * A call that need not wait is over before the next one is looked at: most are. Where the schedule is simulated every call
 * is a task from its beginning, so that others may come first.
 */
function begin(kernel: Kernel, call: Task): void {
  if (!kernel.actor.simulated) {
    const { done, value } = call.next();
    if (done === true) return;
    kernel.actor.spawn('syscall', rest(call, value as Wait));
    return;
  }
  kernel.actor.spawn('syscall', call);
}

/** A call that waits already. */
function* rest(call: Task, wait: Wait): Task {
  yield wait;
  yield* call;
}

function* serve(kernel: Kernel, slot: number): Task {
  const { memory } = kernel;
  const nr = memory.dv.getUint32(slot + offset.nr, true);
  const args: number[] = [];
  for (let i = 0; i < ARGS; i++) args.push(memory.dv.getFloat64(slot + offset.args + 8 * i, true));
  const number = (slot - kernel.map.syscalls) / size;
  kernel.tracer.point(EVENT.sys_enter, nr, args[0], args[1], number);
  const result = yield* call(kernel, nr, args);
  kernel.tracer.point(EVENT.sys_exit, nr, result, number);
  memory.dv.setFloat64(slot + offset.ret, result, true);
  memory.store(slot + offset.state, SLOT.DONE);
  kernel.vmmDoorbell.ring();
}

function* call(kernel: Kernel, nr: number, args: readonly number[]): Task<number> {
  try {
    const row = SYSCALLS[nr];
    if (row === undefined) throw new Errno('ENOSYS', `system call ${nr}`);
    return yield* row.handler(kernel, args);
  } catch (error) {
    if (!(error instanceof Errno)) throw error;
    kernel.lastError = error;
    if (nr !== NR.close) kernel.log(`${SYSCALLS[nr]?.name ?? nr}: ${error.message}`);
    return -error.errno;
  }
}
