/**
 * RTAS calls of enhanced error handling (QEMU hw/ppc/spapr_pci.c, spapr_pci_vfio.c; PAPR, "EEH"; vfio-tce facts 7.4). The
 * guest sees one PE for each host bridge; its state is the kernel's, by VFIO_EEH_PE_OP on the bridge's container. With
 * several groups in the container there is no state they share, so every call is refused then, as by QEMU.
 */
import type { Machine } from '../../../hypervisor/machine_api.ts';
import { Errno } from '../../../kernel/include/uapi/errno.ts';
import { VFIO_EEH_PE_OP } from '../../../kernel/include/uapi/ioctl.ts';
import { VFIO_EEH_PE, vfio_eeh_pe_op } from '../../../kernel/include/uapi/vfio.ts';
import type { Task } from '../../../kernel/lib/task.ts';
import type { SpaprPhb } from './spapr_pci.ts';
import { RTAS, type RtasRow } from './spapr_rtas.ts';
import type { SpaprPhbs } from './spapr_rtas_pci.ts';

/** ibm,get-config-addr-info2: what is asked, and whether the PE is shared (QEMU RTAS_GET_PE_*, RTAS_PE_MODE_*). */
const GET_PE = { ADDR: 0, MODE: 1 } as const;
const PE_MODE = { NOT_SHARED: 1, SHARED: 2 } as const;
/** ibm,read-slot-reset-state2: EEH is supported; how long an unavailable PE may stay so, ms; nothing of recovery is known. */
const EEH_SUPPORT = 1;
const PE_UNAVAIL_INFO = 1000;
const PE_RECOVER_INFO = 0;
/** ibm,set-eeh-option, by option. */
const ENABLE = 1;
const OPTIONS: Readonly<Record<number, number>> = {
  0: VFIO_EEH_PE.DISABLE,
  [ENABLE]: VFIO_EEH_PE.ENABLE,
  2: VFIO_EEH_PE.UNFREEZE_IO,
  3: VFIO_EEH_PE.UNFREEZE_DMA,
};
/** ibm,set-slot-reset, by option. */
const DEACTIVATE = 0;
const RESETS: Readonly<Record<number, number>> = {
  [DEACTIVATE]: VFIO_EEH_PE.RESET_DEACTIVATE,
  1: VFIO_EEH_PE.RESET_HOT,
  3: VFIO_EEH_PE.RESET_FUNDAMENTAL,
};
/** ibm,slot-error-detail: temporary and permanent errors. */
const LOGS: readonly number[] = [1, 2];

const { SUCCESS, NO_ERRORS_FOUND, HW_ERROR, PARAM_ERROR } = RTAS;

/** VFIO_EEH_PE_OP on a bridge's container (vfio_eeh_as_op); undefined when it is refused. */
export function* eehOp(machine: Machine, { container, groupCount }: SpaprPhb, op: number): Task<number | undefined> {
  if (container === undefined || groupCount !== 1) return undefined;
  try {
    return yield* machine.sys.ioctlStruct(
      container.fd,
      VFIO_EEH_PE_OP,
      vfio_eeh_pe_op.make({ argsz: vfio_eeh_pe_op.size, flags: 0, op }),
    );
  } catch (error) {
    if (!(error instanceof Errno)) throw error;
    return undefined;
  }
}

export function eehRows(machine: Machine, phbs: SpaprPhbs): RtasRow[] {
  /** An operation whose refusal is `refused`. */
  function* operate(phb: SpaprPhb, op: number | undefined, refused: number): Task<readonly number[]> {
    if (op === undefined) return [PARAM_ERROR];
    return [(yield* eehOp(machine, phb, op)) === undefined ? refused : SUCCESS];
  }
  return [
    {
      token: 0x2020,
      name: 'ibm,set-eeh-option',
      nargs: [4],
      nret: [1],
      *handler([address, high, low, option]) {
        const phb = phbs.find(high, low);
        // Enabling is by device, the others are by PE.
        if (phb === undefined || (option === ENABLE && phb.deviceAt(address) === undefined)) return [PARAM_ERROR];
        return yield* operate(phb, OPTIONS[option], HW_ERROR);
      },
    },
    {
      token: 0x2021,
      name: 'ibm,get-config-addr-info2',
      nargs: [4],
      nret: [2],
      *handler([address, high, low, asked]) {
        const phb = phbs.find(high, low);
        if (phb === undefined) return [PARAM_ERROR];
        if (asked === GET_PE.MODE) return [SUCCESS, phb.devices().length > 1 ? PE_MODE.SHARED : PE_MODE.NOT_SHARED];
        if (asked !== GET_PE.ADDR || phb.deviceAt(address) === undefined) return [PARAM_ERROR];
        // 00BB0001: the number of the PE's bus, which is 0.
        return [SUCCESS, 1];
      },
    },
    {
      token: 0x2022,
      name: 'ibm,read-slot-reset-state2',
      nargs: [3],
      nret: [4, 5],
      *handler([, high, low]) {
        const phb = phbs.find(high, low);
        const state = phb && (yield* eehOp(machine, phb, VFIO_EEH_PE.GET_STATE));
        return state === undefined ? [PARAM_ERROR] : [SUCCESS, state, EEH_SUPPORT, PE_UNAVAIL_INFO, PE_RECOVER_INFO];
      },
    },
    {
      token: 0x2023,
      name: 'ibm,set-slot-reset',
      nargs: [4],
      nret: [1],
      *handler([, high, low, option]) {
        const phb = phbs.find(high, low);
        const op = RESETS[option];
        if (phb === undefined || op === undefined) return [PARAM_ERROR];
        if (option !== DEACTIVATE) for (const { device } of phb.devices()) yield* device.forgetMsix();
        return yield* operate(phb, op, HW_ERROR);
      },
    },
    {
      token: 0x2024,
      name: 'ibm,configure-pe',
      nargs: [3],
      nret: [1],
      *handler([, high, low]) {
        const phb = phbs.find(high, low);
        return phb === undefined ? [PARAM_ERROR] : yield* operate(phb, VFIO_EEH_PE.CONFIGURE, PARAM_ERROR);
      },
    },
    {
      token: 0x2025,
      name: 'ibm,slot-error-detail',
      nargs: [8],
      nret: [1],
      *handler(args) {
        const phb = phbs.find(args[1], args[2]);
        // No log is kept.
        return [phb === undefined || !LOGS.includes(args[7]) ? PARAM_ERROR : NO_ERRORS_FOUND];
      },
    },
  ];
}
