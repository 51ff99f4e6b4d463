/** Commands that tell what the device is and what happened. */
import { deviceCharacteristics, senseId } from './characteristics.ts';
import { configurationData, ssidOf } from './configuration_data.ts';
import type { EckdDrive } from './drive.ts';
import { atOnce, type EckdCommand } from './eckd_command.ts';
import { BEGINNING, SUSPEND_MULTIPATH } from './sequence.ts';

/**
 * Sense Subsystem Status of a 3990-6, 44 bytes (as Hercules `dasdtab.c`): format 1, unit address, the last device of the
 * subsystem, no cache installed, the subsystem identifier.
 */
const SUBSYSTEM_SIZE = 44;
const SUBSYSTEM_FORMAT = 1;
const LAST_DEVICE = 255;
const SUBSYSTEM_SSID = 38;

function subsystemStatus({ options: { devno } }: EckdDrive): Uint8Array {
  const data = new Uint8Array(SUBSYSTEM_SIZE);
  data[0] = SUBSYSTEM_FORMAT;
  data[1] = devno & 0xff;
  data[2] = LAST_DEVICE;
  new DataView(data.buffer).setUint16(SUBSYSTEM_SSID, ssidOf(devno));
  return data;
}

/** A command that gives the program what `data` makes. */
const tell = (data: (drive: EckdDrive) => Uint8Array) =>
  atOnce(({ drive, port }) => {
    port.give(data(drive));
    return 0;
  });

const READ_CHARACTERISTICS = 0x64;
const READ_CONFIGURATION = 0xfa;

export const SENSE_COMMANDS: readonly EckdCommand[] = [
  { code: 0x04, name: 'Basic Sense', keepsSense: true, perform: tell((drive) => drive.takeSense()) },
  { code: 0xe4, name: 'Sense ID', perform: tell(({ image }) => senseId(image.cylinders)) },
  {
    code: READ_CHARACTERISTICS,
    name: 'Read Device Characteristics',
    perform: tell(({ image }) => deviceCharacteristics(image.cylinders)),
  },
  { code: READ_CONFIGURATION, name: 'Read Configuration Data', perform: tell(configurationData) },
  {
    code: 0x54,
    name: 'Sense Subsystem Status',
    after: [BEGINNING, READ_CHARACTERISTICS, READ_CONFIGURATION, SUSPEND_MULTIPATH],
    last: true,
    perform: tell(subsystemStatus),
  },
];
