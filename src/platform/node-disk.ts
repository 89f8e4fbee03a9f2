/**
 * A pool file under direct I/O: the hot face is a queue of the addon, the cold face blocks the
 * calling thread, which has nothing else to do while a pool opens or is checked.
 */
import { assert } from '../base/assert.ts';
import { StoreError } from '../base/errors.ts';
import { type DiskBackend, DiskQueue } from '../bindings/disk-queue.ts';
import { closeFd, readAt, syncData, writeAt } from '../bindings/files.ts';
import { DISK_ENTRIES_MAX, DISK_SLOTS_MAX, type Disk } from './disk.ts';

export interface NodeDiskOptions {
  readonly sizeBytes: number;
  readonly alignmentBytes: number;
  readonly readOnly: boolean;
  readonly backend: DiskBackend;
}

export class NodeDisk implements Disk {
  readonly sizeBytes: number;
  readonly alignmentBytes: number;
  readonly eventFd: number;
  readonly completedSlots: Int32Array;
  readonly completedResults: Int32Array;
  readonly #fd: number;
  readonly #queue: DiskQueue;
  readonly #readOnly: boolean;
  readonly #inFlight = new Uint8Array(DISK_SLOTS_MAX);
  #open: boolean = true;

  /** Takes over a descriptor that was opened for direct I/O and holds the owner's lock. */
  constructor(fd: number, options: NodeDiskOptions) {
    const { sizeBytes, alignmentBytes, readOnly, backend } = options;
    this.#fd = fd;
    this.sizeBytes = sizeBytes;
    this.alignmentBytes = alignmentBytes;
    this.#readOnly = readOnly;
    this.#queue = new DiskQueue(fd, { entryCount: DISK_ENTRIES_MAX, backend });
    this.eventFd = this.#queue.eventFd;
    this.completedSlots = this.#queue.completedSlots;
    this.completedResults = this.#queue.completedResults;
  }

  get inFlightCount(): number {
    return this.#queue.inFlightCount;
  }

  /** `io_uring` or `threads`. */
  get backend(): string {
    return this.#queue.backend;
  }

  /** @hotpath */
  queueRead(
    slot: number,
    memory: number,
    memoryOffset: number,
    byteLength: number,
    positionBytes: number,
  ): boolean {
    this.#assertTransfer(slot, memoryOffset, byteLength, positionBytes);
    const taken = this.#queue.queueRead(slot, memory, memoryOffset, byteLength, positionBytes);
    if (taken) this.#inFlight[slot] = 1;
    return taken;
  }

  /** @hotpath */
  queueWrite(
    slot: number,
    memory: number,
    memoryOffset: number,
    byteLength: number,
    positionBytes: number,
  ): boolean {
    assert(!this.#readOnly, 'the disk was opened for writing');
    assert(positionBytes + byteLength <= this.sizeBytes, 'a write ends within the disk');
    this.#assertTransfer(slot, memoryOffset, byteLength, positionBytes);
    const taken = this.#queue.queueWrite(slot, memory, memoryOffset, byteLength, positionBytes);
    if (taken) this.#inFlight[slot] = 1;
    return taken;
  }

  /** @hotpath */
  queueSync(slot: number): boolean {
    this.#assertSlot(slot);
    const taken = this.#queue.queueSync(slot);
    if (taken) this.#inFlight[slot] = 1;
    return taken;
  }

  /** @hotpath */
  submit(): void {
    this.#queue.submit();
  }

  /** @hotpath */
  hasCompletions(): boolean {
    return this.#queue.hasCompletions();
  }

  /** @hotpath */
  reap(): number {
    const count = this.#queue.reap();
    for (let i = 0; i < count; i++) this.#inFlight[this.completedSlots[i] as number] = 0;
    return count;
  }

  async read(bytes: Uint8Array, positionBytes: number): Promise<void> {
    this.#assertCold(bytes, positionBytes);
    const details = { positionBytes, byteLength: bytes.byteLength };
    let readBytes: number;
    try {
      readBytes = readAt(this.#fd, bytes, positionBytes);
    } catch (cause) {
      throw new StoreError('media_error', details, { cause });
    }
    if (readBytes !== bytes.byteLength)
      throw new StoreError('media_error', { ...details, readBytes });
  }

  async write(bytes: Uint8Array, positionBytes: number): Promise<void> {
    assert(!this.#readOnly, 'the disk was opened for writing');
    assert(positionBytes + bytes.byteLength <= this.sizeBytes, 'a write ends within the disk');
    this.#assertCold(bytes, positionBytes);
    try {
      writeAt(this.#fd, bytes, positionBytes);
    } catch (cause) {
      const details = { positionBytes, byteLength: bytes.byteLength };
      throw new StoreError('pool_failed', details, { cause });
    }
  }

  async sync(): Promise<void> {
    assert(this.#open, 'the disk is open');
    try {
      syncData(this.#fd);
    } catch (cause) {
      throw new StoreError('pool_failed', {}, { cause });
    }
  }

  async close(): Promise<void> {
    if (!this.#open) return;
    this.#open = false;
    this.#queue.close();
    closeFd(this.#fd);
  }

  /** @hotpath */
  #assertSlot(slot: number): void {
    assert(this.#open, 'the disk is open');
    assert(slot >= 0 && slot < DISK_SLOTS_MAX, 'a slot is below DISK_SLOTS_MAX');
    assert(this.#inFlight[slot] === 0, 'one operation in flight per slot');
  }

  /** @hotpath */
  #assertTransfer(
    slot: number,
    memoryOffset: number,
    byteLength: number,
    positionBytes: number,
  ): void {
    this.#assertSlot(slot);
    const alignmentBytes = this.alignmentBytes;
    assert(memoryOffset % alignmentBytes === 0, 'memory is aligned');
    assert(positionBytes % alignmentBytes === 0, 'the position is aligned');
    assert(byteLength % alignmentBytes === 0, 'the length is aligned');
    assert(byteLength > 0, 'a transfer moves something');
  }

  #assertCold(bytes: Uint8Array, positionBytes: number): void {
    assert(this.#open, 'the disk is open');
    assert(this.inFlightCount === 0, 'the cold face is not mixed with operations in flight');
    assert(bytes.byteOffset % this.alignmentBytes === 0, 'memory is aligned');
    assert(positionBytes % this.alignmentBytes === 0, 'the position is aligned');
    assert(bytes.byteLength % this.alignmentBytes === 0, 'the length is aligned');
    assert(bytes.byteLength > 0, 'a transfer moves something');
  }
}
