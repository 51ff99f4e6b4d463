/** The exits that the vCPUs counted, read while they run or afterwards, and added up over all of them. */
import { EXIT_STAT, EXIT_STAT_HEADER, EXIT_STAT_ROWS } from '../../kernel/include/uapi/kvm_exit_stat.ts';
import type { HostMemory } from '../../kernel/lib/host_memory.ts';
import type { SharedMap } from '../../kernel/lib/shared_map.ts';
import type { ExitReport, ExitRow } from '../config.ts';
import { exitName } from './exit_names.ts';

/** Reasons with the most exits first, as perf sorts them. */
export function readExits(memory: HostMemory, map: SharedMap): ExitReport {
  const rows = new Map<number, ExitRow>();
  const inKernel = { real: 0, virtual: 0 };
  for (const { exits } of map.vcpus) {
    const header = EXIT_STAT_HEADER.at(memory.dv, exits);
    inKernel.real += header.hcall_real;
    inKernel.virtual += header.hcall_virtual;
    for (const [key, row] of rowsOf(memory, exits)) rows.set(key, both(rows.get(key), row));
  }
  return { rows: [...rows.values()].sort((a, b) => b.samples - a.samples), inKernel };
}

/** The rows of one CPU. */
function* rowsOf(memory: HostMemory, area: number): Iterable<readonly [number, ExitRow]> {
  for (let i = 0; i < EXIT_STAT_ROWS; i++) {
    const at = area + EXIT_STAT_HEADER.size + i * EXIT_STAT.size;
    const key = memory.load(at + EXIT_STAT.offset.key);
    if (key === 0) return;
    const { samples, sum, squares, min, max } = EXIT_STAT.at(memory.dv, at);
    // The CPU counts a moment after it has named the row.
    if (samples > 0) yield [key, { name: exitName(key), samples, sum, squares, min, max }];
  }
}

function both(a: ExitRow | undefined, b: ExitRow): ExitRow {
  if (a === undefined) return b;
  return {
    name: a.name,
    samples: a.samples + b.samples,
    sum: a.sum + b.sum,
    squares: a.squares + b.squares,
    min: Math.min(a.min, b.min),
    max: Math.max(a.max, b.max),
  };
}
