import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CTRL, REG } from '../../devices/physical/net/e1000_regs.ts';
import { NIC_AREA_SIZE, nicArea } from '../../devices/physical/net/nic_area.ts';
import { DMA_PORT } from '../../devices/physical/phb/dma_port.ts';
import { lockMmio, tryLockMmio, unlockMmio } from '../../devices/physical/phb/mmio.ts';
import { INJECT, PE_BLOCK_SIZE } from '../../devices/physical/phb/pe.ts';
import { HCALL, HCALL_RETURN } from '../include/arch/ppc/hcall.ts';
import { Errno } from '../include/uapi/errno.ts';
import * as ioctls from '../include/uapi/ioctl.ts';
import { PCI_COMMAND, PCI_REG } from '../include/uapi/pci_regs.ts';
import { Doorbell } from '../lib/doorbell.ts';
import { PAGE_SIZE } from '../lib/host_memory.ts';
import { Memslots } from '../lib/memslots.ts';
import { TestPci } from '../vfio/test_pci.ts';
import { RealMode } from './book3s_64_vio_hv.ts';
import { ATTENTION } from './test_host.ts';

const { H_SUCCESS, H_PARAMETER, H_TOO_HARD } = HCALL_RETURN;
const { H_LOGICAL_CI_LOAD, H_LOGICAL_CI_STORE, H_PUT_TCE } = HCALL;
const { MEMORY, MASTER } = PCI_COMMAND;
const BAR = 0x110_8000_0000n;
const RAM_PAGES = 16;
const [PORT_PE, NIC_PE] = [0, 1];
/** Bytes of the BAR that can be mapped, and of all of it. */
const MAPPED = [0x2000, 0x2_0000] as const;
const SIZES = [0x4000, 0x2_0000] as const;

type TierName = 'exit' | 'virtual' | 'real';
interface Outcome {
  readonly ret: number;
  readonly value: bigint;
}

/** A guest with a device whose BAR KVM knows, and one way of its accesses. */
class Guest extends TestPci {
  readonly tier: TierName;
  readonly vm: number;
  readonly va: number;
  /** Accesses that the tier finished itself. */
  done = 0;

  constructor(pe: number, tier: TierName) {
    super(pe, { pes: 1, nics: 1 });
    this.tier = tier;
    this.setConfig(PCI_REG.COMMAND, MEMORY | MASTER, 2);
    const { host } = this;
    this.va = host.run(() => this.mmapTask(MAPPED[pe], 0));
    this.vm = host.run(() => host.machine(host.ram(RAM_PAGES), RAM_PAGES)).vm;
    this.slot(MAPPED[pe]);
    host.run(() => host.enableHcall(this.vm, H_LOGICAL_CI_LOAD));
    host.run(() => host.enableHcall(this.vm, H_LOGICAL_CI_STORE));
  }
  slot(memory_size: number, guest_phys_addr = Number(BAR)): string {
    const values = { slot: 1, guest_phys_addr, memory_size, userspace_addr: this.va };
    return this.host.errno(() => this.host.ioctlStruct(this.vm, ioctls.KVM_SET_USER_MEMORY_REGION, values));
  }

  /** An access as the guest makes it; what the kernel does not finish the VMM does. */
  access(nr: number, ...args: bigint[]): Outcome {
    const { host, tier } = this;
    if (tier !== 'exit') {
      const ret = tier === 'real' ? host.real(nr, ...args) : host.virtual(nr, ...args);
      if (ret !== H_TOO_HARD) {
        this.done++;
        if (nr === H_LOGICAL_CI_STORE) return { ret, value: 0n };
        return { ret, value: tier === 'real' ? host.realOut : host.virtualOut };
      }
    }
    return this.#exit(nr, args);
  }
  /** The VMM's way: checks, then read(2) or write(2) of the descriptor; all ones where the kernel refuses. */
  #exit(nr: number, [size, address, value]: readonly bigint[]): Outcome {
    const refused = { ret: H_PARAMETER, value: 0n };
    if (![1n, 2n, 4n, 8n].includes(size) || address % size !== 0n) return refused;
    const offset = address - BAR;
    if (offset < 0n || offset + size > BigInt(SIZES[this.pe])) return refused;
    const length = Number(size);
    const found = { ret: H_SUCCESS, value: 0n };
    this.host.run(
      function* (this: Guest) {
        try {
          if (nr === H_LOGICAL_CI_STORE) {
            const bytes = Uint8Array.from({ length }, (_, i) =>
              Number((value >> BigInt(8 * (length - 1 - i))) & 0xffn),
            );
            yield* this.writeTask(bytes, Number(offset));
          } else {
            const bytes = yield* this.readTask(length, Number(offset));
            found.value = bytes.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
          }
        } catch (error) {
          if (!(error instanceof Errno)) throw error;
          if (nr === H_LOGICAL_CI_LOAD) found.value = (1n << BigInt(8 * length)) - 1n;
        }
      }.bind(this),
    );
    return found;
  }
  /** All of the device's state: its block, and the NIC's area. */
  state(): Uint8Array {
    const { memory } = this.host;
    const block = memory.bytes(this.block, PE_BLOCK_SIZE);
    if (this.pe !== NIC_PE) return block.slice();
    return Buffer.concat([block, memory.bytes(nicArea(memory, this.block), NIC_AREA_SIZE)]);
  }
}

type Step =
  | { readonly kind: 'load'; readonly offset: bigint; readonly size: bigint }
  | { readonly kind: 'store'; readonly offset: bigint; readonly size: bigint; readonly value: bigint }
  | { readonly kind: 'freeze' | 'thaw' | 'off' | 'on' | 'reset' | 'settle' }
  | { readonly kind: 'inject'; readonly load: boolean; readonly offset: bigint };

const NIC_REGISTERS = [
  ...[
    REG.CTRL,
    REG.STATUS,
    REG.EECD,
    REG.EERD,
    REG.MDIC,
    REG.ICR,
    REG.ITR,
    REG.ICS,
    REG.IMS,
    REG.IMC,
    REG.RCTL,
    REG.TCTL,
  ],
  ...[REG.PBA, REG.RDBAL, REG.RDLEN, REG.RDH, REG.RDT, REG.RDTR, REG.TDBAL, REG.TDLEN, REG.TDH, REG.TDT, REG.TIDV],
  ...[REG.STATISTICS, 0x4088, 0x408c, REG.MTA, REG.RAL, REG.VFTA, 0x5ffc, 0x6000, 0x1_0000, 0x1_fffc],
];
const PORT_REGISTERS = [
  ...[DMA_PORT.ID, DMA_PORT.STATUS, DMA_PORT.CONTROL, DMA_PORT.LENGTH, DMA_PORT.ADDRESS_LO, DMA_PORT.INTERRUPT],
  ...[DMA_PORT.CAUSE, 0x40, 0xffc, DMA_PORT.BUFFER, DMA_PORT.BUFFER + 8, 0x1ff8, 0x1ffc, DMA_PORT.MSIX_TABLE, 0x3ff8],
];
const size = fc.oneof(
  { weight: 8, arbitrary: fc.constant(4n) },
  { weight: 4, arbitrary: fc.constantFrom(1n, 2n, 8n) },
  fc.constantFrom(0n, 3n, 16n, (1n << 32n) | 4n, (1n << 64n) - 4n),
);
function steps(registers: readonly number[], mapped: number): fc.Arbitrary<Step[]> {
  const offset = fc.oneof(
    { weight: 12, arbitrary: fc.constantFrom(...registers).map(BigInt) },
    { weight: 3, arbitrary: fc.tuple(fc.constantFrom(...registers), fc.nat(7)).map(([at, n]) => BigInt(at + n)) },
    fc.constantFrom(BigInt(mapped), BigInt(mapped) - 4n, -4n, -8n, -BAR, (1n << 64n) - 8n - BAR),
  );
  const value = fc.oneof(
    fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
    // Registers are little-endian: bits of interrupts, link, reset.
    fc.constantFrom(
      0n,
      0xffff_ffffn,
      0x0400_0000n,
      0x9400_0000n,
      0x4000_0000n,
      0x0000_0004n,
      0xdf_f601_00n,
      0x0100_0000n,
    ),
  );
  const step: fc.Arbitrary<Step> = fc.oneof(
    { weight: 10, arbitrary: fc.record({ kind: fc.constant('load' as const), offset, size }) },
    { weight: 10, arbitrary: fc.record({ kind: fc.constant('store' as const), offset, size, value }) },
    {
      weight: 3,
      arbitrary: fc.record({ kind: fc.constantFrom('freeze', 'thaw', 'thaw', 'off', 'on', 'on', 'reset', 'settle') }),
    },
    fc.record({ kind: fc.constant('inject' as const), load: fc.boolean(), offset }),
  );
  return fc.array(step, { minLength: 4, maxLength: 40 });
}

function perform(guest: Guest, step: Step): Outcome | undefined {
  const { bridge } = guest.host;
  switch (step.kind) {
    case 'load':
      return guest.access(H_LOGICAL_CI_LOAD, step.size, BigInt.asUintN(64, BAR + step.offset));
    case 'store':
      return guest.access(H_LOGICAL_CI_STORE, step.size, BigInt.asUintN(64, BAR + step.offset), step.value);
    case 'freeze':
      bridge.eehFreeze(guest.pe);
      break;
    case 'thaw':
      bridge.eehUnfreeze(guest.pe);
      break;
    case 'off':
      guest.setConfig(PCI_REG.COMMAND, MASTER, 2);
      break;
    case 'on':
      guest.setConfig(PCI_REG.COMMAND, MEMORY | MASTER, 2);
      break;
    case 'reset':
      guest.host.run(() => guest.host.ioctl(guest.device, ioctls.VFIO_DEVICE_RESET));
      break;
    case 'settle':
      guest.settle();
      break;
    case 'inject':
      bridge.injectError(
        guest.pe,
        step.load ? INJECT.LOAD : INJECT.STORE,
        BigInt.asUintN(64, step.offset),
        0xffff_fffcn,
      );
      break;
  }
  return undefined;
}

const TIERS: readonly TierName[] = ['exit', 'virtual', 'real'];

test.each([
  ['the NIC', NIC_PE, NIC_REGISTERS],
  ['the DMA port', PORT_PE, PORT_REGISTERS],
] as const)(
  '%s answers alike in every tier, whatever the guest does, and is in the same state afterwards',
  (_, pe, registers) => {
    const done = { exit: 0, virtual: 0, real: 0 };
    let accesses = 0;
    fc.assert(
      fc.property(steps(registers, MAPPED[pe]), (list) => {
        const guests = TIERS.map((tier) => new Guest(pe, tier));
        for (const [i, step] of list.entries()) {
          const outcomes = guests.map((guest) => perform(guest, step));
          for (const [n, tier] of TIERS.entries()) expect(outcomes[n], `step ${i} in ${tier}`).toEqual(outcomes[0]);
          if (outcomes[0]?.ret === H_SUCCESS) accesses++;
        }
        for (const guest of guests) {
          expect(Buffer.compare(guest.state(), guests[0].state()), guest.tier).toBe(0);
          done[guest.tier] += guest.done;
        }
      }),
      { numRuns: 60 },
    );
    // Most accesses end in the tier that they are about: the comparison is not one of the exit with itself.
    expect(done.exit).toBe(0);
    expect(Math.min(done.virtual, done.real)).toBeGreaterThan(accesses / 3);
  },
  60_000,
);

describe('what the kernel reaches', () => {
  const load = (guest: Guest, at: number, bytes = 4n) => guest.host.real(H_LOGICAL_CI_LOAD, bytes, BAR + BigInt(at));

  test('registers and memory of a mapped BAR; the rest of the BAR, RAM, and addresses of nobody are the VMM’s', () => {
    const guest = new Guest(PORT_PE, 'real');
    expect([load(guest, DMA_PORT.ID), guest.host.realOut]).toEqual([H_SUCCESS, 0x5044_564dn]);
    expect(guest.access(H_LOGICAL_CI_STORE, 8n, BAR + 0x1008n, 0x0102_0304_0506_0708n).ret).toBe(H_SUCCESS);
    expect(guest.load(0, 0x1008)).toBe(0x0403_0201);
    expect([load(guest, 0x1009, 2n), load(guest, 0x1008, 8n), guest.host.realOut]).toEqual([
      H_TOO_HARD,
      H_SUCCESS,
      0x0102_0304_0506_0708n,
    ]);
    expect([load(guest, DMA_PORT.MSIX_TABLE), load(guest, 0x1_0000)]).toEqual([H_TOO_HARD, H_TOO_HARD]);
    for (const nr of [H_LOGICAL_CI_LOAD, H_LOGICAL_CI_STORE]) expect(guest.host.real(nr, 4, 0x1000)).toBe(H_TOO_HARD);
  });

  test('a BAR is no RAM: not for whoever translates guest addresses, nor for TCEs, nor for another slot', () => {
    const guest = new Guest(PORT_PE, 'real');
    const { host } = guest;
    const slots = new Memslots(host.memory, host.map.memslots);
    expect([slots.hva(Number(BAR)), slots.hva(0x1000) > 0]).toEqual([-1, true]);
    host.run(() => host.table(guest.vm, 0x8000_0000, 12, 16));
    expect(host.real(H_PUT_TCE, 0x8000_0000, 0, BAR + 3n)).toBe(H_TOO_HARD);
    expect(host.virtual(H_PUT_TCE, 0x8000_0000, 0, BAR + 3n)).toBe(H_TOO_HARD);
    const overlapping = {
      slot: 2,
      guest_phys_addr: Number(BAR) + PAGE_SIZE,
      memory_size: PAGE_SIZE,
      userspace_addr: host.user,
    };
    expect(host.errno(() => host.ioctlStruct(guest.vm, ioctls.KVM_SET_USER_MEMORY_REGION, overlapping))).toBe('EEXIST');
  });

  test('not without its slot, nor its mapping, nor once the call is switched off; a slot can move', () => {
    const guest = new Guest(NIC_PE, 'real');
    const { host } = guest;
    expect(load(guest, REG.STATUS)).toBe(H_SUCCESS);
    expect(guest.slot(MAPPED[NIC_PE], Number(BAR) + 0x10_0000)).toBe('OK');
    expect([load(guest, REG.STATUS), load(guest, 0x10_0000 + REG.STATUS)]).toEqual([H_TOO_HARD, H_SUCCESS]);
    expect([guest.slot(0), load(guest, 0x10_0000 + REG.STATUS)]).toEqual(['OK', H_TOO_HARD]);
    expect([guest.slot(MAPPED[NIC_PE]), load(guest, REG.STATUS)]).toEqual(['OK', H_SUCCESS]);
    host.run(() => host.enableHcall(guest.vm, H_LOGICAL_CI_LOAD, 0));
    expect([load(guest, REG.STATUS), host.virtual(H_LOGICAL_CI_LOAD, 4, BAR)]).toEqual([H_TOO_HARD, H_TOO_HARD]);
    host.run(() => host.enableHcall(guest.vm, H_LOGICAL_CI_LOAD));
    host.run(() => host.kernel.mm.unmap(guest.va));
    expect(load(guest, REG.STATUS)).toBe(H_TOO_HARD);
  });

  test('not a frozen PE once its mapping is gone; thawed, an access of the VMM’s brings it back', () => {
    const guest = new Guest(NIC_PE, 'real');
    guest.host.bridge.eehFreeze(NIC_PE);
    // The mapping is there still: the bus itself answers.
    expect([load(guest, REG.STATUS), guest.host.realOut]).toEqual([H_SUCCESS, 0xffff_ffffn]);
    guest.settle();
    expect(load(guest, REG.STATUS)).toBe(H_TOO_HARD);
    guest.host.bridge.eehUnfreeze(NIC_PE);
    guest.settle();
    expect([load(guest, REG.STATUS), guest.load(0, REG.STATUS), load(guest, REG.STATUS)]).toEqual([
      H_TOO_HARD,
      0x281,
      H_SUCCESS,
    ]);
  });

  test('in real mode not while somebody is at the registers', () => {
    const guest = new Guest(NIC_PE, 'real');
    lockMmio(guest.host.memory, guest.block);
    expect(load(guest, REG.STATUS)).toBe(H_TOO_HARD);
    expect(guest.host.realMode.virtualMode(H_LOGICAL_CI_LOAD, Number(BAR >> 32n), Number(BAR & 0xffff_ffffn))).toBe(
      true,
    );
    unlockMmio(guest.host.memory, guest.block);
    expect(load(guest, REG.STATUS)).toBe(H_SUCCESS);
    // What nobody in the kernel reaches goes to the VMM without the detour.
    expect(guest.host.realMode.virtualMode(H_LOGICAL_CI_LOAD, 0, 0x1000)).toBe(false);
  });

  test('not when the mapping is taken away between the look at it and the lock', () => {
    const guest = new Guest(NIC_PE, 'real');
    const { memory, kernel } = guest.host;
    const entry = kernel.mm.space.entryAddress(guest.va);
    const { cas } = memory;
    memory.cas = (hpa, expected, value) => {
      memory.cas = cas;
      memory.store(entry, 0);
      return memory.cas(hpa, expected, value);
    };
    expect(load(guest, REG.STATUS)).toBe(H_TOO_HARD);
    expect(tryLockMmio(memory, guest.block)).toBe(true);
  });

  test('the kernel is told when an access has made the device interrupt, and only then', () => {
    const guest = new Guest(PORT_PE, 'real');
    const { host } = guest;
    const doorbell = new Doorbell(host.memory, host.map.actors[1].doorbell);
    const real = new RealMode(host.memory, host.map, host.phbBase, { attentionOffset: ATTENTION, kernel: doorbell });
    const store = (at: number, value: number) => {
      const before = doorbell.sequence();
      const address = Number(BAR & 0xffff_ffffn) + at;
      expect(real.hcall(H_LOGICAL_CI_STORE, 0, 4, Number(BAR >> 32n), address, 0, value, 0, 0)).toBe(H_SUCCESS);
      return doorbell.sequence() - before;
    };
    // A start with a length that cannot be ends in error at once; its cause is the engine's to tell, so it is put there.
    host.memory.store(guest.block + 0x100 + 20, 4);
    expect(store(DMA_PORT.LENGTH, 0)).toBe(0);
    expect(store(DMA_PORT.INTERRUPT, 0x0100_0000)).toBe(1);
    expect(store(DMA_PORT.INTERRUPT, 0x0100_0000)).toBe(0);
    expect(store(DMA_PORT.CAUSE, 0x0400_0000)).toBe(0);
  });

  test('reading the causes clears them once, whoever reads', () => {
    for (const tier of TIERS) {
      const guest = new Guest(NIC_PE, tier);
      guest.access(H_LOGICAL_CI_STORE, 4n, BAR + BigInt(REG.ICS), 0x0400_0000n);
      const read = () => guest.access(H_LOGICAL_CI_LOAD, 4n, BAR + BigInt(REG.ICR)).value;
      expect([read(), read()], tier).toEqual([0x0400_0000n, 0n]);
      guest.access(H_LOGICAL_CI_STORE, 4n, BAR + BigInt(REG.CTRL), 0x0000_0004n);
      expect(guest.load(0, REG.CTRL) & CTRL.RST).toBe(0);
    }
  });
});
