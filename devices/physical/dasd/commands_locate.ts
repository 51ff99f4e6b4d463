/** Define Extent and Locate Record. */

import type { Task } from '../../../kernel/lib/task.ts';
import { atOnce, type CommandContext, type EckdCommand } from './eckd_command.ts';
import { DEFINE_EXTENT, type Domain, LOCATE_RECORD, parseExtent, parseLocate } from './extent.ts';
import { MESSAGE, reject, SENSE1, UnitCheck } from './sense.ts';
import { countOf } from './track.ts';

const defineExtent = atOnce(({ drive, port }) => {
  const parameters = port.take(DEFINE_EXTENT.size);
  if (drive.extent !== undefined || drive.fileMaskSet || drive.ipl)
    throw reject('Define Extent', MESSAGE.INVALID_SEQUENCE);
  drive.extent = parseExtent(parameters, drive.image.cylinders);
  drive.fileMask = drive.extent.mask;
  return 0;
});

function* locateRecord({ drive, port }: CommandContext): Task<number> {
  const parameters = port.take(LOCATE_RECORD.size);
  if (drive.extent === undefined) throw reject('Locate Record without Define Extent', MESSAGE.INVALID_SEQUENCE);
  const domain = parseLocate(parameters, drive.extent, drive.image.cylinders);
  drive.position(domain.cylinder, domain.head);
  const track = yield* drive.track(port);
  if (domain.orientation === 'home') drive.area = 'home';
  else if (domain.orientation !== 'index') {
    const index = track.records.findIndex((record) => sameId(countOf(track, record), domain));
    if (index < 0) throw new UnitCheck('no record found', 0, SENSE1.NO_RECORD_FOUND);
    drive.orient(index, domain.orientation);
  }
  drive.found = true;
  drive.domain = domain.remaining === 0 ? undefined : domain;
  return 0;
}

const sameId = (count: Uint8Array, { search }: Domain) => search.every((byte, i) => byte === count[i]);

export const LOCATE_COMMANDS: readonly EckdCommand[] = [
  { code: 0x63, name: 'Define Extent', track: [], perform: defineExtent },
  { code: 0x47, name: 'Locate Record', track: [], perform: locateRecord },
];
