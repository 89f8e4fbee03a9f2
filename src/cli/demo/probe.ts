/** Latencies as a guest sees them, measured after the stream on the volume that it left. */
import type { Driver } from '../../../guest/index.ts';
import { BLOCK_BYTES } from '../../base/units.ts';

const NOP_COUNT = 20_000;
const READ_COUNT = 20_000;
/** Stays in the host's cache, so that the figure is the channel's and the maps', not the disk's. */
const READ_BLOCKS_MAX = 4096;
/** A full-period step through the blocks: scattered, and the same in every run. */
const STRIDE = 1237;

/** Nanoseconds per round trip, unsorted. */
export interface ProbeResult {
  readonly nopNs: Float64Array;
  readonly readNs: Float64Array;
}

/** Times empty commands and cached 4 KiB reads, one at a time, blocking the thread. */
export function probeLatency(driver: Driver, byteLength: number): ProbeResult {
  const blocks = Math.max(1, Math.min(READ_BLOCKS_MAX, Math.floor(byteLength / BLOCK_BYTES)));
  const buffer = driver.allocate(BLOCK_BYTES);
  const read = (i: number) => driver.sync.readInto(((i * STRIDE) % blocks) * BLOCK_BYTES, buffer);
  for (let i = 0; i < blocks; i++) read(i);
  const nopNs = timed(NOP_COUNT, () => driver.sync.nop());
  const readNs = timed(READ_COUNT, read);
  buffer.free();
  return { nopNs, readNs };
}

function timed(count: number, run: (i: number) => void): Float64Array {
  const samples = new Float64Array(count);
  for (let i = 0; i < count; i++) {
    const start = process.hrtime.bigint();
    run(i);
    samples[i] = Number(process.hrtime.bigint() - start);
  }
  return samples;
}
