import { expect, test } from 'vitest';
import { BOOT_OPTIONS, bootConfig } from './boot_options.ts';
import { parseOptions } from './options.ts';

async function nicsOf(...nics: string[]) {
  const { values, rest } = parseOptions('boot', BOOT_OPTIONS, [
    '--sim',
    '--drive',
    'type=echo',
    ...nics.flatMap((nic) => ['--nic', nic]),
  ]);
  return (await bootConfig(values, rest)).nics;
}

test('a NIC has an address of its own and a loopback plug unless told otherwise', async () => {
  expect(await nicsOf('wire=echo', 'mac=02:AB:00:00:00:01,link=down')).toEqual([
    { mac: '52:54:00:12:34:56', wire: 'echo', pcap: undefined, link: 'up' },
    { mac: '02:ab:00:00:00:01', wire: 'loopback', pcap: undefined, link: 'down' },
  ]);
  expect(await nicsOf()).toEqual([]);
});

test('two NICs share a cable when both say so', async () => {
  expect((await nicsOf('wire=pair:1', 'wire=pair:0'))?.map(({ wire }) => wire)).toEqual([{ pair: 1 }, { pair: 0 }]);
});

test.each([
  ['wire=radio', /--nic wire=radio: not understood; give loopback, echo, none or pair:N/],
  ['wire=pair:-1', /^--nic wire=pair:-1: not understood; give loopback, echo, none or pair:N$/],
  ['wire=none,wire=none', /^--nic: wire is given twice; give it once$/],
  ['plug=maybe', /^--nic plug=maybe: not understood; give on or off$/],
  ['wire=pair:0', /^--nic wire=pair:0: is NIC 0 itself; name another NIC, or give wire=loopback$/],
  ['wire=pair:3', /^--nic wire=pair:3: there is no NIC 3, NIC 0 is the only one; give --nic once for each end/],
  [
    'pcap=/no such folder/x.pcap',
    /^--nic pcap=\/no such folder\/x\.pcap: no such directory; give a place where a file can be/,
  ],
  ['mac=1:2', /--nic mac=1:2: not an Ethernet address; give six bytes/],
  ['mac=01:00:00:00:00:01', /--nic mac=01:.*: a group address/],
  ['link=sideways', /--nic link=sideways: not understood; give up or down/],
  ['speed=10', /--nic: unknown key 'speed'|--nic speed=10: unknown key/],
])('--nic %s is refused', async (nic, sentence) => {
  await expect(nicsOf(nic)).rejects.toThrow(sentence);
});

test.each([
  [['wire=pair:1', 'wire=loopback'], /^--nic wire=pair:1: a cable has two ends; NIC 1 must have wire=pair:0$/],
  [
    ['wire=pair:1', 'wire=pair:2', 'wire=pair:1'],
    /^--nic wire=pair:1: a cable has two ends; NIC 1 must have wire=pair:0$/,
  ],
  [['wire=none', 'wire=pair:2'], /^--nic wire=pair:2: there is no NIC 2, there are NICs 0 to 1; give --nic once/],
])('a cable without its other end is refused: %j', async (nics, sentence) => {
  await expect(nicsOf(...nics)).rejects.toThrow(sentence);
});

test('two NICs with one address are refused', async () => {
  await expect(nicsOf('mac=02:00:00:00:00:01', 'mac=02:00:00:00:00:01')).rejects.toThrow(/two NICs cannot have one/);
});

test('a cable named by the id of a NIC holds for both ends', async () => {
  const wires = async (...nics: string[]) => (await nicsOf(...nics))?.map(({ wire }) => wire);
  expect(await wires('id=a', 'id=b,pair=a')).toEqual([{ pair: 1 }, { pair: 0 }]);
  expect(await wires('id=a,pair=b', 'id=b,pair=a')).toEqual([{ pair: 1 }, { pair: 0 }]);
  expect(await wires('wire=echo', 'pair=nic2', 'link=up')).toEqual(['echo', { pair: 2 }, { pair: 1 }]);
});

test.each([
  [['pair=b'], /^--nic pair=b: no NIC has that id; give another NIC's$/],
  [['id=a,pair=a'], /^--nic pair=a: is the NIC itself; give another NIC's$/],
  [['id=a,wire=echo', 'pair=a'], /^--nic pair=a: NIC a has its cable already \(wire=echo\); leave one out$/],
  [['id=a', 'pair=a,wire=none'], /^--nic pair=a,wire=none: two cables; give one of them$/],
  [['id=a', 'id=a'], /^--nic id=a: two NICs cannot have one name; give another$/],
  [['id=0'], /^--nic id=0: not a name; begin with a letter/],
])('cables %j are refused', async (nics, sentence) => {
  await expect(nicsOf(...nics)).rejects.toThrow(sentence);
});
