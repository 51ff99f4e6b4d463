/** Refusals of the sPAPR TCE backend, versions 1 and 2. */

import * as ioctls from '../../kernel/include/uapi/ioctl.ts';
import { TestHost } from '../../kernel/kvm/test_host.ts';
import { spaprTceDriver } from '../../kernel/vfio/vfio_iommu_spapr_tce.ts';
import { bare, create, K, limited, R, type Row, SPAPR, SPAPR2, spapr, W } from './surroundings.ts';

export const SPAPR_ROWS: readonly Row[] = [
  // sPAPR TCE.
  [
    ioctls.VFIO_IOMMU_MAP_DMA,
    'spapr: no memory registered',
    spapr(({ host, fd, ram }) => host.mapDma(fd, 0, ram, K), SPAPR),
    'EPERM',
  ],
  [
    ioctls.VFIO_IOMMU_MAP_DMA,
    'spapr: no window there',
    spapr(({ host, fd, ram }) => host.mapDma(fd, 2 ** 59, ram, K)),
    'ENXIO',
  ],
  [
    ioctls.VFIO_IOMMU_MAP_DMA,
    'spapr: memory not registered',
    spapr(({ host, fd, ram }) => host.mapDma(fd, 0, ram + 16 * K, K)),
    'EINVAL',
  ],
  [
    ioctls.VFIO_IOMMU_MAP_DMA,
    'spapr: the group left before its window was made',
    windowOwed(ioctls.VFIO_IOMMU_MAP_DMA),
    'ENODEV',
  ],
  [
    ioctls.VFIO_IOMMU_UNMAP_DMA,
    'spapr: no memory registered',
    spapr(({ host, fd }) => host.unmapDma(fd, 0, K), SPAPR),
    'EPERM',
  ],
  [
    ioctls.VFIO_IOMMU_UNMAP_DMA,
    'spapr: no window there',
    spapr(({ host, fd }) => host.unmapDma(fd, 2 ** 59, K)),
    'ENXIO',
  ],
  [
    ioctls.VFIO_IOMMU_UNMAP_DMA,
    'spapr: with flags',
    spapr(({ host, fd }) => host.ioctlStruct(fd, ioctls.VFIO_IOMMU_UNMAP_DMA, { flags: 1, size: K })),
    'EINVAL',
  ],
  [
    ioctls.VFIO_IOMMU_UNMAP_DMA,
    'spapr: the group left before its window was made',
    windowOwed(ioctls.VFIO_IOMMU_UNMAP_DMA),
    'ENODEV',
  ],
  [
    ioctls.VFIO_IOMMU_UNMAP_DMA,
    'spapr: no memory for the window that is owed',
    spapr(function* ({ host, fd }) {
      yield* host.ioctl(fd, ioctls.VFIO_IOMMU_ENABLE);
      host.kernel.mm.lockLimit = 0;
      return yield* host.unmapDma(fd, 0, K);
    }, SPAPR),
    'ENOMEM',
  ],
  [
    ioctls.VFIO_IOMMU_ENABLE,
    'limit',
    spapr(({ host, fd }) => limited(host, 0, host.ioctl(fd, ioctls.VFIO_IOMMU_ENABLE)), SPAPR),
    'ENOMEM',
  ],
  [ioctls.VFIO_IOMMU_ENABLE, 'no group', bare(ioctls.VFIO_IOMMU_ENABLE, {}, SPAPR), 'ENODEV'],
  [
    ioctls.VFIO_IOMMU_ENABLE,
    'twice',
    spapr(function* ({ host, fd }) {
      yield* host.ioctl(fd, ioctls.VFIO_IOMMU_ENABLE);
      return yield* host.ioctl(fd, ioctls.VFIO_IOMMU_ENABLE);
    }, SPAPR),
    'EBUSY',
  ],
  [ioctls.VFIO_IOMMU_SPAPR_TCE_GET_INFO, 'no group', bare(ioctls.VFIO_IOMMU_SPAPR_TCE_GET_INFO), 'ENXIO'],
  [
    ioctls.VFIO_IOMMU_SPAPR_TCE_GET_INFO,
    'bad pointer',
    spapr(({ host, fd }) => host.ioctl(fd, ioctls.VFIO_IOMMU_SPAPR_TCE_GET_INFO, 8)),
    'EFAULT',
  ],
  [
    ioctls.VFIO_IOMMU_SPAPR_REGISTER_MEMORY,
    'nothing',
    spapr(({ host, fd, ram }) => host.register(fd, ram + 16 * K, 0)),
    'EINVAL',
  ],
  [
    ioctls.VFIO_IOMMU_SPAPR_REGISTER_MEMORY,
    'unaligned',
    spapr(({ host, fd, ram }) => host.register(fd, ram + 1, 1)),
    'EINVAL',
  ],
  [ioctls.VFIO_IOMMU_SPAPR_REGISTER_MEMORY, 'twice', spapr(({ host, fd, ram }) => host.register(fd, ram, 16)), 'EBUSY'],
  [
    ioctls.VFIO_IOMMU_SPAPR_REGISTER_MEMORY,
    'overlap',
    spapr(({ host, fd, ram }) => host.register(fd, ram, 17)),
    'EINVAL',
  ],
  [
    ioctls.VFIO_IOMMU_SPAPR_REGISTER_MEMORY,
    'nothing there',
    spapr(({ host, fd }) => host.register(fd, 0x1000, 1)),
    'EFAULT',
  ],
  [
    ioctls.VFIO_IOMMU_SPAPR_REGISTER_MEMORY,
    'limit',
    spapr(({ host, fd, ram }) => limited(host, 0, host.register(fd, ram + 16 * K, 1))),
    'ENOMEM',
  ],
  [
    ioctls.VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY,
    'unaligned',
    spapr(({ host, fd, ram }) => host.unregister(fd, ram + 1, 16)),
    'EINVAL',
  ],
  [
    ioctls.VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY,
    'another size',
    spapr(({ host, fd, ram }) => host.unregister(fd, ram, 15)),
    'ENOENT',
  ],
  [
    ioctls.VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY,
    'mapped',
    spapr(function* ({ host, fd, ram }) {
      yield* host.mapDma(fd, 0, ram, K);
      return yield* host.unregister(fd, ram, 16);
    }),
    'EBUSY',
  ],
  [ioctls.VFIO_IOMMU_SPAPR_TCE_CREATE, 'odd page size', create({ page_shift: 13 }), 'EINVAL'],
  [ioctls.VFIO_IOMMU_SPAPR_TCE_CREATE, 'odd size', create({ window_size: 3 * K }), 'EINVAL'],
  [ioctls.VFIO_IOMMU_SPAPR_TCE_CREATE, 'no levels', create({ levels: 0 }), 'EINVAL'],
  [ioctls.VFIO_IOMMU_SPAPR_TCE_CREATE, 'six levels', create({ levels: 6 }), 'EINVAL'],
  [ioctls.VFIO_IOMMU_SPAPR_TCE_CREATE, 'flags', create({ flags: 1 }), 'EINVAL'],
  [ioctls.VFIO_IOMMU_SPAPR_TCE_CREATE, 'more than the host has', create({ window_size: 2 ** 50 }), 'ENOMEM'],
  [ioctls.VFIO_IOMMU_SPAPR_TCE_CREATE, 'no group', bare(ioctls.VFIO_IOMMU_SPAPR_TCE_CREATE), 'ENXIO'],
  [
    ioctls.VFIO_IOMMU_SPAPR_TCE_CREATE,
    'a third window',
    spapr(function* ({ host, fd }) {
      const window = { page_shift: 12, window_size: 65536, levels: 1 };
      yield* host.ioctlStruct(fd, ioctls.VFIO_IOMMU_SPAPR_TCE_CREATE, window);
      return yield* host.ioctlStruct(fd, ioctls.VFIO_IOMMU_SPAPR_TCE_CREATE, window);
    }),
    'ENOSPC',
  ],
  [
    ioctls.VFIO_IOMMU_SPAPR_TCE_REMOVE,
    'no window there',
    spapr(({ host, fd }) => host.ioctlStruct(fd, ioctls.VFIO_IOMMU_SPAPR_TCE_REMOVE, { start_addr: 2 ** 59 })),
    'EINVAL',
  ],
  [
    ioctls.VFIO_IOMMU_SPAPR_TCE_REMOVE,
    'inside a window',
    spapr(({ host, fd }) => host.ioctlStruct(fd, ioctls.VFIO_IOMMU_SPAPR_TCE_REMOVE, { start_addr: K })),
    'EINVAL',
  ],
  [ioctls.VFIO_EEH_PE_OP, 'operation 10', eeh({ op: 10 }), 'EINVAL'],
  [ioctls.VFIO_EEH_PE_OP, 'flags', eeh({ op: 4, flags: 1 }), 'EINVAL'],
  [ioctls.VFIO_EEH_PE_OP, 'an error without its description', eeh({ op: 9, argsz: 39 }), 'EINVAL'],
  [ioctls.VFIO_EEH_PE_OP, 'an error of an unknown type', eeh({ op: 9, err_type: 2 }), 'EINVAL'],
  [ioctls.VFIO_EEH_PE_OP, 'an error of an unknown function', eeh({ op: 9, err_func: 20 }), 'EINVAL'],
  [
    ioctls.VFIO_EEH_PE_OP,
    'the description of an error would be where nothing is',
    spapr(function* ({ host, fd, ram }) {
      // The mandatory part is the end of the mapping.
      const at = ram + 32 * K - 12;
      const words = new Uint8Array(Uint32Array.of(40, 0, 9).buffer);
      yield* host.kernel.mm.space.copy(at, words, true);
      return yield* host.ioctl(fd, ioctls.VFIO_EEH_PE_OP as ioctls.Ioctl, at);
    }),
    'EFAULT',
  ],
];

function eeh(values: object): () => unknown {
  return spapr(({ host, fd }) => host.ioctlStruct(fd, ioctls.VFIO_EEH_PE_OP, values));
}

/** A backend whose group came and left before anything made the default window. */
function windowOwed(ioctl: ioctls.Ioctl): () => unknown {
  return () => {
    const host = new TestHost();
    const backend = spaprTceDriver(host.powernv).open(SPAPR2);
    const group = { id: 0, devices: [], emulated: false, ownedByHost: false, tableGroup: host.powernv.groups[0] };
    const vaddr = host.ram(1);
    const call = (one: ioctls.Ioctl, fields: object) => {
      host.poke(0, one.struct?.bytes(one.struct.make({ argsz: one.struct.size, ...fields })) as Uint8Array);
      return host.errno(() => backend.ioctl(one.number, host.user));
    };
    call(ioctls.VFIO_IOMMU_SPAPR_REGISTER_MEMORY, { vaddr, size: K });
    host.run(() => backend.attachGroup(group));
    host.run(() => backend.detachGroup(group));
    return call(ioctl, { flags: ioctl === ioctls.VFIO_IOMMU_MAP_DMA ? R | W : 0, vaddr, size: K });
  };
}
