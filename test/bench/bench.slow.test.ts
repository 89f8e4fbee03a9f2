/**
 * That every benchmark still runs, to the end and with all of its metrics. With tiny inputs: what it
 * measures here means nothing. Leaves out the goals, which only a
 * real run can meet, and the figures of peers that are not installed.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { ReportFile } from '../../bench/support/report.ts';
import { hasPeer } from '../support/peers.ts';

const folder = mkdtempSync(join(tmpdir(), 'logflume-bench-test-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What the benchmark wrote. Its folder of temporary files must be empty afterwards. */
function runTiny(name: string): ReportFile {
  const json = join(folder, `${name}.json`);
  const scratch = mkdtempSync(join(folder, 'tmp-'));
  const { status, stderr } = spawnSync(
    process.execPath,
    ['--expose-gc', resolve(`dist/bench/${name}.bench.js`), '--tiny', '--json', json],
    { encoding: 'utf8', env: { ...process.env, TMPDIR: scratch }, timeout: 300_000 },
  );
  expect(status, stderr).toBe(0);
  expect(readdirSync(scratch)).toEqual([]);
  return JSON.parse(readFileSync(json, 'utf8')) as ReportFile;
}

function metricsOf({ results }: ReportFile): string[] {
  for (const { metric, value } of results) expect(value, metric).toBeGreaterThanOrEqual(0);
  return results.map(({ metric }) => metric);
}

const BLOCK = [
  'hot_read_qd32_iops',
  'hot_read_qd1_p50_us',
  'hot_read_qd1_mean_us',
  'hot_write_qd32_iops',
  'hot_write_qd1_p50_us',
  'flush_us',
  'seq_read_mbps',
  'seq_write_mbps',
];

describe('each benchmark runs with tiny inputs', () => {
  it('channel', () => {
    const report = runTiny('channel');
    if (hasPeer('strace')) expect(metricsOf(report)).toContain('syscalls_per_op');
    expect(report).toMatchObject({ name: 'channel', node: process.version });
    const expected = [
      'c_spin_rtt_ns',
      'nop_rtt_ns',
      'nop_rtt_p99_ns',
      'nop_rtt_worker_ns',
      'nop_rtt_parked_us',
      'unix_socket_rtt_us',
      'postmessage_rtt_us',
      'idle_cpu_percent',
      'allocated_bytes_per_op',
    ];
    expect(metricsOf(report)).toEqual(expect.arrayContaining(expected));
  });

  it('block', () => {
    const report = runTiny('block');
    const metrics = metricsOf(report);
    expect(metrics).toEqual(expect.arrayContaining([...BLOCK, 'cold_read_qd32_iops']));
    expect(metrics).toContain('node_fs_hot_read_qd32_iops');
    const peers = hasPeer('fio') ? ['nbdkit', 'qemu-storage-daemon'].filter(hasPeer) : [];
    for (const peer of peers) {
      const prefix = peer === 'nbdkit' ? 'nbdkit_' : 'qsd_';
      expect(metrics).toEqual(expect.arrayContaining(BLOCK.map((metric) => prefix + metric)));
    }
    for (const { metric, peer } of report.results) {
      expect(peer ?? false, metric).toBe(/^(nbdkit|qsd|node_fs|fio_uring)_/.test(metric));
    }
  });

  it('parts', () => {
    const metrics = metricsOf(runTiny('parts'));
    expect(metrics).toContain('nop_on_one_thread_ns');
    expect(metrics).toContain('flat_map_probe_ns');
  });
});
