/** The task a pool thread runs for a hardware actor: start it, then schedule it until the machine stops. */
import type { BootData } from './actor_module.ts';
import { ActorThread } from './worker.ts';

export default async function run({
  name,
  module,
  boot,
  level,
}: {
  name: string;
  module: string;
  boot: BootData;
  level: string;
}): Promise<unknown> {
  const thread = new ActorThread();
  await thread.start(name, module, boot, level);
  return thread.run();
}
