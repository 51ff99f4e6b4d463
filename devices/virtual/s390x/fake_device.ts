/** A device for unit tests: its functions give the condition codes it is told to. */
import { PMCW_FLAGS } from '../../../kernel/include/arch/s390/schib.ts';
import type { Task } from '../../../kernel/lib/task.ts';
import type { ChannelSubsystem } from './css.ts';
import { Subchannel, type SubchannelOperations } from './subchannel.ts';

export class FakeDevice implements SubchannelOperations {
  cc = 0;
  readonly done: string[] = [];
  *start(): Task<number> {
    this.done.push('start');
    return this.cc;
  }
  *halt(): Task<number> {
    this.done.push('halt');
    return this.cc;
  }
  *clear(): Task<number> {
    this.done.push('clear');
    return this.cc;
  }
  *resume(): Task<number> {
    this.done.push('resume');
    return this.cc;
  }
}

/** A subchannel with such a device, in the css; enabled, ISC 3. */
export function addFakeDevice(css: ChannelSubsystem): { sch: Subchannel; device: FakeDevice } {
  const device = new FakeDevice();
  const place = css.place(0x1234 + [...css.subchannels()].length);
  const sch = new Subchannel(place, place.devno, device);
  sch.schib.pmcw.flags = PMCW_FLAGS.set(PMCW_FLAGS.mask.V | PMCW_FLAGS.mask.E, 'ISC', 3);
  css.add(sch);
  return { sch, device };
}
