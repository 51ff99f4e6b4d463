/** What the threads of the TCE hypercalls' tests run; called by the pool worker. */
import { dmaTranslate } from '../../devices/physical/phb/dma.ts';
import { FREEZE_BOTH, peBlock, thawPe } from '../../devices/physical/phb/pe.ts';
import { HCALL, HCALL_RETURN } from '../../kernel/include/arch/ppc/hcall.ts';
import { KVM_RUN } from '../../kernel/include/uapi/kvm_run.ts';
import { RealMode } from '../../kernel/kvm/book3s_64_vio_hv.ts';
import { HostMemory, PAGE_SIZE } from '../../kernel/lib/host_memory.ts';
import { Random } from '../../kernel/lib/random.ts';
import type { SharedMap } from '../../kernel/lib/shared_map.ts';

/** Where the parties wait for each other: unused words of CPU 0's run page. */
const START = 4000;

export interface Hammer {
  readonly memory: WebAssembly.Memory;
  readonly map: SharedMap;
  /** 0 or 1: the CPU whose registers and counter are used. */
  readonly me: number;
  readonly liobn: number;
  readonly calls: number;
  /** Entries and guest pages that calls choose from. */
  readonly entries: number;
  readonly pages: number;
  /** Whether the WebAssembly handler is asked first. */
  readonly wasm: boolean;
  readonly attention: number;
}

/** Makes random H_PUT_TCE calls as a vCPU, with a DMA translation of PE 0 now and then; returns who did how many. */
export function hammer(options: Hammer): { wasm: number; js: number; tooHard: number } {
  const { map, me, liobn, entries, pages } = options;
  const memory = new HostMemory(options.memory);
  const random = new Random(me + 1);
  const realMode = new RealMode(memory, map, map.phb, { attentionOffset: options.attention });
  const { state, run } = map.vcpus[me];
  const fast = realMode.compile({ gprs: state, done: run + KVM_RUN.offset.hcall_real });
  const done = { wasm: 0, js: 0, tooHard: 0 };
  // Both begin together.
  memory.add(map.vcpus[0].run + START, 1);
  while (memory.load(map.vcpus[0].run + START) < 2);
  for (let call = 0; call < options.calls; call++) {
    const ioba = random.below(entries) * PAGE_SIZE;
    const tce = random.below(pages) * PAGE_SIZE + random.below(4);
    [HCALL.H_PUT_TCE, liobn, ioba, tce].forEach((value, i) => {
      memory.dv.setBigUint64(state + 8 * (i + 1), BigInt(value), true);
    });
    if (options.wasm && fast() !== 0) done.wasm++;
    else if (realMode.hcall(HCALL.H_PUT_TCE, 0, liobn, 0, ioba, 0, tce, 0, 0) === HCALL_RETURN.H_SUCCESS) done.js++;
    else done.tooHard++;
    if (call % 4 !== me) continue;
    dmaTranslate(memory, map.phb, 0, BigInt(random.below(entries) * PAGE_SIZE), 8, random.below(2) === 1);
    thawPe(memory, peBlock(map.phb, 0), FREEZE_BOTH);
  }
  return done;
}
