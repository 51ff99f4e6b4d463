/**
 * The host's DMA driver, as little of it as shows that the host does DMA too (drivers/dma/fsldma.c): copies inside host
 * memory, with the channel's own interrupt. `dmatest` asks for one from user space (drivers/dma/dmatest.c).
 */
import { FSL_DMA_MR, FSL_DMA_SNOOP, FSL_DMA_SR, FSL_DMA_SR_W1C } from '../include/arch/ppc/fsldma.ts';
import { Errno } from '../include/uapi/errno.ts';
import { PAGE_SIZE } from '../lib/host_memory.ts';
import { Mutex, type Task, until } from '../lib/task.ts';
import { FslDmaChannel } from './fsldma_channel.ts';
import type { PlatformDevice, PlatformDriver } from './platform_bus.ts';
import type { Qoriq } from './qoriq.ts';

/** What dmatest copies and compares. */
const PATTERN = (i: number) => (i * 7 + 3) & 0xff;

interface Bound {
  readonly channel: FslDmaChannel;
  /** One transfer at a time. */
  readonly lock: Mutex;
  /** SR at the interrupt; undefined while the transfer goes on. */
  status: number | undefined;
}

export class FslDma {
  readonly driver: PlatformDriver;
  readonly #host: Qoriq;
  readonly #bound = new Map<string, Bound>();

  constructor(host: Qoriq) {
    this.#host = host;
    const dma = this;
    this.driver = {
      name: 'fsl-elo-dma',
      hostDma: true,
      *probe(device) {
        dma.#probe(device);
      },
      *remove(device) {
        yield* dma.#remove(device);
      },
    };
    // dmatest's parameters: a channel's name, and the outcome of the last run.
    let outcome = 'not run';
    host.kernel.vfs.attribute(
      '/sys/module/dmatest/parameters/run',
      () => outcome,
      function* (name) {
        outcome = 'failed';
        yield* dma.test(name);
        outcome = 'passed';
      },
    );
  }

  #probe({ name, node }: PlatformDevice): void {
    const bound: Bound = {
      channel: new FslDmaChannel(this.#host.bus, node),
      lock: new Mutex(name),
      status: undefined,
    };
    bound.channel.reset();
    this.#host.mpic.request(node.source, function* () {
      const sr = bound.channel.get('SR');
      bound.channel.set('SR', sr & FSL_DMA_SR_W1C);
      bound.status = sr;
    });
    this.#bound.set(name, bound);
  }

  *#remove({ name, node }: PlatformDevice): Task {
    const bound = this.#bound.get(name);
    if (bound === undefined) return;
    this.#bound.delete(name);
    // Whoever has asked for a copy gets it.
    yield* bound.lock.lock();
    bound.channel.reset();
    this.#host.mpic.free(node.source);
    bound.lock.unlock();
  }

  /**
   * Copies `length` bytes of host memory; addresses are host-physical. @throws Errno ENODEV for a channel that the driver
   * does not have; EIO when the transfer was refused
   */
  *memcpy(name: string, target: number, source: number, length: number): Task {
    const bound = this.#bound.get(name);
    if (bound === undefined) throw new Errno('ENODEV', `dma: the host driver has no channel ${name}`);
    const { channel, lock } = bound;
    yield* lock.lock();
    try {
      bound.status = undefined;
      channel.set('MR', 0);
      channel.set('SATR', FSL_DMA_SNOOP | Math.floor(source / 2 ** 32));
      channel.set('SAR', source % 2 ** 32);
      channel.set('DATR', FSL_DMA_SNOOP | Math.floor(target / 2 ** 32));
      channel.set('DAR', target % 2 ** 32);
      channel.set('BCR', length);
      channel.set('MR', FSL_DMA_MR.CS | FSL_DMA_MR.CTM | FSL_DMA_MR.EIE | FSL_DMA_MR.EOSIE);
      yield* until(`${name} to copy`, () => bound.status !== undefined);
      const status = bound.status ?? 0;
      if ((status & (FSL_DMA_SR.TE | FSL_DMA_SR.PE)) !== 0)
        throw new Errno('EIO', `${name}: transfer error, SR 0x${status.toString(16)}`);
    } finally {
      lock.unlock();
    }
  }

  /** dmatest: one page, copied and compared. @throws Errno as {@link memcpy}; EIO when the bytes differ, ENOMEM */
  *test(name: string): Task {
    const { kernel } = this.#host;
    const { pages } = kernel;
    const source = pages.allocPage();
    const target = pages.allocPage();
    try {
      if (source === undefined || target === undefined) throw new Errno('ENOMEM', 'dmatest');
      const bytes = kernel.memory.bytes(source, PAGE_SIZE);
      for (let i = 0; i < PAGE_SIZE; i++) bytes[i] = PATTERN(i);
      yield* this.memcpy(name, target, source, PAGE_SIZE);
      const copied = kernel.memory.bytes(target, PAGE_SIZE);
      if (copied.some((byte, i) => byte !== PATTERN(i))) throw new Errno('EIO', `dmatest: ${name} copied wrong bytes`);
    } finally {
      for (const page of [source, target]) if (page !== undefined) pages.freePages(page);
    }
  }
}
