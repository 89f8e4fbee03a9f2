/**
 * The medium: what of a file survives what.
 *
 *   stored    survives the loss of power
 *   unsynced  completed since, in order: survives the death of a process; at a loss of power any
 *             subset of its 512-byte sectors is stored, and all the rest never was
 *
 * Reads see both. A sync moves to `stored` the writes that it covers. After a failed sync the
 * writes it should have covered stay unsynced for ever, as a kernel drops what it could not write.
 */
import type { Prng } from '../../src/base/prng.ts';
import { SECTOR_BYTES } from '../../src/base/units.ts';
import { FaultPlan } from './sim-faults.ts';
import { SparseBytes } from './sparse-bytes.ts';

export interface UnsyncedWrite {
  readonly positionBytes: number;
  readonly bytes: Uint8Array;
  /** 1 for each sector that is in the file and that no later write has replaced. */
  readonly sectors: Uint8Array;
  /** Its completion was seen, so that a sync queued from then on covers it. */
  reaped: boolean;
  /** A sync failed that should have covered it. */
  doomed: boolean;
}

/** Operations that reached the file, for tests and benches. Failed ones count too. */
export interface IoCounts {
  readCount: number;
  readBytes: number;
  writeCount: number;
  writeBytes: number;
  syncCount: number;
}

const LOSS = ['nothing', 'everything', 'prefix', 'prefix', 'subset', 'subset', 'subset'] as const;

export class SimFile {
  readonly name: string;
  readonly sizeBytes: number;
  readonly faults: FaultPlan;
  readonly counts: IoCounts = {
    readCount: 0,
    readBytes: 0,
    writeCount: 0,
    writeBytes: 0,
    syncCount: 0,
  };
  /** Who holds the owner's lock. */
  holder: string | undefined;
  readonly #prng: Prng;
  readonly #stored = new SparseBytes();
  #unsynced: UnsyncedWrite[] = [];

  constructor(name: string, sizeBytes: number, prng: Prng) {
    this.name = name;
    this.sizeBytes = sizeBytes;
    this.#prng = prng;
    this.faults = new FaultPlan(prng.fork());
  }

  get residentBytes(): number {
    return this.#stored.residentBytes;
  }

  get unsyncedCount(): number {
    return this.#unsynced.length;
  }

  /** What the processes see now. */
  read(target: Uint8Array, positionBytes: number): void {
    this.#stored.read(target, positionBytes);
    for (const write of this.#unsynced) overlay(target, positionBytes, write);
  }

  /** A write completes, without faults. */
  write(bytes: Uint8Array, positionBytes: number): UnsyncedWrite {
    return this.#land(bytes, positionBytes, undefined);
  }

  /** A write completes, well or not: undefined if it stored nothing. */
  writeWithFaults(bytes: Uint8Array, positionBytes: number): UnsyncedWrite | undefined {
    if (this.faults.strikes('lostWrite')) return undefined;
    if (this.faults.strikes('misdirectedWrite')) {
      const placeCount = Math.floor((this.sizeBytes - bytes.byteLength) / SECTOR_BYTES) + 1;
      return this.#land(bytes, this.#prng.below(placeCount) * SECTOR_BYTES, undefined);
    }
    if (this.faults.strikes('bitFlip')) {
      const flipped = bytes.slice();
      const at = this.#prng.below(flipped.byteLength);
      flipped[at] = (flipped[at] ?? 0) ^ (1 << this.#prng.below(8));
      return this.#land(flipped, positionBytes, undefined);
    }
    return this.#land(bytes, positionBytes, undefined);
  }

  /** A write was cut off: none, all or any of its sectors are in the file. */
  writeCutOff(bytes: Uint8Array, positionBytes: number): UnsyncedWrite | undefined {
    const extent = this.#prng.below(3);
    if (extent === 0) return undefined;
    if (extent === 1) return this.#land(bytes, positionBytes, undefined);
    return this.#land(bytes, positionBytes, this.#anySectors(bytes.byteLength));
  }

  /** The writes that a sync queued now covers. */
  coverable(): UnsyncedWrite[] {
    return this.#unsynced.filter((write) => write.reaped && !write.doomed);
  }

  /** A sync completes: these writes survive everything. */
  store(covered: readonly UnsyncedWrite[]): void {
    const set = new Set(covered.filter((write) => !write.doomed));
    for (const write of this.#unsynced) if (set.has(write)) this.#storeSectors(write);
    this.#unsynced = this.#unsynced.filter((write) => !set.has(write));
  }

  /** A sync fails: nobody knows what became of these writes. */
  doom(covered: readonly UnsyncedWrite[]): void {
    for (const write of covered) write.doomed = this.#prng.chance(0.75);
  }

  /** A process that did I/O here is gone: whatever sync comes next covers what it had written. */
  reapAll(): void {
    for (const write of this.#unsynced) write.reaped = true;
  }

  losePower(): void {
    const loss = this.#prng.pick(LOSS);
    const unsynced = this.#unsynced;
    const keptCount = this.#prng.below(unsynced.length + 1);
    for (const [index, write] of unsynced.entries()) {
      if (loss === 'everything') this.#storeSectors(write);
      else if (loss === 'prefix') this.#losePrefix(write, index, keptCount);
      else if (loss === 'subset') this.#loseSubset(write);
    }
    this.#unsynced = [];
  }

  /** Damages what is stored, as a failing medium does. */
  flipBit(positionBytes: number, bit: number): void {
    const byte = new Uint8Array(1);
    this.#stored.read(byte, positionBytes);
    byte[0] = (byte[0] ?? 0) ^ (1 << bit);
    this.#stored.write(byte, positionBytes);
  }

  /** Replaces what is stored, to put a file into a state that a test needs. Nothing is unsynced. */
  storeBytes(bytes: Uint8Array, positionBytes: number): void {
    this.#stored.write(bytes, positionBytes);
  }

  #losePrefix(write: UnsyncedWrite, index: number, keptCount: number): void {
    if (index < keptCount) this.#storeSectors(write);
    else if (index === keptCount) this.#storeSectors(write, this.#anySectors(write.bytes.length));
  }

  #loseSubset(write: UnsyncedWrite): void {
    const extent = this.#prng.below(3);
    if (extent === 1) this.#storeSectors(write);
    if (extent === 2) this.#storeSectors(write, this.#anySectors(write.bytes.length));
  }

  #anySectors(byteLength: number): Uint8Array {
    const sectors = new Uint8Array(byteLength / SECTOR_BYTES);
    // A tear is mostly at one place; a device with several channels leaves any pattern.
    if (this.#prng.chance(0.5)) {
      const kept = this.#prng.below(sectors.length + 1);
      return this.#prng.chance(0.5) ? sectors.fill(1, 0, kept) : sectors.fill(1, kept);
    }
    for (let i = 0; i < sectors.length; i++) sectors[i] = this.#prng.below(2);
    return sectors;
  }

  #land(bytes: Uint8Array, positionBytes: number, sectors: Uint8Array | undefined): UnsyncedWrite {
    const write: UnsyncedWrite = {
      positionBytes,
      bytes,
      sectors: sectors ?? new Uint8Array(bytes.byteLength / SECTOR_BYTES).fill(1),
      reaped: false,
      doomed: false,
    };
    this.#unsynced.push(write);
    return write;
  }

  /** Older unsynced writes must not show through, nor reappear later. */
  #storeSectors(write: UnsyncedWrite, mask?: Uint8Array): void {
    const { positionBytes, bytes, sectors } = write;
    for (let i = 0; i < sectors.length; i++) {
      if (sectors[i] !== 1 || (mask !== undefined && mask[i] !== 1)) continue;
      let end = i + 1;
      while (end < sectors.length && sectors[end] === 1 && (mask?.[end] ?? 1) === 1) end += 1;
      const run = bytes.subarray(i * SECTOR_BYTES, end * SECTOR_BYTES);
      this.#stored.write(run, positionBytes + i * SECTOR_BYTES);
      this.#replaceOlder(write, positionBytes + i * SECTOR_BYTES, run.byteLength);
      i = end;
    }
  }

  #replaceOlder(newer: UnsyncedWrite, positionBytes: number, byteLength: number): void {
    for (const older of this.#unsynced) {
      if (older === newer) return;
      const first = Math.max(0, (positionBytes - older.positionBytes) / SECTOR_BYTES);
      const end = (positionBytes + byteLength - older.positionBytes) / SECTOR_BYTES;
      if (end > first) older.sectors.fill(0, Math.min(first, older.sectors.length), end);
    }
  }
}

/** Puts onto bytes read at a position the sectors of a write that reach there. */
export function overlay(
  target: Uint8Array,
  positionBytes: number,
  write: Pick<UnsyncedWrite, 'positionBytes' | 'bytes' | 'sectors'>,
): void {
  const start = Math.max(positionBytes, write.positionBytes);
  const end = Math.min(positionBytes + target.byteLength, write.positionBytes + write.bytes.length);
  for (let position = start; position < end; ) {
    const within = position - write.positionBytes;
    const sector = Math.floor(within / SECTOR_BYTES);
    const next = Math.min(end, write.positionBytes + (sector + 1) * SECTOR_BYTES);
    if (write.sectors[sector] === 1) {
      target.set(
        write.bytes.subarray(within, next - write.positionBytes),
        position - positionBytes,
      );
    }
    position = next;
  }
}
