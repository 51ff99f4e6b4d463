/**
 * The host's sPAPR DMA hardware as the kernel's drivers see it: the host bridge, one table group per PE
 * (arch/powerpc/platforms/powernv), and what each process has of it. One object in the kernel's thread.
 */
import type { HostBridge } from '../../devices/physical/phb/host_bridge.ts';
import type { Kernel } from '../kernel.ts';
import { TableGroup } from './table_group.ts';
import { TceContext } from './tce_context.ts';

export class Powernv {
  readonly kernel: Kernel;
  readonly bridge: HostBridge;
  /** By PE number; undefined where there is no PE. */
  readonly groups: readonly (TableGroup | undefined)[];
  /** By process number. */
  readonly contexts: readonly TceContext[];

  /** @param phbBase the host bridge's area. @param attentionOffset see {@link TceContext} */
  constructor(kernel: Kernel, bridge: HostBridge, phbBase: number, attentionOffset: number) {
    this.kernel = kernel;
    this.bridge = bridge;
    this.contexts = kernel.processes.map((process) => new TceContext(kernel, process, phbBase, attentionOffset));
    const groups: (TableGroup | undefined)[] = [];
    for (const pe of bridge.pes()) groups[pe] = new TableGroup(this, pe);
    this.groups = groups;
  }

  /** The caller's part (`current->mm->context`). */
  get context(): TceContext {
    return this.contexts[this.kernel.process.number];
  }
  /** The caller's preregistered memory. */
  get regions(): TceContext['regions'] {
    return this.context.regions;
  }
  /** How the caller's tables are changed. */
  get ops(): TceContext['ops'] {
    return this.context.ops;
  }
}
