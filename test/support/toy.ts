/** Configurations of the toy guest for tests, as the command line makes them. */
import { join } from 'node:path';
import { BOOT_OPTIONS, bootConfig } from '../../hypervisor/cli/boot_options.ts';
import { createToyVolume } from '../../hypervisor/cli/dasd.ts';
import { parseOptions } from '../../hypervisor/cli/options.ts';
import type { MachineConfig } from '../../hypervisor/config.ts';

/** Makes a volume with the pattern that the toy guest checks, and its slow cylinder. */
export function toyDrive(folder: string): string {
  const file = join(folder, 'test.ckd');
  createToyVolume(file);
  return `file=${file},slow-cylinder=9,slow-ms=50`;
}

/** `minivisor boot WORDS` as a configuration. */
export async function toyConfig(drive: string, words: readonly string[]): Promise<MachineConfig> {
  const { values, rest } = parseOptions('boot', BOOT_OPTIONS, ['--drive', drive, ...words]);
  return await bootConfig(values, rest);
}
