/** The smallest machine around a CPU: identity-mapped storage. For unit tests and measurements. */
import { createMemory, HostMemory } from '../../kernel/lib/host_memory.ts';
import { StorageKeys } from '../../kernel/lib/storage_keys.ts';
import { Cpu, type CpuBus, type CpuModel } from './cpu.ts';
import { PC_CACHE_SIZE, STATE_SIZE, TLB_SIZE } from './state.ts';

/** z/Architecture with everything the core implements announced. STFLE bits: SA22-7832 chapter 4 "Facility Indications". */
export const DEFAULT_MODEL: CpuModel = {
  facilities: [0, 1, 2, 7, 8, 9, 10, 14, 18, 21, 22, 25, 27, 28, 32, 33, 34, 35, 41, 45, 49, 52, 53, 58, 61, 66, 78],
  cpuId: 0xff00_0000_8561_8000n,
};

export class SimpleMachine {
  readonly memory: HostMemory;
  readonly cpu: Cpu;
  readonly keys: StorageKeys;
  /** Bytes of storage, at host address 0. */
  readonly size: number;
  /** Missing instructions the guest met. */
  readonly missing: string[] = [];
  /** TOD clock handed out; each look advances it by a microsecond. */
  clock = 0x1000_0000_0000_0000n;
  /** Absolute pages that answer "being moved". */
  readonly moving = new Set<number>();
  /** Called for DIAGNOSE X'5E0'. */
  hypercall: (cpu: Cpu) => boolean = () => false;

  constructor(ramBytes: number, options: { model?: CpuModel; bus?: Partial<CpuBus> } = {}) {
    this.size = Math.ceil(ramBytes / 4096) * 4096;
    const stateBase = Math.ceil(this.size / 65536) * 65536;
    const tlbBase = stateBase + 65536;
    const pcCacheBase = tlbBase + TLB_SIZE;
    const storageKeys = pcCacheBase + PC_CACHE_SIZE;
    this.memory = new HostMemory(createMemory(storageKeys + this.size / 4096 + STATE_SIZE));
    this.keys = new StorageKeys(this.memory, storageKeys);
    this.cpu = new Cpu(
      this.memory,
      { stateBase, tlbBase, pcCacheBase, storageKeys, address: 0, model: options.model ?? DEFAULT_MODEL },
      {
        translate: (page) => (this.moving.has(page) ? -2 : page + 4096 <= this.size ? page : -1),
        markCode: () => {},
        tod: () => {
          this.clock += 4096n;
          return this.clock;
        },
        hypercall: (cpu) => this.hypercall(cpu),
        onMissing: (mnemonic) => this.missing.push(mnemonic),
        ...options.bus,
      },
    );
    // 64-bit mode, everything disabled.
    this.cpu.setPsw(0x1_8000_0000n, 0n);
  }
  /** Copies bytes (or hex text, blanks ignored) into storage. */
  load(address: number, bytes: Uint8Array | string): void {
    this.memory.u8.set(typeof bytes === 'string' ? Buffer.from(bytes.replace(/\s+/g, ''), 'hex') : bytes, address);
    for (let page = address - (address % 4096); page < address + bytes.length; page += 4096)
      this.cpu.invalidatePage(page);
  }
}
