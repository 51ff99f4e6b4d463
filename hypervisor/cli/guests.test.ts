import { expect, test } from 'vitest';
import type { NicConfig } from '../config.ts';
import { checkGuest } from './guests.ts';

const nics = (...wires: NicConfig['wire'][]): { nics: NicConfig[] } => ({
  nics: wires.map((wire) => ({ mac: '02:00:00:00:00:01', wire, pcap: undefined, link: 'up' })),
});

test('the net guest needs a first NIC that gives its frames back', () => {
  const sentence = 'the net guest needs its frames back; give its first NIC wire=loopback or pair:N, or --append lbm=1';
  for (const wire of ['echo', 'none'] as const)
    expect(() => checkGuest('net', nics(wire), 'frames=4 lbm=0')).toThrow(`--nic wire=${wire}: ${sentence}`);
});

test('with its loopback plug, the loopback of the NIC itself, another guest as its peer, or as another guest it may run', () => {
  checkGuest('net', nics('loopback', 'none'), '');
  checkGuest('net', nics({ pair: 1 }, { pair: 0 }), '');
  checkGuest('net', nics({ pair: 1 }, { pair: 0 }), 'frames=4 lbm=1');
  checkGuest('net', nics('echo'), 'peer=1');
  checkGuest('toy', nics('echo'), '');
  checkGuest('net', {}, '');
});
