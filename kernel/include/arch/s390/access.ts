/** What decides an access to storage: bits of the PSW, of control register 0 and of the translation-exception id. */

/** First doubleword of the PSW (SA22-7832 chapter 4, "Program-Status-Word Format"). */
export const PSW_DAT = 1n << 58n;
export const PSW_KEY = 0xfn << 52n;
/** Address space: {@link ADDRESS_SPACE}. */
export const PSW_AS = 3n << 46n;
export const PSW_EA = 1n << 32n;
export const PSW_BA = 1n << 31n;

/** The PSW's access key, 0 to 15. */
export const pswKey = (mask: bigint): number => Number((mask & PSW_KEY) >> 52n);
/** The PSW's address-space control. */
export const pswAddressSpace = (mask: bigint): number => Number((mask & PSW_AS) >> 46n);
/** Address bits that the PSW's addressing mode uses. */
export const pswAddressMask = (mask: bigint): bigint =>
  (mask & PSW_EA) !== 0n ? 0xffff_ffff_ffff_ffffn : (mask & PSW_BA) !== 0n ? 0x7fff_ffffn : 0xff_ffffn;

/** Values of the address-space control, and of bits 62 and 63 of the translation-exception id. */
export const ADDRESS_SPACE = { PRIMARY: 0, ACCESS_REGISTER: 1, SECONDARY: 2, HOME: 3 } as const;
/** Control register with the address-space-control element of each; access registers choose their own. */
export const ASCE_REGISTER: Readonly<Record<number, number>> = {
  [ADDRESS_SPACE.PRIMARY]: 1,
  [ADDRESS_SPACE.ACCESS_REGISTER]: 1,
  [ADDRESS_SPACE.SECONDARY]: 7,
  [ADDRESS_SPACE.HOME]: 13,
};

/** Control register 0 (SA22-7832 figure 4-3, "Assignment of Control-Register Fields"). */
export const CR0 = {
  /** Bit 35. */
  LOW_ADDRESS_PROTECTION: 0x1000_0000n,
  /** Bit 36: problem state may look at keys. */
  EXTRACTION_AUTHORITY: 0x0800_0000n,
  /** Bit 37: instructions may reach the secondary space. */
  SECONDARY_SPACE: 0x0400_0000n,
  /** Bit 38. */
  FETCH_PROTECTION_OVERRIDE: 0x0200_0000n,
  /** Bit 39. */
  STORAGE_PROTECTION_OVERRIDE: 0x0100_0000n,
  /** Bit 40: tables may describe large frames. */
  ENHANCED_DAT: 0x0080_0000n,
} as const;
/** The bits of control register 0 that storage accesses depend on. */
export const CR0_ACCESS =
  CR0.LOW_ADDRESS_PROTECTION | CR0.FETCH_PROTECTION_OVERRIDE | CR0.STORAGE_PROTECTION_OVERRIDE | CR0.ENHANCED_DAT;

/**
 * Translation-exception identification, real location 168 (SA22-7832 chapter 3, "Assigned Storage Locations"): the
 * page's address, and these bits. Bit 61 says that a protection exception is one of DAT; without it, as the enhanced
 * suppression-on-protection facility is not there, the other bits of a protection exception mean nothing.
 */
export const TEID = { FETCH: 0x800n, STORE: 0x400n, DAT_PROTECTION: 4n } as const;

/** The identification of an access to `address` in an address space. */
export const teidOf = (address: bigint, write: boolean, space: number): bigint =>
  (address & ~0xfffn) | (write ? TEID.STORE : TEID.FETCH) | BigInt(space);

/** Low-address protection guards 0-511 and 4096-4607 (SA22-7832 chapter 3, "Low-Address Protection"). */
export const lowAddressProtected = (address: bigint): boolean => (address & ~0x11ffn) === 0n;
/** Fetch-protection override is for the effective addresses below this (chapter 3, "Fetch-Protection Override"). */
export const FETCH_OVERRIDE_END = 2048n;
