/**
 * The PAMU backend of VFIO: "type2" as it was discussed in April 2013, in the form the vendor kernel gave it
 * (vfio_iommu_fsl_pamu.c of Freescale's SDK), with its errors returned and DMA under user space's control. Geometry first,
 * then windows, then mappings: memory, and MSI banks, which cost a window each. Rules: vfio-pamu facts 5.
 */
import { Errno } from '../include/uapi/errno.ts';
import {
  VFIO_CHECK_EXTENSION,
  VFIO_IOMMU_MAP_DMA,
  VFIO_IOMMU_PAMU_GET_ATTR,
  VFIO_IOMMU_PAMU_GET_MSI_BANK_COUNT,
  VFIO_IOMMU_PAMU_GET_MSI_BANK_INFO,
  VFIO_IOMMU_PAMU_MAP_MSI_BANK,
  VFIO_IOMMU_PAMU_SET_ATTR,
  VFIO_IOMMU_PAMU_UNMAP_MSI_BANK,
  VFIO_IOMMU_UNMAP_DMA,
} from '../include/uapi/ioctl.ts';
import {
  VFIO_FSL_PAMU_IOMMU,
  VFIO_PAMU_ATTR,
  type vfio_pamu_attr,
  vfio_pamu_attr_enable,
  vfio_pamu_attr_geometry,
  vfio_pamu_attr_stash,
  vfio_pamu_attr_windows,
} from '../include/uapi/vfio.ts';
import type { Fields, Struct, View } from '../lib/struct.ts';
import { Mutex, type Task } from '../lib/task.ts';
import type { Mm } from '../mm/mm.ts';
import { FslPamuDomain } from '../ppc/fsl_pamu_domain.ts';
import { PamuGroup } from '../ppc/fsl_pamu_group.ts';
import type { QoriqPamu } from '../ppc/qoriq.ts';
import { type IoctlRow, ioctlOperation, row } from '../syscall/ioctl.ts';
import type { IommuGroup, VfioIommu, VfioIommuDriver } from './vfio.ts';
import { type PamuWindow, pamuMapDma, pamuUnmapDma, removeDma } from './vfio_iommu_fsl_pamu_map.ts';
import { PamuMsiBanks } from './vfio_iommu_fsl_pamu_msi.ts';
import type { VfioCore } from './vfio_main.ts';

/** Whether banks whose doorbells share a page with other registers may be mapped; in the spirit of allow_unsafe_interrupts. */
const UNSAFE_MSI = '/sys/module/vfio_iommu_fsl_pamu/parameters/allow_unsafe_msi';

/** Offers PAMU to containers. */
export function registerFslPamu(core: VfioCore, host: QoriqPamu): VfioIommuDriver {
  let unsafe = false;
  core.kernel.vfs.attribute(
    UNSAFE_MSI,
    () => (unsafe ? 'Y' : 'N'),
    function* (value) {
      if (!/^[01yn]$/i.test(value)) throw new Errno('EINVAL', `${UNSAFE_MSI}: "${value}"`);
      unsafe = /[1y]/i.test(value);
    },
  );
  const driver: VfioIommuDriver = {
    name: 'vfio-fsl-pamu',
    checkExtension: (extension) => (extension === VFIO_FSL_PAMU_IOMMU ? 1 : 0),
    open: () => new VfioPamuIommu(host, driver, () => unsafe),
  };
  core.registerIommuDriver(driver);
  return driver;
}

/** How an attribute is read and set. */
interface Attribute {
  get(u: Uint8Array): void;
  set(u: Uint8Array): void;
}

/** An attribute whose part of the union is `layout`. */
function attribute<F extends Fields>(
  layout: Struct<F>,
  get: () => Parameters<Struct<F>['make']>[0],
  set: (view: View<F>) => void,
): Attribute {
  return {
    get: (u) => u.set(layout.bytes(layout.make(get()))),
    set: (u) => set(layout.at(new DataView(u.buffer, u.byteOffset))),
  };
}

export class VfioPamuIommu implements VfioIommu {
  readonly driver: VfioIommuDriver;
  readonly ioctl: (command: number, arg: number) => Task<number>;
  readonly domain: FslPamuDomain<PamuWindow>;
  readonly #host: QoriqPamu;
  /** Of the process that chose it for its container. */
  readonly #mm: Mm;
  readonly #banks: PamuMsiBanks;
  /** vfio_iommu.lock: every command and every change of groups. */
  readonly #mutex = new Mutex('vfio_iommu_fsl_pamu');
  readonly #attributes: ReadonlyMap<number, Attribute>;

  constructor(host: QoriqPamu, driver: VfioIommuDriver, unsafeMsi: () => boolean) {
    const domain = new FslPamuDomain<PamuWindow>(host.pamu);
    this.#host = host;
    this.#mm = host.kernel.mm;
    this.driver = driver;
    this.domain = domain;
    this.#banks = new PamuMsiBanks(host.msi, domain, unsafeMsi);
    this.#attributes = new Map([
      [
        VFIO_PAMU_ATTR.GEOMETRY,
        attribute(
          vfio_pamu_attr_geometry,
          () => ({ aperture_start: domain.geometry.start, aperture_end: domain.geometry.end }),
          ({ aperture_start, aperture_end }) => domain.setGeometry(aperture_start, aperture_end),
        ),
      ],
      [
        VFIO_PAMU_ATTR.WINDOWS,
        attribute(
          vfio_pamu_attr_windows,
          () => ({ count: domain.windows }),
          ({ count }) => domain.setWindows(count),
        ),
      ],
      [
        VFIO_PAMU_ATTR.STASH,
        attribute(
          vfio_pamu_attr_stash,
          () => domain.stash,
          ({ cpu, cache }) => domain.setStash({ cpu, cache }),
        ),
      ],
      [
        VFIO_PAMU_ATTR.ENABLE,
        attribute(
          vfio_pamu_attr_enable,
          () => ({ enable: domain.enabled ? 1 : 0, faulted: domain.faulted }),
          ({ enable }) => this.#setEnable(enable),
        ),
      ],
    ]);
    this.ioctl = ioctlOperation(host.kernel, this.#rows());
  }

  #rows(): IoctlRow[] {
    const iommu = this;
    const banks = this.#banks;
    const { domain } = this;
    const { kernel } = this.#host;
    return [
      row(VFIO_CHECK_EXTENSION, function* (extension) {
        return iommu.driver.checkExtension(extension);
      }),
      row(VFIO_IOMMU_PAMU_GET_ATTR, (_arg, attr) => iommu.#locked(() => iommu.#attribute(attr).get(attr.u))),
      row(VFIO_IOMMU_PAMU_SET_ATTR, (_arg, attr) => iommu.#locked(() => iommu.#attribute(attr).set(attr.u))),
      row(VFIO_IOMMU_MAP_DMA, (_arg, map) => iommu.#lockedTask(() => pamuMapDma(kernel, domain, map))),
      row(VFIO_IOMMU_UNMAP_DMA, (_arg, unmap) => iommu.#locked(() => pamuUnmapDma(iommu.#mm, domain, unmap))),
      row(VFIO_IOMMU_PAMU_GET_MSI_BANK_COUNT, function* () {
        return banks.count;
      }),
      row(VFIO_IOMMU_PAMU_MAP_MSI_BANK, (_arg, { msi_bank_index, iova }) =>
        iommu.#locked(() => banks.map(msi_bank_index, iova)),
      ),
      row(VFIO_IOMMU_PAMU_UNMAP_MSI_BANK, (_arg, { iova }) => iommu.#locked(() => banks.unmap(iova))),
      row(VFIO_IOMMU_PAMU_GET_MSI_BANK_INFO, (_arg, info) => iommu.#locked(() => banks.info(info))),
    ];
  }

  #locked(body: () => void): Task<number> {
    return this.#lockedTask(function* () {
      body();
    });
  }
  *#lockedTask(body: () => Task): Task<number> {
    yield* this.#mutex.lock();
    try {
      yield* body();
      return 0;
    } finally {
      this.#mutex.unlock();
    }
  }

  /** @throws Errno EINVAL */
  #attribute(attr: View<typeof vfio_pamu_attr.fields>): Attribute {
    const found = this.#attributes.get(attr.attribute);
    if (found === undefined) throw new Errno('EINVAL', `PAMU attribute ${attr.attribute}`);
    return found;
  }

  #setEnable(enable: number): void {
    if (enable === 0) this.domain.disable();
    else this.domain.enable();
  }

  /** @throws Errno ENODEV for a group that no PAMU is in front of; EINVAL, ENOSPC */
  *attachGroup({ id, liodn }: IommuGroup): Task {
    if (!(liodn instanceof PamuGroup)) throw new Errno('ENODEV', `group ${id} is not behind a PAMU`);
    yield* this.#locked(() => liodn.claim({ domain: this.domain, messages: this.#banks }));
  }
  *detachGroup({ liodn }: IommuGroup): Task {
    if (!(liodn instanceof PamuGroup)) return;
    yield* this.#locked(() => liodn.release());
  }

  /** The last group has left, so no device uses anything of this. Memory first, then banks, as in the vendor's driver. */
  *release(): Task {
    yield* this.#locked(() => {
      removeDma(
        this.#mm,
        this.domain,
        this.domain.mappedWindows.filter(({ kind }) => kind === 'dma'),
      );
      this.#banks.release();
      this.domain.release();
    });
  }
}
