/** Words for the structures of channel I/O (SA22-7832, Principles of Operation, chapters 14 to 16). */
import { CCW_FLAG, CCW1 } from '../../../kernel/include/arch/s390/ccw.ts';
import { ERW, ERW_SENSE_COUNT_SHIFT, IRB } from '../../../kernel/include/arch/s390/irb.ts';
import { ORB } from '../../../kernel/include/arch/s390/orb.ts';
import { PMCW, SCHIB } from '../../../kernel/include/arch/s390/schib.ts';
import { CSTAT, DSTAT, SCSW } from '../../../kernel/include/arch/s390/scsw.ts';
import { struct, u32, u64 } from '../../../kernel/lib/struct.ts';
import { CHANNEL_COMMANDS } from './commands.ts';
import { manual } from './manual.ts';

/** The low half of GR1 of every I/O instruction (SA22-7832 chapter 14, "Subsystem-Identification Word"). */
export const SUBSYSTEM_ID = manual(struct('subsystem_id', 'be', { word: u32 }, { size: 4 }), {
  name: 'SID',
  title: 'subsystem-identification word',
  source: 'SA22-7832 chapter 14',
  fields: {
    word: {
      title: 'which subchannel: the number by which a channel device is addressed',
      ranges: { cssid: [0, 8], zero: [8, 4], m: [12, 1], ssid: [13, 2], one: [15, 1], schid: [16, 16] },
      bits: {
        cssid: 'channel subsystem, if m is one',
        zero: 'must be zero',
        m: 'a channel subsystem is named',
        ssid: 'subchannel set',
        one: 'must be one',
        schid: { title: 'subchannel number', means: (value) => `0.0.${value.toString(16).padStart(4, '0')}` },
      },
    },
  },
});

export const ORB_MANUAL = manual(ORB, {
  name: 'ORB',
  title: 'operation-request block: what SSCH is asked to do',
  source: 'SA22-7832 chapter 15',
  fields: {
    intparm: "interruption parameter: the program's own, comes back with the interruption",
    ctrl0: {
      title: 'controls',
      bits: {
        key: 'storage key for the accesses',
        S: 'the program may suspend itself',
        C: 'streaming mode',
        M: 'modification control',
        Y: 'synchronize',
        F: { title: 'format of the CCWs', means: { 0: '24-bit addresses', 1: '31-bit addresses' } },
        P: 'prefetch: CCWs and data addresses may be read ahead, so a copy may be made',
        I: 'tell when the first command is accepted',
        A: 'address-limit checking',
        U: 'suppress the interruption of a suspension',
        B: 'transport mode: TCWs instead of CCWs',
        H: { title: 'format of IDAWs', means: { 0: '31-bit addresses of 2K blocks', 1: '64-bit addresses' } },
        T: '2K blocks with 64-bit IDAWs',
      },
    },
    lpm: { title: 'logical-path mask: paths to the device that may be used', means: paths },
    ctrl1: {
      title: 'controls',
      bits: {
        L: 'incorrect-length suppression',
        D: 'modified indirect data addressing',
        zero: 'must be zero',
        X: 'ORB extension follows',
      },
    },
    cpa: 'channel-program address: where the first CCW is',
  },
});

/** Path masks: bit 0 is the first path. */
function paths(mask: bigint): string | undefined {
  if (mask === 0n) return 'none';
  const set = [...Array(8).keys()].filter((path) => (mask & (0x80n >> BigInt(path))) !== 0n);
  return set.length === 1 ? `path ${set[0]}` : `paths ${set.join(', ')}`;
}

export const CCW_MANUAL = manual(CCW1, {
  name: 'CCW',
  title: 'channel-command word, format 1',
  source: 'SA22-7832 chapter 15',
  fields: {
    cmd: { title: 'command code', means: CHANNEL_COMMANDS },
    flags: {
      title: 'flags',
      masks: CCW_FLAG,
      bits: {
        DC: 'chain data: the next CCW is another piece of the same transfer',
        CC: 'chain command: another CCW follows',
        SLI: 'suppress the indication of a wrong length',
        SKIP: 'read, but store nothing',
        PCI: 'interrupt when this CCW is reached',
        IDA: 'indirect data address: the address is that of a list of IDAWs',
        SUSPEND: 'suspend here',
        MIDA: 'modified indirect data address',
      },
    },
    count: { title: 'bytes to transfer', decimal: true },
    cda: 'channel-data address',
  },
});

/** A format-2 indirect-data-address word. */
export const IDAW_MANUAL = manual(struct('idaw', 'be', { idaw: u64 }, { size: 8 }), {
  name: 'IDAW',
  title: 'indirect-data-address word: one page of the data',
  source: 'SA22-7832 chapter 15',
  fields: { idaw: 'host-physical address of the data' },
});

export const SCSW_MANUAL = manual(SCSW, {
  name: 'SCSW',
  title: 'subchannel-status word',
  source: 'SA22-7832 chapter 16',
  fields: {
    flags: {
      title: 'as in the ORB, and what was found',
      bits: {
        key: 'storage key',
        S: 'suspend control',
        L: 'extended-status word stored',
        CC: {
          title: 'deferred condition code',
          means: { 0: 'the start was accepted', 1: 'status instead', 3: 'no path' },
        },
        F: 'CCW format 1',
        P: 'prefetch',
        I: 'initial-status interruption',
        A: 'address-limit checking',
        U: 'suppress-suspended control',
        Z: 'zero condition code',
        E: 'extended control: the ECW is meaningful',
        N: 'path not operational',
      },
    },
    ctrl: {
      title: 'function, activity and status control',
      bits: {
        fctl: {
          title: 'function control',
          means: list({ 4: 'start', 2: 'halt', 1: 'clear' }),
        },
        actl: {
          title: 'activity control',
          means: list({
            64: 'resume pending',
            32: 'start pending',
            16: 'halt pending',
            8: 'clear pending',
            4: 'subchannel active',
            2: 'device active',
            1: 'suspended',
          }),
        },
        stctl: {
          title: 'status control',
          means: list({ 16: 'alert', 8: 'intermediate', 4: 'primary', 2: 'secondary', 1: 'status pending' }),
        },
      },
    },
    cpa: 'CCW address: at the end 8 more than that of the last CCW used',
    dstat: {
      title: 'device status',
      masks: DSTAT,
      bits: {
        ATTENTION: 'attention',
        STAT_MOD: 'status modifier',
        CU_END: 'control-unit end',
        BUSY: 'busy',
        CHANNEL_END: 'the channel is done with the data',
        DEVICE_END: 'the device is done',
        UNIT_CHECK: 'something went wrong: sense data tells what',
        UNIT_EXCEP: 'something unusual',
      },
    },
    cstat: {
      title: 'subchannel status',
      masks: CSTAT,
      bits: {
        PCI: 'program-controlled interruption',
        INCORR_LEN: 'incorrect length',
        PROG_CHECK: 'program check: the channel program is wrong',
        PROT_CHECK: 'protection check',
        DATA_CHECK: 'channel-data check',
        CHN_CTRL_CHK: 'channel-control check',
        INTF_CTRL_CHK: 'interface-control check',
        CHAIN_CHECK: 'chaining check',
      },
    },
    count: { title: 'residual count: bytes of the last CCW that were not moved', decimal: true },
  },
});

/** The names of the bits that are one. */
function list(names: Readonly<Record<number, string>>): (value: bigint) => string | undefined {
  return (value) => {
    const set = Object.entries(names)
      .sort(([a], [b]) => Number(b) - Number(a))
      .filter(([bit]) => (value & BigInt(bit)) !== 0n);
    return set.length === 0 ? undefined : set.map(([, name]) => name).join(', ');
  };
}

export const IRB_MANUAL = manual(IRB, {
  name: 'IRB',
  title: 'interruption-response block: what became of the request',
  source: 'SA22-7832 chapter 16',
  fields: {
    scsw: { title: 'subchannel-status word', holds: SCSW_MANUAL },
    esw0: 'extended-status word, word 0: subchannel logout; the last-path-used mask is in its second byte',
    erw: {
      title: 'extended-report word',
      masks: {
        ...ERW,
        SENSE_COUNT: 0x3f << ERW_SENSE_COUNT_SHIFT,
      },
      bits: {
        AUTHORIZATION: 'authorization check',
        PATH_VERIFICATION: 'path verification required',
        PATH_TIMEOUT: 'channel-path timeout',
        FSA_VALID: 'failing-storage address valid',
        CONCURRENT_SENSE: 'sense data is in the ECW',
        SECONDARY_CCW: 'secondary CCW address valid',
        SENSE_COUNT: 'bytes of sense data',
      },
    },
    fsa: 'failing-storage address',
    scca: 'secondary CCW address',
    ecw: 'extended-control word: sense data, if SCSW.E is one',
  },
});

const PMCW_MANUAL = manual(PMCW, {
  name: 'PMCW',
  title: 'path-management-control word: how the subchannel is set up',
  source: 'SA22-7832 chapter 15',
  fields: {
    intparm: 'interruption parameter of the last start',
    flags: {
      title: 'controls',
      bits: {
        QF: 'QDIO facility',
        W: 'QDIO available',
        ISC: 'interruption subclass: the bit of control register 6 that lets its interruptions through',
        zero: 'must be zero',
        E: 'enabled',
        LM: 'limit mode',
        MM: 'measurement mode',
        D: 'multipath mode',
        T: 'timing facility',
        V: 'device number valid: there is a device',
      },
    },
    devno: "device number: the administrator's name for the device",
    lpm: { title: 'logical-path mask', means: paths },
    pnom: { title: 'path-not-operational mask', means: paths },
    lpum: { title: 'last-path-used mask', means: paths },
    pim: { title: 'path-installed mask', means: paths },
    mbi: 'measurement-block index',
    pom: { title: 'path-operational mask', means: paths },
    pam: { title: 'path-available mask', means: paths },
    chpid: 'channel-path identifiers, one a path',
    chars: {
      title: 'characteristics',
      bits: {
        type: { title: 'subchannel type', means: { 0: 'I/O' } },
        MBFC: 'measurement-block-format control',
        XMWME: 'extended measurement word',
        CSENSE: 'concurrent sense: sense data comes with the IRB',
      },
    },
  },
});

export const SCHIB_MANUAL = manual(SCHIB, {
  name: 'SCHIB',
  title: 'subchannel-information block: all that is known of a subchannel',
  source: 'SA22-7832 chapter 15',
  fields: {
    pmcw: { title: 'path-management-control word', holds: PMCW_MANUAL },
    scsw: { title: 'subchannel-status word', holds: SCSW_MANUAL },
    mba: 'measurement-block address',
    mda: 'model-dependent area',
  },
});

/** Real locations 184 to 195 (SA22-7832 chapter 3, "Assigned Storage Locations"). */
export const IO_INTERRUPTION_CODE = manual(
  struct('io_interruption_code', 'be', { subsystemId: u32, intparm: u32, idWord: u32 }, { size: 12 }),
  {
    name: 'I/O-interruption code',
    title: 'what an I/O interruption stores in low storage',
    source: 'SA22-7832 chapter 6',
    fields: {
      subsystemId: { title: 'subsystem-identification word: which subchannel', holds: SUBSYSTEM_ID },
      intparm: "interruption parameter: the ORB's",
      idWord: {
        title: 'interruption-identification word',
        ranges: { A: [0, 1], ISC: [2, 3] },
        bits: { A: 'of an adapter', ISC: 'interruption subclass' },
      },
    },
  },
);
