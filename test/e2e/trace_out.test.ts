/** `--trace` and `--trace-out`: what a user sees of a run, as text and as a timeline that Perfetto opens. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { type ImportedSlice, type ImportedTrace, importChromeTrace } from '../support/chrome_trace.ts';
import { runCli, workFolder } from '../support/cli.ts';
import { toyDrive } from '../support/toy.ts';

const { folder, remove } = workFolder();
afterAll(remove);
const drive = toyDrive(folder);
const text = (file: string) => readFileSync(join(folder, file), 'utf8');

/** Runs the toy guest, and reads the timeline it leaves. */
async function traced(file: string, words: readonly string[]): Promise<ImportedTrace> {
  const boot = ['boot', '--drive', drive, '--trace-out', file, ...words];
  const { status, stderr } = await runCli(folder, boot);
  expect(stderr).toBe('');
  expect(status).toBe(0);
  const trace = importChromeTrace(text(file));
  expect(trace.problems).toEqual([]);
  return trace;
}

/** `vmm: Q3`, without what the step is. */
const short = ({ track, name, category }: ImportedSlice) =>
  `${track.replace(/^.*\//, '').replace(/ \(\d\)$/, '')}: ${/^[QK]\d/.test(name) ? name.slice(0, 2) : category}`;

/** What every I/O goes through, in this order, but for what another thread does meanwhile. */
const IO = [
  'vcpu0: kvm_userspace_exit',
  'vmm: kvm_run_exit',
  ...['Q3', 'Q4'].map((step) => `vmm: ${step}`),
  ...['K1', 'K2', 'K3', 'K4'].map((step) => `kernel: ${step}`),
  'kernel: s390_cio_interrupt',
  ...['K5', 'K6'].map((step) => `kernel: ${step}`),
  ...['Q6', 'Q7', 'css_io_interrupt'].map((step) => `vmm: ${step}`),
  'kernel: kvm_s390_inject_vm',
  'vcpu0: kvm_s390_deliver_interrupt',
  'vcpu0: kvm_userspace_exit',
  'vmm: kvm_run_exit',
];

/** The condition code may come to the guest after the device has ended. */
const MEANWHILE = ['iop0: iop_start', 'vmm: Q5'];

/** @param ordered steps of threads that run side by side come in the order of the table */
function checkArrows({ flows }: ImportedTrace, ordered: boolean): void {
  const ways = [...flows.values()];
  const ios = ways.filter(({ name }) => name === 'I/O').map(({ through }) => through.map(short));
  expect(ios.length).toBeGreaterThan(5);
  // Some are halted, cleared, or ended while they were started.
  const whole = ios.filter((io) => io.includes('kernel: K6') && io.at(-1) === 'vmm: kvm_run_exit');
  expect(whole.length).toBeGreaterThan(3);
  for (const io of whole) {
    expect(io).toEqual(expect.arrayContaining(MEANWHILE));
    const steps = io.filter((one) => !MEANWHILE.includes(one));
    if (ordered) expect(steps).toEqual(IO);
    else expect(new Set(steps)).toEqual(new Set(IO));
  }
  const puts = ways.filter(({ through }) => through.at(-1)?.category === 'phb_dma');
  expect(puts.length).toBeGreaterThan(0);
  for (const { name, through } of puts) {
    expect(name).toMatch(/^H_(PUT_TCE|PUT_TCE_INDIRECT|STUFF_TCE)$/);
    expect(through[0]).toMatchObject({ name, track: 'minivisor/vcpu0' });
    // The address that the device used is in the page that the call was for.
    const ioba = Number(through[0].args.arg2);
    if (name === 'H_PUT_TCE') expect(Number(through.at(-1)?.args.ioba) & ~0xfff).toBe(ioba);
  }
}

test('a simulated run is a timeline with every thread, subchannel and endpoint, the same bytes for the same seed', async () => {
  const words = ['--sim', '--append', 'bench=0'];
  const trace = await traced('a.json', [...words, '--seed', '5']);
  expect(trace.tracks).toEqual(
    expect.arrayContaining([
      ...['main', 'vmm', 'kernel', 'vcpu0', 'iop0', 'dma0'].map((name) => `minivisor/${name}`),
      'subchannels/0.0.0000',
      'partitionable endpoints/PE#0',
    ]),
  );
  checkArrows(trace, true);
  await traced('b.json', [...words, '--seed', '5']);
  await traced('c.json', [...words, '--seed', '6']);
  expect(text('b.json')).toBe(text('a.json'));
  expect(text('c.json')).not.toBe(text('a.json'));
});

test('the kernel’s part of a system call lies within the VMM’s, and a channel program within its I/O', async () => {
  const { slices } = await traced('nest.json', ['--sim', '--append', 'bench=0']);
  const inside = (outer: ImportedSlice, inner: ImportedSlice) => outer.ts <= inner.ts && inner.end <= outer.end;
  const on = (track: string, name: string) => slices.filter((s) => s.track.startsWith(track) && s.name === name);
  const calls = on('minivisor/vmm', 'pwrite64');
  expect(calls.length).toBeGreaterThan(5);
  for (const kernel of on('minivisor/kernel', 'pwrite64'))
    expect(calls.filter((call) => call.args.slot === kernel.args.slot && inside(call, kernel))).toHaveLength(1);
  const ios = on('subchannels/0.0.0000', 'I/O');
  const programs = on('subchannels/0.0.0000', 'channel program');
  expect(programs.filter((program) => ios.some((io) => inside(io, program))).length).toBeGreaterThan(5);
  const commands = slices.filter((s) => s.track === 'minivisor/iop0' && s.name.startsWith('CCW 0x'));
  for (const command of commands) expect(programs.some((program) => inside(program, command))).toBe(true);
});

test('on real threads nothing is lost, the timeline opens, and the arrows are there', async () => {
  const trace = await traced('threads.json', ['--append', 'bench=1']);
  checkArrows(trace, false);
  const calls = trace.slices.filter(({ track, name }) => track === 'minivisor/vcpu0' && name === 'H_PUT_TCE');
  expect(calls.filter(({ args }) => args.tier === 0).length).toBeGreaterThanOrEqual(12_800);
});

test('both designs of --ccw-api, PAMU and the NIC have timelines too', async () => {
  const rfc = await traced('rfc.json', ['--sim', '--append', 'bench=0', '--ccw-api', 'cmd-request']);
  expect([...rfc.flows.values()].some(({ through }) => through.some(({ name }) => name.startsWith('K6 copy')))).toBe(
    true,
  );
  const net = await traced('net.json', ['--sim', '--guest', 'net', '--append', 'frames=32 exitframes=8']);
  expect([...net.flows.values()].some(({ through }) => through.some(({ track }) => track === 'minivisor/dma1'))).toBe(
    true,
  );
  const dma = await traced('dma.json', [
    '--sim',
    '--guest',
    'dma',
    '--device',
    'vfio-platform,host=dma0',
    '--iommu',
    'pamu',
  ]);
  expect(dma.slices.some(({ track, name }) => track === 'minivisor/elo0' && name === 'DMA engine')).toBe(true);
}, 120_000);

test('events are written as text in the order of time, as many on threads as there were, to a file if one is named', async () => {
  const boot = ['boot', '--drive', drive, '--append', 'bench=0 ssch=60'];
  const words = [
    '--trace',
    'vfio_ccw_*,file=out.log',
    '--trace',
    '-vfio_ccw_[KQ][124567]',
    '--trace',
    '-vfio_ccw_fsm*',
  ];
  const { status, stderr } = await runCli(folder, [...boot, ...words]);
  expect([status, stderr]).toEqual([0, '']);
  const lines = text('out.log').trimEnd().split('\n');
  expect(new Set(lines.map((line) => line.trim().split(/\s+/)[2]))).toEqual(new Set(['vfio_ccw_Q3', 'vfio_ccw_K3']));
  expect(lines.length).toBeGreaterThan(240);
  const times = lines.map((line) => Number(line.trim().split(' ')[0]));
  expect(times).toEqual([...times].sort((a, b) => a - b));
  const simulated = await runCli(folder, [...boot, '--sim', '--trace', 'vfio_ccw_Q3']);
  expect(simulated.stderr.match(/vfio_ccw_Q3/g)?.length).toBeGreaterThan(120);
  expect(simulated.stderr).not.toMatch(/vfio_ccw_Q4/);
});

test('a run that is cut leaves the timeline of what was', async () => {
  const { status, stderr } = await runCli(folder, [
    ...['boot', '--drive', drive, '--append', 'bench=200 ssch=100000', '--timeout', '700ms', '--trace-out', 'cut.json'],
  ]);
  expect([status, stderr]).toEqual([1, expect.stringMatching(/no end within/)]);
  expect(importChromeTrace(text('cut.json')).problems).toEqual([]);
});

test.each([
  ['missing/a.json', /--trace-out missing\/a\.json: no such directory; give a place where a file can be written\n$/],
  [
    '/proc/a.json',
    /--trace-out \/proc\/a\.json: (permission denied|no such directory); give a place where a file can be written\n$/,
  ],
  ['.', /--trace-out \.: is a directory; give a place/],
  ['', /--trace-out : is a directory; give a place/],
  ['test.ckd', /--trace-out test\.ckd: is an image of --drive too; give another file\n$/],
  ['stats.json', /--trace-out stats\.json: is what --stats writes too; give another file\n$/],
  ['log', /--trace-out log: is what --trace writes too; give another file\n$/],
])('--trace-out %s is refused in one sentence, before anything runs', async (place, said) => {
  const words = ['--trace-out', place, '--stats', 'stats.json', '--trace', 'css_crw,file=log'];
  const { status, stdout, stderr } = await runCli(folder, ['boot', '--drive', drive, ...words]);
  expect([status, stdout]).toEqual([1, '']);
  expect(stderr).toMatch(said);
  expect(stderr.trimEnd().split('\n')).toHaveLength(1);
  expect(existsSync(join(folder, 'stats.json')) || existsSync(join(folder, 'log'))).toBe(false);
});

test.skipIf(!existsSync('/dev/full'))('a file that cannot be written to its end is told in one sentence', async () => {
  const words = ['boot', '--drive', drive, '--sim', '--append', 'bench=0'];
  const timeline = await runCli(folder, [...words, '--trace-out', '/dev/full']);
  expect([timeline.status, timeline.stderr]).toEqual([
    1,
    expect.stringMatching(/^minivisor: --trace-out \/dev\/full: no space left; .*\n$/),
  ]);
  for (const scheduler of [['--sim'], []]) {
    const net = ['boot', '--drive', 'type=echo', '--guest', 'net', '--nic', 'pcap=/dev/full', ...scheduler];
    const dump = await runCli(folder, net);
    const sentence = 'minivisor: --nic pcap=/dev/full: ENOSPC; what came after that was not written\n';
    expect([dump.status, dump.stderr]).toEqual([1, sentence]);
    expect(dump.stdout).toMatch(/net: /);
  }
  const log = await runCli(folder, [...words, '--trace', 'css_*,file=/dev/full']);
  expect([log.status, log.stderr]).toEqual([
    1,
    expect.stringMatching(/--trace file=\/dev\/full: ENOSPC; .*not written\n$/),
  ]);
});
