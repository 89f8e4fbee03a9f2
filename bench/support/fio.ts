/** Loads made by fio, the usual load generator for disks: through its NBD engine, or io_uring. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

/** fio gets this much beyond its own run time, for laying out files and for starting. */
const GRACE_MS = 120_000;
const NS_PER_US = 1000;
const OUTPUT_BYTES_MAX = 4 * 1024 * 1024;

/** What is loaded: an NBD export on a Unix socket, or a file past the page cache. */
export type FioTarget =
  | { readonly engine: 'nbd'; readonly socket: string }
  | { readonly engine: 'io_uring'; readonly path: string };

export interface FioLoad {
  readonly target: FioTarget;
  readonly pattern: 'randread' | 'randwrite' | 'read' | 'write';
  readonly blockBytes: number;
  readonly depth: number;
  /** Bytes of the export or file that are used. */
  readonly spanBytes: number;
  /** Runs this long; undefined: once over the span. */
  readonly seconds: number | undefined;
  /** Flushes after so many writes. */
  readonly flushEvery?: number;
}

export interface FioResult {
  readonly iops: number;
  readonly mbps: number;
  readonly medianUs: number;
  readonly meanUs: number;
  /** Median µs of a flush; NaN if none was asked for. */
  readonly flushUs: number;
}

/** The parts of fio's JSON that are read here. */
interface FioJob {
  readonly error: number;
  readonly read: FioSide;
  readonly write: FioSide;
  readonly sync: { readonly lat_ns: { readonly percentile?: Readonly<Record<string, number>> } };
}

interface FioSide {
  readonly iops: number;
  readonly bw_bytes: number;
  readonly lat_ns: { readonly mean: number };
  readonly clat_ns: { readonly percentile?: Readonly<Record<string, number>> };
}

const MEDIAN = '50.000000';

/** Runs one job. @throws Error if fio fails, with what it said. */
export async function runFio(load: FioLoad): Promise<FioResult> {
  const timeoutMs = (load.seconds ?? 0) * 1000 + GRACE_MS;
  const { stdout } = await promisify(execFile)('fio', fioArguments(load), {
    timeout: timeoutMs,
    maxBuffer: OUTPUT_BYTES_MAX,
  });
  // Warnings may precede the JSON.
  const { jobs } = JSON.parse(stdout.slice(stdout.indexOf('{'))) as { jobs: FioJob[] };
  const job = jobs[0];
  if (job === undefined || job.error !== 0) throw new Error(`fio: error ${job?.error}`);
  const side = load.pattern.endsWith('read') ? job.read : job.write;
  return {
    iops: side.iops,
    mbps: side.bw_bytes / 1e6,
    medianUs: (side.clat_ns.percentile?.[MEDIAN] ?? Number.NaN) / NS_PER_US,
    meanUs: side.lat_ns.mean / NS_PER_US,
    flushUs: (job.sync.lat_ns.percentile?.[MEDIAN] ?? Number.NaN) / NS_PER_US,
  };
}

function fioArguments(load: FioLoad): string[] {
  const { target, seconds } = load;
  const where =
    target.engine === 'nbd'
      ? ['--ioengine=nbd', `--uri=nbd+unix:///?socket=${target.socket}`]
      : ['--ioengine=io_uring', '--direct=1', `--filename=${target.path}`];
  return [
    '--name=peer',
    ...where,
    `--rw=${load.pattern}`,
    `--bs=${load.blockBytes}`,
    `--iodepth=${load.depth}`,
    `--size=${load.spanBytes}`,
    // Blocks are drawn anew each time, as in our own load; fio would otherwise visit each once.
    '--norandommap',
    ...(seconds === undefined ? [] : ['--time_based', `--runtime=${Math.ceil(seconds * 1000)}ms`]),
    ...(load.flushEvery === undefined ? [] : [`--fsync=${load.flushEvery}`]),
    '--output-format=json',
  ];
}
