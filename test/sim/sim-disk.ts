/**
 * A `Disk` on one thread from one seed. Operations in flight complete in any order; each look for
 * completions lets some of them progress. Violations of the disk's contract, which a real disk
 * would answer with rare corruption, throw at once.
 */
import { assert } from '../../src/base/assert.ts';
import { StoreError } from '../../src/base/errors.ts';
import type { Prng } from '../../src/base/prng.ts';
import { SECTOR_BYTES } from '../../src/base/units.ts';
import { DiskKind } from '../../src/bindings/kinds.ts';
import { DISK_ENTRIES_MAX, DISK_SLOTS_MAX, type Disk } from '../../src/platform/disk.ts';
import { overlay, type SimFile, type UnsyncedWrite } from './sim-file.ts';
import type { SimProcess } from './sim-process.ts';

/** Memory of a read that is not finished holds this, so that nobody uses it early unnoticed. */
const UNREAD_BYTE = 0xa5;
const EIO = 5;
/** Some operations take far longer than others: a disk's own housekeeping. */
const SLOW_ODDS = 0.03;
const SLOW_LOOKS_MAX = 200;

/** The code under test broke the contract of the disk. Not a fault that it should handle. */
export class SimViolation extends Error {
  override readonly name = 'SimViolation';
}

interface Operation {
  readonly kind: number;
  readonly slot: number;
  /** Where to or from; empty for a sync. */
  readonly target: Uint8Array;
  /** A write's bytes as they were submitted. */
  bytes: Uint8Array;
  readonly positionBytes: number;
  /** What a sync covers: the writes reaped before it was queued. */
  readonly covered: readonly UnsyncedWrite[];
  written: UnsyncedWrite | undefined;
  result: number;
  /** Looks for completions that it still outlasts. */
  looksLeft: number;
}

const NOTHING = new Uint8Array(0);

export class SimDisk implements Disk {
  readonly sizeBytes: number;
  readonly alignmentBytes: number;
  readonly completedSlots = new Int32Array(DISK_ENTRIES_MAX);
  readonly completedResults = new Int32Array(DISK_ENTRIES_MAX);
  readonly eventFd = -1;
  readonly #process: SimProcess;
  readonly #file: SimFile;
  readonly #prng: Prng;
  readonly #readOnly: boolean;
  readonly #slots = new Set<number>();
  #queued: Operation[] = [];
  #submitted: Operation[] = [];
  #completed: Operation[] = [];
  #idleLooks = 0;
  #open: boolean = true;

  constructor(
    process: SimProcess,
    file: SimFile,
    prng: Prng,
    options: { readOnly: boolean; alignmentBytes: number },
  ) {
    this.#process = process;
    this.#file = file;
    this.#prng = prng;
    this.#readOnly = options.readOnly;
    this.alignmentBytes = options.alignmentBytes;
    this.sizeBytes = file.sizeBytes;
  }

  get inFlightCount(): number {
    return this.#slots.size;
  }

  queueRead(
    slot: number,
    memory: number,
    memoryOffset: number,
    byteLength: number,
    positionBytes: number,
  ): boolean {
    const target = this.#lend(memory, memoryOffset, byteLength);
    return this.#queue(DiskKind.READ, slot, target, positionBytes);
  }

  queueWrite(
    slot: number,
    memory: number,
    memoryOffset: number,
    byteLength: number,
    positionBytes: number,
  ): boolean {
    assert(!this.#readOnly, 'the disk was opened for writing');
    assert(positionBytes + byteLength <= this.sizeBytes, 'a write ends within the disk');
    const target = this.#lend(memory, memoryOffset, byteLength);
    return this.#queue(DiskKind.WRITE, slot, target, positionBytes);
  }

  queueSync(slot: number): boolean {
    return this.#queue(DiskKind.SYNC, slot, NOTHING, 0);
  }

  submit(): void {
    this.#requireUsable();
    if (this.#queued.length === 0) return;
    this.#process.point('submit.before');
    for (const operation of this.#queued) this.#start(operation);
    this.#queued = [];
    this.#process.point('submit.after');
  }

  hasCompletions(): boolean {
    this.#requireUsable();
    if (this.#completed.length === 0) this.#progress();
    return this.#completed.length > 0;
  }

  reap(): number {
    if (!this.hasCompletions()) return 0;
    this.#process.point('reap.before');
    const count = this.#prng.between(1, this.#completed.length);
    for (const [index, operation] of this.#completed.splice(0, count).entries()) {
      this.completedSlots[index] = operation.slot;
      this.completedResults[index] = operation.result;
      if (operation.written !== undefined) operation.written.reaped = true;
      this.#slots.delete(operation.slot);
    }
    // A death from here on finds the completions taken and nothing done about them.
    this.#process.point('reap.after');
    return count;
  }

  async read(bytes: Uint8Array, positionBytes: number): Promise<void> {
    this.#requireAligned(bytes, positionBytes);
    this.#process.point('read.before');
    bytes.fill(UNREAD_BYTE);
    await this.#turn();
    this.#file.counts.readCount += 1;
    this.#file.counts.readBytes += bytes.byteLength;
    const details = { positionBytes, byteLength: bytes.byteLength };
    if (positionBytes + bytes.byteLength > this.sizeBytes) {
      throw new StoreError('media_error', details);
    }
    if (this.#file.faults.strikes('readError')) throw new StoreError('media_error', details);
    this.#file.read(bytes, positionBytes);
  }

  async write(bytes: Uint8Array, positionBytes: number): Promise<void> {
    assert(!this.#readOnly, 'the disk was opened for writing');
    assert(positionBytes + bytes.byteLength <= this.sizeBytes, 'a write ends within the disk');
    this.#requireAligned(bytes, positionBytes);
    this.#process.point('write.before', () => this.#file.writeCutOff(bytes.slice(), positionBytes));
    const written = this.#write(bytes.slice(), positionBytes);
    await this.#turn();
    this.#process.point('write.after');
    if (written === 'failed') throw new StoreError('pool_failed', { positionBytes });
    if (written !== undefined) written.reaped = true;
  }

  async sync(): Promise<void> {
    this.#requireCold();
    this.#process.point('sync.before');
    const stored = this.#sync(this.#file.coverable());
    await this.#turn();
    this.#process.point('sync.after');
    if (!stored) throw new StoreError('pool_failed', {});
  }

  async close(): Promise<void> {
    this.#requireUsable();
    this.#process.point('close.before');
    while (this.#submitted.length > 0) this.#complete(0);
    this.#queued = [];
    this.#file.reapAll();
    this.#open = false;
    this.#file.holder = undefined;
    await this.#turn();
    this.#process.point('close.after');
  }

  /**
   * The process is gone. What was submitted may have any effect, in any order; what was only queued
   * has none. The lock is free once that is settled, as the kernel holds it open for that long.
   */
  kill(): void {
    if (!this.#open) return;
    this.#open = false;
    for (const operation of this.#prng.shuffle(this.#submitted)) {
      if (operation.kind === DiskKind.WRITE) {
        this.#file.writeCutOff(operation.bytes, operation.positionBytes);
      } else if (operation.kind === DiskKind.SYNC && this.#prng.chance(0.5)) {
        this.#file.store(operation.covered);
      }
    }
    this.#file.reapAll();
    this.#file.holder = undefined;
  }

  #lend(memory: number, memoryOffset: number, byteLength: number): Uint8Array {
    assert(memoryOffset % this.alignmentBytes === 0, 'memory is aligned');
    const bytes = this.#process.memories.require(memory);
    assert(memoryOffset + byteLength <= bytes.byteLength, 'lent memory exists');
    assert(byteLength > 0, 'a transfer moves something');
    return bytes.subarray(memoryOffset, memoryOffset + byteLength);
  }

  #queue(kind: number, slot: number, target: Uint8Array, positionBytes: number): boolean {
    this.#requireUsable();
    assert(positionBytes % this.alignmentBytes === 0, 'the position is aligned');
    assert(target.byteLength % this.alignmentBytes === 0, 'the length is aligned');
    assert(slot >= 0 && slot < DISK_SLOTS_MAX, 'a slot is below DISK_SLOTS_MAX');
    assert(!this.#slots.has(slot), 'one operation in flight per slot');
    if (this.#slots.size === DISK_ENTRIES_MAX) return false;
    this.#slots.add(slot);
    const covered = kind === DiskKind.SYNC ? this.#file.coverable() : [];
    this.#queued.push({
      kind,
      slot,
      target,
      bytes: NOTHING,
      positionBytes,
      covered,
      written: undefined,
      result: 0,
      looksLeft: this.#prng.chance(SLOW_ODDS) ? this.#prng.below(SLOW_LOOKS_MAX) : 0,
    });
    return true;
  }

  #start(operation: Operation): void {
    const { kind, target, positionBytes } = operation;
    this.#process.machine.trace(kind, operation.slot, positionBytes, target);
    if (kind === DiskKind.READ) target.fill(UNREAD_BYTE);
    if (kind === DiskKind.WRITE) {
      operation.bytes = target.slice();
      const end = positionBytes + target.byteLength;
      for (const other of this.#submitted) {
        if (other.kind !== DiskKind.WRITE) continue;
        const otherEnd = other.positionBytes + other.bytes.byteLength;
        if (other.positionBytes < end && positionBytes < otherEnd) {
          throw new SimViolation(`two writes in flight overlap at position ${positionBytes}`);
        }
      }
    }
    this.#submitted.push(operation);
  }

  /** Lets some operations complete. Bounded, so that a caller that only looks gets there too. */
  #progress(): void {
    if (this.#submitted.length === 0) return;
    this.#idleLooks += 1;
    if (this.#idleLooks < 4 && this.#prng.chance(0.4)) return;
    this.#idleLooks = 0;
    for (const operation of this.#submitted) if (operation.looksLeft > 0) operation.looksLeft -= 1;
    const count = this.#prng.between(1, this.#submitted.length);
    for (let i = 0; i < count; i++) {
      const index = this.#prng.below(this.#submitted.length);
      if (this.#submitted[index]?.looksLeft === 0) this.#complete(index);
      if (this.#submitted.length === 0) return;
    }
  }

  #complete(index: number): void {
    const operation = this.#submitted.splice(index, 1)[0];
    assert(operation !== undefined, 'an operation in flight');
    const { kind } = operation;
    if (kind === DiskKind.READ) operation.result = this.#finishRead(operation);
    else if (kind === DiskKind.WRITE) operation.result = this.#finishWrite(operation);
    else operation.result = this.#sync(operation.covered) ? 0 : -EIO;
    this.#process.machine.trace(kind, operation.slot, operation.result, NOTHING);
    this.#completed.push(operation);
  }

  #finishRead({ target, positionBytes }: Operation): number {
    const byteLength = Math.max(0, Math.min(target.byteLength, this.sizeBytes - positionBytes));
    this.#file.counts.readCount += 1;
    this.#file.counts.readBytes += byteLength;
    if (this.#file.faults.strikes('readError')) return -EIO;
    const bytes = target.subarray(0, byteLength);
    this.#file.read(bytes, positionBytes);
    // A write in flight to the same place shows in part.
    for (const { kind, bytes: written, positionBytes: at } of this.#submitted) {
      if (kind !== DiskKind.WRITE) continue;
      const sectors = new Uint8Array(written.byteLength / SECTOR_BYTES);
      for (let i = 0; i < sectors.length; i++) sectors[i] = this.#prng.below(2);
      overlay(bytes, positionBytes, { positionBytes: at, bytes: written, sectors });
    }
    return byteLength;
  }

  #finishWrite(operation: Operation): number {
    const { target, bytes, positionBytes } = operation;
    if (Buffer.compare(target, bytes) !== 0) {
      throw new SimViolation(`memory of a write changed in flight, position ${positionBytes}`);
    }
    const written = this.#write(bytes, positionBytes);
    if (written === 'failed') return -EIO;
    operation.written = written;
    return bytes.byteLength;
  }

  /** Undefined if nothing was stored although all looks well. */
  #write(bytes: Uint8Array, positionBytes: number): UnsyncedWrite | 'failed' | undefined {
    this.#file.counts.writeCount += 1;
    this.#file.counts.writeBytes += bytes.byteLength;
    if (this.#file.faults.strikes('writeError')) {
      this.#file.writeCutOff(bytes, positionBytes);
      return 'failed';
    }
    return this.#file.writeWithFaults(bytes, positionBytes);
  }

  #sync(covered: readonly UnsyncedWrite[]): boolean {
    this.#file.counts.syncCount += 1;
    if (this.#file.faults.strikes('syncError')) {
      this.#file.doom(covered);
      return false;
    }
    this.#file.store(covered);
    return true;
  }

  async #turn(): Promise<void> {
    await Promise.resolve();
    this.#process.requireAlive();
  }

  #requireAligned(bytes: Uint8Array, positionBytes: number): void {
    this.#requireCold();
    assert(bytes.byteLength > 0, 'a transfer moves something');
    assert(positionBytes % this.alignmentBytes === 0, 'the position is aligned');
    assert(bytes.byteLength % this.alignmentBytes === 0, 'the length is aligned');
  }

  #requireCold(): void {
    this.#requireUsable();
    assert(this.#slots.size === 0, 'the cold face is not mixed with operations in flight');
  }

  #requireUsable(): void {
    this.#process.requireAlive();
    assert(this.#open, 'the disk is open');
  }
}
