/**
 * The operation mapping table, and who uses it (drivers/iommu/fsl_pamu.c: setup_omt, setup_qbman_paace, get_ome_index).
 * Devices ask for reads and writes, some for enhanced ones and directives; a row says what of that reaches the interconnect,
 * and as what. It is made at boot and never changes.
 */
import type { QbmanNode } from '../include/arch/ppc/fsl_soc.ts';
import { EOE, EOE_VALID, IOE_IDX, OME_NUMBER_ENTRIES, OME_SIZE, OMI } from '../include/arch/ppc/pamu.ts';
import { VFIO_PAMU_STASH_CACHE } from '../include/uapi/vfio.ts';
import type { HostMemory } from '../lib/host_memory.ts';
import { stashId } from './fsl_stash.ts';

type Operation = keyof typeof IOE_IDX;

/** The table: for each device, each operation that it may ask for. */
export const OPERATION_MAPPING: Readonly<
  Record<keyof typeof OMI, Readonly<Partial<Record<Operation, keyof typeof EOE>>>>
> = {
  QMAN: { READ: 'READ', EREAD0: 'RSA', WRITE: 'WRITE', EWRITE0: 'WWSAO', DIRECT0: 'LDEC', DIRECT1: 'LDECPE' },
  FMAN: { READ: 'READI', WRITE: 'WRITE' },
  QMAN_PRIV: { READ: 'READ', WRITE: 'WRITE', EREAD0: 'RSA', EWRITE0: 'WWSA' },
  CAAM: { READ: 'READI', WRITE: 'WRITE' },
};

/** Writes the table, before any PAMU is told of it. @param omt HPA of OME_NUMBER_ENTRIES entries */
export function setUpOmt(memory: HostMemory, omt: number): void {
  memory.bytes(omt, OME_NUMBER_ENTRIES * OME_SIZE).fill(0);
  for (const [device, operations] of Object.entries(OPERATION_MAPPING))
    for (const [operation, encoding] of Object.entries(operations)) {
      const at = omt + OMI[device as keyof typeof OMI] * OME_SIZE + IOE_IDX[operation as Operation];
      memory.u8[at] = EOE_VALID | EOE[encoding];
    }
}

/** How a LIODN's entry differs from that of other devices. */
export interface LiodnAttributes {
  /** Row of the table that maps its operations; undefined: they are not mapped. */
  readonly omi?: number;
  /** Of the host's own entry: the cache that data is pushed to. */
  readonly stashId?: number;
  /** Of the host's own entry: its memory need not be coherent, for nobody else uses it. */
  readonly incoherent?: boolean;
}

/** Every CPU shares it. */
const L3 = stashId(0, VFIO_PAMU_STASH_CACHE.L3);

/** By what a node is compatible with. */
export const QBMAN_ATTRIBUTES: Readonly<Record<QbmanNode['compatible'], LiodnAttributes>> = {
  'fsl,qman': { omi: OMI.QMAN_PRIV, stashId: L3, incoherent: true },
  'fsl,qman-portal': { omi: OMI.QMAN, stashId: L3 },
  'fsl,bman': { incoherent: true },
};
