/**
 * Measurement blocks (SA22-7832 chapter 17, "Channel-Subsystem Monitoring"): the count of started functions, and what a
 * VMM can tell of their time. It sees a start and an end and nothing between, so all of it counts as device-connect time;
 * function-pending, disconnect and queuing times stay as they are. Blocks are reached with the key that SCHM gave.
 */
import { type ChannelStorage, type Machine, PGM, ProgramInterruption } from '../../../hypervisor/machine_api.ts';
import { PMCW_CHARS, PMCW_FLAGS } from '../../../kernel/include/arch/s390/schib.ts';
import { SCSW_STCTL_ALERT, SCSW_STCTL_PRIMARY, SCSW_STCTL_SECONDARY } from '../../../kernel/include/arch/s390/scsw.ts';
import { struct, u16, u32 } from '../../../kernel/lib/struct.ts';
import type { Task } from '../../../kernel/lib/task.ts';
import { presentConnectTime, presentMeasurementCheck } from './irb.ts';
import type { Subchannel } from './subchannel.ts';

/** What SCHM switched on. */
export interface MeasurementMode {
  /** Measurement blocks are updated; those of format 0 lie from this absolute address on. */
  readonly origin?: number;
  /** Access key of their updates. */
  readonly key: number;
  /** Device-connect times are told in interruption responses. */
  readonly connectTime: boolean;
}

/** PMCW.MM: what the subchannel takes part in. */
const MM = { BLOCK_UPDATE: 0x0010, CONNECT_TIME: 0x0008 } as const;

/** Measurement blocks; the beginning that is used (chapter 17, "Measurement Block"). Times in units of 128 us. */
const FORMAT_0 = struct(
  'measurement_block_0',
  'be',
  { sschRschCount: u16, sampleCount: u16, deviceConnectTime: u32 },
  { size: 8 },
);
const FORMAT_1 = struct(
  'measurement_block_1',
  'be',
  { sschRschCount: u32, sampleCount: u32, deviceConnectTime: u32 },
  { size: 12 },
);
/** Bytes between format-0 blocks: what the index PMCW.MBI counts. */
const FORMAT_0_BLOCK = 32;
/** A unit of time. */
const UNIT_NS = 128_000;

interface Counts {
  sschRschCount: number;
  sampleCount: number;
  deviceConnectTime: number;
}

/** A function of the subchannel was started: SSCH or RSCH. */
export function* functionStarted(machine: Machine, mode: MeasurementMode, sch: Subchannel, now: number): Task {
  const { flags } = sch.schib.pmcw;
  if ((flags & (MM.BLOCK_UPDATE | MM.CONNECT_TIME)) !== 0) sch.measuredSince = now;
  yield* updateBlock(machine.storage(mode.key), mode, sch, (block) => {
    block.sschRschCount++;
  });
}

/** Status has come: when it ends the function, its time is accumulated and, in connect-time mode, told with it. */
export function* functionEnded(machine: Machine, mode: MeasurementMode, sch: Subchannel, now: number): Task {
  const ending = SCSW_STCTL_PRIMARY | SCSW_STCTL_SECONDARY | SCSW_STCTL_ALERT;
  const { schib, measuredSince } = sch;
  if (measuredSince === undefined || (schib.scsw.ctrl & ending) === 0) return;
  sch.measuredSince = undefined;
  const total = sch.measuredRest + (now - measuredSince);
  const units = Math.floor(total / UNIT_NS);
  // What is no whole unit counts next time.
  sch.measuredRest = total - units * UNIT_NS;
  yield* updateBlock(machine.storage(mode.key), mode, sch, (block) => {
    block.sampleCount++;
    block.deviceConnectTime += units;
  });
  if (mode.connectTime && (schib.pmcw.flags & MM.CONNECT_TIME) !== 0) presentConnectTime(sch, units);
  if (sch.measurementCheck !== undefined) presentMeasurementCheck(sch, sch.measurementCheck);
  sch.measurementCheck = undefined;
}

/** Changes the subchannel's block; counters that overflow begin again. */
function* updateBlock(
  memory: ChannelStorage,
  mode: MeasurementMode,
  sch: Subchannel,
  change: (block: Counts) => void,
): Task {
  const { pmcw, mba } = sch.schib;
  if (mode.origin === undefined || (pmcw.flags & MM.BLOCK_UPDATE) === 0) return;
  const format1 = (pmcw.chars & PMCW_CHARS.mask.MBFC) !== 0;
  const address = format1 ? mba : mode.origin + pmcw.mbi * FORMAT_0_BLOCK;
  try {
    const bytes = yield* memory.read(address, format1 ? FORMAT_1.size : FORMAT_0.size);
    const dv = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    change(format1 ? FORMAT_1.at(dv) : FORMAT_0.at(dv));
    yield* memory.write(address, bytes);
  } catch (error) {
    // A block out of reach does not stop the I/O: the subchannel takes no part any more, and the next status says why.
    if (!(error instanceof ProgramInterruption)) throw error;
    pmcw.flags &= ~(PMCW_FLAGS.mask.MM & MM.BLOCK_UPDATE);
    sch.measurementCheck = error.interruption === PGM.PROTECTION ? 'protection' : 'program';
  }
}
