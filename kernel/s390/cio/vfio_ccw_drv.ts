/**
 * The vfio_ccw driver of the css bus (drivers/s390/cio/vfio_ccw_drv.c): a subchannel bound to it can be made into one
 * mediated device.
 */
import { PMCW_FLAGS } from '../../include/arch/s390/schib.ts';
import { Errno } from '../../include/uapi/errno.ts';
import { type MdevBus, MdevParent, type MdevType } from '../../vfio/mdev.ts';
import { cioUpdateSchib } from './cio.ts';
import type { CssDriver, Subchannel } from './subchannel.ts';
import { chpEvent, crwTodo } from './vfio_ccw_chp.ts';
import { fsmEvent } from './vfio_ccw_fsm.ts';
import { ioTodo } from './vfio_ccw_irq.ts';
import { VfioCcwDevice } from './vfio_ccw_ops.ts';
import { type VfioCcwHost, VfioCcwPrivate } from './vfio_ccw_private.ts';

const MDEV_TYPE: MdevType = {
  id: 'vfio_ccw-io',
  prettyName: 'I/O subchannel (Non-QDIO)',
  deviceApi: 'vfio-ccw',
  maxInstances: 1,
};

/** What the driver keeps of a bound subchannel. */
interface Parent {
  mdev: MdevParent;
  device: VfioCcwPrivate | undefined;
}

/** @param host asked when first needed: the css core, which is made with its drivers, is part of it. */
export function vfioCcwDriver(mdevBus: MdevBus, host: () => VfioCcwHost): CssDriver {
  const parents = new Map<Subchannel, Parent>();
  const deviceOf = (sch: Subchannel) => parents.get(sch)?.device;
  return {
    name: 'vfio_ccw',
    *probe(sch) {
      if (PMCW_FLAGS.get(sch.schib.pmcw.flags, 'QF') === 1) throw new Errno('ENODEV', `vfio-ccw ${sch.busId}: QDIO`);
      const parent: Parent = {
        device: undefined,
        mdev: new MdevParent(mdevBus, sch.path, MDEV_TYPE, {
          name: 'vfio_ccw_mdev',
          probe(uuid, group) {
            const device = new VfioCcwPrivate(host(), sch, uuid, { fsm: fsmEvent, ioTodo, crwTodo });
            const vfioDevice = new VfioCcwDevice(device, group);
            parent.device = device;
            return vfioDevice;
          },
          remove() {
            parent.device = undefined;
          },
        }),
      };
      parents.set(sch, parent);
    },
    *remove(sch) {
      yield* parents.get(sch)?.mdev.unregister() ?? nothing();
      parents.delete(sch);
    },
    *irq(sch) {
      yield* deviceOf(sch)?.fsm('INTERRUPT') ?? nothing();
    },
    *schEvent(sch) {
      if (cioUpdateSchib(sch) !== 0) yield* deviceOf(sch)?.fsm('NOT_OPER') ?? nothing();
    },
    *chpEvent(sch, chpid, event) {
      if (chpEvent(sch, deviceOf(sch), chpid, event) === 0) return;
      // chsc.c, s390_subchannel_remove_chpid: no path is known to work, and the subchannel is looked at anew.
      sch.lpm = 0;
      yield* host().css.schEvent(sch.schid);
    },
    *shutdown(sch) {
      const device = deviceOf(sch);
      if (device === undefined) return;
      yield* device.resetMutex.lock();
      try {
        yield* device.fsm('CLOSE');
        yield* device.fsm('NOT_OPER');
      } finally {
        device.resetMutex.unlock();
      }
    },
  };
}

function* nothing(): Generator<never, void, void> {}
