/** What a row of the I/O configuration stands for: the device behind it, with its faults. */
import type { FaultConfig } from '../../kernel/include/fault_kinds.ts';
import type { Tracer } from '../../kernel/lib/trace.ts';
import type { ChannelDevice } from './css/channel_device.ts';
import type { AttachedDevice } from './css/io_processor.ts';
import { type DriveOptions, openDrive } from './dasd/drive.ts';
import { EchoDevice } from './echo/echo_device.ts';
import { FaultyDevice } from './faults/faulty_device.ts';

/** One row, as the command line hands it over. */
export interface DeviceOptions extends DriveOptions {
  /** 3390 when omitted. */
  readonly type?: '3390' | 'echo';
  /** Number of the I/O processor that serves it; 0 when omitted. */
  readonly iop?: number;
  readonly faults?: readonly FaultConfig[];
}

export interface OpenDeviceContext {
  /** Seed of the machine. */
  readonly seed: number;
  readonly tracer: Tracer;
  /** One line for the user. */
  readonly log?: (line: string) => void;
}

type Open = (options: DeviceOptions, log?: (line: string) => void) => ChannelDevice;

const OPEN: Readonly<Record<NonNullable<DeviceOptions['type']>, Open>> = {
  '3390': openDrive,
  echo: () => new EchoDevice(),
};

/** Powers one device on. @throws ImageError when its image cannot be used */
export function openDevice(options: DeviceOptions, { seed, tracer, log }: OpenDeviceContext): AttachedDevice {
  const { schid, faults = [] } = options;
  const device = OPEN[options.type ?? '3390'](options, log);
  if (faults.length === 0) return { schid, device };
  return { schid, device: new FaultyDevice(device, { schid, faults, seed, tracer }) };
}
