/** `--device vfio-platform,host=...` and `--iommu`: what of the host's SoC the guest gets, and what is in front of it. */
import type { PamuConfig } from '../config.ts';
import { PLATFORM_FIRST_IRQ, platformDeviceAddress } from '../platform_devices.ts';
import { UserError } from '../user_error.ts';
import { asksHelp, HelpRequested, type OptionRow, type Values } from './options.ts';
import { readVmNumbers } from './vm_numbers.ts';

/** The device model, and the devices of the host that it takes. */
const DRIVER = 'vfio-platform';
const HOSTS: readonly string[] = ['dma0', 'dma1', 'dma2', 'dma3'];
/** These share a LIODN, so they are one IOMMU group: both or neither. */
const SHARED: readonly string[] = ['dma2', 'dma3'];
const FORM = `${DRIVER},host=dma0`;

export const DEVICE_OPTIONS: readonly OptionRow[] = [
  {
    name: 'device',
    kind: 'text',
    value: FORM,
    many: true,
    help: "pass a DMA channel of the host's SoC through (dma0 to dma3; dma2 and dma3 are one IOMMU group), with vm=N to machine N; help lists them",
  },
  {
    name: 'iommu',
    kind: 'choice',
    choices: ['pamu', 'type1'],
    value: 'SIDE',
    default: 'pamu',
    help: 'what is in front of those devices: windows of PAMU ("type2"), or pages of an IOMMU that type1 drives',
  },
];

/** What the dma guest gets when nothing is given: two channels that nothing is shared between. */
const DMA_GUEST_DEVICES: readonly string[] = [`${DRIVER},host=dma0`, `${DRIVER},host=dma1`];

/** The SoC that a command line asks for; undefined for none. @param machines virtual machines there are. @throws UserError, HelpRequested */
export function readPamu(values: Values, machines = 1): PamuConfig | undefined {
  const wanted = values.guest === 'dma' && values.kernel === undefined ? DMA_GUEST_DEVICES : [];
  const given = (values.device as readonly string[] | undefined) ?? wanted;
  if (given.some(asksHelp)) throw new HelpRequested(`${HOSTS.map((host) => `${DRIVER},host=${host}`).join('\n')}\n`);
  if (given.length === 0) {
    if (values.iommu === 'type1')
      throw new UserError(`--iommu type1: there is no device behind it; give --device ${FORM} too, or leave it out`);
    return undefined;
  }
  const wanting = given.map((text) => deviceOf(text, machines));
  const devices = wanting.map(({ host }) => host);
  const twice = devices.find((host, i) => devices.indexOf(host) !== i);
  if (twice !== undefined) throw new UserError(`--device ${DRIVER},host=${twice}: given twice; leave one out`);
  const alone = SHARED.filter((host) => devices.includes(host));
  if (alone.length === 1)
    throw new UserError(
      `--device ${DRIVER},host=${alone[0]}: ${SHARED.join(' and ')} share a LIODN, so no IOMMU tells them apart; give both`,
    );
  const vms = wanting.map(({ vm }) => vm);
  return {
    devices,
    iommu: values.iommu as PamuConfig['iommu'],
    ...(vms.every((vm) => vm === 0) ? {} : { vms }),
  };
}

/** @param machines virtual machines there are */
function deviceOf(text: string, machines: number): { readonly host: string; readonly vm: number } {
  const [driver, ...keys] = text.split(',');
  if (driver !== DRIVER) throw new UserError(`--device ${text}: no such device model; give ${FORM}`);
  const values = keys.map((key) => key.split('='));
  const other = values.find(([key]) => key !== 'host' && key !== 'vm');
  if (other !== undefined) throw new UserError(`--device ${text}: unknown key '${other[0]}'; give ${FORM}`);
  const hosts = values.filter(([key]) => key === 'host');
  const host = hosts[0]?.[1];
  if (hosts.length !== 1 || host === undefined || !HOSTS.includes(host))
    throw new UserError(
      `--device ${text}: which device of the host? give host=${HOSTS.slice(0, -1).join(', ')} or ${HOSTS.at(-1)}`,
    );
  const [vm] = readVmNumbers('device', values.find(([key]) => key === 'vm')?.[1], machines, false);
  return { host, vm };
}

/** Number of the first device that is in another IOMMU group than device 0; undefined when there is none. */
export function neighbourOfFirst(pamu: PamuConfig | undefined): number | undefined {
  const devices = pamu?.devices ?? [];
  const other = devices.findIndex((host, i) => i > 0 && !(SHARED.includes(host) && SHARED.includes(devices[0])));
  return other < 0 ? undefined : other;
}

/** What the guest learns of its platform devices: ` platform=ADDRESS:SOURCE,...`, both hexadecimal. */
export function platformWords(pamu: PamuConfig | undefined): string {
  if (pamu?.devices === undefined || pamu.devices.length === 0) return '';
  const hex = (value: number) => `0x${value.toString(16)}`;
  const all = pamu.devices.map((_, i) => `${hex(platformDeviceAddress(i))}:${hex(PLATFORM_FIRST_IRQ + i)}`);
  return ` platform=${all.join(',')}`;
}
