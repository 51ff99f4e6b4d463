/**
 * The virtual machines of one host: what of the configuration each one's VMM gets to see. The host has all devices; a VMM
 * has those that are passed to it, under numbers of its own.
 */
import type { MachineConfig, MachineResult, NicConfig, PamuConfig, VmSummary } from './config.ts';

/** The configuration of every virtual machine, by number. The only one of a host is configured as the host. */
export function vmConfigs(config: MachineConfig): MachineConfig[] {
  const { others = [], ...host } = config;
  if (others.length === 0) return [config];
  const { at = [] } = host;
  const machines = vmSummaries(config);
  return [host, ...others].map((own, number) => ({
    ...host,
    ...own,
    ...devicesOf(config, number),
    number,
    machines,
    label: vmName(number),
    at: at.filter(({ vm = 0 }) => vm === number),
  }));
}

/** The virtual machines as they are listed; those of the whole host where one VMM's configuration names them. */
export function vmSummaries({ machines, others = [], ...first }: MachineConfig): readonly VmSummary[] {
  return machines ?? [first, ...others].map(({ guest, memory, cpus }) => ({ guest, memory, cpus }));
}

/** Says how many machines there are, to a user who has named another one. */
export function machinesThere(count: number): string {
  return count === 1 ? 'there is machine 0 only' : `there are machines 0 to ${count - 1}`;
}

/** What a virtual machine is called to the user. */
export function vmName(vm: number): string {
  return `vm${vm}`;
}

/** DMA ports of the host: one for each virtual machine that has one, in the first PEs. */
export function dmaPorts({ dmaPort, others = [] }: MachineConfig): number {
  return [{ dmaPort }, ...others].filter((vm) => vm.dmaPort).length;
}

/** Who gets a NIC. */
function nicVms({ vms = [0] }: NicConfig): readonly number[] {
  return vms;
}

function devicesOf(config: MachineConfig, vm: number) {
  const { drives, nics = [], pamu, others = [] } = config;
  const all = [config, ...others];
  const nicNumbers = [...nics.keys()].filter((nic) => nicVms(nics[nic]).includes(vm));
  const ports = dmaPorts(config);
  const port = all.slice(0, vm).filter(({ dmaPort }) => dmaPort).length;
  return {
    drives: drives.filter((drive) => (drive.vm ?? 0) === vm),
    nics: nicNumbers.map((nic) => ownNic(nics[nic], nicNumbers)),
    pamu: ownPlatform(pamu, vm),
    pes: [...(all[vm].dmaPort ? [port] : []), ...nicNumbers.map((nic) => ports + nic)],
  };
}

/** @param own numbers that the virtual machine's NICs have on the host */
function ownNic(nic: NicConfig, own: readonly number[]): NicConfig {
  if (typeof nic.wire === 'string') return nic;
  const pair = own.indexOf(nic.wire.pair);
  return { ...nic, wire: pair < 0 ? { pair: nic.wire.pair, elsewhere: true } : { pair } };
}

/** The SoC with the devices of one virtual machine; undefined when it has none of them, and so nothing to do with it. */
function ownPlatform(pamu: PamuConfig | undefined, vm: number): PamuConfig | undefined {
  if (pamu === undefined) return undefined;
  const { devices = [], vms = [] } = pamu;
  const own = devices.filter((_, i) => (vms[i] ?? 0) === vm);
  return own.length === 0 ? undefined : { ...pamu, devices: own, vms: undefined };
}

/** How the whole run ended, from how each virtual machine's did: badly as the first that did, and then it is named. */
export function combinedResult(results: readonly MachineResult[]): MachineResult {
  const [first] = results;
  if (results.length === 1) return first;
  const bad = results.findIndex(({ status }) => status !== 0);
  const end = bad < 0 ? {} : { status: results[bad].status, reason: `${vmName(bad)}: ${results[bad].reason}` };
  return { ...first, ...end, endedNs: Math.max(...results.map(({ endedNs }) => endedNs)) };
}
