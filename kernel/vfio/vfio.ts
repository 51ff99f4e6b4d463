/**
 * The interfaces inside VFIO (include/linux/vfio.h): what an IOMMU backend and a device driver give to the core.
 * `vfio_main.ts`, `group.ts` and `container.ts` stand between them and user space.
 */
import type { Task } from '../lib/task.ts';
import type { IommuTable } from '../ppc/iommu_table.ts';
import type { FileOperations } from '../syscall/file.ts';

/** A registered backend (struct vfio_iommu_driver_ops): type1 or spapr_tce. */
export interface VfioIommuDriver {
  readonly name: string;
  /** VFIO_CHECK_EXTENSION before an IOMMU is set: > 0 when this backend has the extension. */
  checkExtension(extension: number): number;
  /** Only containers of no-IOMMU groups may use it, and they no other (vfio_iommu_driver_allowed). */
  readonly noiommu?: boolean;
  /** VFIO_SET_IOMMU chose this backend with `type`. @throws Errno */
  open(type: number): VfioIommu;
}

/** A backend opened for one container. */
export interface VfioIommu {
  readonly driver: VfioIommuDriver;
  /** @throws Errno when the group cannot join this container. */
  attachGroup(group: IommuGroup): Task;
  detachGroup(group: IommuGroup): Task;
  /** Container ioctls that the core does not know; VFIO_CHECK_EXTENSION too once a backend is set. @throws Errno ENOTTY */
  ioctl(command: number, arg: number): Task<number>;
  /** The container is gone. */
  release(): Task;
  /** powerpc: hardware tables of the DMA windows, by window number; absent in other backends. */
  readonly tceTables?: readonly (IommuTable | undefined)[];
  /** For in-kernel users (mediated devices); absent in backends that have none (ENOTTY). See vfio-tce facts 2.4. */
  readonly kernelUsers?: VfioKernelUsers;
}

/** Pinning and access by the kernel on behalf of a mediated device. */
export interface VfioKernelUsers {
  registerDevice(device: VfioDevice): void;
  unregisterDevice(device: VfioDevice): void;
  /** vfio_pin_pages: `count` pages from `iova` (page aligned); returns their HPAs. All or nothing. @throws Errno */
  pinPages(device: VfioDevice, iova: number, count: number, prot: number): Task<number[]>;
  /** vfio_unpin_pages. */
  unpinPages(device: VfioDevice, iova: number, count: number): void;
  /** vfio_dma_rw: copies between `[iova, ...)` and `bytes`. @throws Errno */
  dmaRw(iova: number, bytes: Uint8Array, write: boolean): Task;
  /** {@link pinPages} of one page, if it can be done without sleeping: its HPA; otherwise -1. @throws Errno */
  tryPinPage?(device: VfioDevice, iova: number, prot: number): number;
  /** {@link dmaRw} that reads, if it can be done without sleeping: false when it cannot. @throws Errno */
  tryDmaRead?(iova: number, bytes: Uint8Array): boolean;
}

/** A device that a driver offers to user space (struct vfio_device and its ops). */
export interface VfioDevice {
  /** The name VFIO_GROUP_GET_DEVICE_FD takes: mdev UUID or PCI address. */
  readonly name: string;
  readonly group: IommuGroup;
  /** First open. @throws Errno */
  openDevice(users: VfioKernelUsers | undefined): Task;
  /** Last close. */
  closeDevice(): Task;
  /** ioctl, read, write and mmap of the device descriptor. */
  readonly operations: FileOperations;
  /** Pages of `[iova, iova + size)` are about to be unmapped: let go of them. Required to pin pages. */
  dmaUnmap?(iova: number, size: number): Task;
  /** The kernel wants the device back: tell user space. */
  request?(count: number): void;
}

/** The IOMMU in front of a group, as type1 drives it (struct iommu_domain): 4K pages at any address. */
export interface IommuDomain {
  /** `hpas`: one frame for each page from `iova` on. `prot`: VFIO_DMA_MAP_FLAG. @throws Errno and nothing stays mapped */
  map(iova: number, hpas: readonly number[], prot: number): void;
  /** No device uses the frames any more when it returns. */
  unmap(iova: number, size: number): void;
  /** A container takes the group: from now on its devices reach what is mapped, and nothing else. @throws Errno */
  attach?(): void;
  /** The container lets go: its devices reach nothing. */
  detach?(): void;
}

/** An IOMMU group: the devices that share a DMA domain. */
export interface IommuGroup {
  readonly id: number;
  readonly devices: VfioDevice[];
  /** A mediated device's group: no IOMMU domain behind it. */
  readonly emulated: boolean;
  /** The IOMMU that type1 drives for it; absent where there is none of that kind. */
  readonly domain?: IommuDomain;
  /** No IOMMU stands between its device and memory: see `vfio_noiommu.ts`. */
  readonly noiommu?: boolean;
  /** Some member is bound to a host driver that does DMA: not viable. */
  ownedByHost: boolean;
  /** powerpc: the PE's table group; its meaning is the spapr backend's. */
  readonly tableGroup?: unknown;
  /** Freescale: the LIODN that its devices' DMA carries; its meaning is the PAMU backend's. */
  readonly liodn?: unknown;
  /** The bus made it at boot, and it outlives the devices that are registered with VFIO. */
  readonly permanent?: boolean;
}
