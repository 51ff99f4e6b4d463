/** A fake machine with the sPAPR side and one host bridge, for unit tests of what is behind bridges. */
import { HCALL } from '../../../kernel/include/arch/ppc/hcall.ts';
import { preempt } from '../../../kernel/lib/task.ts';
import { FakeMachine } from '../fake_machine.ts';
import { type FakePciDevice, FakePciHost } from './fake_pci_host.ts';
import type { HcallResult } from './hcall_result.ts';
import { SpaprHypercalls } from './spapr_hcall.ts';
import { type PluggedDevice, SpaprPhb, type SpaprPhbOptions } from './spapr_pci.ts';

/** The bridge's bus unit identifier, in two words. */
export const BUID = [0x0800_0000, 0x2000_0000] as const;
/** Where an RTAS call's buffer is. */
const BUFFER = 0x4000;
/** Turns that the machine's tasks get to see what has changed. */
const TURNS = 100;

/** Everything a test of the bridge starts from. A new one for each test: nothing of it is shared. */
export function spaprPci() {
  const machine = new FakeMachine();
  machine.kvmVfioFd = 9;
  const hypercalls = new SpaprHypercalls(machine, { tier: 'vmm', mark: () => {} });
  const host = new FakePciHost(machine.kernel);

  function realize(options: Partial<SpaprPhbOptions> = {}): SpaprPhb {
    const { irq, tce, ci } = hypercalls;
    const made = machine.run(
      SpaprPhb.realize(machine, { index: 0, irq, tce, ci, mapped: () => 0x8000, preregister: true, ...options }),
    );
    hypercalls.phbs.add(made);
    return made;
  }
  const phb = realize();

  const hcall = (token: number, ...args: (number | bigint)[]): HcallResult =>
    machine.run(hypercalls.hypercall(token, args.map(BigInt)));
  /** An RTAS call: its results, signed. */
  function rtas(token: number, args: readonly number[], nret: number): number[] {
    const dv = new DataView(machine.memory.bytes.buffer);
    [token, args.length, nret, ...args].forEach((word, i) => {
      dv.setUint32(BUFFER + 4 * i, word >>> 0);
    });
    hcall(HCALL.H_RTAS, BUFFER);
    return Array.from({ length: nret }, (_, i) => dv.getInt32(BUFFER + 4 * (3 + args.length + i)));
  }
  /** Lets the machine's tasks run. */
  function settle(): void {
    machine.run(
      (function* () {
        for (let turn = 0; turn < TURNS; turn++) yield* preempt();
      })(),
    );
  }
  return {
    machine,
    hypercalls,
    host,
    /** Bridge 0. */
    phb,
    /** One more bridge. */
    realize,
    hcall,
    rtas,
    settle,
    plug: (name = '0000:01:00.0', bridge = phb): PluggedDevice => machine.run(bridge.plug({ host: name })),
    /** The scripted kernel's device behind one that is plugged. */
    fake: (plugged: { readonly device: { readonly fd: number } }): FakePciDevice => host.device(plugged.device.fd),
    writeConfig: (address: number, size: number, value: number): number =>
      rtas(0x2017, [address, ...BUID, size, value], 1)[0],
    readConfig: (address: number, size: number): number[] => rtas(0x2016, [address, ...BUID, size], 2),
    /** The eventfds of the device's vectors are signalled. */
    signal(device: FakePciDevice, ...vectors: number[]): void {
      for (const vector of vectors) machine.kernel.signal(device.eventfds[vector]);
      settle();
    },
  };
}
