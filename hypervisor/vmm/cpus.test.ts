import { expect, test } from 'vitest';
import { KVM_REQ, KVM_RUN, RUN_CODE_RING, RUN_CODE_RING_SLOTS } from '../../kernel/include/uapi/kvm_run.ts';
import { Ring } from '../../kernel/lib/ring.ts';
import { smallMachine } from '../../test/support/small_machine.ts';
import { MachineCpus } from './cpus.ts';

test('every CPU is told of a code page that the VMM has stored into; more than the ring holds is everything', () => {
  const { memory, map } = smallMachine(1, 2);
  const cpus = new MachineCpus(memory, map, []);
  cpus.codeWritten(0x5000);
  for (const { run } of map.vcpus) {
    expect(memory.load(run + KVM_RUN.offset.requests)).toBe(KVM_REQ.CODE_WRITTEN);
    expect(new Ring(memory, run + RUN_CODE_RING, RUN_CODE_RING_SLOTS).pop()).toBe(5);
  }
  for (let i = 0; i <= RUN_CODE_RING_SLOTS; i++) cpus.codeWritten(i * 0x1000);
  expect(memory.load(map.vcpus[1].run + KVM_RUN.offset.requests)).toBe(KVM_REQ.CODE_WRITTEN | KVM_REQ.CODE_OVERFLOW);
});
