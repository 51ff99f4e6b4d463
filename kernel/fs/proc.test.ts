import { expect, test } from 'vitest';
import { finish } from '../../test/support/small_machine.ts';
import { registerProc } from './proc.ts';
import { Vfs } from './vfs.ts';

test('/proc/self/status tells the pages that count against the locked-memory limit, in KiB', () => {
  const vfs = new Vfs();
  const mm = { lockedVm: 3 };
  registerProc(vfs, { mm });
  const file = finish(vfs.open('/proc/self/status', 0));
  const text = () => new TextDecoder().decode(finish(file.operations.read!(4096, 0)));
  expect(text()).toMatch(/^VmLck:\t {6}12 kB$/m);
  mm.lockedVm = 0;
  expect(text()).toMatch(/^VmLck:\t {7}0 kB$/m);
});
