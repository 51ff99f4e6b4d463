/**
 * RTAS, the firmware's run-time calls, by the hypercall H_RTAS (QEMU hw/ppc/spapr_rtas.c; PAPR, "Run-Time Abstraction
 * Services"). The argument is the address of a buffer of big-endian 32-bit words: token, nargs, nret, arguments, results.
 * The first result is the status. A call is a row of a table.
 */
import { type Machine, ProgramInterruption } from '../../../hypervisor/machine_api.ts';
import { HCALL_RETURN } from '../../../kernel/include/arch/ppc/hcall.ts';
import type { Task } from '../../../kernel/lib/task.ts';
import { EVENT } from '../../../kernel/lib/trace.ts';
import type { HcallResult } from './hcall_result.ts';

/** Statuses (QEMU RTAS_OUT_*). */
export const RTAS = {
  SUCCESS: 0,
  NO_ERRORS_FOUND: 1,
  HW_ERROR: -1,
  BUSY: -2,
  PARAM_ERROR: -3,
  NOT_SUPPORTED: -3,
  NO_SUCH_INDICATOR: -3,
  NOT_AUTHORIZED: -9002,
} as const;

/** A call. */
export interface RtasRow {
  readonly token: number;
  readonly name: string;
  /** How many arguments it may have, and results. Another number is refused. */
  readonly nargs: readonly number[];
  readonly nret: readonly number[];
  /** The status of such a refusal; PARAM_ERROR when omitted. */
  readonly refusal?: number;
  /** @param args unsigned. @returns results, the status first; at most `nret` of them reach the guest */
  handler(args: readonly number[], nret: number): Task<readonly number[]>;
}

const WORD = 4;
const HEADER_WORDS = 3;
/** Arguments and results together (Linux struct rtas_args; CVE-2021-37576: more of them lie outside the structure). */
const MOST_WORDS = 16;

const { H_SUCCESS, H_PARAMETER } = HCALL_RETURN;
const answer = (ret: number): HcallResult => ({ ret: BigInt(ret), out: [] });

export class SpaprRtas {
  readonly #machine: Machine;
  readonly #rows = new Map<number, RtasRow>();

  constructor(machine: Machine) {
    this.#machine = machine;
  }

  /** Adds calls. @throws Error for a token that is taken: a mistake in the tables */
  add(rows: readonly RtasRow[]): void {
    for (const row of rows) {
      if (this.#rows.has(row.token)) throw new Error(`RTAS token 0x${row.token.toString(16)} of ${row.name} is in use`);
      this.#rows.set(row.token, row);
    }
  }
  /** Every call, by token. */
  get rows(): readonly RtasRow[] {
    return [...this.#rows.values()].sort((a, b) => a.token - b.token);
  }

  /**
   * H_RTAS(buffer). H_PARAMETER, and nothing is written, for a buffer outside memory or with more than 16 words; an
   * unknown token is H_PARAMETER too, with the status PARAM_ERROR.
   */
  *hypercall([buffer]: readonly bigint[]): Task<HcallResult> {
    const header = yield* this.#read(buffer, HEADER_WORDS);
    if (header === undefined) return answer(H_PARAMETER);
    const [token, nargs, nret] = header;
    if (nargs + nret > MOST_WORDS) return answer(H_PARAMETER);
    const args = yield* this.#read(buffer + BigInt(HEADER_WORDS * WORD), nargs + nret);
    if (args === undefined) return answer(H_PARAMETER);
    const row = this.#rows.get(token);
    const results = row === undefined ? [RTAS.PARAM_ERROR] : yield* this.#call(row, args.slice(0, nargs), nret);
    this.#machine.tracer.point(EVENT.spapr_rtas, token, nargs, nret, results[0]);
    yield* this.#write(buffer + BigInt((HEADER_WORDS + nargs) * WORD), results.slice(0, nret));
    return answer(row === undefined ? H_PARAMETER : H_SUCCESS);
  }

  *#call(row: RtasRow, args: readonly number[], nret: number): Task<readonly number[]> {
    if (!row.nargs.includes(args.length) || !row.nret.includes(nret)) return [row.refusal ?? RTAS.PARAM_ERROR];
    return yield* row.handler(args, nret);
  }

  /** Words of guest memory; undefined when not all of them are there. */
  *#read(address: bigint, words: number): Task<number[] | undefined> {
    if (words === 0) return [];
    if (address + BigInt(words * WORD) > BigInt(this.#machine.memory.size)) return undefined;
    try {
      const bytes = yield* this.#machine.memory.read(Number(address), words * WORD);
      const dv = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
      return Array.from({ length: words }, (_, i) => dv.getUint32(i * WORD));
    } catch (error) {
      if (error instanceof ProgramInterruption) return undefined;
      throw error;
    }
  }
  *#write(address: bigint, words: readonly number[]): Task {
    if (words.length === 0) return;
    const dv = new DataView(new ArrayBuffer(words.length * WORD));
    for (const [i, word] of words.entries()) dv.setUint32(i * WORD, word >>> 0);
    yield* this.#machine.memory.write(Number(address), new Uint8Array(dv.buffer));
  }
}

/** The 64 bits of two words. */
export function doubleword(high: number, low: number): bigint {
  return (BigInt(high) << 32n) | BigInt(low);
}
