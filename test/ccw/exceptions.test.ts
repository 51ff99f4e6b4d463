/** Program exceptions and condition codes of the I/O instructions, one row each (vfio-ccw facts 1.8, test idea 29). */
import { expect, test } from 'vitest';
import { ORB_CTRL0 } from '../../kernel/include/arch/s390/orb.ts';
import { LAST_NOP, MEMORY, script, simulatedDrive } from '../support/ccw_script.ts';
import { type Instruction, type IoScript, sid } from '../support/io_script.ts';

const { words } = simulatedDrive();
const { F, P, B } = ORB_CTRL0.mask;
const PGM = { PRIVILEGED: 2, ADDRESSING: 5, SPECIFICATION: 6, OPERAND: 0x15 } as const;

/** Bit 15 of the subsystem-identification word is missing; a CSSID without m; a reserved bit. */
const BAD_IDS = [0x00000000, 0x01010000, 0x00110000];
const WITH_OPERAND: readonly Instruction[] = ['msch', 'ssch', 'stsch', 'tsch'];
const WITHOUT_OPERAND: readonly Instruction[] = ['csch', 'hsch', 'rsch', 'xsch'];
const ALL: readonly Instruction[] = [
  ...WITH_OPERAND,
  ...WITHOUT_OPERAND,
  'tpi',
  'sal',
  'stcrw',
  'stcps',
  'rchp',
  'schm',
  'chsc',
];

interface Row {
  readonly what: string;
  readonly insn: Instruction;
  readonly problem?: boolean;
  readonly gr1?: number;
  /** Operand address. */
  readonly operand?: (s: IoScript) => number;
  readonly gr2?: number;
  /** Condition code, or program-interruption code. */
  readonly cc?: number;
  readonly pgm?: number;
}

const orb = (fields: object) => (s: IoScript) => s.orb({ cpa: s.program(LAST_NOP), ...fields });
const place = (s: IoScript) => s.alloc(4096, 4096);

const ROWS: readonly Row[] = [
  ...ALL.map(
    (insn): Row => ({ what: 'in the problem state', insn, problem: true, operand: place, pgm: PGM.PRIVILEGED }),
  ),
  ...WITH_OPERAND.flatMap((insn): Row[] => [
    { what: 'operand off a word', insn, operand: (s) => place(s) + 2, pgm: PGM.SPECIFICATION },
    { what: 'operand outside storage', insn, operand: () => MEMORY, pgm: PGM.ADDRESSING },
    { what: 'operand across the end of storage', insn, operand: () => MEMORY - 8, pgm: PGM.ADDRESSING },
  ]),
  ...[...WITH_OPERAND, ...WITHOUT_OPERAND].flatMap((insn) =>
    BAD_IDS.map(
      (gr1): Row => ({ what: `subsystem id ${gr1.toString(16)}`, insn, gr1, operand: orb({}), pgm: PGM.OPERAND }),
    ),
  ),
  ...[...WITHOUT_OPERAND, 'ssch' as const, 'tsch' as const].map(
    (insn): Row => ({ what: 'no such subchannel', insn, gr1: sid(7), operand: orb({}), cc: 3 }),
  ),
  { what: 'beyond the last subchannel', insn: 'stsch', gr1: sid(0xffff), operand: place, cc: 3 },
  { what: 'transport mode', insn: 'ssch', operand: orb({ ctrl0: F | P | B }), pgm: PGM.OPERAND },
  { what: 'MIDAW control', insn: 'ssch', operand: orb({ ctrl1: 0x40 }), pgm: PGM.OPERAND },
  { what: 'reserved ORB bits', insn: 'ssch', operand: orb({ ctrl1: 0x20 }), pgm: PGM.OPERAND },
  { what: 'bit 0 of the program address', insn: 'ssch', operand: orb({ cpa: 0x8000_0000 }), pgm: PGM.OPERAND },
  { what: 'operand off a word', insn: 'tpi', operand: (s) => place(s) + 1, pgm: PGM.SPECIFICATION },
  { what: 'nothing pending', insn: 'tpi', operand: place, cc: 0 },
  { what: 'nothing to report', insn: 'stcrw', operand: place, cc: 1 },
  { what: 'operand off a word', insn: 'stcrw', operand: (s) => place(s) + 2, pgm: PGM.SPECIFICATION },
  { what: 'reserved bits', insn: 'sal', gr1: 0x8000_0000, pgm: PGM.OPERAND },
  { what: 'a limit off 64 KiB', insn: 'sal', gr1: 0x0001_0001, pgm: PGM.OPERAND },
  { what: 'reserved bits', insn: 'rchp', gr1: 0x0100_0000, pgm: PGM.OPERAND },
  { what: 'reserved bits', insn: 'schm', gr1: 0x0000_0004, pgm: PGM.OPERAND },
  { what: 'origin off 32 bytes', insn: 'schm', gr1: 2, gr2: 0x10_0010, pgm: PGM.OPERAND },
  { what: 'block off a page', insn: 'chsc', operand: (s) => place(s) + 8, pgm: PGM.SPECIFICATION },
  { what: 'a request of length 0', insn: 'chsc', operand: place, pgm: PGM.OPERAND },
  { what: 'not suspended', insn: 'rsch', cc: 2 },
  { what: 'nothing to cancel', insn: 'xsch', cc: 2 },
];

test('every row', async () => {
  // The device is enabled; nothing runs on it.
  const s = script();
  const operations = ROWS.map(({ insn, gr1 = sid(0), operand, gr2, problem }) =>
    problem === true ? s.insnProblem(insn, gr1, operand?.(s), gr2) : s.insn(insn, gr1, operand?.(s), gr2),
  );
  const run = await s.simulate(words);
  const came = ROWS.map(({ insn, what }, i) => {
    const { cc, programCode } = run.result(operations[i]);
    return `${insn}, ${what}: ${programCode === 0 ? `cc ${cc}` : `program interruption ${programCode.toString(16)}`}`;
  });
  const expected = ROWS.map(
    ({ insn, what, cc, pgm }) =>
      `${insn}, ${what}: ${pgm === undefined ? `cc ${cc}` : `program interruption ${pgm.toString(16)}`}`,
  );
  expect(came).toEqual(expected);
});
