/**
 * Frames of two guests at one cable (`--guest net --append peer=1`), for a plain reference of the protocol: what
 * guest/programs/net/peer_frame.h says, read and written anew.
 */
import { bytes, struct, u16, u32 } from '../../kernel/lib/struct.ts';

/** Kinds of frames. */
export const KIND = { HELLO: 1, DATA: 2, ACK: 3, BYE: 4, GIVE_UP: 5 } as const;

const HEADER = struct(
  'peer_header',
  'be',
  {
    to: bytes(6),
    from: bytes(6),
    type: u16,
    kind: u16,
    magic: u32,
    stream: u32,
    number: u32,
    frames: u32,
    received: u32,
    window: u32,
    ways: u32,
    wrong: u32,
    heard: u32,
    zero: u32,
  },
  { size: 56 },
);

/** Ethernet type of local experiments, and "mvp1". */
const TYPE = 0x88b6;
const MAGIC = 0x6d767031;
/** Bytes of a frame without data. */
export const CONTROL_SIZE = 60;
/** To whom a HELLO goes: the broadcast address. */
export const EVERYBODY = 'ff:ff:ff:ff:ff:ff';

/** What a frame says; addresses as `52:54:00:12:34:56`. */
export interface PeerFrame {
  readonly to: string;
  readonly from: string;
  readonly kind: number;
  readonly stream: number;
  readonly number: number;
  readonly frames: number;
  readonly received: number;
  readonly window: number;
  readonly ways: number;
  readonly wrong: number;
  readonly heard: number;
}

const WORDS = ['kind', 'stream', 'number', 'frames', 'received', 'window', 'ways', 'wrong', 'heard'] as const;
const addressOf = (six: Uint8Array) => [...six].map((byte) => byte.toString(16).padStart(2, '0')).join(':');
const bytesOf = (address: string) => Uint8Array.from(address.split(':'), (byte) => Number.parseInt(byte, 16));
const viewOf = (frame: Uint8Array) => HEADER.at(new DataView(frame.buffer, frame.byteOffset, frame.byteLength), 0);

const KEY = 0xbf58476d1ce4e5b9n;
const STEP = 0x9e3779b97f4a7c15n;
const PLACE = 0xd1b54a32d192ed03n;

/** The frame with its data. @param size bytes of a DATA frame */
export function makeFrame(frame: PeerFrame, size: number): Uint8Array {
  const data = frame.kind === KIND.DATA;
  const whole = new Uint8Array(Math.ceil((data ? size : CONTROL_SIZE) / 8) * 8);
  const header = viewOf(whole);
  header.to = bytesOf(frame.to);
  header.from = bytesOf(frame.from);
  header.type = TYPE;
  header.magic = MAGIC;
  for (const word of WORDS) header[word] = frame[word];
  if (data) {
    const dv = new DataView(whole.buffer);
    const address = BigInt(`0x${frame.from.replaceAll(':', '')}`);
    const base = ((address << 16n) | BigInt(frame.stream)) * KEY + BigInt(frame.number + 1) * STEP;
    for (let i = HEADER.size / 8; i < whole.length / 8; i++) dv.setBigUint64(i * 8, base + BigInt(i) * PLACE);
  }
  return whole.subarray(0, data ? size : CONTROL_SIZE);
}

/** What a frame says; undefined when it is none of the protocol. */
export function readFrame(frame: Uint8Array): PeerFrame | undefined {
  if (frame.length < CONTROL_SIZE) return undefined;
  const header = viewOf(frame);
  if (header.type !== TYPE || header.magic !== MAGIC) return undefined;
  const words = Object.fromEntries(WORDS.map((word) => [word, header[word]])) as Record<(typeof WORDS)[number], number>;
  return { to: addressOf(header.to), from: addressOf(header.from), ...words };
}
