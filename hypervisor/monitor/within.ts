/** Waits for a task as long as it takes little time, and lets it go otherwise. */
import type { Actor, Task } from '../../kernel/lib/task.ts';

/** The value of a task that has ended, or what is left of it: a task to be run by somebody else. */
type Within<T> = { readonly value: T; readonly rest?: undefined } | { readonly rest: Task<T> };

/** Runs `task` for at most `ns` nanoseconds of scheduler time. A step that is under way is not cut short. */
export function* within<T>(actor: Actor, task: Task<T>, ns: number): Task<Within<T>> {
  const deadline = actor.now() + ns;
  for (;;) {
    const step = task.next();
    if (step.done) return { value: step.value };
    const wait = step.value;
    yield wait.deadline !== undefined && wait.deadline <= deadline
      ? wait
      : { ...wait, ready: () => wait.ready(), deadline };
    if (actor.now() < deadline) continue;
    const rest = function* (): Task<T> {
      yield wait;
      return yield* task;
    };
    return { rest: rest() };
  }
}
