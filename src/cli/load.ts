/**
 * A load on a volume through the batch face: the same loop serves `logflume bench` and the
 * benchmarks, so that both measure one thing.
 */
import type { Driver } from '../../guest/api.ts';
import { codeOf, STATUS_OK, StoreError } from '../base/errors.ts';
import { Histogram } from '../base/histogram.ts';
import { Prng } from '../base/prng.ts';
import { SECTOR_BYTES } from '../base/units.ts';

export const PATTERNS = ['read', 'write', 'randread', 'randwrite', 'randrw'] as const;
export type Pattern = (typeof PATTERNS)[number];

export interface Load {
  readonly pattern: Pattern;
  /** Bytes of a command, a multiple of 512. */
  readonly blockBytes: number;
  /** Commands in flight, at most the driver's queue depth. */
  readonly depth: number;
  /** Ends after this long, or after `countMax` commands if that comes first. */
  readonly seconds: number;
  readonly countMax?: number;
  /** Only this much of the volume, from its start. Default: all. */
  readonly spanBytes?: number;
  readonly seed: number;
}

export interface LoadResult {
  readonly count: number;
  readonly elapsedMs: number;
  readonly iops: number;
  readonly mbps: number;
  /** Nanoseconds from submit to reap, of every command at depth 1, of a sample else. */
  readonly latency: Histogram;
}

/** At depth above 1 one command in so many is timed: a clock reading costs 60 ns. */
const SAMPLE_EVERY = 16;
/** The deadline is looked at once per so many turns. */
const TURNS_PER_CLOCK = 64;
const WAIT_MS = 1000;
/** Turns of looking before the thread sleeps: some 20 us, about what a wake-up costs. */
const SPIN_TURNS = 2000;

/**
 * Keeps `depth` commands in flight until the time is up, then waits for the last.
 *
 * @throws StoreError of the first command that failed.
 */
export function runLoad(driver: Driver, load: Load): LoadResult {
  return new LoadRun(driver, load).run();
}

class LoadRun {
  readonly #driver: Driver;
  readonly #load: Load;
  readonly #blockCount: number;
  readonly #sectorsPerBlock: number;
  readonly #buffer;
  readonly #random: Prng;
  readonly #freeSlots: Uint16Array;
  readonly #slotOfTag: Uint16Array;
  readonly #startOfTag: Float64Array;
  readonly #latency = new Histogram();
  #freeCount: number;
  #sequential = 0;
  #submitted = 0;
  #completed = 0;
  #failedStatus = STATUS_OK;

  constructor(driver: Driver, load: Load) {
    const { blockBytes, depth } = load;
    const span = Math.min(load.spanBytes ?? driver.volume.sizeBytes, driver.volume.sizeBytes);
    if (blockBytes % SECTOR_BYTES !== 0 || blockBytes <= 0 || blockBytes > span) {
      throw new StoreError('invalid_argument', { blockBytes, spanBytes: span });
    }
    if (depth < 1 || depth > driver.queueDepth) {
      throw new StoreError('invalid_argument', { depth, depthMax: driver.queueDepth });
    }
    this.#driver = driver;
    this.#load = load;
    this.#blockCount = Math.floor(span / blockBytes);
    this.#sectorsPerBlock = blockBytes / SECTOR_BYTES;
    this.#buffer = driver.allocate(blockBytes * depth);
    this.#random = new Prng(load.seed);
    // Not zeros, and not all alike, so that nothing can be saved by noticing.
    const { bytes } = this.#buffer;
    for (let i = 0; i < bytes.length; i++) bytes[i] = (i * 31) ^ (i >>> 9);
    this.#freeSlots = Uint16Array.from({ length: depth }, (_, slot) => slot);
    this.#freeCount = depth;
    this.#slotOfTag = new Uint16Array(driver.queueDepth);
    this.#startOfTag = new Float64Array(driver.queueDepth);
  }

  run(): LoadResult {
    const { seconds, countMax = Number.POSITIVE_INFINITY } = this.#load;
    const startMs = performance.now();
    const endMs = startMs + seconds * 1000;
    let turn = 0;
    let idleTurns = 0;
    let open = true;
    while (open || this.#completed < this.#submitted) {
      if (open) this.#fill(countMax);
      idleTurns = this.#reap() > 0 ? 0 : idleTurns + 1;
      if (idleTurns > SPIN_TURNS) this.#driver.batch.wait(WAIT_MS);
      turn++;
      if (this.#failedStatus !== STATUS_OK || this.#submitted >= countMax) open = false;
      if (turn % TURNS_PER_CLOCK === 0 && performance.now() >= endMs) open = false;
    }
    const elapsedMs = performance.now() - startMs;
    this.#buffer.free();
    if (this.#failedStatus !== STATUS_OK) {
      throw new StoreError(codeOf(this.#failedStatus), { volume: this.#driver.volume.name });
    }
    const count = this.#completed;
    const iops = (count / elapsedMs) * 1000;
    const mbps = (iops * this.#load.blockBytes) / 1e6;
    return { count, elapsedMs, iops, mbps, latency: this.#latency };
  }

  /** Submits while there are free slots, then shows the host. @hotpath */
  #fill(countMax: number): void {
    const { batch } = this.#driver;
    const { blockBytes, depth } = this.#load;
    if (this.#freeCount === 0 || this.#submitted >= countMax) return;
    while (this.#freeCount > 0 && this.#submitted < countMax) {
      const slot = this.#freeSlots[this.#freeCount - 1] as number;
      const sector = this.#nextBlock() * this.#sectorsPerBlock;
      const offset = this.#buffer.offset + slot * blockBytes;
      const tag = this.#writesNext()
        ? batch.submitWrite(sector, offset, blockBytes, 0)
        : batch.submitRead(sector, offset, blockBytes);
      if (tag < 0) break;
      this.#freeCount--;
      this.#slotOfTag[tag] = slot;
      const timed = depth === 1 || this.#submitted % SAMPLE_EVERY === 0;
      this.#startOfTag[tag] = timed ? performance.now() : 0;
      this.#submitted++;
    }
    batch.publish();
  }

  /** @hotpath */
  #reap(): number {
    const { batch } = this.#driver;
    const count = batch.reap(this.#load.depth);
    for (let i = 0; i < count; i++) {
      const tag = batch.tags[i] as number;
      const status = batch.statuses[i] as number;
      if (status !== STATUS_OK && this.#failedStatus === STATUS_OK) this.#failedStatus = status;
      const start = this.#startOfTag[tag] as number;
      if (start !== 0) this.#latency.record((performance.now() - start) * 1e6);
      this.#freeSlots[this.#freeCount] = this.#slotOfTag[tag] as number;
      this.#freeCount++;
    }
    this.#completed += count;
    return count;
  }

  /** @hotpath */
  #nextBlock(): number {
    const { pattern } = this.#load;
    if (pattern === 'read' || pattern === 'write') {
      const block = this.#sequential;
      this.#sequential = block + 1 === this.#blockCount ? 0 : block + 1;
      return block;
    }
    return this.#random.below(this.#blockCount);
  }

  /** @hotpath */
  #writesNext(): boolean {
    const { pattern } = this.#load;
    if (pattern === 'randrw') return this.#random.below(2) === 0;
    return pattern === 'write' || pattern === 'randwrite';
  }
}
