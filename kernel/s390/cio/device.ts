/**
 * The host's own driver of I/O subchannels (drivers/s390/cio/device.c): binds at boot and shows the ccw device. It
 * does no I/O: nothing on the host uses a disk, so sense ID and online processing are not there.
 */
import { PMCW_FLAGS } from '../../include/arch/s390/schib.ts';
import { Errno } from '../../include/uapi/errno.ts';
import type { Kernel } from '../../kernel.ts';
import type { CssDriver, Subchannel } from './subchannel.ts';

/** `0.0.devno`, the name of the ccw device behind a subchannel. */
function ccwName(sch: Subchannel): string {
  return `0.0.${sch.schib.pmcw.devno.toString(16).padStart(4, '0')}`;
}

export function ioSubchannelDriver(kernel: Kernel): CssDriver {
  const { vfs } = kernel;
  return {
    name: 'io_subchannel',
    *probe(sch) {
      if (PMCW_FLAGS.get(sch.schib.pmcw.flags, 'V') === 0) throw new Errno('ENODEV', sch.busId);
      // io_subchannel_init_config: concurrent sense stays in the configuration for whoever binds next.
      sch.config.csense = true;
      const name = ccwName(sch);
      vfs.add(`${sch.path}/${name}`, { kind: 'directory' });
      vfs.attribute(`${sch.path}/${name}/online`, () => '0');
      vfs.add(`/sys/bus/ccw/devices/${name}`, { kind: 'link', target: `../../../devices/css0/${sch.busId}/${name}` });
    },
    *remove(sch) {
      vfs.remove(`/sys/bus/ccw/devices/${ccwName(sch)}`);
      vfs.remove(`${sch.path}/${ccwName(sch)}`);
    },
    *irq() {},
    *schEvent() {},
    *chpEvent() {},
    *shutdown() {},
  };
}
