/** The stories as they are told: of real runs, under the simulated scheduler. */
import { beforeAll, describe, expect, test } from 'vitest';
import { inFolder } from '../temporary_folder.ts';
import { type Field, RESERVED } from './decode.ts';
import { COLOURED, COLUMNS, PLAIN, renderStory } from './render.ts';
import { type Story, type Structure, storyJson } from './story.ts';
import type { SubjectName } from './subject_table.ts';
import { STORIES } from './subjects.ts';

async function storiesOf(name: SubjectName, values: Readonly<Record<string, unknown>> = {}): Promise<Story[]> {
  return await inFolder('minivisor-explain', (folder) =>
    STORIES[name]({ folder, times: false, progress: () => {} }, values),
  );
}

const ids = ({ steps }: Story) => steps.map(({ id }) => id);
/** The structures of a step with that name. */
function structures(story: Story, id: string, name: string): Structure[] {
  const step = story.steps.find((one) => one.id === id);
  if (step === undefined) throw new Error(`no step ${id}`);
  return step.shown.filter((one): one is Structure => one.kind === 'structure' && one.name === name);
}
const field = ({ fields }: Structure, name: string) => fields.find((one) => one.name === name) as Field;
const number = (structure: Structure, name: string) => Number(field(structure, name).value);
const part = (structure: Structure, name: string, bit: string) =>
  Number(field(structure, name).parts.find((one) => one.name === bit)?.value);

/** What the guest asks for: 16 bytes of parameters for each of two commands, and a block (guest/programs/toy/dasd.c). */
const GUEST_PROGRAM = [
  [0x63, 0x40, 16],
  [0x47, 0x40, 16],
  [0x86, 0x00, 4096],
];
const CHANNEL_END_DEVICE_END = 0x0c;
const ccwsOf = (story: Story, id: string) =>
  structures(story, id, 'CCW').map((ccw) => ['cmd', 'flags', 'count', 'cda'].map((name) => number(ccw, name)));

describe.each([
  {
    api: 'region',
    steps: 'ssch Q3 Q4 pwrite K1 K2 K3 K4 Q5 start execute status host-interruption K5 K6 pread Q6 Q7',
    host: 'K4',
  },
  {
    api: 'cmd-request',
    steps: 'ssch Q1 Q2 Q3 ioctl K1 K2 K3 start execute status host-interruption K4 K5 K6 Q4',
    host: 'K4',
  },
])('ccw-read, $api', ({ api, steps, host }) => {
  let story: Story;
  beforeAll(async () => {
    [story] = await storiesOf('ccw-read', { 'ccw-api': api });
  });

  test('every step is there, in order', () => {
    const end = api === 'region' ? 'inject interruption tsch irb' : 'inject cc interruption tsch irb';
    expect(ids(story)).toEqual(`${steps} ${end}`.split(' '));
  });

  test("the guest's ORB and CCWs are what the guest wrote", () => {
    const [orb] = structures(story, 'ssch', 'ORB');
    // The toy guest counts its programs up from here (guest/programs/toy/io.c).
    expect(number(orb, 'intparm') >>> 16).toBe(0x7079);
    expect(['F', 'P', 'H', 'B'].map((bit) => part(orb, 'ctrl0', bit))).toEqual([1, 1, 1, 0]);
    expect(ccwsOf(story, 'ssch').map(([cmd, flags, count]) => [cmd, flags, count])).toEqual(GUEST_PROGRAM);
    expect(field(structures(story, 'ssch', 'CCW')[2], 'cmd').meaning).toContain('READ DATA');
    const [first] = structures(story, 'ssch', 'CCW');
    expect(first.place).toBe(`guest-physical 0x${number(orb, 'cpa').toString(16)}`);
  });

  test('the hardware gets the same commands with other addresses: of the host, by IDAWs', () => {
    const guest = ccwsOf(story, 'ssch');
    const translated = ccwsOf(story, 'K3');
    expect(translated.map(([cmd, flags, count]) => [cmd, flags, count])).toEqual(
      GUEST_PROGRAM.map(([cmd, flags, count]) => [cmd, flags | 0x04, count]),
    );
    const idaws = structures(story, 'K3', 'IDAW');
    expect(idaws).toHaveLength(3);
    for (const [i, idaw] of idaws.entries()) {
      expect(idaw.place).toBe(`host-physical 0x${translated[i][3].toString(16)}`);
      expect(number(idaw, 'idaw')).not.toBe(guest[i][3]);
      expect(number(idaw, 'idaw') % 4096).toBe(guest[i][3] % 4096);
    }
    const [orb] = structures(story, host, 'ORB');
    expect(orb.place).toMatch(/^host-physical/);
    expect(structures(story, 'K3', 'CCW')[0].place).toBe(`host-physical 0x${number(orb, 'cpa').toString(16)}`);
  });

  test('the data page is pinned and is where the IDAW says', () => {
    const rows = story.steps.find(({ id }) => id === 'K2')?.shown[0];
    const data = ccwsOf(story, 'ssch')[2][3];
    const idaw = number(structures(story, 'K3', 'IDAW')[2], 'idaw');
    const pinned = rows?.kind === 'rows' ? rows.rows.map(([guest, , host]) => [guest, host]) : [];
    expect(pinned).toContainEqual([`0x${data.toString(16)}`, `0x${idaw.toString(16)}`]);
  });

  test('the I/O processor performs all commands', () => {
    const rows = story.steps.find(({ id }) => id === 'execute')?.shown[0];
    expect(rows?.kind === 'rows' && rows.rows.map(([command, , , bytes]) => [command, bytes])).toEqual([
      ['0x63', '16'],
      ['0x47', '16'],
      ['0x86', '4096'],
    ]);
  });

  test("the guest's interruption and IRB: its own parameter and addresses, channel end and device end", () => {
    const [orb] = structures(story, 'ssch', 'ORB');
    const [code] = structures(story, 'interruption', 'I/O-interruption code');
    expect(number(code, 'subsystemId.word')).toBe(0x10000);
    expect(number(code, 'intparm')).toBe(number(orb, 'intparm'));
    const [irb] = structures(story, 'irb', 'IRB');
    expect(number(irb, 'scsw.dstat')).toBe(CHANNEL_END_DEVICE_END);
    expect(number(irb, 'scsw.cstat')).toBe(0);
    expect(number(irb, 'scsw.count')).toBe(0);
    expect(number(irb, 'scsw.cpa')).toBe(number(orb, 'cpa') + 3 * 8);
  });
});

test('the I/O region carries the request down and the IRB up', async () => {
  const [story] = await storiesOf('ccw-read', { 'ccw-api': 'region' });
  const [orb] = structures(story, 'ssch', 'ORB');
  const [down] = structures(story, 'pwrite', 'ccw_io_region');
  expect(number(down, 'orb_area.cpa')).toBe(number(orb, 'cpa'));
  expect(part(down, 'scsw_area.ctrl', 'fctl')).toBe(4);
  const [schib] = structures(story, 'K4', 'SCHIB');
  expect(number(schib, 'pmcw.devno')).toBe(0x190);
  const [up] = structures(story, 'pread', 'ccw_io_region');
  expect(number(up, 'irb_area.scsw.dstat')).toBe(CHANNEL_END_DEVICE_END);
  expect(number(up, 'ret_code')).toBe(0);
});

/** Bits of function control. */
const [START, HALT, CLEAR] = [4, 2, 1];

describe.each([
  // A halt is told beside the start it ends, with the device's status; a clear takes the place of all that.
  { subject: 'halt', instruction: 'hsch', pretended: START | HALT, real: START | HALT, dstat: CHANNEL_END_DEVICE_END },
  { subject: 'clear', instruction: 'csch', pretended: CLEAR, real: CLEAR, dstat: 0 },
] as const)('$subject', ({ subject, instruction, pretended, real, dstat }) => {
  let stories: Story[];
  beforeAll(async () => {
    stories = await storiesOf(subject);
  });
  const fctl = (story: Story, id: string, name = 'SCSW', at = '') =>
    part(structures(story, id, name)[0], `${at}ctrl`, 'fctl');

  test('both sides, every step in order', () => {
    expect(stories.map(ids)).toEqual([
      `${instruction} pretend inject cc interruption tsch irb refused status accepted`.split(' '),
      `${instruction} pwrite async cc status host-interruption K5 K6 pread Q6 Q7 inject interruption tsch irb accepted`.split(
        ' ',
      ),
    ]);
  });

  test('without the command region the guest sees what the host never had, and the read goes on', () => {
    const [story] = stories;
    expect(fctl(story, 'irb', 'IRB', 'scsw.')).toBe(pretended);
    for (const id of [instruction, 'pretend', 'refused', 'status']) expect(fctl(story, id)).toBe(START);
    expect(number(structures(story, 'status', 'SCSW')[0], 'dstat')).toBe(CHANNEL_END_DEVICE_END);
    expect(story.steps.find(({ id }) => id === 'irb')?.text).toContain('still 0x4, start');
  });

  test('with it the command is the function, and what the guest sees is what the host had', () => {
    const [, story] = stories;
    const [command] = structures(story, 'pwrite', 'ccw_cmd_region');
    expect(field(command, 'command').meaning).toBe(subject);
    expect(fctl(story, instruction)).toBe(START);
    expect(fctl(story, 'async')).toBe(real);
    expect(fctl(story, 'status')).toBe(real);
    const [irb] = structures(story, 'irb', 'IRB');
    const [host] = structures(story, 'status', 'SCSW');
    expect(number(irb, 'scsw.ctrl')).toBe(number(host, 'ctrl'));
    expect([number(irb, 'scsw.dstat'), number(host, 'dstat')]).toEqual([dstat, dstat]);
  });

  test('one side alone', async () => {
    expect((await storiesOf(subject, { 'ccw-api': 'region' })).map(({ name }) => name)).toEqual([
      `${subject}, --ccw-api region`,
    ]);
  });
});

describe('h-put-tce', () => {
  let stories: Story[];
  beforeAll(async () => {
    stories = await storiesOf('h-put-tce');
  });

  test('all three tiers, every step in order', () => {
    expect(stories.map(ids)).toEqual([
      ['enter', 'kill', 'exit'],
      ['enter', 'posted', 'kill', 'answered', 'exit'],
      ['enter', 'exit-to-vmm', 'map', 'kill', 'mapped', 'put', 'answered', 'exit'],
    ]);
    expect(stories.map(({ steps }) => [...new Set(steps.map(({ role }) => role))])).toEqual([
      ['vcpu'],
      ['vcpu', 'kernel'],
      ['vcpu', 'kernel', 'vmm'],
    ]);
  });

  test("what the guest asked for is in every tier's tables", () => {
    for (const [i, story] of stories.entries()) {
      const [registers] = structures(story, 'enter', 'GPRs');
      expect(number(registers, 'gpr1')).toBe(0x20);
      expect(number(registers, 'gpr2')).toBe(0x8000_0000);
      const tce = number(registers, 'gpr4');
      const view = ['exit', 'answered', 'put'][i];
      expect(number(structures(story, view, 'guest view')[0], 'tce')).toBe(tce);
      const [hardware] = structures(story, 'kill', 'TCE');
      expect(['R', 'W'].map((bit) => part(hardware, 'tce', bit))).toEqual([1, 1]);
      expect(part(hardware, 'tce', 'RPN')).not.toBe(Math.floor(tce / 4096));
      const [userspace] = structures(story, 'kill', 'it_userspace');
      expect(part(userspace, 'page', 'page')).toBeGreaterThan(Math.floor(tce / 4096));
      expect(hardware.place).toContain(`entry ${number(registers, 'gpr3') / 4096},`);
      const [result] = structures(story, 'exit', 'GPRs');
      expect(field(result, 'gpr2').meaning).toBe('H_SUCCESS');
    }
  });

  test('the VMM maps the page by its own address', () => {
    const [map] = structures(stories[2], 'map', 'vfio_iommu_type1_dma_map');
    expect(number(map, 'iova')).toBe(number(structures(stories[2], 'enter', 'GPRs')[0], 'gpr3'));
    const [userspace] = structures(stories[2], 'kill', 'it_userspace');
    expect(part(userspace, 'page', 'page') * 4096).toBe(number(map, 'vaddr'));
  });

  test('one tier alone', async () => {
    expect((await storiesOf('h-put-tce', { tce: 'virtual' })).map(({ name }) => name)).toEqual([
      'h-put-tce, --tce virtual',
    ]);
  });
});

describe('pamu-violation', () => {
  let story: Story;
  beforeAll(async () => {
    [story] = await storiesOf('pamu-violation');
  });

  test('every step is there, in order', () => {
    expect(ids(story)).toEqual('store start access violation end isolated load refused restart'.split(' '));
  });

  test('the violation registers say who, where and why; the entry that refused is the window that was shown', () => {
    const [registers] = structures(story, 'end', 'PAMU registers');
    expect(part(registers, 'AVS1', 'LIODN')).toBe(0x40);
    expect(['AV', 'WAV', 'APV', 'LAV'].map((bit) => part(registers, 'AVS1', bit))).toEqual([1, 1, 0, 0]);
    expect(field(registers, 'AVS2').meaning).toBe('a write');
    expect(number(registers, 'AVAL')).toBe(0x2001000);
    const [window] = structures(story, 'violation', 'SPAACE');
    expect(window.place).toContain(`0x${number(registers, 'POEAL').toString(16)}`);
    expect(part(window, 'addr_bitfields', 'LIODN')).toBe(0x40);
    const [channel] = structures(story, 'end', 'channel registers');
    expect(['TE', 'CB'].map((bit) => part(channel, 'SR', bit))).toEqual([1, 0]);
    expect(number(channel, 'BCR')).toBe(4096);
  });

  test('the valid bit goes, and comes back', () => {
    const valid = (id: string) => part(structures(story, id, 'PPAACE')[0], 'addr_bitfields', 'V');
    expect(['access', 'isolated', 'refused', 'restart'].map(valid)).toEqual([1, 0, 0, 1]);
    expect(number(structures(story, 'load', 'GPRs')[0], 'gpr3')).toBe(0x80);
  });
});

test('as text no line is longer than the page, colours change nothing else, and every field is named', async () => {
  const stories = [
    ...(await storiesOf('ccw-read', { 'ccw-api': 'region' })),
    ...(await storiesOf('halt')),
    ...(await storiesOf('clear')),
    ...(await storiesOf('h-put-tce', { tce: 'user' })),
    ...(await storiesOf('pamu-violation')),
  ];
  for (const story of stories) {
    const text = renderStory(story, PLAIN);
    for (const line of text.split('\n')) expect(line.length, line).toBeLessThanOrEqual(COLUMNS);
    expect(renderStory(story, COLOURED).replace(/\x1b\[\d+m/g, '')).toBe(text);
    const fields = story.steps.flatMap(({ shown }) =>
      shown.flatMap((one) => (one.kind === 'structure' ? one.fields : [])),
    );
    const words = fields.flatMap(({ name, value, parts }) => [
      name.split('.').at(-1) as string,
      // Runs of fields that are all zero are one line with their names.
      ...(value === 0n ? [] : parts.map((one) => one.name).filter((one) => one !== RESERVED)),
    ]);
    expect(words.filter((word) => !text.includes(word))).toEqual([]);
  }
});

test('a measured step says how long it took, and of how many that is the median', async () => {
  const [story] = await storiesOf('h-put-tce', { tce: 'real' });
  const steps = story.steps.map((step, i) => (i === 0 ? step : { ...step, took: { ns: 3100, samples: 42 } }));
  const text = renderStory({ ...story, steps }, PLAIN);
  expect(text).toContain('guest CPU, and the time begins');
  expect(text).toContain('guest CPU, took 3.10 us (median of 42 on threads)');
});

test('as JSON the story holds its bytes and numbers as text', async () => {
  const [story] = await storiesOf('h-put-tce', { tce: 'real' });
  const json = JSON.parse(JSON.stringify(storyJson(story)));
  const [registers] = json.steps[0].shown;
  expect(json.steps[0].number).toBe(1);
  expect(registers.fields[0]).toMatchObject({ name: 'gpr1', bytes: '2000000000000000', value: '0x20' });
});
