/**
 * What one H_PUT_TCE costs in real mode, in the form that translated code calls, with more and more groups in the container: they share the table, so an entry is
 * changed once, but each PE caches entries of its own and wants a kill. No device does DMA, and no other thread runs.
 * Called by name on a pool thread.
 */
import { HCALL, HCALL_RETURN } from '../include/arch/ppc/hcall.ts';
import { TCE_PERMISSION_MASK } from '../include/arch/ppc/tce.ts';
import { KVM_RUN } from '../include/uapi/kvm_run.ts';
import { clockOrigin, hostClock } from '../lib/clock.ts';
import { PAGE_SIZE } from '../lib/host_memory.ts';
import { TestHost } from './test_host.ts';

export interface GroupsOptions {
  /** Groups in the container, each of one PE. */
  readonly groups: number;
  /** Batches measured; the first half warms up and is not reported. */
  readonly batches: number;
  /** Calls of a batch. */
  readonly calls: number;
}

/** What one case brings. */
export interface GroupsTimes {
  /** Nanoseconds per call, one for each batch that was not warm-up. */
  readonly times: number[];
  /** TCE kills that one call makes, counted by the bridge. */
  readonly killsPerCall: number;
}

const LIOBN = 0x8000_0000n;
/** Bytes of a general register in the vCPU's state block, native byte order. */
const GPR_SIZE = 8;
const PAGE_SHIFT = 12;
/** Entries of the window, and pages of memory behind it. */
const WINDOW = 64;
/** Kernel attributes of the VFIO device: a group, and its binding to a guest table (include/uapi/linux/kvm.h). */
const GROUP_ADD = 1;
const SET_SPAPR_TCE = 3;

/** A machine whose table is bound to a container of `groups` groups. */
function machine(groups: number): TestHost {
  const host = new TestHost({ pes: groups });
  const ram = host.ram(WINDOW);
  host.run(function* () {
    const container = yield* host.container(Array.from({ length: groups }, (_, pe) => pe));
    yield* host.register(container.fd, ram, WINDOW);
    yield* host.window(container.fd, PAGE_SHIFT, WINDOW * PAGE_SIZE);
    // The first mapping makes the userspace words that real mode needs.
    yield* host.mapDma(container.fd, 0, ram, PAGE_SIZE);
    yield* host.unmapDma(container.fd, 0, PAGE_SIZE);
    const { vm } = yield* host.machine(ram, WINDOW);
    const table = yield* host.table(vm, Number(LIOBN), PAGE_SHIFT, WINDOW);
    const device = yield* host.kvmVfio(vm);
    for (const group of container.groups) yield* host.setAttr(device, GROUP_ADD, group);
    for (const group of container.groups) yield* host.setAttr(device, SET_SPAPR_TCE, group, table);
  });
  return host;
}

function kills(host: TestHost): number {
  return host.bridge.pes().reduce((sum, pe) => sum + host.bridge.inspect(pe).kills, 0);
}

/** Times one case. @throws Error when a call that form does not do */
function measure({ groups, batches, calls }: GroupsOptions): GroupsTimes {
  const host = machine(groups);
  const now = hostClock(clockOrigin());
  const { state, run } = host.map.vcpus[0];
  const { dv } = host.memory;
  const hcall = host.realMode.compile({ gprs: state, done: run + KVM_RUN.offset.hcall_real });
  const setGpr = (number: number, value: number) => dv.setUint32(state + GPR_SIZE * number, value, true);
  setGpr(1, HCALL.H_PUT_TCE);
  const times: number[] = [];
  const before = kills(host);
  let failed = 0;
  for (let batch = 0, call = 0; batch < batches; batch++) {
    const start = now();
    for (let i = 0; i < calls; i++, call++) {
      const page = (call % WINDOW) * PAGE_SIZE;
      // All pages are mapped, then all unmapped.
      const tce = Math.floor(call / WINDOW) % 2 === 0 ? page | TCE_PERMISSION_MASK : 0;
      dv.setBigUint64(state + GPR_SIZE * 2, LIOBN, true);
      setGpr(3, page);
      setGpr(4, tce);
      if (hcall() === 0 || dv.getUint32(state + GPR_SIZE * 2, true) !== HCALL_RETURN.H_SUCCESS) failed++;
    }
    if (batch >= batches >> 1) times.push((now() - start) / calls);
  }
  if (failed !== 0) throw new Error(`H_PUT_TCE with ${groups} groups: translated code did not do ${failed} calls`);
  return { times, killsPerCall: (kills(host) - before) / (batches * calls) };
}

/** Times several cases, one after the other. */
export function measureGroups({ cases }: { readonly cases: readonly GroupsOptions[] }): GroupsTimes[] {
  return cases.map(measure);
}
