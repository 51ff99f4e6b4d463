/**
 * A dump of Ethernet frames in libpcap's file format with nanoseconds (IETF draft-ietf-opsawg-pcap), which tcpdump and
 * Wireshark open. Written synchronously by the thread of the NIC's engine, through a buffer that is never older than
 * {@link FLUSH_NS}.
 */
import { closeSync, openSync, writeSync } from 'node:fs';
import { struct, u16, u32 } from '../../../kernel/lib/struct.ts';
import type { Wait } from '../../../kernel/lib/task.ts';

/** The file's header (draft, section 4). */
const PCAP_HEADER = struct(
  'pcap_file_header',
  'le',
  { magic: u32, version_major: u16, version_minor: u16, reserved1: u32, reserved2: u32, snaplen: u32, linktype: u32 },
  { size: 24 },
);
/** What stands before each frame (draft, section 5). */
const PCAP_RECORD = struct(
  'pcap_record',
  'le',
  { seconds: u32, nanoseconds: u32, caplen: u32, len: u32 },
  { size: 16 },
);
/** Magic number of files with nanoseconds. */
export const PCAP_MAGIC_NS = 0xa1b23c4d;
/** LINKTYPE_ETHERNET (www.tcpdump.org/linktypes.html): frames begin with the destination address and have no check sequence. */
export const LINKTYPE_ETHERNET = 1;
/** Longer than any frame of this NIC: nothing is ever cut. */
const SNAPLEN = 65535;
const BUFFER_SIZE = 0x1_0000;
/** Nanoseconds that a frame may wait in the buffer. */
export const FLUSH_NS = 100_000_000;
const SECOND = 1_000_000_000;
const NEVER = Number.POSITIVE_INFINITY;

/** A dump that could not be written to its end. */
export interface DumpFailure {
  readonly file: string;
  /** errno of the write. */
  readonly code: string;
}

export class PcapWriter {
  readonly #file: string;
  readonly #start: number;
  readonly #log: (line: string) => void;
  readonly #buffer = Buffer.alloc(BUFFER_SIZE);
  readonly #record = PCAP_RECORD.at(new DataView(this.#buffer.buffer, this.#buffer.byteOffset));
  #fd: number;
  #used = 0;
  #due = NEVER;
  #failure: DumpFailure | undefined;
  /** What the flushing task waits for. */
  readonly wait: Wait;

  /**
   * Makes the file. @param start seconds since 1970 at which the machine's clock was zero; may have a fraction.
   * @param log told once when the file cannot be written on. @throws Error with the file's name when it cannot be made
   */
  constructor(file: string, start: number, log: (line: string) => void) {
    this.#file = file;
    this.#start = start;
    this.#log = log;
    try {
      this.#fd = openSync(file, 'w');
    } catch (error) {
      throw new Error(`dump of network frames ${file}: ${(error as NodeJS.ErrnoException).code}`);
    }
    const header = PCAP_HEADER.make({
      magic: PCAP_MAGIC_NS,
      version_major: 2,
      version_minor: 4,
      snaplen: SNAPLEN,
      linktype: LINKTYPE_ETHERNET,
    });
    this.#buffer.set(PCAP_HEADER.bytes(header));
    this.#used = PCAP_HEADER.size;
    const writer = this;
    this.wait = {
      what: `frames for ${file}`,
      ready: () => false,
      get deadline() {
        return writer.#due;
      },
    };
    this.flush();
  }

  /** Adds the frame `[at, at + length)` of `u8`, which has no check sequence. @param now ns on the machine's clock. */
  frame(u8: Uint8Array, at: number, length: number, now: number): void {
    if (this.#fd < 0) return;
    const size = PCAP_RECORD.size + length;
    if (this.#used + size > BUFFER_SIZE) this.flush();
    const record = this.#record;
    record.address = this.#used;
    // The seconds apart: their sum with nanoseconds would not be exact.
    const whole = Math.floor(this.#start);
    const time = Math.round((this.#start - whole) * SECOND) + Math.floor(now);
    record.seconds = whole + Math.floor(time / SECOND);
    record.nanoseconds = time % SECOND;
    record.caplen = length;
    record.len = length;
    this.#buffer.set(u8.subarray(at, at + length), this.#used + PCAP_RECORD.size);
    this.#used += size;
    if (this.#due === NEVER) this.#due = now + FLUSH_NS;
  }

  /** Writes what waits; a file that takes no more is given up. */
  flush(): void {
    this.#due = NEVER;
    try {
      for (let done = 0; this.#fd >= 0 && done < this.#used; )
        done += writeSync(this.#fd, this.#buffer, done, this.#used - done);
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code ?? String(error);
      this.#failure = { file: this.#file, code };
      this.#log(`dump of network frames ${this.#file}: ${code}; it ends here`);
      this.#close();
    }
    this.#used = 0;
  }

  /** Power-off. @returns why the dump ended before; undefined when it did not */
  close(): DumpFailure | undefined {
    this.flush();
    this.#close();
    return this.#failure;
  }

  #close(): void {
    if (this.#fd >= 0) closeSync(this.#fd);
    this.#fd = -1;
  }
}
