/**
 * Stash ids: which cache DMA data is pushed into (drivers/iommu/fsl_pamu.c, get_stash_id). Linux reads them from the device
 * tree (property cache-stash-id of CPUs and caches); this is the table of the modelled machine.
 */
import { VFIO_PAMU_STASH_CACHE } from '../include/uapi/vfio.ts';

/** CPUs, each with a level 1 and a level 2 cache of its own (p4080si-post.dtsi). */
const CPUS = 8;
/** The platform cache, of all CPUs. */
const PLATFORM_ID = 0x1f;

/** The stash id of a cache; undefined when there is no such cache. The third level belongs to no CPU: any number will do. */
export function stashId(cpu: number, cache: number): number | undefined {
  if (cache === VFIO_PAMU_STASH_CACHE.L3) return PLATFORM_ID;
  if (cpu >= CPUS) return undefined;
  if (cache === VFIO_PAMU_STASH_CACHE.L1) return 1 + 2 * cpu;
  return cache === VFIO_PAMU_STASH_CACHE.L2 ? 2 + 2 * cpu : undefined;
}
