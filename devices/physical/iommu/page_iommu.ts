/** The register side of the 4K-page IOMMU: every method runs on the kernel's thread. */
import { IOMMU4K_FAULT, type Iommu4kFault } from '../../../kernel/include/arch/ppc/iommu4k.ts';
import type { HostMemory } from '../../../kernel/lib/host_memory.ts';
import { SocArea } from '../pamu/soc_area.ts';
import { iommu4kWord, setIommu4kWord } from './page_iommu_area.ts';

/** A fault that was registered. */
export interface Iommu4kFaultRecord {
  readonly liodn: number;
  readonly address: number;
  readonly write: boolean;
  readonly reason: Iommu4kFault;
}

/** Power-on: the chip has this unit. It is off. Called after `installFslSoc`, before any other thread uses the area. */
export function installIommu4k(memory: HostMemory, socBase: number): void {
  setIommu4kWord(new SocArea(memory, socBase), 'present', 1);
}

/** Whether the chip has it. */
export function hasIommu4k(memory: HostMemory, socBase: number): boolean {
  return iommu4kWord(new SocArea(memory, socBase), 'present') !== 0;
}

export class Iommu4kUnit {
  readonly #area: SocArea;

  constructor(memory: HostMemory, socBase: number) {
    this.#area = new SocArea(memory, socBase);
  }

  /** From now on the tables decide, and the PAMUs do not. @param deviceTable and messageTable are page-aligned. */
  enable(deviceTable: number, messageTable: number): void {
    this.#area.locked(() => {
      setIommu4kWord(this.#area, 'deviceTable', deviceTable);
      setIommu4kWord(this.#area, 'messageTable', messageTable);
      setIommu4kWord(this.#area, 'enabled', 1);
    });
  }

  /** Returns when no transaction uses an entry as it was before: the order of the interconnect is its lock. */
  drain(): void {
    this.#area.locked(() => {});
  }

  /** The fault that is kept, taken; undefined when there is none. */
  takeFault(): Iommu4kFaultRecord | undefined {
    return this.#area.locked(() => {
      if (iommu4kWord(this.#area, 'pending') === 0) return undefined;
      setIommu4kWord(this.#area, 'pending', 0);
      const reason = iommu4kWord(this.#area, 'reason');
      return {
        liodn: iommu4kWord(this.#area, 'liodn'),
        address: iommu4kWord(this.#area, 'addressHigh') * 2 ** 32 + iommu4kWord(this.#area, 'addressLow'),
        write: iommu4kWord(this.#area, 'write') !== 0,
        reason:
          (Object.entries(IOMMU4K_FAULT) as [Iommu4kFault, number][]).find(([, n]) => n === reason)?.[0] ?? 'BLOCKED',
      };
    });
  }
  /** Faults since power-on. */
  get faults(): number {
    return iommu4kWord(this.#area, 'faults');
  }
}
