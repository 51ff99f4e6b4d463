/**
 * RTAS calls on configuration space and on messages of PCI devices (QEMU hw/ppc/spapr_pci.c; PAPR, "PCI Configuration
 * Space", "MSI Support"). A device is named by its configuration address, bus << 16 | devfn << 8 | register, and the BUID
 * of its host bridge in two words.
 */
import type { Machine } from '../../../hypervisor/machine_api.ts';
import { PCI_CFG_SPACE_SIZE } from '../../../kernel/include/uapi/pci_regs.ts';
import type { Task } from '../../../kernel/lib/task.ts';
import { EVENT } from '../../../kernel/lib/trace.ts';
import { type PciDrc, type PluggedDevice, SPAPR_PCI_MSI_WINDOW, type SpaprPhb } from './spapr_pci.ts';
import { doubleword, RTAS, type RtasRow } from './spapr_rtas.ts';

/** Host bridges by BUID. */
export class SpaprPhbs {
  readonly #phbs: SpaprPhb[] = [];
  add(phb: SpaprPhb): void {
    this.#phbs.push(phb);
  }
  all(): readonly SpaprPhb[] {
    return this.#phbs;
  }
  find(buidHigh: number, buidLow: number): SpaprPhb | undefined {
    const buid = doubleword(buidHigh, buidLow);
    return this.#phbs.find((phb) => phb.buid === buid);
  }
  /** The connector with an index. */
  drc(index: number): PciDrc | undefined {
    for (const phb of this.#phbs) {
      const found = phb.drcs.find((drc) => drc.index === index);
      if (found !== undefined) return found;
    }
    return undefined;
  }
  /** The device a call names. */
  device(configAddress: number, buidHigh: number, buidLow: number): PluggedDevice | undefined {
    return this.find(buidHigh, buidLow)?.deviceAt(configAddress);
  }
}

const { SUCCESS, HW_ERROR, PARAM_ERROR } = RTAS;

/** Register in a configuration address: bits 28 to 31 of it extend the register (rtas_pci_cfgaddr). */
function registerOf(configAddress: number): number {
  return ((configAddress >>> 20) & 0xf00) | (configAddress & 0xff);
}
/** The register that an access means; undefined for one that configuration space does not take. */
function accessible(configAddress: number, size: number): number | undefined {
  const at = registerOf(configAddress);
  const good = (size === 1 || size === 2 || size === 4) && at % size === 0 && at < PCI_CFG_SPACE_SIZE;
  return good ? at : undefined;
}

/** Reading and writing configuration space. The calls without a BUID are for the bridge with BUID 0, which there is not. */
export function configRows(phbs: SpaprPhbs): RtasRow[] {
  function* read(address: number, buidHigh: number, buidLow: number, size: number): Task<readonly number[]> {
    const at = accessible(address, size);
    const plugged = phbs.device(address, buidHigh, buidLow);
    if (at === undefined || plugged === undefined) return [HW_ERROR];
    return [SUCCESS, yield* plugged.device.config.read(at, size)];
  }
  function* write(
    address: number,
    buidHigh: number,
    buidLow: number,
    size: number,
    value: number,
  ): Task<readonly number[]> {
    const at = accessible(address, size);
    const phb = phbs.find(buidHigh, buidLow);
    const plugged = phb?.deviceAt(address);
    if (at === undefined || phb === undefined || plugged === undefined) return [HW_ERROR];
    yield* phb.writeConfig(plugged, at, size, value);
    return [SUCCESS];
  }
  const refusal = HW_ERROR;
  return [
    {
      token: 0x2014,
      name: 'read-pci-config',
      nargs: [2],
      nret: [2],
      refusal,
      handler: ([address, size]) => read(address, 0, 0, size),
    },
    {
      token: 0x2015,
      name: 'write-pci-config',
      nargs: [3],
      nret: [1],
      refusal,
      handler: ([address, size, value]) => write(address, 0, 0, size, value),
    },
    {
      token: 0x2016,
      name: 'ibm,read-pci-config',
      nargs: [4],
      nret: [2],
      refusal,
      handler: ([address, high, low, size]) => read(address, high, low, size),
    },
    {
      token: 0x2017,
      name: 'ibm,write-pci-config',
      nargs: [5],
      nret: [1],
      refusal,
      handler: ([address, high, low, size, value]) => write(address, high, low, size, value),
    },
  ];
}

/** What ibm,change-msi is asked to do (Linux arch/powerpc/platforms/pseries/msi.c). */
const CHANGE = { FN: 1, MSI_FN: 3, MSIX_FN: 4 } as const;
/** Kind of message, in its result. */
const TYPE = { MSI: 1, MSIX: 2 } as const;

/** Messages: firmware chooses the interrupt sources and writes them into the device; the guest enables. */
export function msiRows(machine: Machine, phbs: SpaprPhbs): RtasRow[] {
  return [
    {
      token: 0x2018,
      name: 'ibm,query-interrupt-source-number',
      nargs: [4],
      nret: [3],
      *handler([address, high, low, vector]) {
        const plugged = phbs.device(address, high, low);
        if (plugged === undefined) return [PARAM_ERROR];
        const { msis } = plugged;
        // 1: edge-triggered.
        return msis === undefined || vector >= msis.count ? [HW_ERROR] : [SUCCESS, msis.first + vector, 1];
      },
    },
    {
      token: 0x2019,
      name: 'ibm,change-msi',
      nargs: [6],
      nret: [3, 4],
      *handler([address, high, low, fn, wanted, sequence]) {
        const type =
          fn === CHANGE.MSIX_FN ? TYPE.MSIX : fn === CHANGE.FN || fn === CHANGE.MSI_FN ? TYPE.MSI : undefined;
        const phb = phbs.find(high, low);
        const plugged = phb?.deviceAt(address);
        if (type === undefined || phb === undefined || plugged === undefined) return [PARAM_ERROR];
        if (wanted === 0) return release(phb, plugged);
        const { msi, msix } = plugged.device;
        const most = type === TYPE.MSI ? (msi?.possible ?? 0) : (msix?.vectors ?? 0);
        if (most === 0) return [HW_ERROR];
        // Too many: the guest is told how many there are, and asks again.
        if (wanted <= most && !allocate(phb, plugged, type, wanted)) return [HW_ERROR];
        machine.tracer.point(EVENT.spapr_pci_rtas_ibm_change_msi, address, fn, wanted, plugged.msis?.first ?? 0);
        return [SUCCESS, Math.min(wanted, most), (sequence + 1) >>> 0, type];
      },
    },
  ];
}

/** Gives the device sources, in place of those it had. False, and it keeps those, when there are no more. */
function allocate(phb: SpaprPhb, plugged: PluggedDevice, type: number, count: number): boolean {
  // The low bits of MSI's data are the vector: its sources begin at a multiple of their number.
  const align = type === TYPE.MSI ? 2 ** Math.ceil(Math.log2(count)) : 1;
  const first = phb.irq.claimMsis(count, align);
  if (first === undefined) return false;
  if (plugged.msis !== undefined) phb.irq.freeMsis(plugged.msis.first, plugged.msis.count);
  plugged.msis = { first, count };
  const { msi, msix } = plugged.device;
  const address = SPAPR_PCI_MSI_WINDOW;
  if (type === TYPE.MSI) msi?.setMessage({ address, data: first });
  else for (let vector = 0; vector < count; vector++) msix?.setMessage(vector, { address, data: first + vector });
  return true;
}

/** Takes the sources away. */
function release(phb: SpaprPhb, plugged: PluggedDevice): readonly number[] {
  if (plugged.msis === undefined) return [HW_ERROR];
  phb.irq.freeMsis(plugged.msis.first, plugged.msis.count);
  plugged.msis = undefined;
  const { msi, msix } = plugged.device;
  msi?.setMessage({ address: 0n, data: 0 });
  msix?.clear();
  return [SUCCESS, 0];
}
