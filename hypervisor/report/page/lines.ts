/// <reference lib="dom" />
/**
 * Line charts: each line carries its name at its end, in its colour, or has it in the key where there is no room; points have
 * shapes too, for eyes that see no colours.
 */
import * as Plot from '@observablehq/plot';
import { type Line, type LineChart, SYMBOLS } from '../chart.ts';
import { apart } from './apart.ts';
import { axisText, FRAME, fittingTicks, logTicks, NARROW, scaleOptions, toneColour } from './axis.ts';

interface Point {
  readonly line: Line;
  readonly x: number;
  readonly y: number;
}

/** Height of a label's line, width of a letter in it, px. */
const LABEL_HEIGHT = 16;
const LETTER = 8;

const flat = (line: Line): Point[] => line.points.map(([x, y]) => ({ line, x, y }));

/** Draws it `width` px wide. */
export function drawLines({ x, y, lines, marked }: LineChart, width: number): SVGSVGElement {
  const narrow = width < NARROW;
  const height = narrow ? 300 : 400;
  const marginTop = 38;
  const marginBottom = 46;
  const longest = Math.max(...lines.map((line) => line.name.length));
  const marginRight = narrow ? 18 : Math.min(230, longest * LETTER + 20);
  const points = lines.flatMap(flat);
  const xScale = scaleOptions(
    x,
    points.map((point) => point.x),
  );
  const yScale = scaleOptions(
    y,
    points.map((point) => point.y),
  );
  const yTicks = y.scale === 'log' ? logTicks(y, yScale.domain) : undefined;
  const yTexts = (yTicks ?? yScale.domain).map((value) => axisText(y, value).length);
  const marginLeft = Math.max(56, Math.max(...yTexts) * LETTER + 10);
  const along = Plot.scale({ x: { ...xScale, range: [marginLeft, width - marginRight] } });
  const up = Plot.scale({ y: { ...yScale, range: [height - marginBottom, marginTop] } });
  const named = lines.filter((line) => line.before !== true);
  const tips = (narrow ? [] : named).map((line) => flat(line)[line.points.length - 1]);
  const moved = apart(
    tips.map((tip) => up.apply(tip.y) as number),
    LABEL_HEIGHT,
  );
  const marks = points.filter((point) => marked === undefined || marked.includes(point.x));
  const text = ({ line, ...at }: Point) => {
    const name = line.before ? `${line.name}, before` : line.name;
    const [along, up] = [axisText(x, at.x), axisText(y, at.y)];
    return narrow ? `${name}\n${along}: ${up}` : `${name}\n${x.label}: ${along}\n${y.label}: ${up}`;
  };
  return Plot.plot({
    width,
    height,
    marginLeft,
    marginRight,
    marginTop,
    marginBottom,
    ...FRAME,
    x: { ...xScale, label: null },
    y: { ...yScale, label: null },
    symbol: { type: 'identity' },
    marks: [
      Plot.gridY({ ticks: yTicks ?? 5, strokeOpacity: 0.16 }),
      Plot.axisY({
        ticks: yTicks ?? 5,
        text: (value: number) => axisText(y, value),
        tickSize: 0,
        label: null,
      }),
      Plot.axisX({
        ticks: x.ticks === undefined ? 5 : fittingTicks(x, x.ticks, (value) => along.apply(value) as number),
        text: (value: number) => axisText(x, value),
        tickSize: 4,
        label: null,
      }),
      Plot.text([`↑ ${y.label}`], { frameAnchor: 'top-left', dx: 8 - marginLeft, dy: 12 - marginTop, text: (d) => d }),
      Plot.text([`${x.label} →`], { frameAnchor: 'bottom-right', dy: marginBottom - 8, text: (d) => d }),
      Plot.ruleX(points, Plot.pointer({ x: 'x', py: 'y', strokeOpacity: 0.4 })),
      ...lines.map((line) =>
        Plot.line(flat(line), {
          x: 'x',
          y: 'y',
          stroke: toneColour(line.tone),
          strokeWidth: line.before ? 1.5 : 2.25,
          strokeDasharray: line.before ? '5 4' : undefined,
          className: line.before ? 'line before' : 'line',
        }),
      ),
      Plot.dot(marks, {
        x: 'x',
        y: 'y',
        symbol: (point: Point) => SYMBOLS[point.line.tone].name,
        r: 4,
        fill: (point: Point) => (point.line.before ? 'var(--paper)' : toneColour(point.line.tone)),
        stroke: (point: Point) => toneColour(point.line.tone),
        className: 'points',
      }),
      ...tips.map((tip, i) =>
        Plot.text([tip], {
          x: 'x',
          y: 'y',
          text: () => tip.line.name,
          fill: toneColour(tip.line.tone),
          stroke: 'var(--paper)',
          strokeWidth: 5,
          fontWeight: 600,
          textAnchor: 'start',
          dx: 12,
          dy: moved[i],
          className: 'name',
        }),
      ),
      Plot.tip(points, Plot.pointer({ x: 'x', y: 'y', title: text, fontSize: 13, className: 'tip' })),
    ],
  }) as SVGSVGElement;
}
