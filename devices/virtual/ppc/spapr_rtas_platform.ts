/** RTAS calls on the machine as a whole (QEMU hw/ppc/spapr_rtas.c, spapr_rtc.c). */
import { type Machine, ProgramInterruption } from '../../../hypervisor/machine_api.ts';
import type { Task } from '../../../kernel/lib/task.ts';
import { RTAS, type RtasRow } from './spapr_rtas.ts';

/** What these calls need of the machine. */
export interface RtasPlatform {
  /** The TOD clock: units of 2^-12 microseconds since 1900. */
  tod(): bigint;
  /** ibm,os-term: the guest's operating system has ended, and says why. */
  osTerm(message: string): void;
}

const TOD_MICROSECOND = 4096n;
/** Days from 1 March 0000 (proleptic Gregorian) to 1 January 1900. */
const DAYS_TO_1900 = 693901;
const DAY_SECONDS = 86400;

/**
 * Date and time of a TOD value, in UTC: year, month 1 to 12, day, hour, minute, second, nanosecond. The year begins in
 * March here, so that the leap day is its last.
 */
export function calendar(tod: bigint): readonly [number, number, number, number, number, number, number] {
  const nanoseconds = (tod * 1000n) / TOD_MICROSECOND;
  const seconds = Number(nanoseconds / 1_000_000_000n);
  const days = Math.floor(seconds / DAY_SECONDS) + DAYS_TO_1900;
  const rest = seconds % DAY_SECONDS;
  const era = Math.floor(days / 146097);
  const dayOfEra = days - era * 146097;
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36524) - Math.floor(dayOfEra / 146096)) / 365,
  );
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const march = Math.floor((5 * dayOfYear + 2) / 153);
  const month = march < 10 ? march + 3 : march - 9;
  const year = era * 400 + yearOfEra + (month <= 2 ? 1 : 0);
  const day = dayOfYear - Math.floor((153 * march + 2) / 5) + 1;
  return [
    year,
    month,
    day,
    Math.floor(rest / 3600),
    Math.floor(rest / 60) % 60,
    rest % 60,
    Number(nanoseconds % 1_000_000_000n),
  ];
}

/** Bytes of ibm,os-term's message that are looked at. */
const MESSAGE = 256;

export function platformRows(machine: Machine, platform: RtasPlatform): RtasRow[] {
  /** The text up to its end, a NUL; what is not printable is shown as a dot. */
  function* text(address: number): Task<string> {
    const length = Math.max(0, Math.min(MESSAGE, machine.memory.size - address));
    try {
      const bytes = yield* machine.memory.read(address, length);
      const end = bytes.indexOf(0);
      return Array.from(end < 0 ? bytes : bytes.subarray(0, end), (byte) =>
        byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '.',
      ).join('');
    } catch (error) {
      if (error instanceof ProgramInterruption) return '';
      throw error;
    }
  }
  return [
    {
      token: 0x2001,
      name: 'get-time-of-day',
      nargs: [0],
      nret: [8],
      *handler() {
        return [RTAS.SUCCESS, ...calendar(platform.tod())];
      },
    },
    {
      token: 0x201f,
      name: 'ibm,os-term',
      nargs: [1],
      nret: [1],
      *handler([address]) {
        platform.osTerm(yield* text(address));
        return [RTAS.SUCCESS];
      },
    },
  ];
}
