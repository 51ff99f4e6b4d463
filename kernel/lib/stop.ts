/**
 * Ending a run: one word everybody looks at, and a ring of every doorbell so that sleepers look too. With the map of one
 * of several processes it is that process's run that ends (do_group_exit); the others go on, and so does the host.
 */
import { Doorbell } from './doorbell.ts';
import type { HostMemory } from './host_memory.ts';
import type { SharedMap } from './shared_map.ts';

/** True once the machine, or the process that the map is of, is to stop. */
export function stopping(memory: HostMemory, map: SharedMap): boolean {
  return memory.load(map.control.stop) !== 0;
}

/** Makes every scheduler loop end. */
export function stopMachine(memory: HostMemory, map: SharedMap): void {
  for (const { control } of [map, ...map.processes]) memory.store(control.stop, 1);
  for (const { doorbell } of map.actors) new Doorbell(memory, doorbell).ring();
}
