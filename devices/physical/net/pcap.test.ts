/** Dumps: what the file holds, when it is written, and that tcpdump reads it. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { sleep } from '../../../kernel/lib/task.ts';
import { RCTL, TXD_CMD } from './e1000_regs.ts';
import { FLUSH_NS, LINKTYPE_ETHERNET, PCAP_MAGIC_NS, PcapWriter } from './pcap.ts';
import { frame, MACS, mac, type TestNics, testNics } from './test_nic.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pcap-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const HAS_TCPDUMP = spawnSync('tcpdump', ['--version']).status === 0;

/** The records of a file: time in nanoseconds since 1970, and the frame. */
function records(file: string): { time: bigint; bytes: number[] }[] {
  const data = readFileSync(file);
  expect(data.readUInt32LE(0)).toBe(PCAP_MAGIC_NS);
  expect([data.readUInt16LE(4), data.readUInt16LE(6), data.readUInt32LE(20)]).toEqual([2, 4, LINKTYPE_ETHERNET]);
  const found = [];
  for (let at = 24; at < data.length; ) {
    const length = data.readUInt32LE(at + 8);
    expect(data.readUInt32LE(at + 12)).toBe(length);
    expect(data.readUInt32LE(at + 4)).toBeLessThan(1e9);
    const time = BigInt(data.readUInt32LE(at)) * 1_000_000_000n + BigInt(data.readUInt32LE(at + 4));
    found.push({ time, bytes: [...data.subarray(at + 16, at + 16 + length)] });
    at += 16 + length;
  }
  return found;
}

function pair(file: string): TestNics {
  const host = testNics([{ wire: { pair: 1 }, pcap: file }, { wire: { pair: 0 } }]);
  for (const nic of host.drivers) nic.up();
  return host;
}

test('both directions of the cable are there, without check sequences, in the order of the machine’s clock', () => {
  const file = join(folder, 'a.pcap');
  const host = pair(file);
  const [a, b] = host.drivers;
  const there = frame(mac(MACS[1]), 300, 1);
  const back = frame(mac(MACS[0]), 60, 2);
  a.send(there);
  host.settle();
  b.send(back);
  host.settle();
  a.send([...frame(mac(MACS[1]), 60, 3), 1, 2, 3, 4], TXD_CMD.EOP); // with a (bad) check sequence of its own
  host.settle();
  for (const engine of host.engines) engine.close();
  const found = records(file);
  expect(found.map(({ bytes }) => bytes)).toEqual([there, back, frame(mac(MACS[1]), 60, 3)]);
  const start = 1_000_000_000_500_000_000n;
  for (const [i, { time }] of found.entries()) {
    expect(time).toBeGreaterThan(i === 0 ? start : found[i - 1].time);
    expect(time).toBeLessThanOrEqual(start + BigInt(Math.ceil(host.simulation.now)));
  }
});

test('what loops inside the NIC never was on the cable', () => {
  const file = join(folder, 'a.pcap');
  const host = pair(file);
  const [a] = host.drivers;
  a.write(0x100, RCTL.EN | RCTL.UPE | (1 << 6));
  a.send(frame(mac(MACS[0]), 60));
  host.settle();
  host.engines[0].close();
  expect(a.receiveAll().length).toBe(1);
  expect(records(file)).toEqual([]);
});

test('a frame is in the file after a tenth of a second at the latest', () => {
  const file = join(folder, 'a.pcap');
  const host = pair(file);
  host.drivers[0].send(frame(mac(MACS[1]), 60));
  host.settle();
  expect(statSync(file).size).toBe(24);
  host.run(function* () {
    yield* sleep(host.simulation.actor('kernel'), FLUSH_NS + 10_000);
  });
  expect(records(file).length).toBe(1);
});

test('many frames go through the buffer whole', () => {
  const file = join(folder, 'a.pcap');
  const writer = new PcapWriter(file, 5.25, () => {});
  const bytes = Uint8Array.from(frame(mac(MACS[1]), 16000, 9));
  for (let i = 0; i < 20; i++) writer.frame(bytes, 0, 14 + i * 800, 3e9 + i);
  writer.close();
  const found = records(file);
  expect(found.map((record) => record.bytes.length)).toEqual(Array.from({ length: 20 }, (_, i) => 14 + i * 800));
  expect(found[19].bytes).toEqual([...bytes.subarray(0, 14 + 19 * 800)]);
  expect(found[0].time).toBe(8_250_000_000n);
});

test('a file that cannot be made is named; one that is full is given up, and said so once', () => {
  expect(() => new PcapWriter(join(folder, 'missing', 'a.pcap'), 0, () => {})).toThrow(/a\.pcap: ENOENT/);
  const said: string[] = [];
  const writer = new PcapWriter('/dev/null', 0, (line) => said.push(line));
  writer.close();
  writer.frame(new Uint8Array(60), 0, 60, 1);
  writer.flush();
  expect(said).toEqual([]);
});

test.skipIf(process.platform !== 'linux')('a full disk ends the dump, not the machine', () => {
  const said: string[] = [];
  const writer = new PcapWriter('/dev/full', 0, (line) => said.push(line));
  for (let i = 0; i < 10; i++) {
    writer.frame(new Uint8Array(60), 0, 60, 1);
    writer.flush();
  }
  expect(writer.close()).toEqual({ file: '/dev/full', code: 'ENOSPC' });
  expect(said).toEqual(['dump of network frames /dev/full: ENOSPC; it ends here']);
});

test.skipIf(!HAS_TCPDUMP)('tcpdump reads the file: times, addresses, and a ping', () => {
  const file = join(folder, 'a.pcap');
  const host = pair(file);
  const [a] = host.drivers;
  // ICMP echo request from 10.0.2.15 to 10.0.2.2, identifier 1, sequence 7 (RFC 791, RFC 792).
  const ip = [0x45, 0, 0, 28, 0, 1, 0, 0, 64, 1, 0, 0, 10, 0, 2, 15, 10, 0, 2, 2, 8, 0, 0, 0, 0, 1, 0, 7];
  a.send([...mac(MACS[1]), ...mac(MACS[0]), 8, 0, ...ip]);
  a.send(frame(mac(MACS[1]), 1514, 1));
  host.settle();
  for (const engine of host.engines) engine.close();
  const { stdout, stderr, status } = spawnSync('tcpdump', ['-r', file, '-nn', '-e', '-tt', '--nano'], {
    encoding: 'utf8',
  });
  expect(status, stderr).toBe(0);
  // A frame of a type it does not know is shown byte by byte too.
  const lines = stdout.split('\n').filter((line) => /^\d{10}\./.test(line));
  expect(lines.length).toBe(2);
  expect(lines[0]).toMatch(
    /^1000000000\.5\d{8} 52:54:00:12:34:56 > 52:54:00:12:34:57, .*10\.0\.2\.15 > 10\.0\.2\.2: ICMP echo request, id 1, seq 7/,
  );
  expect(lines[1]).toContain('length 1514');
});
