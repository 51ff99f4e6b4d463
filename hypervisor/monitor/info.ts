/** `info SUBJECT`: what the monitor shows of the machine, one row each. */
import type { SpaprPhb } from '../../devices/virtual/ppc/spapr_pci.ts';
import type { ChannelSubsystem } from '../../devices/virtual/s390x/css.ts';
import { deviceNumber, VIRTUAL_CSSID } from '../../devices/virtual/s390x/css.ts';
import type { Subchannel } from '../../devices/virtual/s390x/subchannel.ts';
import { describePci, pciText } from '../../devices/virtual/vfio/pci_describe.ts';
import { DR_INDICATOR_STATE } from '../../kernel/include/arch/ppc/dr_connector.ts';
import {
  SCSW_CTRL_MASK_FCTL,
  SCSW_FCTL_CLEAR_FUNC,
  SCSW_FCTL_HALT_FUNC,
  SCSW_FCTL_START_FUNC,
  SCSW_STCTL_STATUS_PEND,
} from '../../kernel/include/arch/s390/scsw.ts';
import { Errno } from '../../kernel/include/uapi/errno.ts';
import type { Task } from '../../kernel/lib/task.ts';
import { table } from '../cli/table.ts';
import { exitTable } from '../exit_table.ts';
import type { MonitorTarget } from './target.ts';
import { vmsTable } from './vms_table.ts';

interface Subject {
  readonly name: string;
  readonly help: string;
  readonly show: (target: MonitorTarget) => Task<string>;
}

const hex = (value: number, digits = 2) => value.toString(16).padStart(digits, '0');

/** What can be shown. */
export const SUBJECTS: readonly Subject[] = [
  { name: 'status', help: 'whether the machine runs, and its CPUs', show: status },
  { name: 'vms', help: 'the virtual machines of this host, and whether they run', show: vms },
  { name: 'subchannels', help: "the guest's subchannels, as lscss lists them", show: subchannels },
  { name: 'qtree', help: 'the devices and their properties', show: qtree },
  { name: 'pci', help: "the guest's PCI devices, their BARs and pins", show: pci },
  { name: 'drc', help: 'connectors of PCI slots, and how far the guest is with what is plugged', show: connectors },
  { name: 'vfio', help: 'groups, descriptors, regions, eventfds and locked memory', show: vfio },
  { name: 'chp', help: "the guest's channel paths, and their state on the host", show: channelPaths },
  { name: 'exits', help: 'why the CPUs left the guest, as perf kvm stat tells it; system calls', show: exits },
  { name: 'trace-events', help: 'the events that are recorded', show: traceEvents },
];

function* status(target: MonitorTarget): Task<string> {
  const cpus = target.cpus().map(({ address, operating, psw }) => {
    const state = operating ? 'operating' : 'stopped';
    return `  cpu ${address}: ${state}, PSW at its last exit ${psw}\n`;
  });
  return `VM status: ${target.running ? 'running' : 'paused'}\n${cpus.join('')}`;
}

function* vms(target: MonitorTarget): Task<string> {
  return vmsTable(target.vms());
}

/** Functions in progress by their bits of function control, and pending status. */
const FUNCTIONS: readonly (readonly [number, string])[] = [
  [SCSW_FCTL_CLEAR_FUNC, 'clear'],
  [SCSW_FCTL_HALT_FUNC, 'halt'],
  [SCSW_FCTL_START_FUNC, 'start'],
  [SCSW_STCTL_STATUS_PEND, 'status'],
];
function activity({ schib: { scsw } }: Subchannel): string {
  if ((scsw.ctrl & (SCSW_CTRL_MASK_FCTL | SCSW_STCTL_STATUS_PEND)) === 0) return 'idle';
  return FUNCTIONS.filter(([bit]) => (scsw.ctrl & bit) !== 0)
    .map(([, name]) => name)
    .join('+');
}

function* subchannels({ css }: MonitorTarget): Task<string> {
  const rows = [...css.subchannels()].map((sch) => {
    const { pmcw } = sch.schib;
    return [
      `0.${sch.ssid}.${hex(pmcw.devno, 4)}`,
      sch.name,
      sch.operations.plugged?.id ?? '',
      sch.operational ? 'yes' : '',
      hex(pmcw.pim),
      hex(pmcw.pam),
      hex(pmcw.pom),
      [...pmcw.chpid].map((chpid) => hex(chpid)).join(''),
      activity(sch),
    ];
  });
  if (rows.length === 0) return 'no subchannels\n';
  return table(['Device', 'Subchan.', 'Id', 'Use', 'PIM', 'PAM', 'POM', 'CHPIDs', 'State'], rows, '<<<<<<<<<');
}

function* qtree({ css, phbs }: MonitorTarget): Task<string> {
  const lines = [`bus: virtual-css-bus (css ${hex(VIRTUAL_CSSID)})\n`];
  for (const sch of css.subchannels()) {
    const { plugged } = sch.operations;
    if (plugged === undefined) {
      lines.push(`  dev: subchannel ${sch.name}, ${deviceNumber(sch.ssid, sch.schib.pmcw.devno)}\n`);
      continue;
    }
    lines.push(`  dev: ${plugged.driver}, id "${plugged.id}"\n`);
    for (const [name, value] of Object.entries(plugged.describe())) lines.push(`    ${name} = ${value}\n`);
  }
  for (const phb of phbs) {
    lines.push(`bus: ${phb.busName} (spapr-pci-host-bridge, index ${phb.index})\n`);
    for (const { id, properties } of pciDevices(phb)) {
      lines.push(`  dev: vfio-pci, id "${id}"\n`);
      for (const [name, value] of Object.entries(properties)) lines.push(`    ${name} = ${value}\n`);
    }
  }
  return lines.join('');
}
function pciDevices(phb: SpaprPhb) {
  return phb.devices().map(({ id, host, devfn, device }) => ({ id, properties: describePci(device, host, devfn) }));
}

/** As QEMU's `info pci`, with the bridge in front of each bus. */
function* pci({ phbs }: MonitorTarget): Task<string> {
  const lines: string[] = [];
  for (const phb of phbs) {
    const devices = phb.devices();
    lines.push(`${phb.busName}:${devices.length === 0 ? ' no device' : ''}\n`);
    for (const { id, devfn, device } of devices) lines.push(pciText(device, devfn), `      id "${id}"\n`);
  }
  return lines.length === 0 ? 'no PCI host bridge\n' : lines.join('');
}

/** Names of the light beside a slot, by its state. */
const LIGHTS = Object.keys(DR_INDICATOR_STATE).map((name) => name.toLowerCase());

/** Connectors with a device, or that the guest has left in another state than it found them. */
function* connectors({ phbs }: MonitorTarget): Task<string> {
  const all = phbs.flatMap((phb) => phb.drcs.map((drc, slot) => ({ phb, drc, slot })));
  if (all.length === 0) return 'no PCI host bridge\n';
  const used = all.filter(({ drc }) => drc.device !== undefined || drc.indicator !== DR_INDICATOR_STATE.INACTIVE);
  const rows = used.map(({ phb, drc, slot }) => [
    `0x${hex(drc.index, 8)}`,
    drc.name,
    `${phb.busName}.${hex(slot)}`,
    drc.device?.id ?? '',
    drc.device === undefined ? 'empty' : drc.state,
    LIGHTS[drc.indicator],
    drc.unplugRequested ? 'release' : '',
  ]);
  const title = ['Index', 'Name', 'Slot', 'Id', 'State', 'Light', 'Asked for'];
  const rest = `${all.length - used.length} more connectors are empty\n`;
  return used.length === 0 ? rest : table(title, rows, '<<<<<<<') + rest;
}

/** What of a device's description belongs to VFIO. */
const VFIO_PROPERTIES = ['host', 'fd', 'group', 'container', 'regions', 'eventfds', 'memory'];

function* vfio({ css, phbs, machine }: MonitorTarget): Task<string> {
  const lines: string[] = [];
  const show = (id: string, description: Readonly<Record<string, string>>) => {
    lines.push(`${id}:\n`);
    for (const name of VFIO_PROPERTIES)
      if (description[name] !== undefined) lines.push(`  ${name}: ${description[name]}\n`);
  };
  for (const { operations } of css.subchannels()) {
    const { plugged } = operations;
    if (plugged !== undefined) show(plugged.id, plugged.describe());
  }
  for (const phb of phbs) for (const { id, properties } of pciDevices(phb)) show(id, properties);
  const locked = /VmLck:\s*(.*)/.exec(yield* machine.sys.readFile('/proc/self/status'));
  lines.push(`locked memory, pinned pages included: ${locked?.[1] ?? 'not known'}\n`);
  return lines.join('');
}

/** Subchannels on a path, by their names. */
function on(css: ChannelSubsystem, chpid: number): string {
  const names: string[] = [];
  for (const { schib, name } of css.subchannels())
    if ([...schib.pmcw.chpid].some((id, i) => id === chpid && (schib.pmcw.pim & (0x80 >> i)) !== 0)) names.push(name);
  return names.join(' ');
}

function* channelPaths({ css, machine }: MonitorTarget): Task<string> {
  const rows: string[][] = [];
  for (const [chpid, { type, isVirtual }] of [...css.paths].sort((a, b) => a[0] - b[0])) {
    const path = `/sys/devices/css0/chp0.${hex(chpid)}`;
    const state = isVirtual ? 'virtual' : yield* attribute(machine.sys.readFile(`${path}/status`));
    const configured = isVirtual ? '' : yield* attribute(machine.sys.readFile(`${path}/configure`));
    rows.push([`0.${hex(chpid)}`, hex(type), state, configured, on(css, chpid)]);
  }
  if (rows.length === 0) return 'no channel paths\n';
  return table(['CHPID', 'Type', 'Status', 'Cfg.', 'Subchannels'], rows, '<<<<<');
}
/** An attribute's text; what went wrong when it cannot be read. */
function* attribute(read: Task<string>): Task<string> {
  try {
    return yield* read;
  } catch (error) {
    if (error instanceof Errno) return error.code;
    throw error;
  }
}

function* exits(target: MonitorTarget): Task<string> {
  return `${exitTable(target.exits())}  system calls of the VMM: ${target.systemCalls}\n`;
}

function* traceEvents(target: MonitorTarget): Task<string> {
  const names = target.traced();
  return names.length === 0 ? 'no event is recorded\n' : `${names.join('\n')}\n`;
}
