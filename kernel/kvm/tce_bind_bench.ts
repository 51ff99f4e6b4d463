/**
 * What it costs to tell KVM which window a LIOBN drives, and to take it back: by a group and the table's descriptor, as it
 * was merged; by a group, the LIOBN and a bus address, the RFC of 2016; by the container alone, as proposed in its review.
 * The kernel's share only: the ioctls are made on its own thread. Called by name on a pool thread.
 */
import * as ioctls from '../include/uapi/ioctl.ts';
import {
  KVM_DEV_VFIO_GROUP_ADD,
  KVM_DEV_VFIO_GROUP_DEL,
  KVM_DEV_VFIO_GROUP_SET_SPAPR_TCE,
  KVM_DEV_VFIO_GROUP_SET_SPAPR_TCE_LIOBN,
  kvm_vfio_spapr_tce_liobn,
} from '../include/uapi/kvm.ts';
import { clockOrigin, hostClock } from '../lib/clock.ts';
import { type KernelWorkDone, kernelWorkReader } from '../lib/kernel_work.ts';
import type { Task } from '../lib/task.ts';
import { LIOBN, type TceMachine, tceMachine, timePuts } from './tce_groups_bench.ts';

/** What KVM is told, as `--tce-bind` names it. */
export type BindSide = 'group' | 'group-liobn' | 'container';

export interface BindOptions {
  readonly side: BindSide;
  /** Groups in the container, each of one PE. */
  readonly groups: number;
  /** Times that the LIOBN is bound and unbound; the first half warms up and is not reported. */
  readonly repeats: number;
  /** Batches of H_PUT_TCE afterwards, the first half as warm-up, and calls of a batch. */
  readonly batches: number;
  readonly calls: number;
}

/** One direction. */
export interface BindCosts {
  /** Ioctls of all groups. */
  readonly ioctls: number;
  /** Copies they made, and pages they pinned. */
  readonly work: KernelWorkDone;
  /** ns of all of them, for each time that was not warm-up. */
  readonly times: readonly number[];
}

export interface BindTimes {
  readonly bind: BindCosts;
  readonly unbind: BindCosts;
  /** ns per H_PUT_TCE in real mode, one for each batch that was not warm-up. */
  readonly put: readonly number[];
}

type Step = (machine: TceMachine) => Iterable<() => Task<unknown>>;

/** How each side says it, one ioctl after the other. A group must be added before an attribute may name it. */
const SIDES: Readonly<Record<BindSide, { readonly bind: Step; readonly unbind: Step }>> = {
  group: {
    *bind({ host, device, table, groups }) {
      for (const group of groups) {
        yield () => host.setAttr(device, KVM_DEV_VFIO_GROUP_ADD, group);
        yield () => host.setAttr(device, KVM_DEV_VFIO_GROUP_SET_SPAPR_TCE, group, table);
      }
    },
    unbind: deleteGroups,
  },
  'group-liobn': {
    *bind({ host, device, groups }) {
      const { size } = kvm_vfio_spapr_tce_liobn;
      for (const group of groups) {
        yield () => host.setAttr(device, KVM_DEV_VFIO_GROUP_ADD, group);
        yield () => host.setAttr(device, KVM_DEV_VFIO_GROUP_SET_SPAPR_TCE_LIOBN, size, group, Number(LIOBN), 0, 0, 0);
      }
    },
    unbind: deleteGroups,
  },
  container: {
    *bind({ host, vm, container }) {
      yield () => host.ioctlStruct(vm, ioctls.KVM_SPAPR_TCE_BIND_VFIO, { liobn: Number(LIOBN), fd: container });
    },
    *unbind({ host, vm, container }) {
      yield () => host.ioctlStruct(vm, ioctls.KVM_SPAPR_TCE_UNBIND_VFIO, { liobn: Number(LIOBN), fd: container });
    },
  },
};

function* deleteGroups({ host, device, groups }: TceMachine) {
  for (const group of groups) yield () => host.setAttr(device, KVM_DEV_VFIO_GROUP_DEL, group);
}

/** Times one case. @throws Error when the hypercalls do not reach the window afterwards */
function measure({ side, groups, repeats, batches, calls }: BindOptions): BindTimes {
  const machine = tceMachine(groups);
  const { host } = machine;
  const now = hostClock(clockOrigin());
  const work = kernelWorkReader(host.memory, host.map.work);
  const way = SIDES[side];
  const once = function* (step: Step): Task<Omit<BindCosts, 'times'> & { time: number }> {
    const before = work();
    let count = 0;
    const start = now();
    for (const ioctl of step(machine)) {
      count++;
      yield* ioctl();
    }
    const time = now() - start;
    const after = work();
    const copies = after.copies - before.copies;
    const copiedBytes = after.copiedBytes - before.copiedBytes;
    return { ioctls: count, work: { copies, copiedBytes, pins: after.pins - before.pins }, time };
  };
  return host.run(function* () {
    const times = { bind: [] as number[], unbind: [] as number[] };
    for (let i = 0; i < repeats; i++)
      for (const direction of ['bind', 'unbind'] as const) {
        const { time } = yield* once(way[direction]);
        if (i >= repeats >> 1) times[direction].push(time);
      }
    const bind = { ...(yield* once(way.bind)), times: times.bind };
    const put = timePuts(host, batches, calls);
    const unbind = { ...(yield* once(way.unbind)), times: times.unbind };
    return { bind, unbind, put };
  });
}

/** Times several cases, one after the other, after some of each: else the first one would pay for code that is new. */
export function measureBind({ cases }: { readonly cases: readonly BindOptions[] }): BindTimes[] {
  for (const one of cases) measure({ ...one, repeats: one.repeats >> 2, batches: one.batches >> 2 });
  return cases.map(measure);
}
