/** A wire between two guests: each has one NIC, in a virtual machine of its own, and both are checked by what a third party read. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { runScenarios } from '../../hypervisor/bench/runner.ts';
import type { BenchContext } from '../../hypervisor/bench/scenario.ts';
import { wire } from '../../hypervisor/bench/wire.ts';
import { simulate } from '../../hypervisor/simulate.ts';
import type { KernelStatistics } from '../../kernel/start.ts';
import { runCli, workFolder } from '../support/cli.ts';
import { toyConfig } from '../support/toy.ts';

const { folder, remove } = workFolder();
afterAll(remove);

const FRAMES = 24;
/** Four ways of mapping, two sizes of frames. */
const STREAMS = 8;
const SIZES = [1514, 9014];
const MACS = ['525400123456', '525400123457'];
const PASSED = /^net: all 13 checks passed$/;

/** Two net guests at the ends of a cable, with a dump at each end. */
function machines(name: string, ...words: readonly string[]) {
  const dumps = ['a', 'b'].map((end) => join(folder, `${name}-${end}.pcap`));
  const nics = ['--nic', `id=a,pcap=${dumps[0]}`, '--nic', `id=b,pair=a,vm=1,pcap=${dumps[1]}`];
  const guest = ['--guest', 'net', '--append', `frames=${FRAMES} exitframes=${FRAMES}`, '--memory', '32M'];
  return { dumps, words: [...guest, ...nics, '--vm', 'memory=24M', ...words] };
}

/** Frames of a dump in libpcap's format: a header of 24 bytes, then one of 16 before each. */
function framesOf(file: string): Buffer[] {
  const bytes = readFileSync(file);
  const frames: Buffer[] = [];
  for (let at = 24; at < bytes.length; at += 16 + bytes.readUInt32LE(at + 8))
    frames.push(bytes.subarray(at + 16, at + 16 + bytes.readUInt32LE(at + 8)));
  return frames;
}

/** What guest/programs/net/peer_frame.h says of a frame. */
const HEADER = { TYPE: 12, KIND: 14, STREAM: 20, NUMBER: 24, SIZE: 56 } as const;
const DATA = 2;
const [KEY, STEP, PLACE] = [0xbf58476d1ce4e5b9n, 0x9e3779b97f4a7c15n, 0xd1b54a32d192ed03n];

/** The words that belong behind the header of a DATA frame; a last word that is cut counts as far as it goes. */
function payload(frame: Buffer): Buffer {
  const address = BigInt(`0x${frame.toString('hex', 6, 12)}`);
  const base =
    ((address << 16n) | BigInt(frame.readUInt32BE(HEADER.STREAM))) * KEY +
    BigInt(frame.readUInt32BE(HEADER.NUMBER) + 1) * STEP;
  const words = Buffer.alloc(Math.ceil(frame.length / 8) * 8);
  for (let i = 0; i < words.length / 8; i++)
    words.writeBigUInt64BE(BigInt.asUintN(64, base + BigInt(i) * PLACE), 8 * i);
  return words.subarray(HEADER.SIZE, frame.length);
}

/** Sender, stream and number of each DATA frame of a dump, whose bytes are all checked. */
function dataOf(file: string): string[] {
  const names: string[] = [];
  for (const frame of framesOf(file)) {
    expect(frame.readUInt16BE(HEADER.TYPE)).toBe(0x88b6);
    if (frame.readUInt16BE(HEADER.KIND) !== DATA) continue;
    const [stream, number] = [frame.readUInt32BE(HEADER.STREAM), frame.readUInt32BE(HEADER.NUMBER)];
    const name = `${frame.toString('hex', 6, 12)} ${stream} ${number}`;
    expect(frame.length, name).toBe(SIZES[(stream - 1) % 2]);
    if (frame.compare(payload(frame), 0, undefined, HEADER.SIZE) !== 0) throw new Error(`${name}: wrong bytes`);
    names.push(name);
  }
  return names.sort();
}

/** Every frame of both guests in every stream, once. */
const ALL = MACS.flatMap((mac) =>
  Array.from({ length: STREAMS * FRAMES }, (_, i) => `${mac} ${1 + Math.floor(i / FRAMES)} ${i % FRAMES}`),
).sort();

const lastLines = (console: string) =>
  [0, 1].map((vm) =>
    console
      .split('\n')
      .findLast((line) => line.startsWith(`vm${vm}: `))
      ?.slice(5),
  );

test('on threads: every byte is right at both ends, and both ends of the cable saw every frame once', async () => {
  const { dumps, words } = machines('threads');
  const { status, stdout, stderr } = await runCli(folder, ['boot', '--drive', 'type=echo', ...words]);
  expect([stderr, status]).toEqual(['', 0]);
  expect(stdout).not.toMatch(/FAIL|SKIP/);
  for (const vm of [0, 1]) expect(stdout).toMatch(new RegExp(`^vm${vm}: net: all 13 checks passed$`, 'm'));
  for (const dump of dumps) expect(dataOf(dump)).toEqual(ALL);
});

test('by seeds, with memory on the move too: the same, and nothing is left of either', async () => {
  for (let seed = 1; seed <= 4; seed++) {
    const pressure = seed === 4 ? ['--memory-pressure'] : [];
    const { dumps, words } = machines(`seed${seed}`, '--sim', '--seed', `${seed}`, ...pressure);
    const run = await simulate(await toyConfig('type=echo', words));
    expect(
      run.results.map(({ status }) => status),
      `seed ${seed}`,
    ).toEqual([0, 0]);
    expect((run.actors.kernel as KernelStatistics).lockedVm).toBe(0);
    if (seed === 4) continue; // There is no big window, and so fewer streams.
    for (const line of lastLines(run.console)) expect(line, `seed ${seed}`).toMatch(PASSED);
    for (const dump of dumps) expect(dataOf(dump), `seed ${seed}`).toEqual(ALL);
  }
});

test('the two guests in different tiers and with a container bound, each on its own', async () => {
  const { dumps, words } = machines('tiers', '--sim', '--tce', 'virtual', '--tce-bind', 'container');
  const others = words.map((word) => (word === 'memory=24M' ? 'memory=24M,tce=real,mmio=exit,tce-bind=group' : word));
  const run = await simulate(await toyConfig('type=echo', others));
  expect(run.results.map(({ status }) => status)).toEqual([0, 0]);
  expect(dataOf(dumps[0])).toEqual(dataOf(dumps[1]));
});

test('a guest whose neighbour could not be set up says that nobody answers, and ends', async () => {
  const { words } = machines('alone', '--sim', '--memlock', '90M');
  const others = words.map((word) => (word === 'memory=24M' ? 'memory=512M' : word));
  const run = await simulate(await toyConfig('type=echo', others));
  expect(run.results.map(({ status }) => status)).toEqual([1, 1]);
  expect(run.results[1].reason).toMatch(/could not be set up/);
  expect(run.console).toMatch(
    /vm0: FAIL another guest answers at the other end of the cable: nobody answered for \d+ sec/,
  );
});

test('bench wire: each direction of every stream, from what the guest at its end reported', async () => {
  const scenario = {
    name: 'wire',
    summary: '',
    seconds: 2,
    run: (context: BenchContext) => wire(context, { frames: 4 * FRAMES, exitFrames: FRAMES }),
  };
  const figures = await runScenarios([scenario], 1, { scenario() {}, round() {}, doing() {}, measured() {} });
  const columns = [undefined, 'vm0 to vm1', 'vm1 to vm0'];
  expect(figures.map(({ column }) => column)).toEqual(Array.from({ length: STREAMS }, () => columns).flat());
  for (const { name, p50, unit } of figures) {
    expect(unit).toBe('MB/s');
    expect(p50, name).toBeGreaterThan(0);
  }
});
