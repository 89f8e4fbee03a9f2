/**
 * What the three faces share: one queue pair, one data area, and who is waiting for which tag.
 *
 *   async, sync   Operation -> parts -> tags -> completions -> Operation
 *   batch         the caller's tags -> completions -> `FinishedRing` -> the caller
 *
 * Whoever drains the completion ring drains it for all faces. While no host serves the rings,
 * commands of the async face wait in line; what is in flight stays in flight and is put back for
 * the next host (R25), unless it is abandoned first.
 */
import { STATUS_OK, StoreError } from '../src/base/errors.ts';
import { BLOCK_BYTES, SECTOR_BYTES } from '../src/base/units.ts';
import type { RegionLayout } from '../src/channel/geometry.ts';
import { type GuestQueue, NO_TAG } from '../src/channel/guest-queue.ts';
import {
  COMMAND_BYTES_MAX,
  EXTENTS_INLINE_MAX,
  ExtentEntry,
  Opcode,
} from '../src/channel/protocol.ts';
import { AREA_FULL, type DataArea } from '../src/memory/data-area.ts';
import type { Region } from '../src/memory/region.ts';
import { FinishedRing } from './finished-ring.ts';
import type { Operation } from './operation.ts';
import {
  copyFromStage,
  copyToStage,
  type DataWindow,
  NOWHERE,
  type PayloadSlice,
  placeSlice,
  touches,
} from './payload.ts';

/** Calls of the async face that wait for a tag or for memory: enough for any sane burst. */
export const WAITING_MAX = 65_536;

/** A part of an operation that is in flight. */
interface Part {
  readonly operation: Operation;
  readonly slice: PayloadSlice;
  /** Blocks of the data area that are the part's own, or `NOWHERE`. */
  readonly stageOffset: number;
  readonly tableOffset: number;
}

/** A piece of the data area. */
interface Extent {
  readonly offset: number;
  readonly byteLength: number;
}

export interface CoreOptions {
  readonly region: Region;
  readonly layout: RegionLayout;
  readonly queue: GuestQueue;
  readonly area: DataArea;
}

export class Core {
  readonly region: Region;
  readonly layout: RegionLayout;
  readonly queue: GuestQueue;
  readonly area: DataArea;
  readonly commandBytesMax: number;
  /** Finished commands of the batch face. */
  readonly finished: FinishedRing;
  /** Whether a host serves the rings. */
  serving: boolean = false;
  /** Why commands are refused at once; undefined while they run or wait. */
  refusal: StoreError | undefined;

  readonly #window: DataWindow;
  readonly #parts: (Part | undefined)[];
  #partCount = 0;
  /** Blocks that parts in flight hold: some will come free. */
  #stagedCount = 0;
  /** A call that blocks the thread: it goes first, or what is in line would hold it up. */
  urgent: Operation | undefined;
  /** Calls in line, oldest first; those before `#waitingHead` are gone. */
  #waiting: Operation[] = [];
  #waitingHead = 0;
  /** Memory that an earlier host may still write to; free once the next one is there. */
  #haunted: number[] = [];
  /** Pieces that their holder has freed while a command used them. */
  #leftovers: Extent[] = [];
  /** What batch commands use, by tag. */
  readonly #batchOffsets: Uint32Array;
  readonly #batchBytes: Uint32Array;

  constructor({ region, layout, queue, area }: CoreOptions) {
    this.region = region;
    this.layout = layout;
    this.queue = queue;
    this.area = area;
    this.#window = { region, area, dataOffset: layout.dataOffset };
    // Half of a small area, so that two transfers can be under way.
    const half = Math.floor(layout.dataBytes / 2 / BLOCK_BYTES) * BLOCK_BYTES;
    this.commandBytesMax = Math.min(COMMAND_BYTES_MAX, half);
    this.finished = new FinishedRing(queue.queueDepth);
    this.#batchOffsets = new Uint32Array(queue.queueDepth);
    this.#batchBytes = new Uint32Array(queue.queueDepth);
    this.#parts = new Array<Part | undefined>(queue.queueDepth).fill(undefined);
  }

  /** Whether a call of the async or sync face has not ended on this side. */
  get busy(): boolean {
    return this.#partCount > 0 || this.waitingCount > 0;
  }

  /** Whether nothing is in flight on any face, and nothing in line. */
  get idle(): boolean {
    return this.queue.inFlightCount === 0 && this.waitingCount === 0;
  }

  get waitingCount(): number {
    return this.#waiting.length - this.#waitingHead;
  }

  /** Issues what it can of a call and puts the rest in line. */
  enqueue(operation: Operation): void {
    if (this.refusal !== undefined) {
      operation.fail(this.refusal);
      return;
    }
    if (this.waitingCount >= WAITING_MAX) {
      operation.fail(new StoreError('limit_exceeded', { waitingCalls: WAITING_MAX }));
      return;
    }
    const inLine = this.waitingCount > 0;
    if (inLine || !this.serving || !this.issue(operation)) this.#waiting.push(operation);
    this.queue.publish();
  }

  /** Issues what is in line, oldest first, as far as tags and memory reach. */
  pump(): void {
    if (!this.serving) return;
    const { urgent } = this;
    if (urgent !== undefined && !this.issue(urgent)) {
      this.queue.publish();
      return;
    }
    while (this.waitingCount > 0) {
      const operation = this.#waiting[this.#waitingHead] as Operation;
      if (!this.issue(operation)) break;
      this.#waitingHead++;
    }
    if (this.#waitingHead === this.#waiting.length) {
      this.#waiting = [];
      this.#waitingHead = 0;
    } else if (this.#waitingHead > WAITING_MAX) {
      this.#waiting = this.#waiting.slice(this.#waitingHead);
      this.#waitingHead = 0;
    }
    this.queue.publish();
  }

  /** Issues parts of a call; true if none is left to issue. `publish` is the caller's. */
  issue(operation: Operation): boolean {
    while (!operation.fullyIssued) {
      const tag = this.queue.claimTag();
      if (tag === NO_TAG) return false;
      if (!this.#issuePart(operation, tag)) {
        this.queue.releaseTag(tag);
        if (this.#stagedCount > 0 || this.#haunted.length > 0) return false;
        // Nothing that ends would make room: waiting could be for ever.
        const { nextBytes: byteLength } = operation;
        const hint = 'free buffers or attach with more dataBytes';
        operation.fail(new StoreError('limit_exceeded', { byteLength, hint }));
        return true;
      }
    }
    return true;
  }

  /**
   * Takes all completions there are and ends whom they belong to; how many there were. @hotpath
   *
   * @throws StoreError `protocol_violation` or `ring_corrupt`: the host is not to be trusted.
   */
  drain(): number {
    const { queue } = this;
    const count = queue.reap(queue.queueDepth);
    for (let i = 0; i < count; i++) {
      const tag = queue.reapedTags[i] as number;
      const status = queue.reapedStatuses[i] as number;
      const part = this.#parts[tag];
      if (part !== undefined) this.#endPart(tag, part, status);
      else this.finished.push(tag, status, queue.reapedBytes[i] as number);
    }
    if (this.#leftovers.length > 0) this.#releaseLeftovers();
    return count;
  }

  /**
   * Submits a command of the batch face under a claimed and encoded tag. `offset` and `byteLength`
   * are what it uses of the data area. @hotpath
   */
  submitBatch(tag: number, offset: number, byteLength: number): void {
    this.#batchOffsets[tag] = offset;
    this.#batchBytes[tag] = byteLength;
    this.queue.submit(tag);
  }

  /** Gives a caller's piece back to the area, as soon as no command uses it. */
  releasePiece(offset: number, byteLength: number): void {
    this.#leftovers.push({ offset, byteLength });
    this.#releaseLeftovers();
  }

  /** Ends everything in flight and in line. The memory of commands stays away until `revive`. */
  abandon(error: StoreError): void {
    this.abandonInFlight(error);
    const waiting = this.#waiting.slice(this.#waitingHead);
    this.#waiting = [];
    this.#waitingHead = 0;
    for (const operation of waiting) operation.fail(error);
  }

  /** The same, but what is in line stays there. */
  abandonInFlight(error: StoreError): void {
    for (const tag of this.queue.abandon()) {
      const part = this.#parts[tag];
      if (part === undefined) {
        this.finished.push(tag, error.status, 0);
        continue;
      }
      this.#forgetPart(tag, part);
      if (part.stageOffset !== NOWHERE) this.#haunted.push(part.stageOffset);
      if (part.tableOffset !== NOWHERE) this.#haunted.push(part.tableOffset);
      this.queue.releaseTag(tag);
      part.operation.fail(error);
    }
  }

  /** A new host serves the rings, and the earlier one cannot touch the region any more. */
  revive(): void {
    for (const offset of this.#haunted) this.area.release(offset);
    this.#haunted = [];
    if (this.refusal?.code !== 'closed') this.refusal = undefined;
    this.serving = true;
    this.#releaseLeftovers();
  }

  #issuePart(operation: Operation, tag: number): boolean {
    const { opcode, flags, position, payload } = operation.request;
    const { nextStart: start, nextBytes: byteLength } = operation;
    const slice: PayloadSlice = { payload, start, byteLength };
    let stageOffset = NOWHERE;
    let tableOffset = NOWHERE;
    const sectorIndex = (position + start) / SECTOR_BYTES;
    this.queue.encode(tag, opcode, flags, sectorIndex, byteLength / SECTOR_BYTES);
    if (payload.length > 0) {
      const placement = placeSlice(slice, this.#window);
      if (placement === undefined) return false;
      stageOffset = placement.stageOffset;
      if (placement.extents.length > EXTENTS_INLINE_MAX * 2) {
        tableOffset = this.area.claim((placement.extents.length / 2) * ExtentEntry.byteLength);
        if (tableOffset === AREA_FULL) {
          if (stageOffset !== NOWHERE) this.area.release(stageOffset);
          return false;
        }
      }
      this.#writeExtents(tag, placement.extents, tableOffset);
      if (opcode === Opcode.WRITE && stageOffset !== NOWHERE) {
        copyToStage(slice, this.#window, stageOffset);
      }
    }
    this.queue.submit(tag);
    this.#parts[tag] = { operation, slice, stageOffset, tableOffset };
    this.#partCount++;
    if (stageOffset !== NOWHERE || tableOffset !== NOWHERE) this.#stagedCount++;
    operation.partIssued(byteLength);
    return true;
  }

  #writeExtents(tag: number, extents: readonly number[], tableOffset: number): void {
    const { queue } = this;
    if (tableOffset === NOWHERE) {
      const [firstOffset = 0, firstBytes = 0, secondOffset, secondBytes = 0] = extents;
      queue.setExtent(tag, firstOffset, firstBytes);
      if (secondOffset !== undefined) queue.setSecondExtent(tag, secondOffset, secondBytes);
      return;
    }
    const count = extents.length / 2;
    for (let i = 0; i < count; i++) {
      const offset = extents[2 * i] as number;
      queue.writeTableEntry(tableOffset, i, offset, extents[2 * i + 1] as number);
    }
    queue.setTable(tag, tableOffset, count);
  }

  #endPart(tag: number, part: Part, status: number): void {
    const { operation, slice, stageOffset, tableOffset } = part;
    const { opcode } = operation.request;
    const fills = opcode === Opcode.READ || opcode === Opcode.INFO;
    // Who gave up may be using the memory for something else by now.
    if (fills && status === STATUS_OK && stageOffset !== NOWHERE && !operation.settled) {
      copyFromStage(slice, this.#window, stageOffset);
    }
    this.#forgetPart(tag, part);
    if (stageOffset !== NOWHERE) this.area.release(stageOffset);
    if (tableOffset !== NOWHERE) this.area.release(tableOffset);
    this.queue.releaseTag(tag);
    operation.partCompleted(status);
  }

  #releaseLeftovers(): void {
    // While no host serves, the one before may still be at work on commands that were given up.
    if (!this.serving) return;
    const leftovers = this.#leftovers;
    this.#leftovers = [];
    for (const leftover of leftovers) {
      if (this.#isUsed(leftover)) this.#leftovers.push(leftover);
      else this.area.release(leftover.offset);
    }
  }

  #isUsed({ offset, byteLength }: Extent): boolean {
    const end = offset + byteLength;
    for (let i = this.#waitingHead; i < this.#waiting.length; i++) {
      const { payload, byteLength: requestBytes } = (this.#waiting[i] as Operation).request;
      const slice: PayloadSlice = { payload, start: 0, byteLength: requestBytes };
      if (touches(slice, this.#window, offset, byteLength)) return true;
    }
    for (let tag = 0; tag < this.queue.queueDepth; tag++) {
      if (!this.queue.isInFlight(tag)) continue;
      const part = this.#parts[tag];
      if (part !== undefined) {
        if (touches(part.slice, this.#window, offset, byteLength)) return true;
        continue;
      }
      const usedOffset = this.#batchOffsets[tag] as number;
      if (usedOffset < end && usedOffset + (this.#batchBytes[tag] as number) > offset) return true;
    }
    return false;
  }

  #forgetPart(tag: number, { stageOffset, tableOffset }: Part): void {
    this.#parts[tag] = undefined;
    this.#partCount--;
    if (stageOffset !== NOWHERE || tableOffset !== NOWHERE) this.#stagedCount--;
  }
}
