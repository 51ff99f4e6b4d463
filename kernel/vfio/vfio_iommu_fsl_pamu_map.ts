/** MAP_DMA and UNMAP_DMA of the PAMU backend, checks in the order of vfio-pamu facts 5.4. */
import { PAACE_AP } from '../include/arch/ppc/pamu.ts';
import { Errno } from '../include/uapi/errno.ts';
import {
  VFIO_DMA_MAP_FLAG,
  type vfio_iommu_type1_dma_map,
  type vfio_iommu_type1_dma_unmap,
} from '../include/uapi/vfio.ts';
import type { Kernel } from '../kernel.ts';
import { PAGE_SIZE } from '../lib/host_memory.ts';
import type { View } from '../lib/struct.ts';
import type { Task } from '../lib/task.ts';
import type { Mm } from '../mm/mm.ts';
import type { MsiBank } from '../ppc/fsl_msi.ts';
import type { FslPamuDomain } from '../ppc/fsl_pamu_domain.ts';
import type { MappedWindow } from '../ppc/windowed_domain.ts';
import { raceWindow } from './race_window.ts';

/** What devices may do with a window. */
export const PAMU_ACCESS = { READ: PAACE_AP.QUERY, WRITE: PAACE_AP.UPDATE } as const;

/** A window of a container: with pinned pages, or with an MSI bank. */
export interface PamuWindow extends MappedWindow {
  readonly bank?: MsiBank;
  /** Pinned pages, in order; none behind an MSI bank. */
  readonly pages: readonly { readonly vaddr: number; readonly hpa: number }[];
}

type Domain = FslPamuDomain<PamuWindow>;
const { READ, WRITE } = VFIO_DMA_MAP_FLAG;
const hex = (value: number) => `0x${value.toString(16)}`;

/** Every window of the range or none. @throws Errno */
export function* pamuMapDma(
  kernel: Kernel,
  domain: Domain,
  { flags, vaddr, iova, size }: View<typeof vfio_iommu_type1_dma_map.fields>,
): Task {
  const refuse = (what: string) => new Errno('EINVAL', `MAP_DMA iova ${hex(iova)} size ${hex(size)}: ${what}`);
  if ((flags & ~(READ | WRITE)) !== 0) throw refuse(`flags ${hex(flags)}`);
  if (!domain.configured) throw new Errno('ENODEV', 'MAP_DMA: geometry or windows are not set');
  if (flags === 0) throw refuse('neither READ nor WRITE');
  const first = domain.indexOf(iova);
  if (first === undefined) throw refuse('no window starts there');
  const { windowSize, geometry } = domain;
  const whole = size % windowSize === 0;
  if (size === 0 || iova + size - 1 > geometry.end) throw refuse('empty, or not inside the aperture');
  if (!whole && !(size >= PAGE_SIZE && size < windowSize && Number.isInteger(Math.log2(size))))
    throw refuse(`neither whole windows of ${hex(windowSize)} nor a power of two in one`);
  const count = whole ? size / windowSize : 1;
  for (let i = 0; i < count; i++)
    if (domain.windowAt(first + i) !== undefined)
      throw new Errno('EBUSY', `MAP_DMA: the window at ${hex(iova + i * windowSize)} is mapped`);
  const write = (flags & WRITE) !== 0;
  const { mm } = kernel;
  const pages = yield* pin(kernel, mm, vaddr, size, write);
  try {
    const length = whole ? windowSize : size;
    const windows: PamuWindow[] = [];
    for (let i = 0; i < count; i++) {
      const part = pages.slice((i * length) / PAGE_SIZE, ((i + 1) * length) / PAGE_SIZE);
      const physical = pieceOf(part);
      const access = (flags & READ ? PAMU_ACCESS.READ : 0) | (write ? PAMU_ACCESS.WRITE : 0);
      windows.push({ kind: 'dma', index: first + i, iova: iova + i * length, length, physical, access, pages: part });
    }
    for (const { physical } of windows)
      if (vaddr % PAGE_SIZE !== 0 || physical % length !== 0)
        throw refuse(`host memory at ${hex(physical)} is not aligned to ${hex(length)}`);
    domain.map(windows);
  } catch (error) {
    unpin(mm, pages, write);
    throw error;
  }
}

/** Where pages that follow each other begin. @throws Errno EFAULT when they do not */
function pieceOf(pages: PamuWindow['pages']): number {
  const [{ hpa }] = pages;
  const odd = pages.findIndex((page, i) => page.hpa !== hpa + i * PAGE_SIZE);
  if (odd >= 0)
    throw new Errno('EFAULT', `MAP_DMA: host memory is not in one piece at ${hex(pages[odd].vaddr)}; use huge pages`);
  return hpa;
}

/** Charges and pins. @throws Errno ENOMEM over the limit, EFAULT where nothing is mapped: nothing is held then */
function* pin(
  kernel: Kernel,
  mm: Mm,
  vaddr: number,
  size: number,
  write: boolean,
): Task<{ vaddr: number; hpa: number }[]> {
  const count = size / PAGE_SIZE;
  if (count > mm.space.frames.end / PAGE_SIZE)
    throw new Errno('ENOMEM', `MAP_DMA of ${count} pages: more than the machine has`);
  mm.account(count, kernel.capable('CAP_IPC_LOCK'));
  const pages: { vaddr: number; hpa: number }[] = [];
  try {
    while (pages.length < count) {
      const at = vaddr + pages.length * PAGE_SIZE;
      pages.push({ vaddr: at, hpa: yield* mm.pinPage(at, write) });
    }
    yield* raceWindow(kernel.actor);
    return pages;
  } catch (error) {
    for (const page of pages) mm.unpinPage(page.vaddr, page.hpa, false);
    mm.unaccount(count);
    throw error;
  }
}

function unpin(mm: Mm, pages: PamuWindow['pages'], dirty: boolean): void {
  for (const { vaddr, hpa } of pages) mm.unpinPage(vaddr, hpa, dirty);
  mm.unaccount(pages.length);
}

/** Takes windows out of the domain, and only then lets their pages go. @param mm whose pages they are */
export function removeDma(mm: Mm, domain: Domain, windows: readonly PamuWindow[]): void {
  domain.unmap(windows);
  for (const { pages, access } of windows) unpin(mm, pages, (access & PAMU_ACCESS.WRITE) !== 0);
}

/** `unmap.size` becomes the bytes unmapped; windows of MSI banks do not count and stay. @throws Errno EINVAL */
export function pamuUnmapDma(mm: Mm, domain: Domain, unmap: View<typeof vfio_iommu_type1_dma_unmap.fields>): void {
  const { flags, iova, size } = unmap;
  if (flags !== 0) throw new Errno('EINVAL', `UNMAP_DMA: flags ${hex(flags)}`);
  const end = iova + size;
  const hit = domain.mappedWindows.filter(
    (w) => w.kind === 'dma' && size > 0 && w.iova < end && iova < w.iova + w.length,
  );
  const cut = hit.find((w) => w.iova < iova || w.iova + w.length > end);
  if (cut !== undefined)
    throw new Errno('EINVAL', `UNMAP_DMA iova ${hex(iova)} size ${hex(size)} cuts the mapping at ${hex(cut.iova)}`);
  removeDma(mm, domain, hit);
  unmap.size = hit.reduce((sum, { length }) => sum + length, 0);
}
