/**
 * Who is measured by the block benchmark, and how each of them does each step. A step yields
 * figures named as in the report, without the subject's prefix.
 */
import { closeSync, fsyncSync, openSync } from 'node:fs';
import type { Driver } from '../../guest/api.ts';
import { Prng } from '../../src/base/prng.ts';
import { BLOCK_BYTES } from '../../src/base/units.ts';
import { runLoad } from '../../src/cli/load.ts';
import { fileFlushUs, runFileLoad } from './file-load.ts';
import { type FioLoad, type FioTarget, runFio } from './fio.ts';
import { quantile } from './report.ts';

/** The steps of a round, in order. */
export const STEPS = [
  'hot read, depth 32',
  'hot read, depth 1',
  'hot write, depth 32',
  'hot write, depth 1',
  'flush',
  'sequential read',
  'sequential write',
  'cold read',
] as const;
export type Step = (typeof STEPS)[number];

/** Figures by metric. */
export type Figures = Readonly<Record<string, number>>;

export interface Subject {
  /** Before the metric's name: `nbdkit_`; empty for ours. */
  readonly prefix: string;
  /** What it can do, each for about `seconds`. */
  readonly steps: Partial<Record<Step, () => Promise<Figures>>>;
}

export interface Sizes {
  /** Each step takes about this long. */
  readonly seconds: number;
  readonly hotBytes: number;
  readonly coldBytes: number;
  /** Writes, each with a flush after it, in one step of ours and of the file's. */
  readonly flushCount: number;
}

export const SEQUENTIAL_BYTES = 128 * 1024;
export const RANDOM_DEPTH = 32;
export const SEQUENTIAL_DEPTH = 8;
/** Sequential writes are flushed so often: none may leave its work to the page cache. */
export const FLUSH_EVERY_BYTES = 64 * 1024 * 1024;

const NS_PER_US = 1000;
const US_PER_MS = 1000;

/** Ours: the batch face of a guest in this process, the host in another. */
export function driverSubject(hot: Driver, cold: Driver, sizes: Sizes): Subject {
  let seed = 1;
  const random = (driver: Driver, pattern: 'randread' | 'randwrite', depth: number) =>
    runLoad(driver, {
      pattern,
      depth,
      blockBytes: BLOCK_BYTES,
      seconds: sizes.seconds,
      seed: seed++,
    });
  const one = (metric: string, pattern: 'randread' | 'randwrite') => {
    const { latency } = random(hot, pattern, 1);
    return {
      [`${metric}_p50_us`]: latency.percentile(50) / NS_PER_US,
      [`${metric}_mean_us`]: latency.mean / NS_PER_US,
    };
  };
  const steps: Record<Step, () => Figures> = {
    'hot read, depth 32': () => ({
      hot_read_qd32_iops: random(hot, 'randread', RANDOM_DEPTH).iops,
    }),
    'hot read, depth 1': () => one('hot_read_qd1', 'randread'),
    'hot write, depth 32': () => ({
      hot_write_qd32_iops: random(hot, 'randwrite', RANDOM_DEPTH).iops,
    }),
    'hot write, depth 1': () => one('hot_write_qd1', 'randwrite'),
    flush: () => ({ flush_us: driverFlushUs(hot, sizes) }),
    'sequential read': () => ({ seq_read_mbps: sequentialRead(hot, sizes) }),
    'sequential write': () => ({ seq_write_mbps: sequentialWrite(hot, sizes.seconds) }),
    'cold read': () => ({ cold_read_qd32_iops: random(cold, 'randread', RANDOM_DEPTH).iops }),
  };
  const settled = async (step: () => Figures): Promise<Figures> => {
    const figures = step();
    // What was written goes to the disk now and not while the next subject is measured.
    await hot.async.flush();
    return figures;
  };
  return {
    prefix: '',
    steps: Object.fromEntries(
      Object.entries(steps).map(([name, step]) => [name, () => settled(step)]),
    ),
  };
}

function sequentialRead(driver: Driver, { seconds }: Sizes): number {
  return runLoad(driver, {
    pattern: 'read',
    depth: SEQUENTIAL_DEPTH,
    blockBytes: SEQUENTIAL_BYTES,
    seconds,
    seed: 1,
  }).mbps;
}

function sequentialWrite(driver: Driver, seconds: number): number {
  const countMax = Math.min(FLUSH_EVERY_BYTES, driver.volume.sizeBytes) / SEQUENTIAL_BYTES;
  const startMs = performance.now();
  let bytes = 0;
  while (performance.now() - startMs < seconds * 1000) {
    const { count } = runLoad(driver, {
      pattern: 'write',
      depth: SEQUENTIAL_DEPTH,
      blockBytes: SEQUENTIAL_BYTES,
      seconds: seconds * 10,
      countMax,
      seed: 1,
    });
    driver.sync.flush();
    bytes += count * SEQUENTIAL_BYTES;
  }
  return bytes / 1e3 / (performance.now() - startMs);
}

function driverFlushUs(driver: Driver, { flushCount, hotBytes }: Sizes): number {
  const bytes = new Uint8Array(BLOCK_BYTES).fill(9);
  const random = new Prng(3);
  const samples = new Float64Array(flushCount);
  for (let i = 0; i < flushCount; i++) {
    driver.sync.write(random.below(hotBytes / BLOCK_BYTES) * BLOCK_BYTES, bytes);
    const startMs = performance.now();
    driver.sync.flush();
    samples[i] = (performance.now() - startMs) * US_PER_MS;
  }
  return quantile(samples, 0.5);
}

/**
 * A server behind NBD, driven by fio. `syncPath` is the file under it, if it has one: brought to
 * the disk after each step.
 */
export function nbdSubject(
  prefix: string,
  socket: string,
  sizes: Sizes,
  syncPath: string | undefined,
): Subject {
  const target: FioTarget = { engine: 'nbd', socket };
  const { seconds, hotBytes: spanBytes } = sizes;
  const run = async (load: Pick<FioLoad, 'pattern' | 'depth'> & Partial<FioLoad>) => {
    const result = await runFio({ target, blockBytes: BLOCK_BYTES, spanBytes, seconds, ...load });
    if (syncPath !== undefined) syncFile(syncPath);
    return result;
  };
  const one = async (metric: string, pattern: 'randread' | 'randwrite') => {
    const { medianUs, meanUs } = await run({ pattern, depth: 1 });
    return { [`${metric}_p50_us`]: medianUs, [`${metric}_mean_us`]: meanUs };
  };
  const sequential = { blockBytes: SEQUENTIAL_BYTES, depth: SEQUENTIAL_DEPTH };
  const steps: Subject['steps'] = {
    'hot read, depth 32': async () => ({
      hot_read_qd32_iops: (await run({ pattern: 'randread', depth: RANDOM_DEPTH })).iops,
    }),
    'hot read, depth 1': () => one('hot_read_qd1', 'randread'),
    'hot write, depth 32': async () => ({
      hot_write_qd32_iops: (await run({ pattern: 'randwrite', depth: RANDOM_DEPTH })).iops,
    }),
    'hot write, depth 1': () => one('hot_write_qd1', 'randwrite'),
    flush: async () => ({
      flush_us: (await run({ pattern: 'randwrite', depth: 1, flushEvery: 1 })).flushUs,
    }),
    'sequential read': async () => ({
      seq_read_mbps: (await run({ pattern: 'read', ...sequential })).mbps,
    }),
    'sequential write': async () => {
      const flushEvery = FLUSH_EVERY_BYTES / SEQUENTIAL_BYTES;
      return { seq_write_mbps: (await run({ pattern: 'write', ...sequential, flushEvery })).mbps };
    },
  };
  return { prefix, steps };
}

/** `fs.promises` on an ordinary file, in the page cache as far as it likes. */
export function fileSubject(path: string, sizes: Sizes): Subject {
  const { seconds, hotBytes: spanBytes, flushCount } = sizes;
  const random = async (pattern: 'randread' | 'randwrite', depth: number) => {
    const load = { path, pattern, depth, blockBytes: BLOCK_BYTES, spanBytes, seconds, seed: 1 };
    const result = await runFileLoad(load);
    syncFile(path);
    return result;
  };
  const one = async (metric: string, pattern: 'randread' | 'randwrite') => {
    const { medianUs, meanUs } = await random(pattern, 1);
    return { [`${metric}_p50_us`]: medianUs, [`${metric}_mean_us`]: meanUs };
  };
  const sequential = async (pattern: 'read' | 'write') => {
    const result = await runFileLoad({
      path,
      pattern,
      depth: SEQUENTIAL_DEPTH,
      blockBytes: SEQUENTIAL_BYTES,
      spanBytes,
      seconds,
      seed: 1,
      flushEveryBytes: FLUSH_EVERY_BYTES,
    });
    return { [`seq_${pattern}_mbps`]: result.mbps };
  };
  return {
    prefix: 'node_fs_',
    steps: {
      'hot read, depth 32': async () => ({
        hot_read_qd32_iops: (await random('randread', RANDOM_DEPTH)).iops,
      }),
      'hot read, depth 1': () => one('hot_read_qd1', 'randread'),
      'hot write, depth 32': async () => ({
        hot_write_qd32_iops: (await random('randwrite', RANDOM_DEPTH)).iops,
      }),
      'hot write, depth 1': () => one('hot_write_qd1', 'randwrite'),
      flush: async () => ({ flush_us: await fileFlushUs(path, spanBytes, flushCount) }),
      'sequential read': () => sequential('read'),
      'sequential write': () => sequential('write'),
    },
  };
}

/** The disk's own limit: io_uring past the page cache. */
export function diskSubject(path: string, { seconds, coldBytes }: Sizes): Subject {
  const coldRead = async () => {
    const result = await runFio({
      target: { engine: 'io_uring', path },
      pattern: 'randread',
      depth: RANDOM_DEPTH,
      blockBytes: BLOCK_BYTES,
      spanBytes: coldBytes,
      seconds,
    });
    return { cold_read_qd32_iops: result.iops };
  };
  return { prefix: 'fio_uring_', steps: { 'cold read': coldRead } };
}

function syncFile(path: string): void {
  const fd = openSync(path, 'r+');
  fsyncSync(fd);
  closeSync(fd);
}
