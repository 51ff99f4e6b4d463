/** An actor that dies after a while: for the test of what a user is told then. */
import type { ActorContext } from '../../kernel/lib/actor_module.ts';
import { sleep } from '../../kernel/lib/task.ts';

export function start({ actor }: ActorContext): undefined {
  actor.spawn(
    'doomed',
    (function* () {
      yield* sleep(actor, 50e6);
      throw new Error('the test wanted it so');
    })(),
  );
}
