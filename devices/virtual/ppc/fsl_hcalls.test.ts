import { expect, test } from 'vitest';
import { HCALL, HCALL_RETURN } from '../../../kernel/include/arch/ppc/hcall.ts';
import { Errno } from '../../../kernel/include/uapi/errno.ts';
import { FakeMachine } from '../fake_machine.ts';
import { SpaprHypercalls } from './spapr_hcall.ts';

const { H_SUCCESS, H_PARAMETER, H_HARDWARE } = HCALL_RETURN;

/** A machine with two devices, the second of which the host refuses to restart. */
function machine() {
  const fake = new FakeMachine();
  const hypercalls = new SpaprHypercalls(fake, { tier: 'vmm', mark: () => {} });
  const restarted: number[] = [];
  hypercalls.fsl.add({
    *restart() {
      restarted.push(0);
    },
  });
  hypercalls.fsl.add({
    *restart() {
      restarted.push(1);
      throw new Errno('ENODEV', 'PAMU enable: nothing is mapped');
    },
  });
  const enable = (handle: bigint) => Number(fake.run(hypercalls.hypercall(HCALL.FH_DMA_ENABLE, [handle])).ret);
  return { fake, restarted, enable, hypercalls };
}

test('FH_DMA_ENABLE restarts the device of that number and no other', () => {
  const { enable, restarted } = machine();
  expect(enable(0n)).toBe(H_SUCCESS);
  expect(restarted).toEqual([0]);
});

test.each([2n, 2n ** 32n, 2n ** 64n - 1n])('FH_DMA_ENABLE of %i, which nobody has, is H_PARAMETER', (handle) => {
  const { enable, restarted } = machine();
  expect(enable(handle)).toBe(H_PARAMETER);
  expect(restarted).toEqual([]);
});

test('what the host refuses is H_HARDWARE for the guest, and a line in the log', () => {
  const { enable, fake } = machine();
  expect(enable(1n)).toBe(H_HARDWARE);
  expect(fake.logs).toEqual([expect.stringContaining('nothing is mapped')]);
});
