/**
 * What one H_PUT_TCE costs in real mode, in the form that translated code calls, with more and more groups in the container: they share the table, so an entry is
 * changed once, but each PE caches entries of its own and wants a kill. No device does DMA, and no other thread runs.
 * Called by name on a pool thread.
 */
import { HCALL, HCALL_RETURN } from '../include/arch/ppc/hcall.ts';
import { TCE_PERMISSION_MASK } from '../include/arch/ppc/tce.ts';
import { KVM_DEV_VFIO_GROUP_ADD, KVM_DEV_VFIO_GROUP_SET_SPAPR_TCE } from '../include/uapi/kvm.ts';
import { KVM_RUN } from '../include/uapi/kvm_run.ts';
import { clockOrigin, hostClock } from '../lib/clock.ts';
import { PAGE_SIZE } from '../lib/host_memory.ts';
import type { Task } from '../lib/task.ts';
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

/** The guest's window. */
export const LIOBN = 0x8000_0000n;
/** Bytes of a general register in the vCPU's state block, native byte order. */
const GPR_SIZE = 8;
const PAGE_SHIFT = 12;
/** Entries of the window, and pages of memory behind it. */
const WINDOW = 64;

/** A machine with a container of groups, and a guest's table that is not bound to it yet. */
export interface TceMachine {
  readonly host: TestHost;
  /** Descriptors: the virtual machine, its VFIO device, its table, the container and its groups. */
  readonly vm: number;
  readonly device: number;
  readonly table: number;
  readonly container: number;
  readonly groups: readonly number[];
}

/** Makes one. @param groups how many, each of one PE */
export function tceMachine(groups: number): TceMachine {
  const host = new TestHost({ pes: groups });
  const ram = host.ram(WINDOW);
  return host.run(function* () {
    const container = yield* host.container(Array.from({ length: groups }, (_, pe) => pe));
    yield* host.register(container.fd, ram, WINDOW);
    yield* host.window(container.fd, PAGE_SHIFT, WINDOW * PAGE_SIZE);
    // The first mapping makes the userspace words that real mode needs.
    yield* host.mapDma(container.fd, 0, ram, PAGE_SIZE);
    yield* host.unmapDma(container.fd, 0, PAGE_SIZE);
    const { vm } = yield* host.machine(ram, WINDOW);
    const table = yield* host.table(vm, Number(LIOBN), PAGE_SHIFT, WINDOW);
    const device = yield* host.kvmVfio(vm);
    return { host, vm, device, table, container: container.fd, groups: container.groups };
  });
}

/** Binds the table to every group, as it was merged. */
function* bindGroups({ host, device, table, groups }: TceMachine): Task {
  for (const group of groups) yield* host.setAttr(device, KVM_DEV_VFIO_GROUP_ADD, group);
  for (const group of groups) yield* host.setAttr(device, KVM_DEV_VFIO_GROUP_SET_SPAPR_TCE, group, table);
}

function kills(host: TestHost): number {
  return host.bridge.pes().reduce((sum, pe) => sum + host.bridge.inspect(pe).kills, 0);
}

/**
 * H_PUT_TCE as translated code makes it: all pages of the window are mapped, then all unmapped, and so on.
 * @returns ns per call of each batch of the second half, for the first one warms up. @throws Error when a call that form does not do
 */
export function timePuts(host: TestHost, batches: number, calls: number): number[] {
  const now = hostClock(clockOrigin());
  const { state, run } = host.map.vcpus[0];
  const { dv } = host.memory;
  const hcall = host.realMode.compile({ gprs: state, done: run + KVM_RUN.offset.hcall_real });
  const setGpr = (number: number, value: number) => dv.setUint32(state + GPR_SIZE * number, value, true);
  setGpr(1, HCALL.H_PUT_TCE);
  const times: number[] = [];
  let failed = 0;
  for (let batch = 0, call = 0; batch < batches; batch++) {
    const start = now();
    for (let i = 0; i < calls; i++, call++) {
      const page = (call % WINDOW) * PAGE_SIZE;
      const tce = Math.floor(call / WINDOW) % 2 === 0 ? page | TCE_PERMISSION_MASK : 0;
      dv.setBigUint64(state + GPR_SIZE * 2, LIOBN, true);
      setGpr(3, page);
      setGpr(4, tce);
      if (hcall() === 0 || dv.getUint32(state + GPR_SIZE * 2, true) !== HCALL_RETURN.H_SUCCESS) failed++;
    }
    if (batch >= batches >> 1) times.push((now() - start) / calls);
  }
  if (failed !== 0) throw new Error(`H_PUT_TCE: translated code did not do ${failed} calls`);
  return times;
}

/** Times one case. */
function measure({ groups, batches, calls }: GroupsOptions): GroupsTimes {
  const machine = tceMachine(groups);
  const { host } = machine;
  host.run(() => bindGroups(machine));
  const before = kills(host);
  const times = timePuts(host, batches, calls);
  return { times, killsPerCall: (kills(host) - before) / (batches * calls) };
}

/** Times several cases, one after the other. */
export function measureGroups({ cases }: { readonly cases: readonly GroupsOptions[] }): GroupsTimes[] {
  return cases.map(measure);
}
