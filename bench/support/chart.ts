/**
 * Horizontal bars on a logarithmic scale, as an SVG that needs nothing else: figures that are
 * compared here lie powers of ten apart.
 */

/** One bar. */
export interface Bar {
  readonly label: string;
  readonly value: number;
  /** Index of its colour: who was measured. */
  readonly series: number;
}

/** Bars that belong together, under one heading; without a heading if it is empty. */
export interface BarGroup {
  readonly heading: string;
  readonly bars: readonly Bar[];
}

export interface ChartOptions {
  readonly title: string;
  /** Of all values. */
  readonly unit: string;
  readonly groups: readonly BarGroup[];
}

// In pixels.
const WIDTH = 820;
const LABEL_WIDTH = 200;
const VALUE_WIDTH = 110;
const ROW_HEIGHT = 20;
const HEADING_HEIGHT = 26;
const TOP = 48;
const BOTTOM = 30;
const BAR_MIN = 2;

/** Ours first. Distinguishable for the colour-blind, and in print. */
const COLOURS = ['#0b6e99', '#b8860b', '#6a8f3c', '#8a8a8a', '#9c4f96'] as const;
const TEXT = 'font-family="sans-serif" font-size="12" fill="#222"';

/** The chart as SVG text. Values that are not positive have no bar. */
export function barChart({ title, unit, groups }: ChartOptions): string {
  const values = groups.flatMap(({ bars }) => bars.map(({ value }) => value));
  const scale = logScale(values.filter((value) => value > 0));
  const rows: string[] = [];
  let y = TOP;
  for (const { heading, bars } of groups) {
    if (heading !== '') {
      rows.push(text(8, y + 17, heading, 'font-weight="bold"'));
      y += HEADING_HEIGHT;
    }
    for (const bar of bars) {
      rows.push(barRow(bar, y, scale.widthOf(bar.value)));
      y += ROW_HEIGHT;
    }
  }
  const lines = scale.decades.map((decade) => gridLine(decade, scale.widthOf(decade), y));
  const height = y + BOTTOM;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" ` +
      `viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${escapeXml(title)}">`,
    `<rect width="${WIDTH}" height="${height}" fill="#fff"/>`,
    text(8, 22, title, 'font-size="15" font-weight="bold"'),
    text(8, 40, `${unit}, logarithmic scale`),
    ...lines,
    ...rows,
    '</svg>',
    '',
  ].join('\n');
}

interface Scale {
  /** Powers of ten within the scale. */
  readonly decades: readonly number[];
  widthOf(value: number): number;
}

function logScale(values: readonly number[]): Scale {
  const low = Math.floor(Math.log10(Math.min(...values)));
  const high = Math.max(low + 1, Math.ceil(Math.log10(Math.max(...values))));
  const width = WIDTH - LABEL_WIDTH - VALUE_WIDTH;
  const decades = Array.from({ length: high - low + 1 }, (_, i) => 10 ** (low + i));
  const widthOf = (value: number) =>
    value > 0 ? Math.max(BAR_MIN, ((Math.log10(value) - low) / (high - low)) * width) : 0;
  return { decades, widthOf };
}

function barRow({ label, value, series }: Bar, y: number, width: number): string {
  const colour = COLOURS[series % COLOURS.length] as string;
  return [
    text(LABEL_WIDTH - 8, y + 14, label, 'text-anchor="end"'),
    `<rect x="${LABEL_WIDTH}" y="${y + 3}" width="${width.toFixed(1)}" height="${ROW_HEIGHT - 6}" fill="${colour}"/>`,
    text(LABEL_WIDTH + width + 6, y + 14, formatValue(value)),
  ].join('\n');
}

function gridLine(decade: number, width: number, bottom: number): string {
  const x = (LABEL_WIDTH + Math.max(0, width)).toFixed(1);
  return (
    `<line x1="${x}" y1="${TOP}" x2="${x}" y2="${bottom}" stroke="#ddd"/>\n` +
    text(Number(x), bottom + 18, formatValue(decade), 'text-anchor="middle"')
  );
}

/** Three digits, with thousands apart. */
export function formatValue(value: number): string {
  if (value === 0) return '0';
  return Number(value.toPrecision(3)).toLocaleString('en-US', { maximumSignificantDigits: 3 });
}

function text(x: number, y: number, content: string, more = ''): string {
  return `<text x="${x.toFixed(1)}" y="${y}" ${TEXT} ${more}>${escapeXml(content)}</text>`;
}

function escapeXml(content: string): string {
  return content.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/"/g, '&quot;');
}
