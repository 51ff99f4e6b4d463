/** Small guests: machine code wrapped into an s390x ELF executable. */

/** An ELF64 with one segment at `address` that begins with `code` (hexadecimal, blanks ignored); entry at its start. */
export function guestElf(code: string, address = 0x10000): Buffer {
  const text = Buffer.from(code.replace(/\s/g, ''), 'hex');
  const file = Buffer.alloc(120 + text.length);
  file.write('\x7fELF\x02\x02\x01', 0, 'latin1');
  file.writeUInt16BE(2, 16); // ET_EXEC
  file.writeUInt16BE(22, 18); // EM_S390
  file.writeUInt32BE(1, 20);
  file.writeBigUInt64BE(BigInt(address), 24);
  file.writeBigUInt64BE(64n, 32);
  file.writeUInt16BE(64, 52);
  file.writeUInt16BE(56, 54);
  file.writeUInt16BE(1, 56);
  file.writeUInt32BE(1, 64); // PT_LOAD
  file.writeUInt32BE(7, 68);
  file.writeBigUInt64BE(120n, 72);
  file.writeBigUInt64BE(BigInt(address), 80);
  file.writeBigUInt64BE(BigInt(address), 88);
  file.writeBigUInt64BE(BigInt(text.length), 96);
  file.writeBigUInt64BE(BigInt(text.length + 4096), 104);
  text.copy(file, 120);
  return file;
}
