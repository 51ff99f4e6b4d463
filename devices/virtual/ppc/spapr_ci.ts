/** H_LOGICAL_CI_LOAD and H_LOGICAL_CI_STORE: cache-inhibited access to device memory (PAPR; QEMU hw/ppc/spapr_hcall.c). */
import { HCALL_RETURN } from '../../../kernel/include/arch/ppc/hcall.ts';
import type { Task } from '../../../kernel/lib/task.ts';
import type { HcallResult } from './hcall_result.ts';

/** Guest-physical addresses behind which a device answers. */
export interface CiWindow {
  readonly base: number;
  readonly size: number;
  /** The device's bytes in address order. */
  read(offset: number, length: number): Task<Uint8Array>;
  write(offset: number, bytes: Uint8Array): Task;
}

const { H_SUCCESS, H_PARAMETER } = HCALL_RETURN;
const parameter: HcallResult = { ret: BigInt(H_PARAMETER), out: [] };
/** Sizes of an access, bytes. */
const SIZES: readonly bigint[] = [1n, 2n, 4n, 8n];

export class SpaprCi {
  readonly #windows: CiWindow[] = [];

  /** Adds a window. @throws Error when it overlaps another */
  add(window: CiWindow): void {
    const other = this.#windows.find((w) => window.base < w.base + w.size && w.base < window.base + window.size);
    if (other !== undefined)
      throw new Error(`BAR window 0x${window.base.toString(16)} overlaps the one at 0x${other.base.toString(16)}`);
    this.#windows.push(window);
  }

  /** The window that an access hits as a whole; undefined for a bad size or alignment, or no window. */
  #hit(size: bigint, address: bigint): { window: CiWindow; offset: number; length: number } | undefined {
    if (!SIZES.includes(size) || address % size !== 0n) return undefined;
    const window = this.#windows.find(
      (w) => address >= BigInt(w.base) && address + size <= BigInt(w.base) + BigInt(w.size),
    );
    return window && { window, offset: Number(address - BigInt(window.base)), length: Number(size) };
  }

  /** H_LOGICAL_CI_LOAD(size, address) -> value: the bytes in address order, read as a big-endian number. */
  *load([size, address]: readonly bigint[]): Task<HcallResult> {
    const hit = this.#hit(size, address);
    if (hit === undefined) return parameter;
    const bytes = yield* hit.window.read(hit.offset, hit.length);
    return { ret: BigInt(H_SUCCESS), out: [bytes.reduce((value, byte) => (value << 8n) | BigInt(byte), 0n)] };
  }

  /** H_LOGICAL_CI_STORE(size, address, value): the value's low bytes, most significant first. */
  *store([size, address, value]: readonly bigint[]): Task<HcallResult> {
    const hit = this.#hit(size, address);
    if (hit === undefined) return parameter;
    const { window, offset, length } = hit;
    yield* window.write(
      offset,
      Uint8Array.from({ length }, (_, i) => Number((value >> BigInt(8 * (length - 1 - i))) & 0xffn)),
    );
    return { ret: BigInt(H_SUCCESS), out: [] };
  }
}
