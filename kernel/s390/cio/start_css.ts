/** Starts the host's channel-subsystem support: drivers, subchannels, mediated devices. */
import type { Kernel } from '../../kernel.ts';
import { MdevBus } from '../../vfio/mdev.ts';
import type { VfioCore } from '../../vfio/vfio_main.ts';
import type { CioBus } from './cio_bus.ts';
import { Css } from './css.ts';
import { ioSubchannelDriver } from './device.ts';
import { DmaPool } from './dma_pool.ts';
import { vfioCcwRfcDriver } from './vfio_ccw_cmd_request_drv.ts';
import { vfioCcwDriver } from './vfio_ccw_drv.ts';
import type { VfioCcwHost } from './vfio_ccw_private.ts';
import { Workqueue } from './workqueue.ts';

/**
 * Subchannels are bound to `io_subchannel` at first; an administrator moves one to `vfio_ccw` by `driver_override`,
 * `unbind` and `bind` (driverctl's steps) and then writes a UUID to `create` (mdevctl's); or to `vfio_ccw_rfc`, once
 * no-IOMMU groups are allowed.
 *
 * To be called at boot, before user space: it probes to the end before it returns.
 *
 * @param options.autoprobe false leaves subchannels without a driver (`drivers_autoprobe`). Concurrent sense is the
 *   difference: `io_subchannel` switches it on, and it stays on for `vfio_ccw`, which has no mind of its own. A subchannel
 *   that `vfio_ccw` gets first has it off: its guest fetches sense bytes with a command.
 */
export function startCss(
  kernel: Kernel,
  vfio: VfioCore,
  bus: CioBus,
  options: { readonly autoprobe?: boolean } = {},
): VfioCcwHost {
  const pool = new DmaPool(kernel.memory, kernel.pages);
  const workqueue = new Workqueue(kernel.actor, 'vfio-ccw');
  let host: VfioCcwHost | undefined;
  const drivers = [
    ioSubchannelDriver(kernel),
    vfioCcwDriver(new MdevBus(vfio), () => host as VfioCcwHost),
    vfioCcwRfcDriver(vfio, () => host as VfioCcwHost),
  ];
  const css = new Css(kernel, bus, drivers, options.autoprobe);
  host = { kernel, css, workqueue, pool };
  // At boot there is nobody to wait for: every wait of the probes is ready.
  const boot = css.start();
  while (boot.next().done !== true);
  return host;
}
