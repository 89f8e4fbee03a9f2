/** That documents say what the files say: tables, goals and charts from figures made up here. */
import { describe, expect, it } from 'vitest';
import { formatValue } from '../../bench/support/chart.ts';
import { chartOf, replaceSection, sectionOf } from '../../bench/support/docs.ts';
import type { ReportFile } from '../../bench/support/report.ts';

const BLOCK: ReportFile = {
  name: 'block',
  node: 'v20.19.0',
  cpu: 'a <fast> one',
  results: [
    { metric: 'hot_read_qd32_iops', unit: 'iops', value: 900_000 },
    { metric: 'hot_read_qd1_p50_us', unit: 'us', value: 1.25 },
    { metric: 'nbdkit_hot_read_qd32_iops', unit: 'iops', value: 100_000, peer: true },
    { metric: 'nbdkit_hot_read_qd1_mean_us', unit: 'us', value: 20, peer: true },
  ],
};

describe('the page of benchmarks', () => {
  it('puts a subject in each column and says which goals are met', () => {
    const section = sectionOf(BLOCK);
    expect(section).toContain('| metric | logflume | nbdkit (memory) |');
    expect(section).toContain('| `hot_read_qd32_iops` | 900,000 | 100,000 |');
    expect(section).toContain('| `hot_read_qd1_p50_us` | 1.25 |  |');
    expect(section).toContain('| 9.00 x | yes |');
    expect(section).toContain('| 0.0625 x | no |');
    expect(section).toContain('| not measured |  |');
  });

  it('compares figures in different units by what they mean', () => {
    const results = [
      { metric: 'nop_rtt_ns', unit: 'ns', value: 300 },
      { metric: 'unix_socket_rtt_us', unit: 'us', value: 30, peer: true as const },
    ];
    const section = sectionOf({ ...BLOCK, name: 'channel', results });
    expect(section).toContain('`unix_socket_rtt_us >= 60 x nop_rtt_ns` | 100 x | yes |');
  });

  it('replaces a section and nothing else', () => {
    const page = 'before\n<!-- block -->\nold\n<!-- /block -->\nafter';
    const once = replaceSection(page, 'block', 'new');
    expect(once).toBe('before\n<!-- block -->\n\nnew\n\n<!-- /block -->\nafter');
    expect(replaceSection(once, 'block', 'new')).toBe(once);
    expect(() => replaceSection(page, 'channel', '')).toThrow('no section channel');
  });

  it('draws a chart whose bars are in the order of the values', () => {
    const chart = chartOf(BLOCK) ?? '';
    const bars = [...chart.matchAll(/<rect x="200".*? width="([\d.]+)"/g)].map(([, width]) =>
      Number(width),
    );
    expect(bars).toHaveLength(2);
    expect(bars[0]).toBeGreaterThan(bars[1] as number);
    expect(chart.match(/<svg /g)).toHaveLength(1);
    expect(chart).toContain('900,000');
  });

  it('writes figures with three digits', () => {
    expect([0, 0.01234, 1.25, 123.4, 98_765].map(formatValue)).toEqual([
      '0',
      '0.0123',
      '1.25',
      '123',
      '98,800',
    ]);
  });
});
