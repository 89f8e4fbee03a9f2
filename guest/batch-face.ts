/**
 * Submit many, reap many. What each call does is said in `api.ts`. A tag goes back to the queue
 * when the caller reaps it, not when the command completes: it is the caller's name for the
 * command until then.
 */
import { StoreError } from '../src/base/errors.ts';
import { SECTOR_BYTES } from '../src/base/units.ts';
import { NO_TAG } from '../src/channel/guest-queue.ts';
import { COMMAND_BYTES_MAX, Opcode } from '../src/channel/protocol.ts';
import type { BatchFace } from './api.ts';
import type { Core } from './core.ts';

/** What `submit…` returns while the queue is full: publish and reap, then try again. */
export const QUEUE_FULL = -1;

/**
 * A loop that only reaps looks at its link once in so many empty reaps, some 50 ms: a look costs a
 * system call and a few objects, which a loop that spins all the time would notice.
 */
const EMPTY_REAPS_PER_LOOK = 1_048_576;

/** What the face needs of the driver around it. */
export interface BatchHost {
  /** Takes what has completed. */
  advance(): void;
  /** Looks at the link, and for the next host if there is none. */
  look(): void;
  /** Blocks until the condition holds: true, or `timeoutMs` have passed: false. */
  block(isDone: () => boolean, timeoutMs: number): boolean;
}

export class TagFace implements BatchFace {
  readonly tags: Uint16Array;
  readonly statuses: Uint16Array;
  readonly resultBytes: Uint32Array;
  readonly #driver: BatchHost;
  readonly #core: Core;
  readonly #dataBytes: number;
  #inFlightCount = 0;
  #emptyReaps = 0;

  constructor(driver: BatchHost, core: Core) {
    const depth = core.queue.queueDepth;
    this.tags = new Uint16Array(depth);
    this.statuses = new Uint16Array(depth);
    this.resultBytes = new Uint32Array(depth);
    this.#driver = driver;
    this.#core = core;
    this.#dataBytes = core.layout.dataBytes;
  }

  get inFlightCount(): number {
    return this.#inFlightCount;
  }

  /** @hotpath */
  submitRead(sectorIndex: number, dataOffset: number, byteLength: number): number {
    return this.#submitTransfer(Opcode.READ, sectorIndex, dataOffset, byteLength, 0);
  }

  /** @hotpath */
  submitWrite(sectorIndex: number, dataOffset: number, byteLength: number, flags: number): number {
    return this.#submitTransfer(Opcode.WRITE, sectorIndex, dataOffset, byteLength, flags);
  }

  /** @hotpath */
  submitWriteZeroes(sectorIndex: number, byteLength: number, flags: number): number {
    return this.#submitPlain(Opcode.WRITE_ZEROES, sectorIndex, byteLength, flags);
  }

  /** @hotpath */
  submitDiscard(sectorIndex: number, byteLength: number, flags: number): number {
    return this.#submitPlain(Opcode.DISCARD, sectorIndex, byteLength, flags);
  }

  /** @hotpath */
  submitFlush(): number {
    return this.#submitPlain(Opcode.FLUSH, 0, 0, 0);
  }

  /** @hotpath */
  submitNop(): number {
    return this.#submitPlain(Opcode.NOP, 0, 0, 0);
  }

  /** @hotpath */
  publish(): void {
    if (this.#core.refusal === undefined) this.#core.queue.publish();
  }

  /** @hotpath */
  reap(countMax: number): number {
    const { finished, queue } = this.#core;
    if (this.#core.serving) this.#driver.advance();
    const count = finished.count < countMax ? finished.count : countMax;
    if (count === 0) {
      this.#noteEmptyReap();
      return 0;
    }
    finished.take(count, this.tags, this.statuses, this.resultBytes);
    for (let i = 0; i < count; i++) queue.releaseTag(this.tags[i] as number);
    this.#inFlightCount -= count;
    // Calls of the async face may be in line for tags.
    if (this.#core.waitingCount > 0) this.#core.pump();
    return count;
  }

  wait(timeoutMs: number): boolean {
    const { finished } = this.#core;
    this.publish();
    if (this.#inFlightCount === 0) return false;
    return this.#driver.block(() => finished.count > 0, timeoutMs);
  }

  #submitTransfer(
    opcode: number,
    sectorIndex: number,
    dataOffset: number,
    byteLength: number,
    flags: number,
  ): number {
    if (this.#core.refusal !== undefined) throw this.#core.refusal;
    this.#checkRange(sectorIndex, byteLength);
    const fits = dataOffset >= 0 && dataOffset <= this.#dataBytes - byteLength;
    if (!fits || !Number.isInteger(dataOffset) || byteLength > COMMAND_BYTES_MAX) {
      throw new StoreError('invalid_argument', { dataOffset, byteLength });
    }
    const { queue } = this.#core;
    const tag = queue.claimTag();
    if (tag === NO_TAG) return QUEUE_FULL;
    queue.encodeTransfer(tag, opcode, flags, sectorIndex, dataOffset, byteLength);
    this.#core.submitBatch(tag, dataOffset, byteLength);
    this.#inFlightCount++;
    return tag;
  }

  #submitPlain(opcode: number, sectorIndex: number, byteLength: number, flags: number): number {
    if (this.#core.refusal !== undefined) throw this.#core.refusal;
    if (opcode === Opcode.WRITE_ZEROES || opcode === Opcode.DISCARD) {
      this.#checkRange(sectorIndex, byteLength);
    }
    const { queue } = this.#core;
    const tag = queue.claimTag();
    if (tag === NO_TAG) return QUEUE_FULL;
    queue.encode(tag, opcode, flags, sectorIndex, byteLength / SECTOR_BYTES);
    this.#core.submitBatch(tag, 0, 0);
    this.#inFlightCount++;
    return tag;
  }

  #checkRange(sectorIndex: number, byteLength: number): void {
    const whole = byteLength > 0 && byteLength % SECTOR_BYTES === 0;
    if (whole && sectorIndex >= 0 && Number.isSafeInteger(sectorIndex)) return;
    throw new StoreError('invalid_argument', { sectorIndex, byteLength });
  }

  #noteEmptyReap(): void {
    this.#emptyReaps++;
    if (this.#emptyReaps < EMPTY_REAPS_PER_LOOK) return;
    this.#emptyReaps = 0;
    this.#driver.look();
  }
}
