/** A host of a few page frames, for unit tests of what lives in shared memory. */
import { createMemory, HostMemory, PAGE_SIZE } from '../../kernel/lib/host_memory.ts';
import { type SharedMap, sharedMap } from '../../kernel/lib/shared_map.ts';
import type { Task } from '../../kernel/lib/task.ts';

/** A map with all areas but only `frames` page frames to hand out, and memory for it. */
export function smallMachine(frames: number, vcpus = 1): { memory: HostMemory; map: SharedMap } {
  const whole = sharedMap({ guestMemory: 1 << 20, vcpus, hardware: ['iop0'] });
  const map = { ...whole, size: whole.firstFrame + frames * PAGE_SIZE };
  return { memory: new HostMemory(createMemory(map.size)), map };
}

/** Runs a task alone to its end. @throws Error when it would have to wait for somebody else */
export function finish<T>(task: Task<T>): T {
  for (;;) {
    const step = task.next();
    if (step.done) return step.value;
    if (!step.value.ready()) throw new Error(`would wait: ${step.value.what}`);
  }
}

/** The `code` of the error that `action` throws: `EFAULT`; or what it returned. */
export function codeOf(action: () => unknown): unknown {
  try {
    return action();
  } catch (error) {
    return (error as { code?: string }).code ?? error;
  }
}
