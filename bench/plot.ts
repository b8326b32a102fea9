/** A scatter plot with one line, as an SVG that is readable on light and dark pages. */

export interface Point {
  readonly x: number;
  readonly y: number;
  /** Stands beside the point. */
  readonly label?: string;
}

export interface Axis {
  /** With its unit. */
  readonly label: string;
  /** From the first to the last the axis reaches. */
  readonly ticks: readonly number[];
}

export interface Series {
  readonly name: string;
  readonly mark: 'line' | 'disc' | 'diamond' | 'square';
  readonly points: readonly Point[];
  /** Where labels stand. */
  readonly labels?: 'above' | 'below';
}

export interface Plot {
  /** What a reader who cannot see it is told. */
  readonly title: string;
  readonly x: Axis;
  readonly y: Axis;
  readonly series: readonly Series[];
}

const width = 720;
const height = 440;
const margin = { left: 72, right: 24, top: 24, bottom: 60 };

const style = `
  .page { fill: #ffffff; } text { fill: #24292f; font: 13px system-ui, sans-serif; }
  .grid { stroke: #d8dee4; } .line { fill: none; stroke: #0969da; stroke-width: 2; }
  .disc { fill: #cf4a0b; } .diamond { fill: #1a7f37; } .square { fill: #24292f; }
  .label { font-size: 12px; } .halo { paint-order: stroke; stroke: #ffffff; stroke-width: 3px; }
  @media (prefers-color-scheme: dark) {
    .page { fill: #0d1117; } text { fill: #e6edf3; } .grid { stroke: #30363d; } .line { stroke: #58a6ff; }
    .disc { fill: #ff9b5e; } .diamond { fill: #56d364; } .square { fill: #e6edf3; } .halo { stroke: #0d1117; }
  }`;

export function renderPlot({ title, x, y, series }: Plot): string {
  const across = scale(x.ticks, margin.left, width - margin.right);
  const up = scale(y.ticks, height - margin.bottom, margin.top);
  const place = (point: Point): Point => ({ ...point, x: across(point.x), y: up(point.y) });
  const lines = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" role="img">`,
    `<title>${escape(title)}</title>`,
    `<style>${style}</style>`,
    `<rect class="page" width="${width}" height="${height}" rx="8"/>`,
    ...x.ticks.map((tick) => vertical(across(tick), tick)),
    ...y.ticks.map((tick) => horizontal(up(tick), tick)),
    `<text x="${(margin.left + width - margin.right) / 2}" y="${height - 16}" text-anchor="middle">${escape(x.label)}</text>`,
    `<text transform="translate(20 ${(margin.top + height - margin.bottom) / 2}) rotate(-90)" text-anchor="middle">${escape(y.label)}</text>`,
    ...series.flatMap((one) => draw({ ...one, points: one.points.map(place) })),
    ...series.flatMap(legend),
    '</svg>',
  ];
  return `${lines.join('\n')}\n`;
}

function scale(ticks: readonly number[], from: number, to: number): (value: number) => number {
  const first = ticks[0];
  const last = ticks[ticks.length - 1];
  return (value) => round(from + ((value - first) / (last - first)) * (to - from));
}

const vertical = (x: number, tick: number): string =>
  `<path class="grid" d="M${x} ${margin.top}V${height - margin.bottom}"/><text x="${x}" y="${height - margin.bottom + 20}" text-anchor="middle">${tick}</text>`;

const horizontal = (y: number, tick: number): string =>
  `<path class="grid" d="M${margin.left} ${y}H${width - margin.right}"/><text x="${margin.left - 10}" y="${y + 4}" text-anchor="end">${tick}</text>`;

function draw({ mark, points, labels = 'below' }: Series): string[] {
  if (mark === 'line') return [`<path class="line" d="M${points.map(({ x, y }) => `${x} ${y}`).join('L')}"/>`];
  return points.flatMap((point) => [
    shape(mark, point),
    ...(point.label === undefined ? [] : [besides(point, labels)]),
  ]);
}

/** Above to the left or below to the right, as a rising line leaves room, and within the frame. */
function besides({ x, y, label = '' }: Point, side: 'above' | 'below'): string {
  const length = 6 * label.length + 9;
  const fitsLeft = x - length > margin.left;
  const fitsRight = x + length < width - margin.right;
  const goesLeft = side === 'above' ? fitsLeft : !fitsRight;
  const dy = side === 'above' && goesLeft ? -9 : 17;
  const at = goesLeft ? `x="${round(x - 8)}" text-anchor="end"` : `x="${round(x + 9)}"`;
  return `<text class="label halo" ${at} y="${round(y + dy)}">${escape(label)}</text>`;
}

function shape(mark: Series['mark'], { x, y }: Point): string {
  switch (mark) {
    case 'line':
      return `<path class="line" d="M${x - 10} ${y}H${x + 10}"/>`;
    case 'disc':
      return `<circle class="disc" cx="${x}" cy="${y}" r="5"/>`;
    case 'diamond':
      return `<path class="diamond" d="M${x} ${round(y - 6)}l6 6l-6 6l-6 -6Z"/>`;
    case 'square':
      return `<rect class="square" x="${x - 5}" y="${y - 5}" width="10" height="10"/>`;
    default:
      return mark satisfies never;
  }
}

/** At the lower right, where a frontier leaves room. */
function legend({ name, mark }: Series, index: number, all: readonly Series[]): string[] {
  const x = width - margin.right - 300;
  const y = height - margin.bottom - 22 * (all.length - index) + 4;
  return [shape(mark, { x, y: y - 4 }), `<text class="halo" x="${x + 20}" y="${y}">${escape(name)}</text>`];
}

const round = (value: number): number => Number(value.toFixed(1));

const escape = (text: string): string => text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;');
