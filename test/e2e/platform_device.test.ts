/**
 * Both sides of the argument about windowed IOMMUs run the same work: a guest of real instructions programs a DMA channel
 * of the host that is passed through with vfio-platform, and is interrupted when its copy has ended.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { BOOT_OPTIONS, bootConfig } from '../../hypervisor/cli/boot_options.ts';
import { parseOptions } from '../../hypervisor/cli/options.ts';
import { type SimulatedRun, simulate } from '../../hypervisor/simulate.ts';
import { FSL_DMA, FSL_DMA_MR, FSL_DMA_SNOOP, FSL_DMA_SR } from '../../kernel/include/arch/ppc/fsldma.ts';
import { HCALL } from '../../kernel/include/arch/ppc/hcall.ts';
import { runCli, workFolder } from '../support/cli.ts';
import { guestElf } from '../support/guest_elf.ts';
import { toyDrive } from '../support/toy.ts';

const { folder, remove } = workFolder();
afterAll(remove);
const drive = `${toyDrive(folder)},cache=unsafe`;

const CODE = 0x12000;
const [SOURCE, TARGET] = [0x200000, 0x300000];
const DEVICE = 0xf_0000_0000;
const IRQ = 0x1300;
/** Where a guest that finds something wrong waits. */
const WRONG = 0xdead;

/** A few instructions of z/Architecture; labels are resolved at the end. */
class Program {
  readonly #parts: (string | { readonly opcode: string; readonly label: string; readonly bytes: 2 | 4 })[] = [];
  readonly #labels = new Map<string, number>();
  #at = 0;

  hex(text: string): this {
    const code = text.replace(/\s/g, '');
    this.#parts.push(code);
    this.#at += code.length / 2;
    return this;
  }
  label(name: string): this {
    this.#labels.set(name, this.#at);
    return this;
  }
  /** Pads to a multiple of 8. */
  align(): this {
    return this.hex('00'.repeat((8 - (this.#at % 8)) % 8));
  }
  #relative(opcode: string, label: string, bytes: 2 | 4): this {
    this.#parts.push({ opcode, label, bytes });
    this.#at += opcode.length / 2 + bytes;
    return this;
  }
  /** BRANCH RELATIVE ON CONDITION with a mask. */
  branch(mask: number, label: string): this {
    return this.#relative(`a7${mask.toString(16)}4`, label, 2);
  }
  /** LOAD ADDRESS RELATIVE LONG. */
  larl(register: number, label: string): this {
    return this.#relative(`c0${register.toString(16)}0`, label, 4);
  }
  /** A 64-bit number into a register: LLILF, IIHF. */
  load(register: number, value: number): this {
    const word = (n: number) => n.toString(16).padStart(8, '0');
    const r = register.toString(16);
    return this.hex(`c0${r}f${word(value % 2 ** 32)} c0${r}8${word(Math.floor(value / 2 ** 32))}`);
  }
  /** A hypercall that must succeed; its first result is in register 3. */
  hcall(token: number, ...args: readonly number[]): this {
    this.load(1, token);
    for (const [i, arg] of args.entries()) this.load(2 + i, arg);
    return this.hex('830005e0 b9020022').branch(7, 'wrong');
  }
  store(register: keyof typeof FSL_DMA, value: number): this {
    return this.hcall(HCALL.H_LOGICAL_CI_STORE, 4, DEVICE + FSL_DMA[register], value);
  }
  /** Register 3 must have this in its lower half: CLFI. */
  expect(value: number): this {
    return this.hex(`c23f${(value >>> 0).toString(16).padStart(8, '0')}`).branch(7, 'wrong');
  }
  /** LPSWE of a label's PSW. */
  psw(label: string): this {
    return this.larl(7, label).hex('b2b27000');
  }
  /** Starts a copy. */
  copy(source: number, target: number, mode: number): this {
    this.store('MR', 0).store('SR', 0xff);
    this.store('SATR', FSL_DMA_SNOOP).store('SAR', source);
    this.store('DATR', FSL_DMA_SNOOP).store('DAR', target).store('BCR', 256);
    return this.store('MR', FSL_DMA_MR.CS | FSL_DMA_MR.CTM | mode);
  }
  /** Waits until the channel is idle; SR in register 3. */
  poll(label: string): this {
    this.label(label).hcall(HCALL.H_LOGICAL_CI_LOAD, 4, DEVICE + FSL_DMA.SR);
    // TEST UNDER MASK LOW: busy?
    return this.hex(`a731${FSL_DMA_SR.CB.toString(16).padStart(4, '0')}`).branch(7, label);
  }

  /** The ends: a disabled wait at 0 when all is well, elsewhere when not. */
  end(): this {
    const quad = (n: number) => n.toString(16).padStart(16, '0');
    this.psw('right').label('wrong').psw('wrong psw').align();
    this.label('right').hex(`0002000180000000 ${quad(0)}`);
    return this.label('wrong psw').hex(`0002000180000000 ${quad(WRONG)}`);
  }

  /** Address of a label. */
  address(label: string): number {
    return CODE + (this.#labels.get(label) as number);
  }
  text(): string {
    let at = 0;
    return this.#parts
      .map((part) => {
        const start = at;
        if (typeof part === 'string') {
          at += part.length / 2;
          return part;
        }
        at += part.opcode.length / 2 + part.bytes;
        const distance = ((this.#labels.get(part.label) as number) - start) / 2;
        const mask = part.bytes === 2 ? 0xffff : 0xffff_ffff;
        return part.opcode + ((distance & mask) >>> 0).toString(16).padStart(2 * part.bytes, '0');
      })
      .join('');
  }
}

/** One copy, whose end is an interrupt: interruption, XICS and the bytes are looked at. */
function interrupted(): string {
  const build = (handler: number) => {
    const p = new Program();
    // Something to copy.
    p.load(5, SOURCE).load(6, TARGET).larl(8, 'pattern').hex('d2ff 5000 8000');
    // Adapter interruptions of subclass 2, and what is done with them.
    p.larl(7, 'cr6').hex('eb667000002f').larl(7, 'new psw').hex('d20f01f07000');
    // ibm,set-xive of the device's source, and a CPU that takes it.
    p.larl(7, 'set-xive').load(1, HCALL.H_RTAS).hex('b9040027 830005e0 b9020022').branch(7, 'wrong');
    p.hcall(HCALL.H_CPPR, 0xff);
    p.copy(SOURCE, TARGET, FSL_DMA_MR.EOSIE | FSL_DMA_MR.EIE);
    p.psw('wait');
    p.label('handler')
      .hcall(HCALL.H_XIRR)
      .expect(0xff00_0000 + IRQ);
    p.hcall(HCALL.H_LOGICAL_CI_LOAD, 4, DEVICE + FSL_DMA.SR).expect(FSL_DMA_SR.EOSI);
    p.load(5, SOURCE).load(6, TARGET).hex('d5ff 5000 6000').branch(7, 'wrong');
    p.hcall(HCALL.H_EOI, 0xff00_0000 + IRQ);
    p.end();
    p.label('wait').hex('0202000180000000 0000000000000000');
    p.label('cr6').hex('0000000020000000');
    p.label('new psw').hex(`0000000180000000 ${handler.toString(16).padStart(16, '0')}`);
    p.label('set-xive').hex(`0000200a 00000003 00000001 0000${IRQ.toString(16)} 00000000 00000005 ffffffff 00000000`);
    p.label('pattern').hex(
      Array.from({ length: 256 }, (_, i) => ((i * 7) & 0xff).toString(16).padStart(2, '0')).join(''),
    );
    return p;
  };
  return build(build(0).address('handler')).text();
}

/** A copy without an interrupt. */
function polled(): string {
  return new Program().copy(SOURCE, TARGET, FSL_DMA_MR.EOSIE).poll('end').expect(FSL_DMA_SR.EOSI).end().text();
}

/** A copy to where no RAM is, then one that is in order. */
function violating(): string {
  const p = new Program();
  p.copy(SOURCE, 0x0700_0000, 0).poll('first').expect(FSL_DMA_SR.TE);
  p.copy(SOURCE, TARGET, 0).poll('second').expect(0);
  return p.end().text();
}

function elf(name: string, code: string): string {
  const file = join(folder, `${name}.elf`);
  writeFileSync(file, guestElf(code, CODE));
  return file;
}
const COPY = elf('copy', interrupted());
const POLL = elf('poll', polled());
const VIOLATE = elf('violate', violating());

function words(kernel: string, iommu: string, more: readonly string[] = []): string[] {
  const device = ['--device', 'vfio-platform,host=dma0', '--iommu', iommu];
  return ['--kernel', kernel, '--drive', drive, '--memory', '32M', ...device, ...more];
}
async function boot(kernel: string, iommu: string, more: readonly string[] = []): Promise<SimulatedRun> {
  const { values, rest } = parseOptions('boot', BOOT_OPTIONS, words(kernel, iommu, ['--sim', ...more]));
  return await simulate(await bootConfig(values, rest));
}

test.each(['pamu', 'type1'])('%s: the guest’s copy ends with an interrupt and the right bytes', async (iommu) => {
  for (let seed = 1; seed <= 10; seed++) {
    const run = await boot(COPY, iommu, ['--seed', `${seed}`]);
    expect([seed, run.result.status, run.result.reason]).toEqual([seed, 0, '']);
  }
});

test('two devices, and the pair of one group', async () => {
  const more = ['dma1', 'dma2', 'dma3'].flatMap((host) => ['--device', `vfio-platform,host=${host}`]);
  for (const iommu of ['pamu', 'type1']) expect((await boot(COPY, iommu, more)).result.status).toBe(0);
});

test('frames that move all the time: what is mapped is pinned', async () => {
  for (const iommu of ['pamu', 'type1']) expect((await boot(COPY, iommu, ['--memory-pressure'])).result.status).toBe(0);
});

test('a violation stops a device behind a PAMU for good; behind a 4K-page IOMMU it is one access', async () => {
  const [pamu, type1] = [await boot(VIOLATE, 'pamu'), await boot(VIOLATE, 'type1')];
  expect(type1.result.status).toBe(0);
  expect(pamu.result.reason).toContain(`0x${WRONG.toString(16)}`);
  expect(pamu.log.filter((line) => line.includes('access violation'))).toHaveLength(2);
  expect(type1.log.filter((line) => line.includes('iommu4k'))).toHaveLength(1);
});

test('a chip whose banks share a page: no interrupt, and the work is done all the same', async () => {
  const { values, rest } = parseOptions('boot', BOOT_OPTIONS, words(POLL, 'pamu', ['--sim']));
  const config = await bootConfig(values, rest);
  const run = await simulate({ ...config, pamu: { ...config.pamu, classic: true } });
  expect(run.result.status).toBe(0);
  expect(run.log.filter((line) => line.includes('is not mapped: its page'))).toHaveLength(3);
  expect(run.log.join('\n')).toContain('vfio-platform dma0: no interrupt');
});

test('on threads too', async () => {
  for (const iommu of ['pamu', 'type1']) {
    const { status, stderr } = await runCli(folder, ['boot', ...words(COPY, iommu)]);
    expect([iommu, status, stderr]).toEqual([iommu, 0, '']);
  }
}, 60_000);

test('RAM that no geometry takes is explained', async () => {
  const { status, stderr } = await runCli(folder, [
    'boot',
    '--kernel',
    COPY,
    '--drive',
    drive,
    '--memory',
    '253M',
    '--device',
    'vfio-platform,host=dma0',
  ]);
  expect([status, stderr]).toEqual([
    1,
    expect.stringContaining('no legal PAMU geometry for 253 MiB of RAM and 4 MSI banks'),
  ]);
}, 60_000);
