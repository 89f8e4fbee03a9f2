/**
 * Where things lie in a region. Both sides compute it from three numbers, so no offset that the
 * peer wrote is ever followed.
 *
 *   0        4096        12288
 *   | header | host page | queue 0: submissions, completions | queue 1 | … | data area |
 *
 * Pages and the data area start at multiples of 4096, rings at multiples of 128.
 */
import { StoreError } from '../base/errors.ts';
import { getU16, getU32, getU53, setU16, setU32, setU53 } from '../base/record.ts';
import { alignUp } from '../base/units.ts';
import { type Region, regionOver } from '../memory/region.ts';
import { RING_ALIGNMENT_BYTES, resetRing, ringBytes } from '../memory/spsc-ring.ts';
import { CHANNEL_FINGERPRINT } from './fingerprint.ts';
import {
  Completion,
  DATA_BYTES_MAX,
  DATA_BYTES_MIN,
  GuestState,
  HostPage,
  PROTOCOL_VERSION,
  QUEUE_COUNT_MAX,
  QUEUE_DEPTH_MAX,
  QUEUE_DEPTH_MIN,
  REGION_MAGIC,
  RegionHeader,
  Submission,
} from './protocol.ts';

const PAGE_BYTES = 4096;

/** What a guest asks for when it attaches. */
export interface ChannelGeometry {
  /** Queue pairs, 1 to `QUEUE_COUNT_MAX`. */
  readonly queueCount: number;
  /** Commands in flight per queue pair: a power of two in `QUEUE_DEPTH_MIN..MAX`. */
  readonly queueDepth: number;
  /** Size of the data area: a multiple of 4096 in `DATA_BYTES_MIN..MAX`. */
  readonly dataBytes: number;
}

export interface QueueLayout {
  readonly submissionOffset: number;
  readonly completionOffset: number;
}

/** Byte offsets from the start of the region. */
export interface RegionLayout {
  readonly geometry: ChannelGeometry;
  readonly headerOffset: 0;
  readonly hostPageOffset: number;
  readonly queues: readonly QueueLayout[];
  readonly dataOffset: number;
  readonly dataBytes: number;
  readonly regionBytes: number;
}

/** @throws StoreError `limit_exceeded` naming the number that is outside its limits. */
export function layoutOf(geometry: ChannelGeometry): RegionLayout {
  const { queueCount, queueDepth, dataBytes } = geometry;
  requireWithin('queueCount', queueCount, 1, QUEUE_COUNT_MAX);
  requireWithin('queueDepth', queueDepth, QUEUE_DEPTH_MIN, QUEUE_DEPTH_MAX);
  requireWithin('dataBytes', dataBytes, DATA_BYTES_MIN, DATA_BYTES_MAX);
  if ((queueDepth & (queueDepth - 1)) !== 0) {
    throw new StoreError('limit_exceeded', { queueDepth, allowed: 'powers of two' });
  }
  if (dataBytes % PAGE_BYTES !== 0) {
    throw new StoreError('limit_exceeded', { dataBytes, multipleOf: PAGE_BYTES });
  }

  const hostPageOffset = PAGE_BYTES;
  let end = alignUp(hostPageOffset + HostPage.byteLength, RING_ALIGNMENT_BYTES);
  const queues: QueueLayout[] = [];
  for (let i = 0; i < queueCount; i++) {
    const submissionOffset = end;
    const completionOffset = submissionOffset + ringBytes(queueDepth, Submission.byteLength);
    end = completionOffset + ringBytes(queueDepth, Completion.byteLength);
    queues.push({ submissionOffset, completionOffset });
  }
  const dataOffset = alignUp(end, PAGE_BYTES);
  const regionBytes = dataOffset + dataBytes;
  return { geometry, headerOffset: 0, hostPageOffset, queues, dataOffset, dataBytes, regionBytes };
}

function requireWithin(name: string, value: number, least: number, most: number): void {
  if (Number.isInteger(value) && value >= least && value <= most) return;
  throw new StoreError('limit_exceeded', { [name]: value, least, most });
}

/** Makes fresh memory of `layout.regionBytes` a region: the guest's first act. */
export function formatRegion(
  memory: ArrayBufferLike,
  layout: RegionLayout,
  { guestPid, epoch }: { guestPid: number; epoch: number },
): Region {
  const region = regionOver(memory);
  const { view } = region;
  for (const { submissionOffset, completionOffset } of layout.queues) {
    resetRing(region, submissionOffset);
    resetRing(region, completionOffset);
  }
  setU32(view, 0, RegionHeader.magic, REGION_MAGIC);
  setU16(view, 0, RegionHeader.version, PROTOCOL_VERSION);
  setU53(view, 0, RegionHeader.fingerprint, CHANNEL_FINGERPRINT);
  setU53(view, 0, RegionHeader.regionBytes, layout.regionBytes);
  setU32(view, 0, RegionHeader.queueCount, layout.geometry.queueCount);
  setU32(view, 0, RegionHeader.queueDepth, layout.geometry.queueDepth);
  setU32(view, 0, RegionHeader.dataOffset, layout.dataOffset);
  setU32(view, 0, RegionHeader.dataBytes, layout.dataBytes);
  setU32(view, 0, RegionHeader.epoch, epoch);
  setU32(view, 0, RegionHeader.state, GuestState.FORMATTED);
  setU32(view, 0, RegionHeader.guestPid, guestPid);
  return region;
}

/** Tells onlookers where the guest stands. */
export function setGuestState(region: Region, state: number, epoch: number): void {
  setU32(region.view, 0, RegionHeader.state, state);
  setU32(region.view, 0, RegionHeader.epoch, epoch);
}

/**
 * Checks memory that a guest offered against the geometry it asked for, and returns it as a region.
 * Size and seals of a descriptor are checked by the caller, before it maps. Nothing in the header is
 * followed afterwards: it only tells a mistake from a match.
 *
 * @throws StoreError `protocol_mismatch` naming the first field that differs.
 */
export function verifyRegion(memory: ArrayBufferLike, layout: RegionLayout): Region {
  if (memory.byteLength !== layout.regionBytes) {
    const found = memory.byteLength;
    throw new StoreError('protocol_mismatch', {
      field: 'regionBytes',
      found,
      expected: layout.regionBytes,
    });
  }
  const region = regionOver(memory);
  const { view } = region;
  const { geometry } = layout;
  const checks: readonly (readonly [string, number, number])[] = [
    ['magic', getU32(view, 0, RegionHeader.magic), REGION_MAGIC],
    ['version', getU16(view, 0, RegionHeader.version), PROTOCOL_VERSION],
    ['reservedVersion', getU16(view, 0, RegionHeader.reservedVersion), 0],
    ['fingerprint', getU53(view, 0, RegionHeader.fingerprint), CHANNEL_FINGERPRINT],
    ['regionBytes', getU53(view, 0, RegionHeader.regionBytes), layout.regionBytes],
    ['queueCount', getU32(view, 0, RegionHeader.queueCount), geometry.queueCount],
    ['queueDepth', getU32(view, 0, RegionHeader.queueDepth), geometry.queueDepth],
    ['dataOffset', getU32(view, 0, RegionHeader.dataOffset), layout.dataOffset],
    ['dataBytes', getU32(view, 0, RegionHeader.dataBytes), layout.dataBytes],
  ];
  for (const [field, found, expected] of checks) {
    if (found !== expected) throw new StoreError('protocol_mismatch', { field, found, expected });
  }
  return region;
}
