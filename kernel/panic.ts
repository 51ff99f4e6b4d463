/** Taint flags (kernel/panic.c): what was done that makes a later trouble of the kernel its user's own affair. */
import type { Vfs } from './fs/vfs.ts';

/** Bits of /proc/sys/kernel/tainted (include/linux/panic.h, TAINT_*). */
const TAINT_BITS = { TAINT_USER: 6 } as const;

export class Taint {
  #flags = 0;

  constructor(vfs: Vfs) {
    vfs.attribute('/proc/sys/kernel/tainted', () => `${this.#flags}`);
  }

  /** add_taint. Nothing takes a flag away again. */
  add(flag: keyof typeof TAINT_BITS): void {
    this.#flags |= 1 << TAINT_BITS[flag];
  }
}
