/** ELF64 big-endian s390x executables: checked completely before anything is started. */
import { bytes, struct, u8, u16, u32, u64n } from '../kernel/lib/struct.ts';
import type { KernelImage } from './config.ts';
import { UserError } from './user_error.ts';

/** ELF header (System V ABI, "ELF Header"; s390x supplement: big-endian, class 64). */
const ELF64_EHDR = struct(
  'Elf64_Ehdr',
  'be',
  {
    magic: u32,
    class: u8,
    data: u8,
    identVersion: u8,
    osabi: u8,
    pad: bytes(8),
    type: u16,
    machine: u16,
    version: u32,
    entry: u64n,
    phoff: u64n,
    shoff: u64n,
    flags: u32,
    ehsize: u16,
    phentsize: u16,
    phnum: u16,
    shentsize: u16,
    shnum: u16,
    shstrndx: u16,
  },
  { size: 64, offsets: { type: 16, entry: 24, phoff: 32, phentsize: 54 } },
);
/** Program header ("Program Header"). */
const ELF64_PHDR = struct(
  'Elf64_Phdr',
  'be',
  { type: u32, flags: u32, offset: u64n, vaddr: u64n, paddr: u64n, filesz: u64n, memsz: u64n, align: u64n },
  { size: 56 },
);
const ELF_MAGIC = 0x7f454c46;
const ELFCLASS64 = 2;
const ELFDATA2MSB = 2;
const ET_EXEC = 2;
const EM_S390 = 22;
const PT_LOAD = 1;
/** Names of machines a user is likely to offer by mistake (ELF gABI, e_machine). */
const MACHINES: Readonly<Record<number, string>> = {
  3: 'i386',
  20: '32-bit PowerPC',
  21: '64-bit PowerPC',
  40: 'ARM',
  62: 'x86-64',
  183: 'AArch64',
  243: 'RISC-V',
};

/**
 * Reads an executable for a guest with `memory` bytes of RAM.
 * @throws UserError naming the file, what was found and what to do.
 */
export function readElf(file: string, content: Uint8Array, memory: number): KernelImage {
  const fail = (found: string, remedy: string): never => {
    throw new UserError(`--kernel ${file}: ${found}; ${remedy}`);
  };
  const dv = new DataView(content.buffer, content.byteOffset, content.byteLength);
  if (content.length < 4 || dv.getUint32(0) !== ELF_MAGIC)
    fail('not an ELF file', 'give an s390x executable (ELF64, big-endian)');
  if (content.length < ELF64_EHDR.size)
    fail(`only ${content.length} bytes of ELF header`, 'the file is truncated: copy it again');
  const header = ELF64_EHDR.at(dv);
  if (header.class !== ELFCLASS64)
    fail(`ELF class ${header.class === 1 ? '32-bit' : header.class}`, 'link a 64-bit s390x executable (-m64)');
  if (header.data !== ELFDATA2MSB)
    fail('little-endian ELF', 's390x is big-endian: build with an s390x-linux-gnu compiler');
  if (header.machine !== EM_S390)
    fail(
      `ELF for ${MACHINES[header.machine] ?? `machine ${header.machine}`}`,
      'build with an s390x-linux-gnu compiler',
    );
  if (header.type !== ET_EXEC) fail(`ELF type ${header.type}`, 'link a static executable (ET_EXEC, -static -no-pie)');
  if (header.phentsize !== ELF64_PHDR.size || header.phoff + header.phnum * ELF64_PHDR.size > content.length)
    fail('program headers beyond the end of the file', 'the file is truncated: copy it again');
  const segments: KernelImage['segments'][number][] = [];
  for (let i = 0; i < header.phnum; i++) {
    const segment = ELF64_PHDR.at(dv, header.phoff + i * ELF64_PHDR.size);
    if (segment.type !== PT_LOAD || segment.memsz === 0) continue;
    if (segment.filesz > segment.memsz || segment.offset + segment.filesz > content.length)
      fail(`segment ${i} lies beyond the end of the file`, 'the file is truncated: copy it again');
    if (segment.paddr + segment.memsz > memory)
      fail(
        `segment ${i} needs 0x${segment.paddr.toString(16)}..0x${(segment.paddr + segment.memsz).toString(16)}`,
        `the guest has 0x${memory.toString(16)} bytes: give more --memory`,
      );
    const twice = segments.findIndex(
      (s) => segment.paddr < s.address + s.memorySize && s.address < segment.paddr + segment.memsz,
    );
    // Besides being a mistake: without overlaps a file cannot ask for more copying than there is memory.
    if (twice >= 0)
      fail(
        `segment ${i} at 0x${segment.paddr.toString(16)} overlaps another`,
        "separate the sections' load addresses in the linker script",
      );
    segments.push({
      address: segment.paddr,
      bytes: content.slice(segment.offset, segment.offset + segment.filesz),
      memorySize: segment.memsz,
    });
  }
  if (segments.length === 0) fail('no loadable segment', 'link an executable, not an object file');
  const inside = segments.some((s) => header.entry >= s.address && header.entry < s.address + s.memorySize);
  if (!inside || header.entry % 2 !== 0)
    fail(
      `entry point 0x${header.entry.toString(16)} in no segment`,
      'link with the entry symbol inside the program (ENTRY in the linker script)',
    );
  return { segments, entry: BigInt(header.entry) };
}

/**
 * Refuses a program whose bytes something else would overwrite after it is loaded. Zeros may be overwritten: a program
 * that reserves the place for its command line has them there.
 * @throws UserError naming the file and the segment
 */
export function checkFree(file: string, image: KernelImage, at: number, length: number, what: string): void {
  for (const [index, { address, bytes: content }] of image.segments.entries()) {
    const part = content.subarray(Math.max(0, at - address), Math.max(0, at + length - address));
    if (part.some((byte) => byte !== 0))
      throw new UserError(
        `--kernel ${file}: segment ${index} at 0x${address.toString(16)} has code or data at 0x${at.toString(16)}, where ${what} goes; leave that place free in the linker script`,
      );
  }
}
