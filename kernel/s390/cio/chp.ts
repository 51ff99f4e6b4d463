/** Channel paths (drivers/s390/cio/chp.c): `/sys/devices/css0/chp0.NN` and what happens when one goes or comes. */

import type { Vfs } from '../../fs/vfs.ts';
import { Errno } from '../../include/uapi/errno.ts';
import type { Task } from '../../lib/task.ts';
import type { ChpEvent, Subchannel } from './subchannel.ts';

/** Channel-path type of the only kind of path the physical machine has: FICON native (lschp "Type 1b"). */
const CHP_TYPE_FICON = 0x1b;

/** Paths of `sch`, as a mask (bit 0x80 first), that are channel path `chpid` (chp_ssd_get_mask's role). */
export function chpMask(sch: Subchannel, chpid: number): number {
  const { pmcw } = sch.schib;
  let mask = 0;
  for (let i = 0; i < 8; i++) if ((pmcw.pim & (0x80 >>> i)) !== 0 && pmcw.chpid[i] === chpid) mask |= 0x80 >>> i;
  return mask;
}

/** Tells every subchannel of an event. */
export type ChpNotify = (chpid: number, event: ChpEvent) => Task;

export class ChannelPath {
  readonly chpid: number;
  /** Logically on: `status`. */
  online = true;
  /** Configured: `configure`. */
  configured = true;

  constructor(vfs: Vfs, chpid: number, notify: ChpNotify) {
    this.chpid = chpid;
    const path = `/sys/devices/css0/chp0.${chpid.toString(16).padStart(2, '0')}`;
    vfs.attribute(`${path}/type`, () => CHP_TYPE_FICON.toString(16).padStart(2, '0'));
    vfs.attribute(
      `${path}/status`,
      () => (this.online ? 'online' : 'offline'),
      (value) => this.#vary(value, notify),
    );
    vfs.attribute(
      `${path}/configure`,
      () => (this.configured ? '1' : '0'),
      (value) => this.#configure(value, notify),
    );
  }

  *#vary(value: string, notify: ChpNotify): Task {
    const on = /^(on|online|1)$/i.test(value);
    if (!on && !/^(off|offline|0)$/i.test(value)) throw new Errno('EINVAL', `chp status "${value}"`);
    if (on === this.online) return;
    this.online = on;
    yield* notify(this.chpid, on ? 'CHP_VARY_ON' : 'CHP_VARY_OFF');
  }

  *#configure(value: string, notify: ChpNotify): Task {
    if (value !== '0' && value !== '1') throw new Errno('EINVAL', `chp configure "${value}"`);
    const on = value === '1';
    if (on === this.configured) return;
    this.configured = on;
    yield* notify(this.chpid, on ? 'CHP_ONLINE' : 'CHP_OFFLINE');
  }
}
