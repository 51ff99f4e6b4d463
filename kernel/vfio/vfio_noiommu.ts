/**
 * No-IOMMU groups (CONFIG_VFIO_NOIOMMU, drivers/vfio/group.c and container.c): a device without an IOMMU is given to user
 * space all the same. Nothing confines what it reads and writes, so an administrator has to switch the mode on, the
 * process needs CAP_SYS_RAWIO, and the kernel is tainted. The container has no mappings: the backend knows no command.
 */
import { Errno } from '../include/uapi/errno.ts';
import { VFIO_CHECK_EXTENSION } from '../include/uapi/ioctl.ts';
import { VFIO_NOIOMMU_IOMMU } from '../include/uapi/vfio.ts';
import type { Kernel } from '../kernel.ts';
import { ioctlOperation, row } from '../syscall/ioctl.ts';
import type { IommuGroup, VfioIommu, VfioIommuDriver } from './vfio.ts';

/** The switch: a parameter of module vfio. */
const PARAMETER = '/sys/module/vfio/parameters/enable_unsafe_noiommu_mode';
/** What a boolean module parameter takes (lib/kstrtox.c, kstrtobool): the first letter, of "on" and "off" the second. */
const BOOLEAN: Readonly<Record<string, boolean>> = {
  1: true,
  y: true,
  t: true,
  on: true,
  0: false,
  n: false,
  f: false,
  of: false,
};

export class VfioNoiommu {
  readonly driver: VfioIommuDriver;
  readonly #kernel: Kernel;
  readonly #newGroup: () => IommuGroup;
  #enabled = false;

  /** @param newGroup allocates a no-IOMMU group */
  constructor(kernel: Kernel, newGroup: () => IommuGroup) {
    this.#kernel = kernel;
    this.#newGroup = newGroup;
    const noiommu = this;
    kernel.vfs.attribute(
      PARAMETER,
      () => (this.#enabled ? 'Y' : 'N'),
      function* (value) {
        noiommu.#enabled = parameterValue(value);
      },
    );
    const driver: VfioIommuDriver = {
      name: 'vfio-noiommu',
      noiommu: true,
      checkExtension: (extension) => (this.#enabled && extension === VFIO_NOIOMMU_IOMMU ? 1 : 0),
      open() {
        requireRawIo(kernel, 'vfio-noiommu');
        return noiommuContainer(kernel, driver);
      },
    };
    this.driver = driver;
  }

  /**
   * vfio_noiommu_group_alloc: a group of its own for a device that no IOMMU is in front of. The kernel is tainted.
   * @param device named in the log. @throws Errno EINVAL while the mode is off
   */
  allocateGroup(device: string): IommuGroup {
    if (!this.#enabled) throw new Errno('EINVAL', `${device}: no IOMMU group, and ${PARAMETER} is off`);
    this.#kernel.taint.add('TAINT_USER');
    this.#kernel.log(`${device}: Adding kernel taint for vfio-noiommu group on device`);
    return this.#newGroup();
  }
}

/** @throws Errno EINVAL */
function parameterValue(text: string): boolean {
  const lower = text.toLowerCase();
  const known = BOOLEAN[lower.slice(0, lower.startsWith('o') ? 2 : 1)];
  if (known === undefined) throw new Errno('EINVAL', `${PARAMETER}: "${text}"`);
  return known;
}

/** capable(CAP_SYS_RAWIO). @throws Errno EPERM */
export function requireRawIo(kernel: Kernel, what: string): void {
  if (!kernel.capable('CAP_SYS_RAWIO')) throw new Errno('EPERM', `${what}: needs CAP_SYS_RAWIO`);
}

/** The backend of a container of such groups: it maps nothing, pins nothing and refuses every command but one. */
function noiommuContainer(kernel: Kernel, driver: VfioIommuDriver): VfioIommu {
  const ioctl = ioctlOperation(kernel, [
    row(VFIO_CHECK_EXTENSION, function* (extension) {
      return driver.checkExtension(extension);
    }),
  ]);
  return { driver, ioctl, *attachGroup() {}, *detachGroup() {}, *release() {} };
}
