/** The host at the far end of an `echo` cable. */
import { expect, test } from 'vitest';
import { ECHO_MAC } from './echo_host.ts';
import { MACS, mac, testNics } from './test_nic.ts';

const ME = mac(MACS[0]);
const MINE = [10, 0, 2, 15];
const HOST = [10, 0, 2, 2];

function ask(bytes: number[]): number[][] {
  const host = testNics(['echo']);
  const [nic] = host.drivers;
  nic.up();
  nic.send(bytes);
  host.settle();
  return nic.receiveAll().map((f) => f.bytes);
}

/** RFC 1071. */
function checksum(bytes: readonly number[]): [number, number] {
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) sum += (bytes[i] << 8) | (bytes[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return [(~sum >> 8) & 0xff, ~sum & 0xff];
}

const arp = (target: number[], operation = 1) => [
  ...new Array(6).fill(0xff),
  ...ME,
  0x08,
  0x06,
  0,
  1,
  8,
  0,
  6,
  4,
  0,
  operation,
  ...ME,
  ...MINE,
  ...new Array(6).fill(0),
  ...target,
];

function ping(
  options: { target?: number[]; length?: number; bad?: 'ip' | 'icmp' | 'fragment' | 'total' } = {},
): number[] {
  const { target = HOST, length = 57, bad } = options;
  const icmp = [8, 0, 0, 0, 0x12, 0x34, 0, 9, ...Array.from({ length }, (_, i) => i & 0xff)];
  [icmp[2], icmp[3]] = checksum(icmp);
  if (bad === 'icmp') icmp[3] ^= 1;
  const total = 20 + icmp.length + (bad === 'total' ? 2000 : 0);
  const ip = [
    0x45,
    0,
    total >> 8,
    total & 0xff,
    0,
    1,
    bad === 'fragment' ? 0x20 : 0,
    0,
    64,
    1,
    0,
    0,
    ...MINE,
    ...target,
  ];
  [ip[10], ip[11]] = checksum(ip);
  if (bad === 'ip') ip[10] ^= 1;
  return [...ECHO_MAC, ...ME, 8, 0, ...ip, ...icmp];
}

test('it answers ARP for its address', () => {
  const [answer, ...more] = ask(arp(HOST));
  expect(more).toEqual([]);
  expect(answer.slice(0, 42)).toEqual([
    ...ME,
    ...ECHO_MAC,
    0x08,
    0x06,
    0,
    1,
    8,
    0,
    6,
    4,
    0,
    2,
    ...ECHO_MAC,
    ...HOST,
    ...ME,
    ...MINE,
  ]);
  expect(answer.length).toBe(60); // as padded by the sender
});

test.each([0, 1, 56, 57, 1400])('it answers a ping of %i bytes with its data and good checksums', (length) => {
  const request = ping({ length });
  const [answer] = ask(request);
  expect(answer.slice(0, 12)).toEqual([...ME, ...ECHO_MAC]);
  expect(answer.slice(26, 34)).toEqual([...HOST, ...MINE]);
  expect(answer[34]).toBe(0);
  expect(answer.slice(38, 42 + length)).toEqual(request.slice(38));
  expect(checksum(answer.slice(14, 34))).toEqual([0, 0]);
  expect(checksum(answer.slice(34, 42 + length))).toEqual([0, 0]);
});

test.each([
  ['ARP for somebody else', arp([10, 0, 2, 3])],
  ['an ARP answer', arp(HOST, 2)],
  ['a ping to somebody else', ping({ target: [10, 0, 2, 3] })],
  ['a ping with a bad header checksum', ping({ bad: 'ip' })],
  ['a ping with a bad checksum', ping({ bad: 'icmp' })],
  ['a fragment', ping({ bad: 'fragment' })],
  ['a packet longer than its frame', ping({ bad: 'total' })],
  ['another protocol', [...ECHO_MAC, ...ME, 0x88, 0xb5, ...new Array(50).fill(1)]],
])('%s gets no answer', (_, bytes) => {
  expect(ask(bytes)).toEqual([]);
});
