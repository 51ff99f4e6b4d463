/** `--nic`: its keys, and how they become the configuration of a network interface. */
import { resolve } from 'node:path';
import type { NicConfig } from '../config.ts';
import { UserError } from '../user_error.ts';
import type { Keys, OptionRow } from './options.ts';
import { checkOutput } from './output_file.ts';
import { readVmNumbers } from './vm_numbers.ts';

/** Partitionable endpoints that the host bridge has beside the DMA port's. */
const MAX_NICS = 8;
/** First address of NICs without one: QEMU's range. */
const MAC_PREFIX = '52:54:00:12:34:';
const MAC_FIRST = 0x56;

export const NIC_OPTION: OptionRow = {
  name: 'nic',
  kind: 'keys',
  value: 'wire=...,...',
  many: true,
  keys: {
    id: 'what it is called in the monitor, and by pair= (nic0, nic1, ...)',
    wire: 'loopback (default: what is sent comes back), echo (a host that answers ARP and ping), none, or pair:N (NIC N of this list, from 0)',
    mac: `Ethernet address (from ${MAC_PREFIX}${MAC_FIRST.toString(16)} on)`,
    pcap: 'write every frame of the cable to this file, for tcpdump and Wireshark',
    link: 'up (default) or down: whether the cable is plugged in',
    pair: 'id of the NIC at the other end of the cable: as wire=pair:N, and said at one end it holds for both',
    plug: 'on (default) or off: whether the guest has it at power-on; device_add vfio-pci,host=... plugs it later',
    vm: 'number of the virtual machine that gets it (default 0, the first; see --vm); 0:1: both ask for it, and the host lets one have it',
  },
  help: 'an Intel 82540EM of the host, passed through with vfio-pci on a host bridge of its own',
};

/** What `vm=` says: numbers of virtual machines. */
export function nicVms({ vm = '0' }: Keys): string[] {
  return (vm as string).split(':');
}

/** The NICs of a command line. @param vms virtual machines there are. @throws UserError */
export function readNics(given: readonly Keys[] | undefined, vms = 1): NicConfig[] {
  const all = withCables(given ?? []);
  if (all.length > MAX_NICS) throw new UserError(`--nic: ${all.length} of them; the machine has room for ${MAX_NICS}`);
  const nics = all.map((keys, index) => readNic(keys, index, vms));
  for (const [index, { mac, wire }] of nics.entries()) {
    if (nics.findIndex((nic) => nic.mac === mac) < index)
      throw new UserError(`--nic mac=${mac}: two NICs cannot have one address; give another`);
    if (typeof wire === 'string') continue;
    const problem = pairProblem(nics, index, wire.pair);
    if (problem !== undefined) throw new UserError(`--nic wire=pair:${wire.pair}: ${problem}`);
  }
  return nics;
}

/** Names for the monitor: QEMU's rule for ids (util/id.c). */
const ID = /^[a-z][a-z0-9._-]*$/i;

/** Puts cables that are named by `pair=ID` where `wire=pair:N` would have them, at both ends. @throws UserError */
function withCables(given: readonly Keys[]): Keys[] {
  const ids = given.map(({ id }, index) => (id as string | undefined) ?? `nic${index}`);
  for (const [index, id] of ids.entries()) {
    if (!ID.test(id))
      throw new UserError(`--nic id=${id}: not a name; begin with a letter, then letters, digits, . _ -`);
    if (ids.indexOf(id) < index) throw new UserError(`--nic id=${id}: two NICs cannot have one name; give another`);
  }
  const wires = given.map(({ wire }) => wire as string | undefined);
  for (const [index, { pair, wire }] of given.entries()) {
    if (pair === undefined) continue;
    const to = ids.indexOf(pair as string);
    if (to < 0 || to === index)
      throw new UserError(
        `--nic pair=${pair}: ${to < 0 ? 'no NIC has that id' : 'is the NIC itself'}; give another NIC's`,
      );
    if (wire !== undefined) throw new UserError(`--nic pair=${pair},wire=${wire}: two cables; give one of them`);
    for (const [end, other] of [
      [index, to],
      [to, index],
    ]) {
      if (wires[end] !== undefined && wires[end] !== `pair:${other}`)
        throw new UserError(
          `--nic pair=${pair}: NIC ${ids[end]} has its cable already (wire=${wires[end]}); leave one out`,
        );
      wires[end] = `pair:${other}`;
    }
  }
  return given.map(({ pair: _, ...keys }, index) => {
    const wire = wires[index];
    return (wire === undefined ? keys : { ...keys, wire }) as Keys;
  });
}

/** What is wrong with the cable from NIC `index` to NIC `to`, and what to do; undefined for nothing. */
function pairProblem(nics: readonly NicConfig[], index: number, to: number): string | undefined {
  if (to === index) return `is NIC ${index} itself; name another NIC, or give wire=loopback`;
  if (nics[to] === undefined) {
    const there = nics.length === 1 ? 'NIC 0 is the only one' : `there are NICs 0 to ${nics.length - 1}`;
    return `there is no NIC ${to}, ${there}; give --nic once for each end of the cable`;
  }
  const { wire: back } = nics[to];
  if (typeof back === 'object' && back.pair === index) return undefined;
  return `a cable has two ends; NIC ${to} must have wire=pair:${index}`;
}

function readNic(keys: Keys, index: number, machines: number): NicConfig {
  const { id, mac, pcap, link = 'up', plug = 'on', vm } = keys as Readonly<Record<string, string | undefined>>;
  if (mac !== undefined && !/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(mac))
    throw new UserError(`--nic mac=${mac}: not an Ethernet address; give six bytes, as in ${MAC_PREFIX}56`);
  if (mac !== undefined && (Number.parseInt(mac, 16) & 1) !== 0)
    throw new UserError(`--nic mac=${mac}: a group address; the first byte of a NIC's own address is even`);
  if (link !== 'up' && link !== 'down') throw new UserError(`--nic link=${link}: not understood; give up or down`);
  if (plug !== 'on' && plug !== 'off') throw new UserError(`--nic plug=${plug}: not understood; give on or off`);
  checkOutput('nic pcap=', pcap);
  return {
    mac: mac?.toLowerCase() ?? `${MAC_PREFIX}${(MAC_FIRST + index).toString(16)}`,
    wire: readWire(keys as Readonly<Record<string, string | undefined>>),
    pcap: pcap === undefined ? undefined : resolve(pcap),
    link,
    ...(plug === 'off' ? { plug: false } : {}),
    ...(id === undefined ? {} : { id }),
    ...(vm === undefined ? {} : { vms: readVmNumbers('nic', vm, machines, true) }),
  };
}

function readWire({ wire = 'loopback' }: Readonly<Record<string, string | undefined>>): NicConfig['wire'] {
  if (wire === 'loopback' || wire === 'echo' || wire === 'none') return wire;
  const pair = /^pair:(\d)$/.exec(wire);
  if (pair === null) throw new UserError(`--nic wire=${wire}: not understood; give loopback, echo, none or pair:N`);
  return { pair: Number(pair[1]) };
}
