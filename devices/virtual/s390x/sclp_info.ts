/** SCLP read commands: what the machine is (s390x facts 12; Linux drivers/s390/char/sclp_early.c reads the same offsets). */
import { bytes, struct, u8, u16, u32, u64, u64n } from '../../../kernel/lib/struct.ts';
import { ebcdic } from './ebcdic.ts';
import { SCLP_RC, type Sccb } from './sccb.ts';

/** What the commands tell. */
export interface SclpInfo {
  /** Bytes of RAM. */
  readonly ramSize: number;
  readonly cpuCount: number;
  /** At most 8 characters. */
  readonly loadParameter?: string;
}

const READ_INFO = struct(
  'read_scp_info',
  'be',
  {
    header: bytes(8),
    rnmax: u16,
    rnsize: u8,
    reserved11: bytes(5),
    entriesCpu: u16,
    offsetCpu: u16,
    reserved20: bytes(4),
    loadparm: bytes(8),
    reserved32: bytes(16),
    facilities: u64,
    reserved56: bytes(20),
    ibc: u32,
    confChar: bytes(20),
    rnsize2: u32,
    rnmax2: u64n,
    reserved112: bytes(4),
    confCharExt: u32,
    highestCpu: u16,
    reserved122: bytes(6),
  },
  {
    size: 128,
    offsets: { entriesCpu: 16, loadparm: 24, facilities: 48, ibc: 76, rnsize2: 100, rnmax2: 104, highestCpu: 120 },
  },
);
/** Facility bit 4: read CPU information is there. */
const FACILITY_CPU_INFO = 1n << 59n;

const READ_CPU_INFO = struct(
  'read_cpu_info',
  'be',
  { header: bytes(8), configured: u16, offsetConfigured: u16, standby: u16, offsetStandby: u16 },
  { size: 16 },
);
/** Bytes of a CPU entry: address, features, type. */
const CPU_ENTRY = 16;

const MIB = 1 << 20;
/** Storage increments are doubled until at most this many remain (QEMU, MAX_STORAGE_INCREMENTS). */
const MOST_INCREMENTS = 1020;

/** Storage as [number of increments, MiB of one]. */
export function storageIncrements(ramSize: number): { readonly count: number; readonly mib: number } {
  let mib = 1;
  while (ramSize / (mib * MIB) > MOST_INCREMENTS) mib *= 2;
  return { count: Math.floor(ramSize / (mib * MIB)), mib };
}

/** CPU entries from `at`; false when they do not fit. */
function storeCpus(sccb: Sccb, at: number, count: number): boolean {
  if (sccb.length < at + count * CPU_ENTRY) return false;
  sccb.bytes.fill(0, at, at + count * CPU_ENTRY);
  for (let cpu = 0; cpu < count; cpu++) sccb.bytes[at + cpu * CPU_ENTRY] = cpu;
  return true;
}

/** READ SCP INFORMATION. @returns response code */
export function readScpInfo(sccb: Sccb, info: SclpInfo): number {
  if (sccb.length < READ_INFO.size + info.cpuCount * CPU_ENTRY) return SCLP_RC.INSUFFICIENT_SCCB_LENGTH;
  sccb.bytes.fill(0, READ_INFO.offset.rnmax);
  const { count, mib } = storageIncrements(info.ramSize);
  const small = mib <= 0xff;
  Object.assign(READ_INFO.at(sccb.dv), {
    rnmax: small ? count : 0,
    rnsize: small ? mib : 0,
    rnsize2: small ? 0 : mib,
    rnmax2: small ? 0 : count,
    entriesCpu: info.cpuCount,
    offsetCpu: READ_INFO.size,
    loadparm: ebcdic(info.loadParameter ?? '', 8),
    facilities: FACILITY_CPU_INFO,
    highestCpu: info.cpuCount - 1,
  });
  storeCpus(sccb, READ_INFO.size, info.cpuCount);
  return SCLP_RC.NORMAL_READ_COMPLETION;
}

/** READ CPU INFORMATION. @returns response code */
export function readCpuInfo(sccb: Sccb, info: SclpInfo): number {
  if (sccb.length < READ_CPU_INFO.size + info.cpuCount * CPU_ENTRY) return SCLP_RC.INSUFFICIENT_SCCB_LENGTH;
  sccb.bytes.fill(0, READ_CPU_INFO.offset.configured);
  Object.assign(READ_CPU_INFO.at(sccb.dv), {
    configured: info.cpuCount,
    offsetConfigured: READ_CPU_INFO.size,
    standby: 0,
    offsetStandby: READ_CPU_INFO.size + info.cpuCount * CPU_ENTRY,
  });
  storeCpus(sccb, READ_CPU_INFO.size, info.cpuCount);
  return SCLP_RC.NORMAL_READ_COMPLETION;
}
