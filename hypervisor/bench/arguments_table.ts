/**
 * The arguments that minivisor is there to settle (DESIGN: what it is), each with its sides, and which figures speak for
 * them. A figure is named by its scenario and name, and by its column where it has one.
 */
import { TIER_NAMES } from '../cli/report.ts';
import type { Figure, PerOperation } from './figures.ts';

/** Names a figure. */
export type FigureName = Pick<Figure, 'scenario' | 'name' | 'column'>;

export interface Side {
  /** Head of its column. */
  readonly title: string;
  /** Whose time is compared first, and whose counts of work are shown. */
  readonly main: FigureName;
  /** Figures of the argument's other rows, by their labels. */
  readonly others?: Readonly<Record<string, FigureName>>;
}

export interface Argument {
  readonly title: string;
  /** What one operation is. */
  readonly operation: string;
  /** Counts that the time has no part of. */
  readonly outside?: readonly (keyof PerOperation)[];
  /** Labels of other rows that may be why a side is faster. */
  readonly because?: readonly string[];
  /** Sides in the order of their columns. */
  readonly sides: readonly Side[];
}

const tier = (number: number): Side => ({
  title: TIER_NAMES[number],
  main: { scenario: 'tce', name: `H_PUT_TCE, ${TIER_NAMES[number]}` },
});

function channelIo(title: string, api: string): Side {
  const reads = (devices: string) => ({ scenario: 'ccw-api', name: `${api}, ${devices}: reads a second` });
  return {
    title,
    main: { scenario: 'ccw', name: `${api}, 4K read: SSCH, interruption, TSCH` },
    others: {
      'no-operation': { scenario: 'ccw', name: `${api}, NOP: SSCH, interruption, TSCH` },
      'reads a second, 1 device of 0 us': reads('1 device of 0 us'),
      'reads a second, 4 devices of 1 ms': reads('4 devices of 1000 us'),
    },
  };
}

function halting(title: string, column: string): Side {
  const named = (name: string) => ({ scenario: 'halt-clear', name, column });
  return {
    title,
    main: named('HSCH to a device that is free'),
    others: {
      'HSCH to its interruption': named('HSCH to interruption'),
      'CSCH to a device that is free': named('CSCH to a device that is free'),
      'CSCH to its interruption': named('CSCH to interruption'),
    },
  };
}

function binding(title: string, column: string): Side {
  const named = (name: string) => ({ scenario: 'bind', name, column });
  return {
    title,
    main: named('16 groups: bind'),
    others: {
      '16 groups unbound': named('16 groups: unbind'),
      '1 group bound': named('1 group: bind'),
      '1 group unbound': named('1 group: unbind'),
      'H_PUT_TCE afterwards, 16 groups': named('16 groups: H_PUT_TCE, real mode'),
    },
  };
}

const ISOLATION = 'violation to isolation of the LIODN (type1 refuses the access and isolates nobody)';

function windowed(column: string, isolates = false): Side {
  const named = (what: string) => ({ scenario: 'pamu', name: `1 GiB of RAM: ${what}`, column });
  return {
    title: column,
    main: named('set-up'),
    others: {
      'tables of the container': named('tables of the container'),
      'table lines an access reads': named('table lines that an access reads'),
      'an access, in this model': named('translation of an access, in this model'),
      ...(isolates
        ? { 'a violation until the device is isolated': { scenario: 'pamu', name: ISOLATION, column } }
        : {}),
    },
  };
}

/** One row of the design's table each, in its order. */
export const ARGUMENTS: readonly Argument[] = [
  {
    title: 'H_PUT_TCE (2010)',
    operation: 'one H_PUT_TCE of a mapped window, as the guest makes it',
    sides: [tier(2), tier(1), tier(0)],
  },
  {
    title: 'channel I/O pass-through (2016)',
    operation: 'one read of 4096 bytes from a device that takes no time, from SSCH to the end of TSCH',
    sides: [channelIo('CMD_REQUEST (RFC)', 'cmd-request'), channelIo('I/O region (merged)', 'region')],
  },
  {
    title: 'HALT and CLEAR (2019)',
    operation:
      'HSCH of a read that takes 2 ms, until the device takes another program; work of the whole, from its SSCH on',
    sides: [
      halting('pretended (RFC)', 'blocking ioctl (RFC)'),
      halting('pretended (I/O region)', 'I/O region alone'),
      halting('command region', 'command region'),
    ],
  },
  {
    title: 'what a LIOBN binds to (2016)',
    operation: "all ioctls that bind one LIOBN to a container of 16 groups, the kernel's share of the time",
    outside: ['exits', 'handOffs'],
    sides: [
      binding('group (merged)', 'group'),
      binding('group and LIOBN (RFC)', 'group-liobn'),
      binding('container', 'container'),
    ],
  },
  {
    title: 'windowed IOMMUs (2013)',
    operation: "set-up of a container: 1 GiB of RAM and three MSI banks, the kernel's share of the time",
    outside: ['exits', 'handOffs'],
    because: ['tables of the container'],
    sides: [windowed('type1 4K'), windowed('type1 2M'), windowed('PAMU', true)],
  },
];
