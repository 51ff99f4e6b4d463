/** The net guest with `peer=1`: both ways at once with another guest at the other end of its cable. */
import { afterAll, describe, expect, test } from 'vitest';
import type { NicOptions } from '../../devices/physical/net/wire.ts';
import { BOOT_OPTIONS, bootConfig } from '../../hypervisor/cli/boot_options.ts';
import { parseOptions } from '../../hypervisor/cli/options.ts';
import type { MachineConfig } from '../../hypervisor/config.ts';
import { simulate } from '../../hypervisor/simulate.ts';
import { workFolder } from '../support/cli.ts';
import type { CableFilter, NetPeerConfig, NetPeerReport } from '../support/net_peer.ts';
import { KIND, makeFrame, type PeerFrame } from '../support/net_peer_frame.ts';
import { toyDrive } from '../support/toy.ts';

const { folder, remove } = workFolder();
afterAll(remove);
const drive = toyDrive(folder);

const PEER = new URL('../support/net_peer.ts', import.meta.url).href;
const RELAY = new URL('../support/net_relay.ts', import.meta.url).href;
/** PEs of the NICs, behind the DMA port's: the actor in whose place the peer is. */
const PEER_ACTOR = 'dma2';
const GUEST_FRAMES = 24;
const PEER_FRAMES = 31;
/** NIC 0 is the guest's, NIC 1 the host's alone. */
const PAIR = ['--nic', 'wire=pair:1', '--nic', 'wire=pair:0,plug=off'];

/** A machine with the net guest. */
async function machine(words: readonly string[], append = ''): Promise<MachineConfig> {
  const appended = `peer=1 frames=${GUEST_FRAMES} ${append}`;
  const all = ['--sim', '--drive', drive, '--guest', 'net', '--append', appended, '--memory', '32M', ...words];
  const { values, rest } = parseOptions('boot', BOOT_OPTIONS, all);
  return await bootConfig(values, rest);
}

const failsOf = ({ console }: { readonly console: string }) => console.match(/^FAIL .*$/gm) ?? [];

/** Boots the net guest with the reference at the other end of the cable. */
async function boot(peer: Partial<NetPeerConfig> = {}, words: readonly string[] = [], append = '') {
  const config = await machine([...PAIR, ...words], append);
  const own = { nics: config.nics as readonly NicOptions[], nic: 1, frames: PEER_FRAMES, ...peer };
  const run = await simulate(config, {
    replace: (row) => (row.name === PEER_ACTOR ? { ...row, module: PEER, config: own } : row),
  });
  const report = run.actors[PEER_ACTOR] as NetPeerReport;
  return { ...report, console: run.console, status: run.result.status, fails: failsOf(run) };
}

const MEETING = { stream: 0, sent: 0, received: 0 };
const stream = (number: number) => ({ stream: number, sent: PEER_FRAMES, received: GUEST_FRAMES });
const ALL = [MEETING, ...[1, 2, 3, 4, 5, 6, 7, 8].map(stream)];
/** The cable spoils frames of one kind and stream. */
const when =
  (wanted: (frame: PeerFrame) => boolean, spoil: CableFilter): CableFilter =>
  (bytes, frame) =>
    frame !== undefined && wanted(frame) ? spoil(bytes, frame) : [bytes];
const lose: CableFilter = () => [];
const data = (number: number, of: number) => (frame: PeerFrame) =>
  frame.kind === KIND.DATA && frame.stream === of && frame.number === number;
const flip =
  (at: number): CableFilter =>
  (bytes) => [bytes.with(at, bytes[at] ^ 0x10)];

describe('a peer that keeps to the protocol', () => {
  test.each([
    ['', []],
    ['registers by exits', ['--mmio', 'exit']],
    ['a LIOBN bound by the container', ['--tce-bind', 'container']],
  ])('gets every byte in every way of mapping and the guest every byte of its (%s)', async (_, words) => {
    for (const seed of [1, 2]) {
      const run = await boot({}, ['--seed', `${seed}`, ...words]);
      expect([run.problems, run.streams.slice(0, 8)], `seed ${seed}`).toEqual([[], ALL.slice(0, 8)]);
      expect(run.console, `seed ${seed}`).toMatch(/net: all 13 checks passed\n$/);
      expect(run.console).toMatch(
        /^big window, 9014 bytes: [1-9]\d* MB\/s to the other guest, [1-9]\d* MB\/s from it, 0 mapping calls a frame$/m,
      );
      expect(run.status).toBe(0);
    }
  });

  test('may have fewer ways of mapping, or the guest may: the others are left out', async () => {
    const few = await boot({ ways: 0b0101 });
    expect([few.problems, few.streams.slice(0, 4)]).toEqual([[], [MEETING, stream(1), stream(2), stream(5)]]);
    expect(few.console).toMatch(
      /SKIP kernel, virtual mode: the other guest does not have it\n(.|\n)*all 6 checks passed/,
    );
    const own = await boot({}, ['--memory-pressure', '--tce', 'virtual'], 'exitframes=0');
    expect([own.problems, own.streams.slice(0, 2)]).toEqual([[], [MEETING, stream(3)]]);
    expect(own.console).toMatch(/all 4 checks passed\n$/);
    const none = await boot({ ways: 0 });
    expect(none.fails).toEqual(['FAIL both guests have a way of mapping in common: this one has f, the other one 0']);
  });

  test('may start seconds later: greetings are repeated until it listens', async () => {
    const run = await boot({ startNs: 4e9 }, [], 'exitframes=0');
    expect([run.problems, run.streams[0]]).toEqual([[], MEETING]);
    expect(run.console).toMatch(/all 11 checks passed\n$/);
  });

  test('hears neither the greetings nor the last words of the guest: nobody waits for ever, nothing fails', async () => {
    /** The first two of each stream. */
    const firstTwo = () => {
      const count = new Map<number, number>();
      return ({ kind, stream }: PeerFrame) => {
        if (kind !== KIND.BYE) return false;
        count.set(stream, (count.get(stream) ?? 0) + 1);
        return (count.get(stream) as number) <= 2;
      };
    };
    for (const [name, lost] of [
      ['greetings', () => (frame: PeerFrame) => frame.kind === KIND.HELLO],
      ['last words', () => (frame: PeerFrame) => frame.kind === KIND.BYE && frame.heard === 1],
      ['farewells', firstTwo],
    ] as const)
      for (const direction of ['toPeer', 'toGuest'] as const) {
        const run = await boot({ [direction]: when(lost(), lose), ways: 0b1000 });
        expect([run.problems, run.fails], `${name} ${direction}`).toEqual([[], []]);
        expect(run.console, `${name} ${direction}`).toMatch(/all 7 checks passed\n$/);
      }
  });

  test('is not the only one at the cable: frames of others are nothing to the guest', async () => {
    const other = (size: number) => new Uint8Array(size).fill(0xa5);
    const third: CableFilter = (bytes, frame) => {
      const from = '02:00:00:00:00:09';
      const foreign = makeFrame({ ...(frame as PeerFrame), from, kind: KIND.ACK, received: 9999 }, 0);
      return frame?.stream === 0 ? [bytes, foreign] : [other(60), other(1514), foreign, bytes, other(700)];
    };
    const run = await boot({ toGuest: third }, [], 'exitframes=0');
    expect([run.problems, run.fails]).toEqual([[], []]);
    expect(run.console).toMatch(/all 11 checks passed\n$/);
  });
});

describe('a bad peer or cable: the guest says what is wrong, and ends', () => {
  const NAME = 'FAIL kernel, virtual mode: 24 frames of 1514 bytes and the other guest.s are as they were: ';
  const rows: [string, Partial<NetPeerConfig>, RegExp][] = [
    [
      'a byte of its data',
      { toGuest: when(data(5, 3), flip(700)) },
      /1 frames came wrong, first frame 5: at byte 700 is/,
    ],
    [
      'the last byte',
      { toGuest: when(data(30, 3), flip(1513)) },
      /1 frames came wrong, first frame 30: at byte 1513 is/,
    ],
    [
      'what is acknowledged',
      { toGuest: when(data(7, 3), flip(32)) },
      /1 frames came wrong, first frame 7: at byte 32 is/,
    ],
    [
      'the number',
      { toGuest: when(data(6, 3), flip(27)) },
      /frame 22 of 31 came when frame 6 was due: a frame is lost/,
    ],
    [
      'a short frame',
      { toGuest: when(data(6, 3), (b) => [b.subarray(0, 1000)]) },
      /frame 6: it has 1000 bytes in place of 1514/,
    ],
    [
      'a frame too long',
      { toGuest: when(data(6, 3), (b) => [new Uint8Array([...b, 1, 2])]) },
      /frame 6: it has 1516 bytes/,
    ],
    ['a frame twice', { toGuest: when(data(6, 3), (b) => [b, b]) }, /frame 6 of 31 came when frame 7 was due/],
    ['a lost frame', { toGuest: when(data(6, 3), lose) }, /frame 7 of 31 came when frame 6 was due: a frame is lost/],
    [
      'the last frame lost',
      { toGuest: when(data(30, 3), lose) },
      /nothing moved for 5 seconds: 30 of 31 frames came, 24 of 24 were ack/,
    ],
    [
      'one of the guest lost',
      { toPeer: when(data(23, 3), lose) },
      /nothing moved for 5 seconds: 31 of 31 frames came, 23 of 24 were ack/,
    ],
    [
      'silence in the middle',
      { toGuest: when((f) => f.stream === 3 && f.received > 9, lose) },
      /nothing moved for 5 seconds/,
    ],
    [
      'silence between streams',
      { toGuest: when((f) => f.stream === 3, lose) },
      /nobody answered for 5 seconds: is the net guest/,
    ],
    [
      'blame',
      {
        toGuest: when(
          (f) => f.stream === 3,
          (_, f) => [makeFrame({ ...(f as PeerFrame), wrong: 2 }, 1514)],
        ),
      },
      /the other guest found 2 frames wrong/,
    ],
    [
      'a peer that gives up',
      { toGuest: when(data(9, 3), (_, f) => [makeFrame({ ...(f as PeerFrame), kind: KIND.GIVE_UP }, 0)]) },
      /the other guest gave up, its console says why: 9 of 31 frames came/,
    ],
    [
      'a peer that goes on too early',
      { toGuest: when(data(9, 3), (_, f) => [makeFrame({ ...(f as PeerFrame), kind: KIND.HELLO, stream: 4 }, 0)]) },
      /the other guest goes on, but 9 of 31 frames came/,
    ],
  ];
  test.each(rows)('%s', async (_, peer, text) => {
    const { fails, status, console } = await boot(peer, [], 'exitframes=0');
    expect(fails).toHaveLength(1);
    expect(fails[0]).toMatch(new RegExp(`^${NAME}`));
    expect(fails[0]).toMatch(text);
    expect(status).not.toBe(0);
    expect(console).toMatch(/net: 1 of \d+ checks FAILED\n$/);
  });

  test('a failure is told to the peer, so that it need not wait', async () => {
    expect((await boot({ toGuest: when(data(6, 3), lose) }, [], 'exitframes=0')).gaveUp).toBe(true);
  });

  test('nobody at all: after seconds the guest says what to look at', async () => {
    const { fails, status, greetings } = await boot({ toGuest: lose });
    expect(fails).toEqual([
      'FAIL another guest answers at the other end of the cable: nobody answered for 10 seconds: is the net guest with peer=1 running at the other end of the cable, and is the cable plugged in there?',
    ]);
    expect(greetings).toBeGreaterThan(5);
    expect(status).not.toBe(0);
  });

  test('a loopback plug is no other guest', async () => {
    const run = await simulate(await machine([]));
    expect(failsOf(run)).toEqual([
      "FAIL another guest answers at the other end of the cable: frames come with this NIC's own address: is there a loopback plug in place of a cable to another guest (wire=pair:N), or have both NICs the same mac=?",
    ]);
  });
});

test('two guests, one at each end, agree with each other as they do with the reference', async () => {
  const cable: [Uint8Array[], Uint8Array[]] = [[], []];
  const ends = await Promise.all(
    [0, 1].map(async (end) => {
      const mac = `52:54:00:12:34:5${end}`;
      const config = await machine(['--nic', `wire=pair:1,mac=${mac}`, ...PAIR.slice(2), '--seed', `${end + 1}`]);
      const relay = { nics: config.nics, nic: 1, toOther: cable[end], fromOther: cable[1 - end] };
      return await simulate(config, {
        replace: (row) => (row.name === PEER_ACTOR ? { ...row, module: RELAY, config: relay } : row),
      });
    }),
  );
  for (const { console, result } of ends) {
    expect(console).toMatch(/net: all 13 checks passed\n$/);
    expect(result.status).toBe(0);
  }
});
