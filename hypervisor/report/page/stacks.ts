/// <reference lib="dom" />
/** Stacked bars: one below the other, each with its name and its whole above it, so that long names need no margin. */
import * as Plot from '@observablehq/plot';
import type { Bar, Segment, StackChart } from '../chart.ts';
import { axisText, FRAME, NARROW, toneColour } from './axis.ts';

/** Room of a bar with its name above it, of the name alone, and of a letter in a segment, px. */
const ROW = 58;
const NAME = 24;
const LETTER = 8;
/** Segments below this many px have no room for a gap beside them. */
const SLIVER = 3;
/** Between two places of a tip, px. */
const ANCHOR = 16;

interface Piece {
  readonly bar: number;
  readonly name: string;
  readonly segment: Segment;
  readonly from: number;
  readonly to: number;
}

function pieces(bars: readonly Bar[]): Piece[] {
  return bars.flatMap(({ name, segments }, bar) => {
    let from = 0;
    return segments.map((segment) => {
      const piece = { bar, name, segment, from, to: from + segment.value };
      from = piece.to;
      return piece;
    });
  });
}

/** Where a tip of a segment may point at: the pointer takes the nearest, which is then one of the segment that it is over. */
function anchors(piece: Piece, px: number): (Piece & { readonly x: number })[] {
  const count = Math.max(1, Math.ceil(px / ANCHOR));
  const each = (piece.to - piece.from) / count;
  return Array.from({ length: count }, (_, i) => ({ ...piece, x: piece.from + (i + 0.5) * each }));
}

/** Draws it `width` px wide. */
export function drawStacks({ x, bars }: StackChart, width: number): SVGSVGElement {
  const marginLeft = 4;
  // Half of the last tick's text.
  const marginRight = 22;
  const marginTop = 4;
  const marginBottom = 46;
  const all = pieces(bars);
  const most = Math.max(...all.map(({ to }) => to), 1);
  const px = (value: number) => (value / most) * (width - marginLeft - marginRight);
  const wide = all.filter(({ segment }) => px(segment.value) >= SLIVER);
  const slivers = all.filter(({ segment }) => px(segment.value) < SLIVER);
  const common = {
    y: 'bar',
    x1: 'from',
    x2: 'to',
    insetTop: NAME,
    insetBottom: 6,
    fill: ({ segment }: Piece) => toneColour(segment.tone),
    fillOpacity: ({ bar }: Piece) => (bars[bar].before ? 0.55 : 1),
  };
  const total = ({ whole, segments }: Bar) => whole ?? segments.reduce((sum, { value }) => sum + value, 0);
  const text = ({ name, segment }: Piece) =>
    `${name}\n${segment.name}: ${segment.what}\n${segment.who}: ${axisText(x, segment.value)}`;
  return Plot.plot({
    width,
    height: bars.length * ROW + marginTop + marginBottom,
    marginLeft,
    marginRight,
    marginTop,
    marginBottom,
    ...FRAME,
    x: { type: 'linear', domain: [0, most], label: null },
    y: { type: 'band', domain: bars.map((_, i) => i), padding: 0, axis: null },
    marks: [
      Plot.barX(wide, { ...common, insetLeft: 0.5, insetRight: 0.5, className: 'segments' }),
      Plot.barX(slivers, { ...common, className: 'segments' }),
      Plot.text(
        wide.filter(({ bar, segment }) => !bars[bar].before && px(segment.value) > segment.name.length * LETTER + 4),
        {
          x: ({ from, to }: Piece) => (from + to) / 2,
          y: 'bar',
          text: ({ segment }: Piece) => segment.name,
          fill: 'var(--on-tone)',
          dy: (NAME - 6) / 2,
          className: 'steps',
        },
      ),
      Plot.text(bars, {
        frameAnchor: 'left',
        y: (_: Bar, i: number) => i,
        text: ({ name }: Bar) => name,
        fontWeight: 600,
        textAnchor: 'start',
        dy: NAME / 2 + 1 - ROW / 2,
        className: 'name',
      }),
      Plot.text(bars, {
        frameAnchor: 'right',
        y: (_: Bar, i: number) => i,
        text: (bar: Bar) => axisText(x, total(bar)),
        textAnchor: 'end',
        dy: NAME / 2 + 1 - ROW / 2,
        className: 'whole',
      }),
      Plot.axisX({
        ticks: width < NARROW ? 3 : 6,
        text: (value: number) => axisText(x, value),
        tickSize: 4,
        label: null,
      }),
      Plot.text([`${x.label} →`], { frameAnchor: 'bottom-right', dy: marginBottom - 8, text: (d) => d }),
      Plot.tip(
        all.flatMap((piece) => anchors(piece, px(piece.segment.value))),
        Plot.pointer({ x: 'x', y: 'bar', title: text, fontSize: 13, dy: NAME / 2, className: 'tip' }),
      ),
    ],
  }) as SVGSVGElement;
}
