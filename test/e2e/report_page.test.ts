/** The report page, written by the command and looked at by a browser. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { BenchDocument } from '../../hypervisor/bench/document.ts';
import type { Chart } from '../../hypervisor/report/chart.ts';
import { runCli, workFolder } from '../support/cli.ts';
import { fullDocument, reportDocument } from '../support/report_figures.ts';

/** Where a Chromium may be; the first that is there is used. */
const BROWSERS = [
  process.env.CHROMIUM,
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/usr/bin/google-chrome-stable',
];
const executablePath = BROWSERS.find((path) => path !== undefined && path !== '' && existsSync(path));
/** Widths of a small phone and of a desk. */
const [PHONE, DESK] = [360, 1440];

const { folder, remove } = workFolder();
afterAll(remove);

const full = fullDocument();
const save = (name: string, document: BenchDocument | string) =>
  writeFileSync(join(folder, name), typeof document === 'string' ? document : JSON.stringify(document));
save('now.json', full);
save('then.json', fullDocument(1.3));

describe('the command', () => {
  test.each([
    [[], 'report: give a file of measurements; minivisor bench --json out.json measures one'],
    [['a.json', 'b.json', 'c.json'], 'report a.json b.json c.json: give one file, or two'],
    [['now.json', './now.json'], 'the same file twice'],
    [['now.json', '-o', 'now.json'], '--output now.json: is the file of measurements'],
    [['now.json', '-o', 'nowhere/page.html'], '--output nowhere/page.html: no such directory'],
    [['nothing.json'], 'nothing.json: '],
    [['text.json'], 'text.json: not JSON'],
    [['old.json'], 'old.json: '],
  ])('report %j is refused in one sentence', async (words, sentence) => {
    save('text.json', 'no JSON');
    save('old.json', '{"schema":"minivisor-bench-1"}');
    const { status, stdout, stderr } = await runCli(folder, ['report', ...words]);
    expect(stderr).toContain(sentence);
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect(stdout).toBe('');
    expect(status).toBe(1);
  });

  test('it says what it wrote, and --help what it takes', async () => {
    const { status, stdout, stderr } = await runCli(folder, ['report', 'now.json']);
    expect([stderr, status]).toEqual(['', 0]);
    expect(stdout).toMatch(/^report\.html: \d+ KiB; open it in a browser\n$/);
    expect(readFileSync(join(folder, 'report.html'), 'utf8')).toMatch(/^<!doctype html>/);
    expect((await runCli(folder, ['report', '--help'])).stdout).toContain('--output FILE');
  });
});

const reason = `no Chromium at ${BROWSERS.slice(1).join(', ')} or in $CHROMIUM`;
describe.skipIf(executablePath === undefined)(`the page in a browser (skipped when there is ${reason})`, () => {
  let browser: Browser;

  beforeAll(async () => {
    await runCli(folder, ['report', 'now.json', '-o', 'one.html']);
    await runCli(folder, ['report', 'then.json', 'now.json', '-o', 'two.html']);
    browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
  });
  afterAll(() => browser?.close());

  interface View {
    readonly width?: number;
    readonly colorScheme?: 'light' | 'dark';
    readonly javaScriptEnabled?: boolean;
  }

  /** Opens a page in a context of its own; gives what it asked for and complained about. */
  async function open(file: string, { width = DESK, colorScheme = 'light', javaScriptEnabled = true }: View = {}) {
    const viewport = { width, height: 900 };
    const page = await (await browser.newContext({ viewport, colorScheme, javaScriptEnabled })).newPage();
    const requests: string[] = [];
    const complaints: string[] = [];
    page.on('request', (request) => requests.push(request.url()));
    page.on('console', (message) => complaints.push(message.text()));
    page.on('pageerror', (error) => complaints.push(error.message));
    const url = pathToFileURL(join(folder, file)).href;
    await page.goto(url);
    if (javaScriptEnabled) await drawn(page);
    return { page, url, requests, complaints };
  }

  /** Waits until every chart is there. */
  const drawn = (page: Page) =>
    page.waitForFunction(() =>
      Array.from(document.querySelectorAll('.frame')).every((frame) => frame.querySelector('svg') !== null),
    );
  const close = (page: Page) => page.context().close();

  test.each(['one.html', 'two.html'])('%s asks the network for nothing and complains about nothing', async (file) => {
    const { page, url, requests, complaints } = await open(file);
    expect(requests.filter((request) => request !== url && !request.startsWith('data:'))).toEqual([]);
    expect(complaints).toEqual([]);
    await close(page);
  });

  test.each([
    ['one.html', PHONE],
    ['two.html', PHONE],
    ['two.html', DESK],
  ])('%s, %d px wide, has the marks of its data in every chart', async (file, width) => {
    const { page } = await open(file, { width });
    const charts = JSON.parse((await page.locator('#charts').textContent()) ?? '') as Chart[];
    expect(charts).toHaveLength(19);
    for (const chart of charts) {
      const count = (marks: string) => page.locator(`#${chart.id}-plot svg ${marks}`).count();
      const text = await page.locator(`#${chart.id}-plot svg`).textContent();
      if (chart.kind === 'lines') {
        expect([chart.id, await count('.line path')]).toEqual([chart.id, chart.lines.length]);
        const { marked } = chart;
        const points = chart.lines.flatMap((line) =>
          line.points.filter(([x]) => marked === undefined || marked.includes(x)),
        );
        expect([chart.id, await count('.points path')]).toEqual([chart.id, points.length]);
        // At the lines' ends, or where there is no room in the key.
        const where = width === PHONE ? await page.locator(`#${chart.id} .key`).textContent() : text;
        for (const { name, before } of chart.lines) if (before !== true) expect(where).toContain(name);
      } else {
        const segments = chart.bars.flatMap((bar) => bar.segments);
        expect([chart.id, await count('.segments rect')]).toEqual([chart.id, segments.length]);
        for (const { name } of chart.bars) expect(text).toContain(name);
      }
    }
    await close(page);
  });

  test('bars are as long as their values', async () => {
    const { page } = await open('one.html');
    const charts = JSON.parse((await page.locator('#charts').textContent()) ?? '') as Chart[];
    const chart = charts.find(({ id }) => id === 'halt-clear-ends');
    if (chart?.kind !== 'stacks') throw new Error('no such chart');
    const values = chart.bars.flatMap(({ segments }) => segments.map(({ value }) => value));
    const widths = await page
      .locator('#halt-clear-ends .segments rect')
      .evaluateAll((bars) => bars.map((bar) => Number(bar.getAttribute('width'))));
    const perUnit = Math.max(...widths) / Math.max(...values);
    expect(widths.length).toBe(values.length);
    for (const [i, width] of widths.entries()) expect(Math.abs(width - values[i] * perUnit)).toBeLessThan(1.5);
    await close(page);
  });

  test.each(['one.html', 'two.html'])('%s is never wider than a phone, nor is anything in it cut off', async (file) => {
    const { page } = await open(file, { width: PHONE });
    await page.evaluate(() => {
      for (const details of Array.from(document.querySelectorAll('details'))) details.open = true;
    });
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(PHONE);
    const outside = await page.locator('svg text').evaluateAll((texts, width) => {
      const box = (text: Element) => text.getBoundingClientRect();
      return texts.filter((text) => box(text).left < 0 || box(text).right > width).map((text) => text.textContent);
    }, PHONE);
    expect(outside).toEqual([]);
    await close(page);
  });

  test.each(['light', 'dark'] as const)(
    'text in the %s theme has a contrast of 4.5 to 1 everywhere',
    async (colorScheme) => {
      const { page } = await open('two.html', { colorScheme });
      const { found, looked } = await page.evaluate(() => {
        const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
        const parse = (colour: string): number[] => {
          if (canvas === null) throw new Error('no canvas');
          canvas.clearRect(0, 0, 1, 1);
          canvas.fillStyle = colour;
          canvas.fillRect(0, 0, 1, 1);
          return Array.from(canvas.getImageData(0, 0, 1, 1).data);
        };
        // WCAG 2.2, relative luminance and contrast ratio.
        const luminance = (rgb: readonly number[]) => {
          const [r, g, b] = rgb.map((byte) =>
            byte / 255 <= 0.04045 ? byte / 3294.6 : ((byte / 255 + 0.055) / 1.055) ** 2.4,
          );
          return 0.2126 * r + 0.7152 * g + 0.0722 * b;
        };
        const contrast = (a: readonly number[], b: readonly number[]) => {
          const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y);
          return (high + 0.05) / (low + 0.05);
        };
        const ground = (element: Element | null): number[] => {
          if (element === null) return [255, 255, 255];
          const colour = parse(getComputedStyle(element).backgroundColor);
          return colour[3] === 255 ? colour : ground(element.parentElement);
        };
        const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
        const found: string[] = [];
        let looked = 0;
        while (texts.nextNode() !== null) {
          const element = texts.currentNode.parentElement;
          const words = texts.currentNode.textContent?.trim() ?? '';
          if (element === null || words === '' || element.closest('script, style, .skip, .steps') !== null) continue;
          const style = getComputedStyle(element);
          const ink = parse(element.closest('svg') === null ? style.color : style.fill);
          const ratio = contrast(ink, ground(element));
          looked++;
          if (ratio < 4.5) found.push(`${ratio.toFixed(2)}: ${words.slice(0, 40)}`);
        }
        // Names of steps stand on their segments' colours.
        const root = getComputedStyle(document.documentElement);
        const probe = document.body.appendChild(document.createElement('i'));
        const variable = (name: string) => {
          probe.style.color = root.getPropertyValue(name);
          return parse(getComputedStyle(probe).color);
        };
        for (let tone = 0; tone < 6; tone++) {
          const ratio = contrast(variable(`--tone-${tone}`), variable('--on-tone'));
          if (ratio < 4.5) found.push(`${ratio.toFixed(2)}: text on tone ${tone}`);
        }
        return { found, looked };
      });
      expect(found).toEqual([]);
      expect(looked).toBeGreaterThan(500);
      await close(page);
    },
  );

  test('the button changes the theme, and the choice is kept', async () => {
    const { page } = await open('one.html');
    const paper = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const light = await paper();
    const button = page.getByRole('button');
    expect(await button.textContent()).toBe('Dark');
    await button.click();
    const dark = await paper();
    expect(dark).not.toBe(light);
    await page.reload();
    await drawn(page);
    expect(await paper()).toBe(dark);
    await button.click();
    expect(await paper()).toBe(light);
    await close(page);
  });

  test('the arrow keys go from value to value, and what the tip says is spoken', async () => {
    const { page } = await open('one.html');
    await page.locator('#tce-groups-plot').focus();
    await page.keyboard.press('ArrowRight');
    const spoken = page.locator('#tce-groups-spoken');
    expect(await spoken.textContent()).toMatch(/real mode.*groups in the container: 1.*ns/s);
    await page.keyboard.press('ArrowRight');
    expect(await spoken.textContent()).toMatch(/groups in the container: 2/);
    expect(await page.locator('#tce-groups-plot .tip tspan').count()).toBeGreaterThan(0);
    await page.keyboard.press('Escape');
    expect(await page.locator('#tce-groups-plot .tip tspan').count()).toBe(0);
    await close(page);
  });

  test('a mouse anywhere over a bar shows its step', async () => {
    const { page } = await open('one.html');
    const bars = page.locator('#ccw-steps .segments rect');
    const widths = await bars.evaluateAll((all) => all.map((bar) => Number(bar.getAttribute('width'))));
    const longest = bars.nth(widths.indexOf(Math.max(...widths)));
    const tip = page.locator('#ccw-steps .tip');
    for (const x of [2, 0.5 * Math.max(...widths), Math.max(...widths) - 2]) {
      await longest.hover({ position: { x, y: 4 }, force: true });
      expect(await tip.textContent()).toMatch(/cmd-request, read.*K5: build the IRB.*kernel/);
    }
    await close(page);
  });

  test('every chart has a name and a description, and its numbers in a table', async () => {
    const { page } = await open('one.html');
    const figures = page.locator('figure');
    expect(await figures.count()).toBe(19);
    for (const figure of await figures.all()) {
      const svg = figure.locator('svg[role=img]');
      for (const attribute of ['aria-labelledby', 'aria-describedby']) {
        const id = await svg.getAttribute(attribute);
        expect(await page.locator(`#${id}`).textContent()).not.toBe('');
      }
      expect(await figure.locator('details tbody tr').count()).toBeGreaterThan(1);
    }
    await close(page);
  });

  test('without JavaScript the answers and the numbers are there', async () => {
    const { page } = await open('one.html', { javaScriptEnabled: false });
    expect(await page.locator('.answer').first().textContent()).toMatch(/^Real mode answers in/);
    expect(await page.locator('#tce-latency details tbody tr').count()).toBe(3);
    expect(await page.locator('noscript').first().isVisible()).toBe(true);
    await close(page);
  });

  test('what is in the names of a file is shown, not run', async () => {
    const evil = `</script><img src=x onerror="window.hacked=1"><script>window.hacked=1</script>'"&`;
    const figures = full.figures.map((figure) => ({
      ...figure,
      ...(figure.scenario === 'net' ? { parameters: { ...figure.parameters, mode: evil } } : {}),
      ...(figure.scenario === 'tce' ? { target: evil, reached: false } : {}),
    }));
    save('evil.json', { ...reportDocument(figures), version: evil, started: evil });
    await runCli(folder, ['report', 'evil.json', '-o', 'evil.html']);
    const { page, complaints } = await open('evil.html');
    expect(complaints).toEqual([]);
    expect(await page.evaluate(() => 'hacked' in window)).toBe(false);
    expect(await page.locator('img').count()).toBe(0);
    expect(await page.locator('.provenance').textContent()).toContain(evil);
    expect(await page.locator('#targets').textContent()).toContain(evil);
    await close(page);
  });
});
