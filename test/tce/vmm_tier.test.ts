/**
 * Real mode, virtual mode and the VMM are the same to a guest and its device, whichever is asked first (vfio-tce facts,
 * section 9): the same calls leave the same status, view, hardware entries, counts, pins and charges.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { dmaTranslate } from '../../devices/physical/phb/dma.ts';
import { HCALL, HCALL_RETURN } from '../../kernel/include/arch/ppc/hcall.ts';
import { PAGE_SIZE } from '../../kernel/lib/host_memory.ts';
import { TIERS, type Tier, VmmWorld, type VmmWorldOptions } from './vmm.ts';
import { LIOBN, PAGES, SIDES } from './world.ts';

const { H_PUT_TCE, H_GET_TCE, H_STUFF_TCE, H_PUT_TCE_INDIRECT } = HCALL;
const { H_SUCCESS, H_PARAMETER } = HCALL_RETURN;
/** Pages 0-39 are registered; lists stand on page 50, which is not. */
const REGISTERED = 40;
const LIST = 50;

interface Call {
  readonly nr: number;
  readonly args: readonly bigint[];
  readonly list?: readonly bigint[];
}
const liobn = fc.oneof(
  { weight: 20, arbitrary: fc.constant(BigInt(LIOBN)) },
  fc.constantFrom(0n, 0x8000_0007n, 1n << 40n),
);
const near = fc.integer({ min: 0, max: 5 }).map((i) => BigInt(i * PAGE_SIZE));
const ioba = fc.oneof(
  { weight: 12, arbitrary: near },
  fc.constantFrom(
    4n,
    0x1234n,
    BigInt((PAGES - 1) * PAGE_SIZE),
    BigInt(PAGES * PAGE_SIZE),
    1n << 59n,
    (1n << 64n) - 4096n,
  ),
);
const tce = fc.oneof(
  {
    weight: 12,
    arbitrary: fc
      .tuple(fc.integer({ min: 0, max: PAGES + 1 }), fc.integer({ min: 0, max: 3 }))
      .map(([page, bits]) => BigInt(page * PAGE_SIZE + bits)),
  },
  fc.constantFrom(0n, 0x1803n, 0x5008n, (1n << 64n) - 4093n, 0xdead_0000_0000_0000n, (1n << 63n) + 1n),
);
const count = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: 0, max: 6 }).map(BigInt) },
  fc.constantFrom(64n, 65n, 512n, 513n, 1n << 32n, 1n << 63n),
);
const call: fc.Arbitrary<Call> = fc.oneof(
  { weight: 5, arbitrary: fc.tuple(liobn, ioba, tce).map((args) => ({ nr: H_PUT_TCE, args })) },
  fc.tuple(liobn, ioba).map((args) => ({ nr: H_GET_TCE, args })),
  { weight: 2, arbitrary: fc.tuple(liobn, ioba, tce, count).map((args) => ({ nr: H_STUFF_TCE, args })) },
  {
    weight: 3,
    arbitrary: fc
      .tuple(
        liobn,
        ioba,
        fc.array(tce, { maxLength: 6 }),
        fc.option(count),
        fc.constantFrom(0n, 0n, 0n, 0n, 8n, 1n << 50n),
      )
      .map(([number, at, list, other, skew]) => ({
        nr: H_PUT_TCE_INDIRECT,
        args: [number, at, BigInt(LIST * PAGE_SIZE) + skew, other ?? BigInt(list.length)],
        list,
      })),
  },
);

function perform(w: VmmWorld, { nr, args, list }: Call): unknown {
  // Behind the list stand entries without permission.
  if (list !== undefined) w.list(LIST, [...list, ...new Array(512 - list.length).fill(0n)]);
  return w.hcall(nr, ...args);
}

test.each<[string, Omit<VmmWorldOptions, 'first'>]>([
  ['registered memory', { registered: REGISTERED }],
  ['memory that is pinned when it is mapped', { v1: true }],
  ['no memory registered', { registered: 0 }],
])(
  '%s: the same calls, first asked of real mode, of virtual mode or of the VMM alone, leave the same behind',
  (_, options) => {
    const answered = { real: 0, virtual: 0, vmm: 0 };
    fc.assert(
      fc.property(fc.array(call, { minLength: 5, maxLength: 25 }), (calls) => {
        const worlds = TIERS.map((first) => new VmmWorld({ ...options, first }));
        for (const one of calls) {
          const [real, ...others] = worlds.map((w) => perform(w, one));
          for (const other of others) expect(other).toEqual(real);
          const [state, ...states] = worlds.map((w) => w.state());
          for (const other of states) expect(other).toEqual(state);
          for (const w of worlds) w.host.invariants();
        }
        for (const tier of TIERS) answered[tier] += worlds[0].answered[tier];
      }),
      { numRuns: options.v1 ? 6 : 20, seed: 2016 },
    );
    // The tiers that can answer did.
    const least = options.v1 ? 5 : 20;
    expect(answered.vmm).toBeGreaterThan(least);
    expect(answered.real).toBeGreaterThan(least);
    if (options.v1) expect(answered.virtual).toBeGreaterThan(least);
  },
);

test.each(SIDES.flatMap((bind) => TIERS.map((first) => [bind, first] as const)))(
  'bound by %s, asked of %s first: the VMM’s own set-up works',
  (bind, first) => {
    const w = new VmmWorld({ first, bind });
    // it_userspace comes with the first mapping by VFIO: that of the VMM.
    expect(w.hcall(H_PUT_TCE, BigInt(LIOBN), 0n, 0x3003n)).toEqual({ ret: H_SUCCESS });
    expect(w.hcall(H_PUT_TCE, BigInt(LIOBN), 0x1000n, 0x4003n)).toEqual({ ret: H_SUCCESS });
    expect(w.answered[first]).toBe(first === 'vmm' ? 2 : 1);
    expect(w.state().hardware.slice(0, 3)).toEqual([[3, 3], [4, 3], undefined]);
  },
);

/** What differs from QEMU, so that the tiers agree; each is one policy in all of them. */
test.each<[string, number, bigint[], number]>([
  ['an unaligned IOBA (QEMU rounds down, KVM refuses)', H_PUT_TCE, [0x1234n, 0x3003n], H_PARAMETER],
  ['H_STUFF_TCE of nothing (QEMU: H_PARAMETER)', H_STUFF_TCE, [0n, 0n, 0n], H_SUCCESS],
  ['H_PUT_TCE_INDIRECT of nothing (QEMU: H_PARAMETER)', H_PUT_TCE_INDIRECT, [0n, 0n, 0n], H_SUCCESS],
  ['a TCE with an unaligned address (QEMU keeps it)', H_PUT_TCE, [0n, 0x1803n], H_PARAMETER],
  ['a range that leaves the window (KVM looked at its first entry only)', H_STUFF_TCE, [0n, 0n, 65n], H_PARAMETER],
])('one policy: %s', (_, nr, args, expected) => {
  for (const first of TIERS)
    expect(new VmmWorld({ first }).hcall(nr, BigInt(LIOBN), ...args)).toEqual({ ret: expected });
});

test.each(TIERS)(
  '%s: a page that VFIO cannot map is in the guest’s view all the same; the device that uses it is frozen, and no harm is done',
  (first: Tier) => {
    const w = new VmmWorld({ first, registered: REGISTERED });
    w.hcall(H_PUT_TCE, BigInt(LIOBN), 0n, 0x3003n);
    const tce = BigInt((REGISTERED + 1) * PAGE_SIZE + 3);
    expect(w.hcall(H_PUT_TCE, BigInt(LIOBN), 0n, tce)).toEqual({ ret: H_SUCCESS });
    expect(w.hcall(H_GET_TCE, BigInt(LIOBN), 0n)).toEqual({ ret: H_SUCCESS, out: tce });
    expect(w.log.join()).toContain('VFIO_MAP_DMA');
    // What stood there before is gone with it.
    expect(dmaTranslate(w.host.memory, w.host.phbBase, 0, 0n, 8, false)).toBeUndefined();
    expect(w.host.bridge.eehState(0)).toBe(2);
    w.host.invariants();
  },
);
