/** The same loads through `fs.promises` on an ordinary file: what a Node program does without us. */
import { type FileHandle, open } from 'node:fs/promises';
import { Prng } from '../../src/base/prng.ts';
import { quantile } from './report.ts';

export interface FileLoad {
  readonly path: string;
  readonly pattern: 'randread' | 'randwrite' | 'read' | 'write';
  readonly blockBytes: number;
  readonly depth: number;
  readonly spanBytes: number;
  readonly seconds: number;
  readonly seed: number;
  /** Flushes each time so much was written. */
  readonly flushEveryBytes?: number;
}

export interface FileLoadResult {
  readonly iops: number;
  readonly mbps: number;
  readonly medianUs: number;
  readonly meanUs: number;
}

const US_PER_MS = 1000;
const FILL_BYTES = 1024 * 1024;

/** Writes the file full with bytes that are neither zeros nor all alike. */
export async function fillFile(path: string, sizeBytes: number): Promise<void> {
  const file = await open(path, 'w');
  try {
    const bytes = new Uint8Array(Math.min(FILL_BYTES, sizeBytes));
    new Prng(1).fill(bytes);
    for (let position = 0; position < sizeBytes; position += bytes.byteLength) {
      await file.write(bytes, 0, Math.min(bytes.byteLength, sizeBytes - position), position);
    }
    await file.sync();
  } finally {
    await file.close();
  }
}

/** `depth` loops, each with one request in flight, until the time is up. */
export async function runFileLoad(load: FileLoad): Promise<FileLoadResult> {
  const file = await open(load.path, 'r+');
  try {
    const samples: number[] = [];
    const blockCount = Math.floor(load.spanBytes / load.blockBytes);
    const random = new Prng(load.seed);
    let next = 0;
    const nextBlock = () =>
      load.pattern.startsWith('rand') ? random.below(blockCount) : next++ % blockCount;
    const startMs = performance.now();
    const endMs = startMs + load.seconds * 1000;
    const loop = () => fileLoop(file, load, nextBlock, endMs, samples);
    await Promise.all(Array.from({ length: load.depth }, loop));
    const elapsedMs = performance.now() - startMs;
    const iops = (samples.length / elapsedMs) * 1000;
    return {
      iops,
      mbps: (iops * load.blockBytes) / 1e6,
      medianUs: quantile(samples, 0.5),
      meanUs: samples.reduce((sum, sample) => sum + sample, 0) / samples.length,
    };
  } finally {
    await file.close();
  }
}

async function fileLoop(
  file: FileHandle,
  { pattern, blockBytes, flushEveryBytes = Number.POSITIVE_INFINITY }: FileLoad,
  nextBlock: () => number,
  endMs: number,
  samples: number[],
): Promise<void> {
  const bytes = new Uint8Array(blockBytes).fill(7);
  const writes = pattern.endsWith('write');
  let before = performance.now();
  while (before < endMs) {
    const position = nextBlock() * blockBytes;
    if (writes) await file.write(bytes, 0, blockBytes, position);
    else await file.read(bytes, 0, blockBytes, position);
    if (writes && ((samples.length + 1) * blockBytes) % flushEveryBytes === 0) {
      await file.datasync();
    }
    const now = performance.now();
    samples.push((now - before) * US_PER_MS);
    before = now;
  }
}

/** Median µs of `datasync` after one write of 4 KiB. */
export async function fileFlushUs(path: string, spanBytes: number, count: number): Promise<number> {
  const file = await open(path, 'r+');
  try {
    const bytes = new Uint8Array(4096).fill(9);
    const random = new Prng(3);
    const samples = new Float64Array(count);
    for (let i = 0; i < count; i++) {
      await file.write(bytes, 0, bytes.byteLength, random.below(spanBytes / 4096) * 4096);
      const start = performance.now();
      await file.datasync();
      samples[i] = (performance.now() - start) * US_PER_MS;
    }
    return quantile(samples, 0.5);
  } finally {
    await file.close();
  }
}
