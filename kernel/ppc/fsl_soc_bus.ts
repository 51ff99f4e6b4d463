/**
 * What the host kernel can ask of the physical SoC: loads and stores of registers, and interrupts. Answered by
 * `devices/physical/pamu` (class `FslSoc`); all methods are for the kernel's thread.
 *
 * The order software keeps: tables (PPAACT, SPAACT, OMT) are host memory that PAMUs read at every access, nothing is
 * cached. After an entry was changed, **a load of any register of the PAMU** returns when every transaction that may
 * have used the old entry has ended. So: V = 0, load, then unpin. Entry words are stored with `writePaaceWord`
 * (`devices/physical/pamu/paact.ts`), word 1, which holds V and AP, last.
 */

/** What a device has done to registers that are the host's, because somebody mapped their page for it. */
export interface SocIntegrity {
  /** Writes and reads of host registers by devices. */
  readonly count: number;
  /** The last one's offset in CCSR and LIODN. */
  readonly offset: number;
  readonly liodn: number;
}

export interface FslSocBus {
  /** Loads a register. @param offset from CCSR, below 0x200000, 4-aligned. Zero where no register is. */
  read32(offset: number): number;
  /** Stores to a register; dropped where none is. @param value unsigned or signed 32 bits. */
  write32(offset: number, value: number): void;
  /** Takes the next pending MPIC source, lowest first; each edge is returned once. `MPIC_SOURCE`, `msirSource`. */
  interruptSource(): number | undefined;
  /** Whether {@link interruptSource} would find one; cheap. */
  interruptPending(): boolean;
  /** Instrumentation: host registers hit by DMA since power-on. */
  integrity(): SocIntegrity;
  /** Instrumentation: device writes to an alias page that did not hit its doorbell; ignored. */
  ignoredMessages(): number;
}
