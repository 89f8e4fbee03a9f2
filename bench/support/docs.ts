/**
 * The measured parts of docs/benchmarks.md, made from the JSON files that benchmarks wrote: tables
 * between marks in the text, and charts beside it. Figures in documents come from a command.
 */
import { type Bar, type BarGroup, barChart, formatValue } from './chart.ts';
import { addGoals } from './goals.ts';
import { Report, type ReportFile } from './report.ts';

/** Who is behind a prefix of metrics, in the order of colours. */
const SUBJECTS = [
  ['', 'logflume'],
  ['nbdkit_', 'nbdkit (memory)'],
  ['qsd_', 'qemu-storage-daemon'],
  ['node_fs_', 'fs.promises'],
  ['fio_uring_', 'fio io_uring'],
] as const;

const NS_PER_US = 1000;

/** Replaces what stands between `<!-- NAME -->` and `<!-- /NAME -->`. Throws if the marks are missing. */
export function replaceSection(document: string, name: string, content: string): string {
  const begin = `<!-- ${name} -->`;
  const end = `<!-- /${name} -->`;
  const from = document.indexOf(begin);
  const to = document.indexOf(end);
  if (from < 0 || to < from) throw new Error(`the document has no section ${name}`);
  return `${document.slice(0, from + begin.length)}\n\n${content}\n\n${document.slice(to)}`;
}

/** Machine, figures and goals of one run, as Markdown. */
export function sectionOf(file: ReportFile): string {
  const report = new Report(file.name);
  for (const { metric, unit, value, peer } of file.results) {
    if (peer === true) report.addPeer(metric, unit, value);
    else report.add(metric, unit, value);
  }
  addGoals(file.name, report);
  const figures = file.name === 'block' ? blockTable(file) : plainTable(file);
  const goals = report.goals.map(({ says, measured, met }) => {
    return `| \`${says}\` | ${measured} | ${met === undefined ? '' : met ? 'yes' : 'no'} |`;
  });
  const goalTable =
    goals.length === 0 ? '' : `\n\n| goal | measured | met |\n|---|---|---|\n${goals.join('\n')}`;
  return `${file.cpu}, Node ${file.node}.\n\n${figures}${goalTable}`;
}

function plainTable({ results }: ReportFile): string {
  const rows = results.map(
    ({ metric, unit, value }) => `| \`${metric}\` | ${formatValue(value)} | ${unit} |`,
  );
  return `| metric | value | unit |\n|---|---:|---|\n${rows.join('\n')}`;
}

/** One row per metric, one column per subject. */
function blockTable(file: ReportFile): string {
  const present = SUBJECTS.filter(([prefix]) => metricsOf(file, prefix).size > 0);
  const metrics = new Set(present.flatMap(([prefix]) => [...metricsOf(file, prefix).keys()]));
  const heading = `| metric | ${present.map(([, name]) => name).join(' | ')} |`;
  const line = `|---|${present.map(() => '---:|').join('')}`;
  const rows = [...metrics].map((metric) => {
    const cells = present.map(([prefix]) => {
      const value = metricsOf(file, prefix).get(metric);
      return value === undefined ? '' : formatValue(value);
    });
    return `| \`${metric}\` | ${cells.join(' | ')} |`;
  });
  return [heading, line, ...rows].join('\n');
}

/** A subject's figures by the metric's name without its prefix. */
function metricsOf({ results }: ReportFile, prefix: string): Map<string, number> {
  const own = results.filter(({ metric, peer }) =>
    prefix === '' ? peer !== true : metric.startsWith(prefix),
  );
  return new Map(own.map(({ metric, value }) => [metric.slice(prefix.length), value]));
}

/** The chart of a run, or undefined for a benchmark that has none. */
export function chartOf(file: ReportFile): string | undefined {
  if (file.name === 'channel') return channelChart(file);
  return file.name === 'block' ? blockChart(file) : undefined;
}

/** All round trips, in ns. */
function channelChart({ results }: ReportFile): string {
  const bars = results
    .filter(({ metric }) => metric.includes('_rtt_'))
    .map(({ metric, unit, value, peer }): Bar => {
      const ns = unit === 'us' ? value * NS_PER_US : value;
      return { label: metric.replace(/_(ns|us)$/, ''), value: ns, series: peer === true ? 1 : 0 };
    });
  return barChart({ title: 'A round trip', unit: 'ns', groups: [{ heading: '', bars }] });
}

/** Operations per second, a group per metric. */
function blockChart(file: ReportFile): string {
  const metrics = ['hot_read_qd32_iops', 'hot_write_qd32_iops', 'cold_read_qd32_iops'];
  const groups = metrics.map((metric): BarGroup => {
    const bars = SUBJECTS.flatMap(([prefix, name], series): Bar[] => {
      const value = metricsOf(file, prefix).get(metric);
      return value === undefined ? [] : [{ label: name, value, series }];
    });
    return { heading: metric, bars };
  });
  return barChart({ title: '4 KiB, depth 32', unit: 'operations per second', groups });
}
