/// <reference lib="dom" />
/** The page's script: draws the charts whose data stand in the page, and again when their room changes. */
import type { Chart } from '../chart.ts';
import { keyboardTips } from './keyboard.ts';
import { drawLines } from './lines.ts';
import { drawStacks } from './stacks.ts';
import { themeButton } from './theme.ts';

function draw(chart: Chart, width: number): SVGSVGElement {
  return chart.kind === 'lines' ? drawLines(chart, width) : drawStacks(chart, width);
}

function show(chart: Chart): void {
  const frame = document.getElementById(`${chart.id}-plot`);
  const spoken = document.getElementById(`${chart.id}-spoken`);
  if (frame === null || spoken === null) return;
  let drawn = 0;
  new ResizeObserver(() => {
    const width = Math.floor(frame.clientWidth);
    // Its own drawing may bring or take a scroll bar.
    if (width === 0 || Math.abs(width - drawn) < 2) return;
    drawn = width;
    const svg = draw(chart, width);
    svg.setAttribute('role', 'img');
    svg.setAttribute('aria-labelledby', `${chart.id}-title`);
    svg.setAttribute('aria-describedby', `${chart.id}-reading`);
    frame.replaceChildren(svg);
  }).observe(frame);
  keyboardTips(frame, spoken);
}

const data = document.getElementById('charts');
for (const chart of JSON.parse(data?.textContent ?? '[]') as Chart[]) show(chart);

const button = document.getElementById('theme');
if (button instanceof HTMLButtonElement) themeButton(button);
