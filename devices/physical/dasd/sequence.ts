/** What may follow what in a chain (vfio-ccw facts 5.2; as Hercules `ckddasd.c` checks it). */

import { type EckdCommand, MULTITRACK } from './eckd_command.ts';
import type { Domain } from './locate.ts';
import { MESSAGE, reject } from './sense.ts';

/** Suspend Multipath Reconnection, which may precede commands that must be first. */
export const SUSPEND_MULTIPATH = 0x5b;
/** Read Subsystem Data, the only command after its preparation. */
export const READ_SUBSYSTEM_DATA = 0x3e;

/** Stands in `after` for the beginning of the chain. */
export const BEGINNING = -1;

/** Where a chain stands. */
export interface Chain {
  /** Commands before. */
  readonly length: number;
  /** The command before. */
  readonly previous: EckdCommand | undefined;
  readonly domain: Domain | undefined;
  /** The heads were positioned by this program. */
  readonly positioned: boolean;
  /** Subsystem data were prepared and not yet read. */
  readonly prepared: boolean;
}

/** Rules, in order; each is broken by command reject, invalid sequence. */
const RULES: readonly (readonly [reason: string, broken: (row: EckdCommand, chain: Chain) => boolean])[] = [
  ['after a command that must be last', (_, { previous }) => previous?.last === true],
  ['before prepared subsystem data are read', (row, { prepared }) => prepared && row.code !== READ_SUBSYSTEM_DATA],
  ['in this domain', (row, { domain }) => domain !== undefined && !admitted(row, domain)],
  ['outside its domain', (row, { domain }) => row.domainOnly === true && domain === undefined],
  ['before the heads are positioned', (row, { positioned }) => row.positioned === true && !positioned],
  ['not first in its chain', (row, chain) => row.first === true && !isFirst(chain)],
  [
    'after that command',
    ({ after }, { previous }) => after !== undefined && !after.includes(previous?.code ?? BEGINNING),
  ],
];

const admitted = ({ code, domains, fits }: EckdCommand, domain: Domain) =>
  domains?.includes(domain.kind) === true && (fits === undefined || fits(domain, (code & MULTITRACK) !== 0));

const isFirst = ({ length, previous }: Chain) => length === 0 || (length === 1 && previous?.code === SUSPEND_MULTIPATH);

/** @throws UnitCheck when the command is in the wrong place. */
export function checkSequence(row: EckdCommand, chain: Chain): void {
  for (const [reason, broken] of RULES)
    if (broken(row, chain)) throw reject(`${row.name} ${reason}`, MESSAGE.INVALID_SEQUENCE);
}
