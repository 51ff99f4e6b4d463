/** The structure that an ioctl is called with, where the kernel has just been entered for it (trace event sys_enter). */
import type { Manual } from '../manual/manual.ts';
import type { Scene } from '../plot.ts';
import { type Structure, structure, userPlace } from '../story.ts';

/** @param size bytes of the structure */
export function ioctlArgument(manual: Manual, size: number) {
  return ({ peek, args: [, , , slot] }: Pick<Scene<unknown>, 'peek' | 'args'>): Structure[] => {
    const [, , va] = peek.syscall(slot);
    return [structure(manual, peek.user(va, size), userPlace(va))];
  };
}
