/** Measurements made up for tests of the report page: every scenario that it draws, with figures of a likely size. */
import { BENCH_SCHEMA, type BenchDocument } from '../../hypervisor/bench/document.ts';
import type { Figure } from '../../hypervisor/bench/figures.ts';
import { type Measurement, measured } from '../../hypervisor/bench/series.ts';
import { DESIGNS } from '../../hypervisor/bench/steps.ts';
import { TIER_NAMES } from '../../hypervisor/cli/report.ts';
import { Random } from '../../kernel/lib/random.ts';

/** Enough for a comparison to be sure of something. */
const ROUNDS = 5;
const SAMPLES = 1_500;

/** Makes the figures of one document: times are multiplied by its factor. */
class Maker {
  readonly #random = new Random(1);
  readonly #factor: number;

  constructor(factor: number) {
    this.#factor = factor;
  }

  /** In (0, 1). */
  #share(): number {
    return (this.#random.next() + 0.5) / 2 ** 32;
  }

  /** A sample around 1: most are near, one in a hundred is several times that, as threads give them. */
  #sample(): number {
    const normal = Math.sqrt(-2 * Math.log(this.#share())) * Math.cos(2 * Math.PI * this.#share());
    return Math.exp(0.12 * normal) * (this.#share() < 0.012 ? 1 + 2 / this.#share() ** 0.6 : 1);
  }

  /** A time, ns. */
  time(median: number, more: Omit<Measurement, 'rounds'>, samples = SAMPLES): Figure {
    const scale = median * this.#factor;
    return measured({
      ...more,
      rounds: Array.from({ length: ROUNDS }, () => Array.from({ length: samples }, () => scale * this.#sample())),
    });
  }

  /** What does not depend on the machine's speed. */
  count(value: number, unit: Figure['unit'], more: Omit<Measurement, 'rounds' | 'unit'>): Figure {
    return measured({ ...more, unit, rounds: Array.from({ length: ROUNDS }, () => [value]) });
  }

  /** A rate. */
  rate(value: number, unit: Figure['unit'], more: Omit<Measurement, 'rounds' | 'unit'>): Figure {
    const rounds = Array.from({ length: ROUNDS }, () =>
      Array.from({ length: 40 }, () => value / this.#factor / this.#sample()),
    );
    return measured({ ...more, unit, rounds });
  }
}

const NONE = { exits: 0, systemCalls: 0, handOffs: 0, copies: 0, copiedBytes: 0, pins: 0 };
const plural = (count: number, one: string) => `${count} ${one}${count === 1 ? '' : 's'}`;

function tce(make: Maker): Figure[] {
  const scenario = 'tce';
  const three = make.time(15_200, { scenario, name: 'floor: three parties' });
  const two = make.time(271, { scenario, name: 'floor: two parties' });
  const put = (tier: number) => ({ scenario, name: `H_PUT_TCE, ${TIER_NAMES[tier]}` });
  const exit = { ...NONE, exits: 1, systemCalls: 1, handOffs: 4, copies: 1, copiedBytes: 32 };
  return [
    three,
    make.time(20_590, { ...put(2), floor: three, limit: 2, perOperation: exit }),
    two,
    make.time(566, { ...put(1), floor: two, limit: 1.5, perOperation: { ...NONE, handOffs: 2 } }),
    make.time(51.8, { ...put(0), perOperation: NONE }),
  ];
}

function hcalls(make: Maker): Figure[] {
  const medians = { H_PUT_TCE: [52, 566, 20_600], H_PUT_TCE_INDIRECT: [9_800, 11_200, 4_100_000] };
  return Object.entries(medians).flatMap(([hcall, each]) =>
    TIER_NAMES.map((tier, i) => {
      const parameters = { hcall, tier, entries: hcall === 'H_PUT_TCE' ? 1 : 512 };
      return make.time(each[i], { scenario: 'hcalls', name: `${hcall}, ${tier}`, parameters });
    }),
  );
}

function groups(make: Maker): Figure[] {
  return [1, 2, 4, 8, 16].map((many) =>
    make.time(44 + 6.3 * many, {
      scenario: 'groups',
      name: `H_PUT_TCE, ${plural(many, 'group')}`,
      parameters: { groups: many, killsPerCall: many },
    }),
  );
}

function net(make: Maker): Figure[] {
  const rates = {
    [TIER_NAMES[2]]: [38, 190],
    [TIER_NAMES[1]]: [148, 560],
    [TIER_NAMES[0]]: [260, 812],
    'big window': [395, 1240],
  };
  return Object.entries(rates).flatMap(([mode, each]) =>
    [1514, 9014].map((frameBytes, i) =>
      make.rate(each[i], 'MB/s', {
        scenario: 'net',
        name: `${frameBytes - 14}-byte packets, ${mode}`,
        parameters: { frameBytes, mode },
      }),
    ),
  );
}

function wire(make: Maker): Figure[] {
  const rates = {
    [TIER_NAMES[2]]: [2.6, 7.3],
    [TIER_NAMES[1]]: [12.6, 46],
    [TIER_NAMES[0]]: [76, 213],
    'big window': [110, 430],
  };
  return Object.entries(rates).flatMap(([mode, each]) =>
    [1514, 9014].flatMap((frameBytes, i) => {
      const common = {
        scenario: 'wire',
        name: `${frameBytes - 14}-byte packets, ${mode}`,
        parameters: { frameBytes, mode },
      };
      return [
        make.rate(each[i], 'MB/s', common),
        ...['vm0 to vm1', 'vm1 to vm0'].map((column) => make.rate(each[i] / 2, 'MB/s', { ...common, column })),
      ];
    }),
  );
}

/** Shares of the time of one I/O, step by step. */
const STEPS = [0, 4.1, 11.2, 9.5, 3.1, 8.2, 12.4, 92, 2.4, 10.8, 4.9];

function ccw(make: Maker): Figure[] {
  const scenario = 'ccw';
  const floor = make.time(51_980, { scenario, name: 'floor: SSCH chain' });
  const paths = (['region', 'cmd-request'] as const).flatMap((api, i) =>
    (['noop', 'read'] as const).map((program) => ({ api, design: DESIGNS[i], program })),
  );
  const figures = paths.flatMap(({ api, design: { steps }, program }) => {
    const scale = 1000 * (api === 'region' ? 1 : 1.18) * (program === 'noop' ? 1 : 1.12);
    const whole = steps.reduce((sum, _, i) => sum + STEPS[i] * scale, 0);
    const parameters = { api, program };
    const name = `${api}, ${program === 'noop' ? 'NOP' : '4K read'}`;
    const work = { exits: 2, systemCalls: api === 'region' ? 3 : 1, handOffs: 9, copies: 4, copiedBytes: 210, pins: 1 };
    const [first, last] = [steps[0][0], steps[steps.length - 1][0]];
    const common = { scenario, parameters, floor };
    return [
      make.time(whole * 1.04, { ...common, name: `${name}: SSCH to interruption` }),
      make.time(whole * 1.2, { ...common, name: `${name}: SSCH, interruption, TSCH`, perOperation: work }),
      make.time(whole, { ...common, name: `${name}: ${first} to ${last}`, part: true }),
      ...steps
        .map(([step, , what], i) =>
          make.time(
            STEPS[i] * scale,
            { ...common, name: `  ${step} ${what}`, part: true, parameters: { ...parameters, step } },
            50,
          ),
        )
        .slice(1),
    ];
  });
  return [floor, ...figures];
}

function ccwApi(make: Maker): Figure[] {
  const scenario = 'ccw-api';
  return [0, 100, 1000].flatMap((deviceUs) =>
    [1, 4].flatMap((devices) =>
      (['region', 'cmd-request'] as const).flatMap((api) => {
        const one = (api === 'region' ? 230 : 260) + deviceUs;
        const all = api === 'region' ? Math.max(one, 70 * devices) : one * devices;
        const name = `${api}, ${plural(devices, 'device')} of ${deviceUs} us`;
        const parameters = { api, devices, deviceUs };
        return [
          make.rate((1e6 * devices) / all, 'I/O/s', { scenario, name: `${name}: reads a second`, parameters }),
          make.time(all * 1000, { scenario, name: `${name}: SSCH to TSCH`, parameters }, 50),
        ];
      }),
    ),
  );
}

function ccwTranslate(make: Maker): Figure[] {
  const each = { NOP: 48, direct: 372, 'IDAL of 1': 575, 'IDAL of 2': 842 };
  return Object.entries(each).flatMap(([shape, ns]) =>
    [1, 16, 255].map((ccws) => {
      const parameters = { shape, ccws, pinsPerCcw: 1, part: 'total' };
      return make.time(
        600 + ns * ccws,
        { scenario: 'ccw-translate', name: `${plural(ccws, 'CCW')}, ${shape}`, parameters },
        50,
      );
    }),
  );
}

function haltClear(make: Maker): Figure[] {
  const sides = [
    { api: 'cmd-request', column: 'blocking ioctl (RFC)', seen: 26_000, free: 1_890_000 },
    { api: 'io-region', column: 'I/O region alone', seen: 24_000, free: 1_910_000 },
    { api: 'region', column: 'command region', seen: 182_000, free: 264_000 },
  ];
  return sides.flatMap(({ api, column, seen, free }) =>
    ['HSCH', 'CSCH'].flatMap((name) => {
      const common = { scenario: 'halt-clear', column, parameters: { api, serviceUs: 2000 } };
      return [
        make.time(seen, { ...common, name: `${name} to interruption` }, 300),
        make.time(free, { ...common, name: `${name} to a device that is free` }, 300),
      ];
    }),
  );
}

function bind(make: Maker): Figure[] {
  const sides = [
    { column: 'group', ioctls: 2, ns: 2100 },
    { column: 'group-liobn', ioctls: 1, ns: 1400 },
    { column: 'container', ioctls: 0, ns: 260 },
  ];
  return [1, 2, 4, 8, 16].flatMap((many) =>
    sides.flatMap(({ column, ioctls, ns }) => {
      const named = (what: string) => ({
        scenario: 'bind',
        column,
        name: `${plural(many, 'group')}: ${what}`,
        parameters: { side: column, groups: many },
      });
      const work = { ...NONE, systemCalls: 1 + ioctls * many };
      return [
        make.time(3000 + ns * many, { ...named('bind'), perOperation: work }, 50),
        make.count(1 + ioctls * many, 'ioctls', named('bind, ioctls')),
        make.time(2000 + ns * many, named('unbind'), 50),
        make.time(45 + 6 * many, named('H_PUT_TCE, real mode'), 50),
      ];
    }),
  );
}

function pamu(make: Maker): Figure[] {
  const sides = [
    { column: 'type1 4K', us: 55, kib: 2, access: 88 },
    { column: 'type1 2M', us: 1.4, kib: 1.9, access: 84 },
    { column: 'PAMU', us: 0.004, kib: 0.02, access: 61 },
  ];
  return [64, 256, 1024, 2048, 4096].flatMap((mib) =>
    sides.flatMap(({ column, us, kib, access }) => {
      const named = (what: string) => ({
        scenario: 'pamu',
        column,
        name: `${mib < 1024 ? `${mib} MiB` : `${mib / 1024} GiB`} of RAM: ${what}`,
        parameters: { side: column, ram: mib * 2 ** 20, what },
      });
      return [
        make.time(40_000 + us * 1000 * mib, named('set-up'), 50),
        make.count(8192 + kib * 1024 * mib, 'bytes', named('tables of the container')),
        make.time(access, named('translation of an access, in this model'), 50),
      ];
    }),
  );
}

/** A document with these figures. */
export function reportDocument(figures: readonly Figure[], more: Partial<BenchDocument> = {}): BenchDocument {
  return {
    schema: BENCH_SCHEMA,
    version: '0.1.0',
    started: '2026-11-20T14:30:00.000Z',
    rounds: ROUNDS,
    machine: {
      node: 'v20.20.2',
      platform: 'linux x64',
      cpus: 2,
      cpuModel: 'Example CPU',
      memoryMiB: 8192,
      waits: 'two or three CPUs',
    },
    figures,
    ...more,
  };
}

/** A document in which every scenario was measured. @param factor of every time */
export function fullDocument(factor = 1): BenchDocument {
  const make = new Maker(factor);
  const scenarios = [tce, hcalls, groups, net, wire, ccw, ccwApi, ccwTranslate, haltClear, bind, pamu];
  return reportDocument(scenarios.flatMap((scenario) => scenario(make)));
}
