/** What the tests of `test/ccw` have in common: the machine, and one program run alone in it. */
import { afterAll, expect } from 'vitest';
import { CCW_FLAG } from '../../kernel/include/arch/s390/ccw.ts';
import { workFolder } from './cli.ts';
import { ECKD } from './eckd.ts';
import { type Ccw, IoScript, type OrbFields } from './io_script.ts';
import { toyDrive } from './toy.ts';

const { CC, SLI } = CCW_FLAG;

/** A no-operation that chains, and one that ends a program. */
export const NOP: Ccw = [ECKD.NOP, CC | SLI, 1, 0];
export const LAST_NOP: Ccw = [ECKD.NOP, SLI, 1, 0];
/** Transfer in channel. */
export const TIC = 0x08;
/** Bytes of guest storage, and an address it does not have. */
export const MEMORY = 16 << 20;
export const OUTSIDE = 0x7ead_0000;
/** The cylinder of the test drive whose accesses take 50 ms. */
export const SLOW_CYLINDER = 9;

/** A fresh drive, removed when the tests of the file are done; the words of a simulated machine with it. */
export function simulatedDrive(): { words: string[]; drive: string; folder: string } {
  const { folder, remove } = workFolder();
  afterAll(remove);
  const drive = `${toyDrive(folder)},cache=unsafe`;
  return { words: ['--sim', '--drive', drive, '--trace', 'vfio_ccw_*', '--trace', 'ccw_*'], drive, folder };
}

/** A script with the device on subchannel 0 enabled. */
export function script(options?: Parameters<IoScript['enable']>[1]): IoScript {
  const s = new IoScript();
  s.enable(0, options);
  return s;
}

/** Runs one program alone; nothing may stay pinned. @param make the ORB's fields */
export async function one(words: readonly string[], make: (s: IoScript) => OrbFields) {
  const s = script();
  const irb = s.irb();
  const operation = s.run(0, s.orb(make(s)), irb);
  const run = await s.simulate(words);
  expect(run.pins).toBe(0);
  return { run, irb, result: run.result(operation), status: run.status(irb) };
}
