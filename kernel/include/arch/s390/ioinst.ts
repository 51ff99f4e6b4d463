/** Opcodes of I/O instructions: the first halfword of their text (SA22-7832 chapter 14). */
export const CSCH = 0xb230;
export const HSCH = 0xb231;
export const SSCH = 0xb233;
export const TSCH = 0xb235;
export const TPI = 0xb236;
