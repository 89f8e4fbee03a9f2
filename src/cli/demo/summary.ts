/** The demonstration's closing table, and the small histogram under it. */
import { formatTable, type Row } from '../output.ts';
import { formatCount, formatDurationUs, formatSize } from '../size.ts';
import type { ProbeSummary } from './messages.ts';
import type { ProbeResult } from './probe.ts';
import type { StreamResult } from './transfer.ts';

/** Narrower than half a microsecond nothing differs that matters here. */
const FIRST_BELOW_NS = 512;
const BAR_WIDTH = 40;

/** Percentiles and counts, small enough for a message between processes. */
export function summarizeProbe({ nopNs, readNs }: ProbeResult): ProbeSummary {
  const nops = nopNs.slice().sort();
  const reads = readNs.slice().sort();
  const at = (sorted: Float64Array, p: number) =>
    (sorted[Math.min(sorted.length - 1, Math.floor(p * sorted.length))] ?? 0) / 1000;
  return {
    nopP50Us: at(nops, 0.5),
    nopP99Us: at(nops, 0.99),
    readP50Us: at(reads, 0.5),
    readP99Us: at(reads, 0.99),
    readsByDoubling: countByDoubling(reads),
  };
}

function countByDoubling(sortedNs: Float64Array): { belowNs: number; count: number }[] {
  const rows: { belowNs: number; count: number }[] = [];
  let index = 0;
  for (let belowNs = FIRST_BELOW_NS; index < sortedNs.length; belowNs *= 2) {
    const from = index;
    while (index < sortedNs.length && (sortedNs[index] ?? 0) < belowNs) index++;
    if (index > from || rows.length > 0) rows.push({ belowNs, count: index - from });
  }
  return rows;
}

/** One bar per doubling of latency. */
export function formatHistogram({ readsByDoubling }: ProbeSummary): string {
  const most = Math.max(1, ...readsByDoubling.map(({ count }) => count));
  return readsByDoubling
    .map(({ belowNs, count }) => {
      const width = count === 0 ? 0 : Math.max(1, Math.round((count / most) * BAR_WIDTH));
      const label = `< ${formatDurationUs(belowNs / 1000)}`.padStart(10);
      return `${label}  ${'#'.repeat(width).padEnd(BAR_WIDTH)}  ${formatCount(count)}`;
    })
    .join('\n');
}

/** Everything one part of the demonstration has to say. */
export interface PartSummary {
  readonly title: string;
  readonly matched: boolean;
  readonly restarts: number;
  readonly streams: readonly StreamResult[];
  readonly writeMbps: number | undefined;
  readonly readMbps: number | undefined;
  readonly probe: ProbeSummary | undefined;
}

/** The parts side by side. */
export function formatSummary(parts: readonly PartSummary[]): string {
  const rate = (mbps: number | undefined) =>
    mbps === undefined ? '-' : `${mbps.toFixed(mbps < 10 ? 1 : 0)} MB/s`;
  const us = (value: number | undefined) => (value === undefined ? '-' : formatDurationUs(value));
  const facts: readonly [string, (part: PartSummary) => string][] = [
    ['bytes', ({ streams }) => formatSize(streams[0]?.byteLength ?? 0)],
    ['verified (SHA-256)', ({ matched }) => (matched ? 'yes' : 'NO')],
    ['host restarts survived', ({ restarts }) => String(restarts)],
    [
      'longest pause',
      ({ streams }) => us(Math.max(...streams.map(({ pauseMsMax }) => pauseMsMax)) * 1000),
    ],
    ['stored at', ({ writeMbps }) => rate(writeMbps)],
    ['read back at', ({ readMbps }) => rate(readMbps)],
    ['empty round trip, p50', ({ probe }) => us(probe?.nopP50Us)],
    ['empty round trip, p99', ({ probe }) => us(probe?.nopP99Us)],
    ['cached 4 KiB read, p50', ({ probe }) => us(probe?.readP50Us)],
    ['cached 4 KiB read, p99', ({ probe }) => us(probe?.readP99Us)],
  ];
  const rows: Row[] = facts.map(([name, textOf]) => ({
    '': name,
    ...Object.fromEntries(parts.map((part) => [part.title, textOf(part)])),
  }));
  return formatTable(rows);
}
