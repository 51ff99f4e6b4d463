/** CHANNEL SUBSYSTEM CALL: the commands the virtual css knows (QEMU target/s390x/ioinst.c; vfio-ccw facts 1.8). */
import { struct, u16, u32 } from '../../../kernel/lib/struct.ts';
import { type ChannelSubsystem, VIRTUAL_CSSID } from './css.ts';

/** The request's beginning. */
export const CHSC_REQUEST = struct(
  'chsc_request',
  'be',
  { length: u16, command: u16, param0: u32, param1: u32, param2: u32 },
  { size: 16 },
);
/** The response's beginning; it directly follows the request. */
const CHSC_RESPONSE = struct('chsc_response', 'be', { length: u16, code: u16, param: u32 }, { size: 8 });

/** Response codes. */
export const CHSC_RC = {
  OK: 0x0001,
  BAD_REQUEST: 0x0003,
  UNKNOWN_COMMAND: 0x0004,
  NO_EVENT: 0x0005,
  BAD_FORMAT: 0x0007,
  BAD_CSS: 0x0008,
} as const;

type Request = ReturnType<typeof CHSC_REQUEST.make>;

/** What a command answers: a code and what follows the 8 bytes of the response header. */
interface Answer {
  readonly code: number;
  readonly param?: number;
  readonly data?: Uint8Array;
}

/** Request length of the "store" commands and of set domain attributes. */
const STORE_LENGTH = 0x0010;
const SDA_LENGTH = 0x0400;

/** The commands, one row each. */
export const CHSC_COMMANDS: Readonly<
  Record<number, { readonly name: string; readonly handler: (css: ChannelSubsystem, request: Request) => Answer }>
> = {
  [0x0002]: { name: 'store channel-path description', handler: storeChannelPathDescription },
  [0x000e]: { name: 'store event information', handler: storeEventInformation },
  [0x0010]: { name: 'store channel-subsystem characteristics', handler: storeCharacteristics },
  [0x0031]: { name: 'set domain attributes', handler: setDomainAttributes },
};

/** The response block to a request. */
export function chsc(css: ChannelSubsystem, request: Request): Uint8Array {
  const {
    code,
    param = 0,
    data = new Uint8Array(0),
  } = CHSC_COMMANDS[request.command]?.handler(css, request) ?? {
    code: CHSC_RC.UNKNOWN_COMMAND,
  };
  const response = new Uint8Array(CHSC_RESPONSE.size + data.length);
  response.set(CHSC_RESPONSE.bytes(CHSC_RESPONSE.make({ length: response.length, code, param })));
  response.set(data, CHSC_RESPONSE.size);
  return response;
}

/** Notification types a guest asks for: a bit each, type 0 leftmost, in param1 and param2; none at all means type 0. */
const NOTIFICATION_TYPE_0 = 0x80000000;

function storeEventInformation(css: ChannelSubsystem, request: Request): Answer {
  if (request.length !== STORE_LENGTH) return { code: CHSC_RC.BAD_REQUEST };
  const { param1, param2 } = request;
  if ((param1 | param2) !== 0 && (param1 & NOTIFICATION_TYPE_0) === 0) return { code: CHSC_RC.NO_EVENT };
  const data = css.events.take();
  return data === undefined ? { code: CHSC_RC.NO_EVENT } : { code: CHSC_RC.OK, data };
}

/** A css number in a request is acceptable: 0, or one that exists and is marked valid. */
function cssOk(cssid: number, m: boolean): boolean {
  return cssid === 0 || (m && cssid === VIRTUAL_CSSID);
}

/** Words of SCPD's parameters: m, format, css, and what must be zero. */
const SCPD = { M: 0x20000000, C: 0x10000000, FMT: 0x0f000000, RES0: 0xc000f000, RES1: 0xffffff00 } as const;
/** Bytes of a path description, by response format. */
const PATH_DESCRIPTION = [8, 32] as const;
/** A description is valid. */
const PATH_VALID = 0x80000000;

function storeChannelPathDescription(css: ChannelSubsystem, request: Request): Answer {
  const { length, param0, param1, param2 } = request;
  let format = (param0 >>> 8) & 0xf;
  if (format <= 1) format = (param0 & SCPD.C) !== 0 ? 1 : 0;
  if (length !== STORE_LENGTH || (param0 & SCPD.RES0) !== 0 || (param1 & SCPD.RES1) !== 0 || param2 !== 0)
    return { code: CHSC_RC.BAD_REQUEST, param: format };
  if ((param0 & SCPD.FMT) !== 0) return { code: CHSC_RC.BAD_FORMAT, param: format };
  const cssid = (param0 >>> 16) & 0xff;
  if (!cssOk(cssid, (param0 & SCPD.M) !== 0)) return { code: CHSC_RC.BAD_CSS, param: format };
  const first = param0 & 0xff;
  const last = param1 & 0xff;
  if (last < first) return { code: CHSC_RC.BAD_REQUEST, param: format };
  const size = PATH_DESCRIPTION[format];
  if (size === undefined) return { code: CHSC_RC.OK, param: format };
  const real = (param0 & SCPD.M) === 0 ? VIRTUAL_CSSID : cssid;
  const chpids = real === VIRTUAL_CSSID ? [...css.paths.keys()].filter((chpid) => chpid >= first && chpid <= last) : [];
  // More than a page holds of the long form is not described.
  const some = chpids.sort((a, b) => a - b).slice(0, Math.floor((0x1000 - STORE_LENGTH - CHSC_RESPONSE.size) / size));
  const data = new Uint8Array(some.length * size);
  const words = new DataView(data.buffer);
  for (const [i, chpid] of some.entries()) {
    words.setUint32(i * size, PATH_VALID | (css.paths.get(chpid)!.type << 8) | chpid);
    if (format === 1) words.setUint32(i * size + 4, PATH_VALID);
  }
  return { code: CHSC_RC.OK, param: format, data };
}

const SCSC = { M: 0x20000000, FMT: 0x000f0000, RES: 0xdff000ff } as const;
/** General and CHSC characteristics, as [word, bits]: those QEMU offers, among them MCSS-E, format-1 measurement blocks and SDA. */
const GENERAL = [
  [0, 0x03000000],
  [1, 0x00079000],
  [3, 0x00080000],
] as const;
const CHSC = [
  [0, 0x40000000],
  [3, 0x00040000],
] as const;
/** Bytes of each part. */
const GENERAL_SIZE = 510 * 4;
const CHSC_SIZE = 508 * 4;

function storeCharacteristics(_css: ChannelSubsystem, request: Request): Answer {
  const { length, param0, param1, param2 } = request;
  if (length !== STORE_LENGTH) return { code: CHSC_RC.BAD_REQUEST };
  if ((param0 & SCSC.FMT) !== 0) return { code: CHSC_RC.BAD_FORMAT };
  if (!cssOk((param0 >>> 8) & 0xff, (param0 & SCSC.M) !== 0)) return { code: CHSC_RC.BAD_CSS };
  if ((param0 & SCSC.RES) !== 0 || param1 !== 0 || param2 !== 0) return { code: CHSC_RC.BAD_REQUEST };
  const data = new Uint8Array(GENERAL_SIZE + CHSC_SIZE);
  const words = new DataView(data.buffer);
  for (const [word, bits] of GENERAL) words.setUint32(word * 4, bits);
  for (const [word, bits] of CHSC) words.setUint32(GENERAL_SIZE + word * 4, bits);
  return { code: CHSC_RC.OK, data };
}

const SDA = { FMT: 0x0f000000, RES: 0xf0ff0000, OPERATION: 0x0000ffff } as const;
/** Operation codes. */
const SDA_MCSSE = 0;
const SDA_MSS = 2;

function setDomainAttributes(css: ChannelSubsystem, request: Request): Answer {
  const { length, param0 } = request;
  if (length !== SDA_LENGTH || (param0 & SDA.RES) !== 0) return { code: CHSC_RC.BAD_REQUEST };
  if ((param0 & SDA.FMT) !== 0) return { code: CHSC_RC.BAD_FORMAT };
  const operation = param0 & SDA.OPERATION;
  if (operation === SDA_MCSSE) css.enableMcsse();
  else if (operation === SDA_MSS) css.enableMss();
  else return { code: CHSC_RC.BAD_REQUEST };
  return { code: CHSC_RC.OK };
}
