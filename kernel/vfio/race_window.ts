/**
 * Points where a real kernel, with its many processors, can be overtaken between two steps. The simulated scheduler
 * explores them. A threaded kernel runs its tasks on one thread and does not pay for them.
 */
import { type Actor, preempt, type Task } from '../lib/task.ts';

/** Lets other tasks go first, when simulated. */
export function* raceWindow(actor: Actor): Task {
  if (actor.simulated) yield* preempt();
}
