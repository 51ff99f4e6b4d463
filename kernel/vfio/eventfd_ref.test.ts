import { expect, test } from 'vitest';
import { KernelFixture } from '../../test/support/kernel_fixture.ts';
import { EventFd } from '../fs/eventfd.ts';
import { preempt, type Task } from '../lib/task.ts';
import { Virqfd } from './eventfd_ref.ts';

test('a virqfd is not called once it is disabled, whoever reads its eventfd beside it', () => {
  for (let seed = 0; seed < 50; seed++) {
    const t = new KernelFixture({ seed });
    const fd = t.kernel.files.install(EventFd.file(0));
    const file = t.kernel.files.file(fd);
    let calls = 0;
    let disabled = false;
    const virqfd = new Virqfd(t.kernel, fd, 'virqfd', () => {
      expect(disabled, `seed ${seed}`).toBe(false);
      calls++;
    });
    const signal = function* (): Task {
      for (let i = 0; i < 5; i++) {
        EventFd.of(file).signal();
        yield* preempt();
      }
      disabled = true;
      virqfd.disable();
      EventFd.of(file).signal();
    };
    const read = function* (): Task {
      for (let i = 0; i < 3; i++) {
        if (!disabled) EventFd.of(file).take();
        yield* preempt();
      }
    };
    t.runAll([signal(), read()]);
    t.settle();
    expect([calls <= 5, EventFd.of(file).count !== 0n], `seed ${seed}`).toEqual([true, true]);
  }
});
