/** Ending a run: one word everybody looks at, and a ring of every doorbell so that sleepers look too. */
import { Doorbell } from './doorbell.ts';
import type { HostMemory } from './host_memory.ts';
import type { SharedMap } from './shared_map.ts';

/** True once the machine is to stop. */
export function stopping(memory: HostMemory, map: SharedMap): boolean {
  return memory.load(map.control.stop) !== 0;
}

/** Makes every scheduler loop end. */
export function stopMachine(memory: HostMemory, map: SharedMap): void {
  memory.store(map.control.stop, 1);
  for (const { doorbell } of map.actors) new Doorbell(memory, doorbell).ring();
}
