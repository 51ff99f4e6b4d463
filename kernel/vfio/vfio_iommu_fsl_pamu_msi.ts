/**
 * MSI banks of a PAMU container (vfio-pamu facts 3.4, 5.4): a bank is taken as a whole and gets a window that devices may
 * only write. The kernel programs messages; user space chooses the bus address and no more.
 */
import { Errno } from '../include/uapi/errno.ts';
import { VFIO_PAMU_MSI_BANK, type vfio_pamu_msi_bank_info } from '../include/uapi/vfio.ts';
import { PAGE_SIZE } from '../lib/host_memory.ts';
import type { View } from '../lib/struct.ts';
import type { FslMsi, MsiBank } from '../ppc/fsl_msi.ts';
import type { FslPamuDomain } from '../ppc/fsl_pamu_domain.ts';
import type { DeviceMessage, MessageSource } from '../ppc/message_source.ts';
import { PAMU_ACCESS, type PamuWindow } from './vfio_iommu_fsl_pamu_map.ts';

export class PamuMsiBanks implements MessageSource {
  readonly #msi: FslMsi;
  readonly #domain: FslPamuDomain<PamuWindow>;
  readonly #unsafe: () => boolean;

  /** @param unsafe whether banks that share a page may be mapped */
  constructor(msi: FslMsi, domain: FslPamuDomain<PamuWindow>, unsafe: () => boolean) {
    this.#msi = msi;
    this.#domain = domain;
    this.#unsafe = unsafe;
  }

  get count(): number {
    return this.#msi.banks.length;
  }

  /** @throws Errno ENODEV */
  #bank(index: number): MsiBank {
    const bank = this.#msi.banks[index];
    if (bank === undefined) throw new Errno('ENODEV', `MSI bank ${index} of ${this.count}`);
    return bank;
  }

  /** Windows of banks, lowest first. */
  get #windows(): PamuWindow[] {
    return this.#domain.mappedWindows.filter(({ kind }) => kind === 'msi');
  }

  /** PAMU_GET_MSI_BANK_INFO. @throws Errno ENODEV */
  info(info: View<typeof vfio_pamu_msi_bank_info.fields>): void {
    const bank = this.#bank(info.index);
    const { owner, model } = bank;
    const flag = VFIO_PAMU_MSI_BANK;
    const owned = owner === undefined ? 0 : owner === this.#domain ? flag.MINE : flag.OWNED_ELSEWHERE;
    info.flags = (bank.isolated ? flag.ISOLATED : 0) | owned | (model.msiir1 ? flag.MSIIR1 : 0);
    info.page_offset = bank.pageOffset;
    info.page_addr = bank.page;
    info.nr_vectors = bank.vectors;
    info.srs_shift = model.srsShift;
    info.ibs_shift = model.ibsShift;
  }

  /** PAMU_MAP_MSI_BANK, checks in the order of facts 5.4. @throws Errno ENODEV, EINVAL, EBUSY, EEXIST, EPERM */
  map(number: number, iova: number): void {
    const domain = this.#domain;
    if (!domain.configured) throw new Errno('ENODEV', `MSI bank ${number}: the windows are not set`);
    const bank = this.#bank(number);
    const index = domain.indexOf(iova);
    if (index === undefined)
      throw new Errno('EINVAL', `MSI bank ${number}: no window starts at 0x${iova.toString(16)}`);
    if (domain.windowAt(index) !== undefined)
      throw new Errno('EBUSY', `MSI bank ${number}: the window at 0x${iova.toString(16)} is mapped`);
    if (bank.owner === domain) throw new Errno('EEXIST', `MSI bank ${number} is mapped in this container`);
    if (bank.owner !== undefined) throw new Errno('EBUSY', `MSI bank ${number} belongs to somebody else`);
    if (!bank.isolated && !this.#unsafe())
      throw new Errno(
        'EPERM',
        `MSI bank ${number}: its page at 0x${bank.page.toString(16)} has other registers; see allow_unsafe_msi`,
      );
    bank.claim(domain);
    domain.map([
      { kind: 'msi', index, iova, length: PAGE_SIZE, physical: bank.page, access: PAMU_ACCESS.WRITE, bank, pages: [] },
    ]);
  }

  /** PAMU_UNMAP_MSI_BANK. @throws Errno EINVAL; EBUSY while vectors of the bank are armed */
  unmap(iova: number): void {
    const window = this.#windows.find((w) => w.iova === iova);
    if (window?.bank === undefined) throw new Errno('EINVAL', `no MSI bank is mapped at 0x${iova.toString(16)}`);
    const armed = window.bank.armed(this.#domain);
    if (armed > 0) throw new Errno('EBUSY', `MSI bank ${window.bank.index}: ${armed} vectors are armed`);
    this.#remove(window);
  }

  #remove(window: PamuWindow): void {
    this.#domain.unmap([window]);
    window.bank?.release(this.#domain);
  }

  /** The container goes: every bank is given back. Its devices are closed, so no vector is armed. */
  release(): void {
    for (const window of this.#windows) this.#remove(window);
  }

  allocate(handler: () => void): DeviceMessage {
    const windows = this.#windows;
    if (windows.length === 0) throw new Errno('ENODEV', 'no MSI bank is mapped in the container');
    for (const { bank, iova } of windows) {
      const vector = bank?.allocate(this.#domain, handler);
      if (vector !== undefined) return { address: iova + vector.bank.pageOffset, data: vector.data, free: vector.free };
    }
    throw new Errno('ENOSPC', `no vector is free in ${windows.length} MSI banks`);
  }
}
