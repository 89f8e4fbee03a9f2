/**
 * What the host tells a guest about itself: counters and a latency histogram, kept in the host's
 * own memory and copied into the region now and then. The copy is only ever written, so a guest
 * that scribbles over it deceives nobody but itself.
 */
import { assert } from '../base/assert.ts';
import { Histogram } from '../base/histogram.ts';
import { setU16, setU32, setU53, type U53 } from '../base/record.ts';
import { beginUpdate, endUpdate, readConsistent } from '../memory/control-page.ts';
import type { Region } from '../memory/region.ts';
import type { RegionLayout } from './geometry.ts';
import { HOST_PAGE_BUCKET_COUNT, HOST_PAGE_MAGIC, HostPage, PROTOCOL_VERSION } from './protocol.ts';

const LITTLE_ENDIAN = true;
const BUCKET_BYTES = 4;
const FIRST_COUNTER = HostPage.commandsNop;
const COUNTER_BYTES = 8;
const TWO_POW_32 = 0x1_0000_0000;

/**
 * Index of each counter in `HostCounters.counters`. `COMMANDS_NOP + opcode` counts an opcode. The
 * order is that of the page's fields.
 */
export const HostCounter = {
  COMMANDS_NOP: 0,
  COMMANDS_INFO: 1,
  COMMANDS_READ: 2,
  COMMANDS_WRITE: 3,
  COMMANDS_WRITE_ZEROES: 4,
  COMMANDS_DISCARD: 5,
  COMMANDS_FLUSH: 6,
  BYTES_READ: 7,
  BYTES_WRITTEN: 8,
  ERRORS: 9,
  PARKS: 10,
  WAKES_SENT: 11,
  LOST_WAKES: 12,
  BATCHES: 13,
  DEPTH_SEEN_SUM: 14,
  DEPTH_SEEN_MAX: 15,
  SPIN_WINDOW_NS: 16,
  CPU_USED_PERMILLE: 17,
  CPU_BUDGET_PERMILLE: 18,
  HEARTBEAT: 19,
} as const;
export type HostCounter = (typeof HostCounter)[keyof typeof HostCounter];
export const HOST_COUNTER_COUNT = 20;

/** Names of the counters, by index, as listings and JSON show them. */
export const HOST_COUNTER_NAMES: readonly string[] = Object.keys(HostPage).slice(
  Object.keys(HostPage).indexOf('commandsNop'),
  Object.keys(HostPage).indexOf('commandsNop') + HOST_COUNTER_COUNT,
);

/** The host's side: counts in private memory, shows on request. */
export class HostCounters {
  /** By `HostCounter`. The host adds to them as it goes. */
  readonly counters = new Float64Array(HOST_COUNTER_COUNT);
  /** From taking a command to publishing its completion, in ns. */
  readonly latency = new Histogram();

  /**
   * Copies everything into the region. Some 2 µs: for every few milliseconds, not for every step.
   * Allocates nothing.
   */
  show(region: Region, layout: RegionLayout, hostPid: number): void {
    const at = layout.hostPageOffset;
    const { view } = region;
    const { counters } = this;
    counters[HostCounter.HEARTBEAT] = (counters[HostCounter.HEARTBEAT] as number) + 1;
    beginUpdate(region, at + HostPage.updateSequence);
    setU32(view, at, HostPage.magic, HOST_PAGE_MAGIC);
    setU16(view, at, HostPage.version, PROTOCOL_VERSION);
    setU32(view, at, HostPage.hostPid, hostPid);
    for (let i = 0; i < HOST_COUNTER_COUNT; i++) {
      setU53(view, at, (FIRST_COUNTER + i * COUNTER_BYTES) as U53, counters[i] as number);
    }
    const { buckets } = this.latency;
    const bucketsAt = at + HostPage.latencyBuckets;
    for (let i = 0; i < HOST_PAGE_BUCKET_COUNT; i++) {
      view.setUint32(bucketsAt + i * BUCKET_BYTES, buckets[i] as number, LITTLE_ENDIAN);
    }
    endUpdate(region, at + HostPage.updateSequence);
  }

  /** Adds another session's, for a sum over all. Maxima and windows take the larger. */
  merge(other: HostCounters): void {
    for (let i = 0; i < HOST_COUNTER_COUNT; i++) {
      const mine = this.counters[i] as number;
      const theirs = other.counters[i] as number;
      const summed = i < HostCounter.DEPTH_SEEN_MAX;
      this.counters[i] = summed ? mine + theirs : Math.max(mine, theirs);
    }
    this.latency.merge(other.latency);
  }
}

/** What a guest, or an onlooker, reads. */
export interface HostPageReading {
  readonly hostPid: number;
  /** By `HostCounter`. */
  readonly counters: Float64Array;
  readonly latency: Histogram;
}

/** Undefined if no host has written the page yet, or one died while it did. */
export function readHostPage(region: Region, layout: RegionLayout): HostPageReading | undefined {
  const at = layout.hostPageOffset;
  const copy = readConsistent(region, at + HostPage.updateSequence, at, HostPage.byteLength);
  if (copy === undefined) return undefined;
  const view = new DataView(copy.buffer);
  if (view.getUint32(HostPage.magic, LITTLE_ENDIAN) !== HOST_PAGE_MAGIC) return undefined;
  const counters = new Float64Array(HOST_COUNTER_COUNT);
  for (let i = 0; i < HOST_COUNTER_COUNT; i++) {
    const counterAt = FIRST_COUNTER + i * COUNTER_BYTES;
    const high = view.getUint32(counterAt + 4, LITTLE_ENDIAN);
    counters[i] = high * TWO_POW_32 + view.getUint32(counterAt, LITTLE_ENDIAN);
  }
  const buckets = new Uint32Array(HOST_PAGE_BUCKET_COUNT);
  for (let i = 0; i < HOST_PAGE_BUCKET_COUNT; i++) {
    buckets[i] = view.getUint32(HostPage.latencyBuckets + i * BUCKET_BYTES, LITTLE_ENDIAN);
  }
  const hostPid = view.getUint32(HostPage.hostPid, LITTLE_ENDIAN);
  return { hostPid, counters, latency: Histogram.fromBuckets(buckets) };
}

assert(HOST_COUNTER_NAMES.at(-1) === 'heartbeat', 'counters and fields are in the same order');
