import { assert } from '../base/assert.ts';
import { DISK_ROW_NUMBERS, DiskKind } from './kinds.ts';
import { addon } from './load.ts';
import { Errno, requireResult, systemError } from './system-error.ts';

/** How operations are run. `any` is io_uring, or private threads where that is forbidden. */
const BACKENDS = { any: 0, io_uring: 1, threads: 2 } as const;

export type DiskBackend = keyof typeof BACKENDS;

/** The most operations in flight on one queue. */
export const DISK_ENTRY_COUNT_MAX = 4096;

/**
 * Positioned reads, writes and syncs of one file, without promises: queue rows, submit them with
 * one system call, and reap what has completed by slot. Belongs to the thread that opened it.
 *
 *   queue*()  ->  queued  -- submit() -->  in the kernel  -- reap() -->  completedSlots/Results
 *
 * Slots are the caller's numbers, from 0 to 2^31 - 1; memory is a number of `registerMemory` and
 * belongs to the operation until it is reaped. Nothing orders operations in flight together; a sync
 * covers the writes that were reaped before it was submitted.
 */
export class DiskQueue {
  readonly entryCount: number;
  /** Rings at each completion, for a thread that sleeps. Closed with the queue. */
  readonly eventFd: number;
  /** Filled by `reap()`. A result is the bytes transferred, or a negative errno. */
  readonly completedSlots: Int32Array;
  readonly completedResults: Int32Array;
  readonly #queue: number;
  readonly #rows: Float64Array;
  readonly #completions: Int32Array;
  #completionsSeen: number;
  #queuedCount = 0;
  #inFlightCount = 0;
  #closed: boolean = false;

  /**
   * Opens a queue of at most `entryCount`, a power of two, operations in flight. It keeps the file
   * open, and its lock held, by itself.
   *
   * @throws StoreError `system_error`, EPERM or ENOSYS if io_uring was demanded and is forbidden.
   */
  constructor(fd: number, options: { entryCount: number; backend?: DiskBackend }) {
    const { entryCount, backend = 'any' } = options;
    assert(Number.isInteger(Math.log2(entryCount)), 'the entries are a power of two');
    assert(entryCount <= DISK_ENTRY_COUNT_MAX, 'the entries are at most 4096');
    const native = addon();
    const created = native.diskQueueCreate(fd, entryCount, BACKENDS[backend]);
    this.#queue = requireResult('disk queue', created, { fd, backend });
    this.entryCount = entryCount;
    this.eventFd = native.diskQueueEvent(this.#queue);
    this.completedSlots = new Int32Array(entryCount);
    this.completedResults = new Int32Array(entryCount);
    this.#rows = new Float64Array(entryCount * DISK_ROW_NUMBERS);
    const completions = native.diskQueueCompletions(this.#queue);
    if (typeof completions === 'number') {
      native.diskQueueClose(this.#queue);
      throw systemError('disk queue', completions);
    }
    this.#completions = completions;
    this.#completionsSeen = Atomics.load(completions, 0);
  }

  /** `io_uring` or `threads`. */
  get backend(): string {
    assert(!this.#closed, 'the queue is open');
    return addon().diskQueueBackend(this.#queue);
  }

  /** Operations queued or submitted and not yet reaped. */
  get inFlightCount(): number {
    return this.#inFlightCount;
  }

  /** Operations queued and not yet submitted. */
  get queuedCount(): number {
    return this.#queuedCount;
  }

  /** False if the queue is full: reap first. @hotpath */
  queueRead(
    slot: number,
    memory: number,
    memoryOffset: number,
    byteLength: number,
    positionBytes: number,
  ): boolean {
    return this.#push(DiskKind.READ, slot, memory, memoryOffset, byteLength, positionBytes);
  }

  /** False if the queue is full: reap first. @hotpath */
  queueWrite(
    slot: number,
    memory: number,
    memoryOffset: number,
    byteLength: number,
    positionBytes: number,
  ): boolean {
    return this.#push(DiskKind.WRITE, slot, memory, memoryOffset, byteLength, positionBytes);
  }

  /** fdatasync. False if the queue is full: reap first. @hotpath */
  queueSync(slot: number): boolean {
    return this.#push(DiskKind.SYNC, slot, 0, 0, 0, 0);
  }

  #push(
    kind: number,
    slot: number,
    memory: number,
    memoryOffset: number,
    byteLength: number,
    positionBytes: number,
  ): boolean {
    if (this.#inFlightCount === this.entryCount) return false;
    const rows = this.#rows;
    const at = this.#queuedCount * DISK_ROW_NUMBERS;
    rows[at] = kind;
    rows[at + 1] = slot;
    rows[at + 2] = memory;
    rows[at + 3] = memoryOffset;
    rows[at + 4] = byteLength;
    rows[at + 5] = positionBytes;
    this.#queuedCount++;
    this.#inFlightCount++;
    return true;
  }

  /**
   * Starts what was queued, in one system call; cheap if nothing was. Short of kernel memory, some
   * may stay queued (`queuedCount`) for the next call. A row that is malformed or reaches outside
   * its memory is our own mistake: it fails an assertion, and none has started.
   *
   * @throws StoreError `system_error`.
   * @hotpath
   */
  submit(): void {
    const count = this.#queuedCount;
    if (count === 0) return;
    const taken = addon().diskQueueSubmit(this.#queue, this.#rows, count);
    if (taken === count) {
      this.#queuedCount = 0;
      return;
    }
    assert(taken !== Errno.ERANGE, 'disk rows lie within their memories');
    if (taken === Errno.EAGAIN) return;
    requireResult('io_uring_enter', taken);
    this.#rows.copyWithin(0, taken * DISK_ROW_NUMBERS, count * DISK_ROW_NUMBERS);
    this.#queuedCount = count - taken;
  }

  /**
   * Whether `reap()` may find something; false only if it would not. No native call.
   *
   * @hotpath
   */
  hasCompletions(): boolean {
    return Atomics.load(this.#completions, 0) !== this.#completionsSeen;
  }

  /**
   * Takes all that has completed into `completedSlots` and `completedResults`; how many. May be 0
   * after `hasCompletions()`: a transfer that the kernel cut short is continued here.
   *
   * @hotpath
   */
  reap(): number {
    // Loaded before the native side looks: what completes in between is reported again, never lost.
    const seen = Atomics.load(this.#completions, 0);
    const count = addon().diskQueueReap(this.#queue, this.completedSlots, this.completedResults);
    assert(count >= 0, 'the queue is open');
    this.#completionsSeen = seen;
    this.#inFlightCount -= count;
    return count;
  }

  /** Waits for what is in flight, drops what was only queued, and frees all. Once. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    requireResult('disk queue', addon().diskQueueClose(this.#queue));
  }
}
