import { expect, test } from 'vitest';
import { UserError } from '../user_error.ts';
import { DEVICE_OPTIONS, platformWords, readPamu } from './device_option.ts';
import { HelpRequested, parseOptions } from './options.ts';

const read = (...words: string[]) => readPamu(parseOptions('boot', DEVICE_OPTIONS, words).values);
const device = (host: string) => ['--device', `vfio-platform,host=${host}`];

test('devices of the SoC and the side of the argument', () => {
  expect(read()).toBeUndefined();
  expect(read('--iommu', 'pamu')).toBeUndefined();
  expect(read(...device('dma0'))).toEqual({ devices: ['dma0'], iommu: 'pamu' });
  expect(read(...device('dma3'), ...device('dma2'), '--iommu', 'type1')).toEqual({
    devices: ['dma3', 'dma2'],
    iommu: 'type1',
  });
});

test('the guest is told where they are', () => {
  expect(platformWords(read(...device('dma1'), ...device('dma0')))).toBe(
    ' platform=0xf00000000:0x1300,0xf00001000:0x1301',
  );
  expect(platformWords(undefined)).toBe('');
});

test.each([
  [['--device', 'e1000'], '--device e1000: no such device model; give vfio-platform,host=dma0'],
  [['--device', 'vfio-platform'], 'which device of the host? give host=dma0, dma1, dma2 or dma3'],
  [device('dma4'), 'which device of the host? give host=dma0, dma1, dma2 or dma3'],
  [['--device', 'vfio-platform,bus=0'], "unknown key 'bus'"],
  [[...device('dma0'), ...device('dma0')], 'host=dma0: given twice'],
  [['--iommu', 'type1'], '--iommu type1: there is no device behind it; give --device vfio-platform,host=dma0 too'],
  [device('dma2'), 'dma2 and dma3 share a LIODN, so no IOMMU tells them apart; give both'],
])('%j is refused in one sentence', (words, message) => {
  expect(() => read(...words)).toThrow(UserError);
  expect(() => read(...words)).toThrow(message);
});

test('help lists them', () => {
  expect(() => read('--device', 'help')).toThrow(HelpRequested);
});
