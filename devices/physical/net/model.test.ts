/** Random sequences of descriptors against a plain model of what a NIC with a loopback plug does with them. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { preempt } from '../../../kernel/lib/task.ts';
import { RCTL, STAT, TXD_CMD } from './e1000_regs.ts';
import { frame, MACS, mac, type Received, testNics } from './test_nic.ts';

const ME = mac(MACS[0]);
const { EOP, IFCS, RS } = TXD_CMD;
const OTHER = mac('52:54:00:aa:bb:cc');

/** A frame as the driver cuts it up. */
interface Sent {
  readonly mine: boolean;
  readonly length: number;
  /** Where it is cut, as fractions of 256. */
  readonly cuts: readonly number[];
  readonly report: boolean;
  /** Where this frame's first buffer lies in its page. */
  readonly shift: number;
}

const sent: fc.Arbitrary<Sent> = fc.record({
  mine: fc.boolean(),
  length: fc.oneof(
    fc.integer({ min: 14, max: 100 }),
    fc.integer({ min: 14, max: 1600 }),
    fc.integer({ min: 14, max: 9100 }),
  ),
  cuts: fc.array(fc.integer({ min: 0, max: 256 }), { maxLength: 4 }),
  report: fc.boolean(),
  shift: fc.integer({ min: 0, max: 4095 }),
});

const options = fc.record({
  tx: fc.constantFrom(8, 16, 256),
  rx: fc.constantFrom(8, 16, 40),
  buffer: fc.constantFrom<[number, number]>([256, 3 << RCTL.BSIZE_SHIFT], [1024, 1 << RCTL.BSIZE_SHIFT], [2048, 0]),
  long: fc.boolean(),
  promiscuous: fc.boolean(),
  seed: fc.integer({ min: 1, max: 1000 }),
});

/** What the receiver must have stored: the frame, padded; nothing when it is not for it, or too long. */
function expected({ mine, length }: Sent, bytes: number[], long: boolean, promiscuous: boolean): number[] | undefined {
  if (!mine && !promiscuous) return undefined;
  if (length + 4 > (long ? 16384 : 1522)) return undefined;
  return length >= 60 ? bytes : [...bytes, ...new Array(60 - length).fill(0)];
}

test('what comes back is what the model says, in order, with the right descriptors and counts', () => {
  fc.assert(
    fc.property(
      fc.array(sent, { maxLength: 30 }),
      options,
      (frames, { tx, rx: least, buffer, long, promiscuous, seed }) => {
        // This driver takes whole frames only: the ring must hold the longest. 40 buffers of 256 bytes do.
        const rx = long ? Math.max(least, Math.ceil(9216 / buffer[0] / 8) * 8) : least;
        const host = testNics(['loopback'], seed);
        const [nic] = host.drivers;
        nic.bufferSize = buffer[0];
        const rctl = RCTL.SECRC | buffer[1] | (long ? RCTL.LPE : 0) | (promiscuous ? RCTL.UPE : 0);
        nic.up({ tx, rx, rctl });
        const got: Received[] = [];
        const want: number[][] = [];
        host.run(function* () {
          for (const [i, one] of frames.entries()) {
            const bytes = frame(one.mine ? ME : OTHER, one.length, i);
            const cuts = [
              0,
              ...one.cuts.map((cut) => Math.floor((cut * one.length) / 256)).sort((a, b) => a - b),
              one.length,
            ];
            const pieces = cuts.slice(1).map((end, piece) => ({
              bytes: bytes.slice(cuts[piece], end),
              command: (piece === cuts.length - 2 ? EOP | IFCS : 0) | (one.report ? RS : 0),
            }));
            while (nic.pending + pieces.length >= tx) {
              got.push(...nic.receiveAll());
              yield* preempt();
            }
            nic.alignBuffer(one.shift);
            nic.post(...pieces);
            const back = expected(one, bytes, long, promiscuous);
            if (back !== undefined) want.push(back);
          }
          while (got.length + nic.missed < want.length || nic.pending > 0) {
            got.push(...nic.receiveAll());
            yield* preempt();
          }
        });
        host.settle();
        got.push(...nic.receiveAll());
        // A frame may be lost only when the FIFO had no room, and is counted then; the others keep their order.
        let at = 0;
        for (const { bytes, descriptors } of got) {
          while (at < want.length && !same(want[at], bytes)) at++;
          expect(at, 'a frame that was not sent, or out of order').toBeLessThan(want.length);
          expect(descriptors).toBe(Math.ceil(bytes.length / buffer[0]));
          at++;
        }
        expect(got.length + nic.missed).toBe(want.length);
        expect(nic.read(STAT.TPT)).toBe(frames.length);
        expect(nic.read(STAT.GPRC)).toBe(want.length);
        expect(nic.read(STAT.TOTL)).toBe(frames.reduce((sum, { length }) => sum + Math.max(length, 60) + 4, 0));
      },
    ),
    { numRuns: 80 },
  );
});

const same = (a: readonly number[], b: readonly number[]) =>
  a.length === b.length && a.every((byte, i) => byte === b[i]);
