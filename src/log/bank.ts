/**
 * The bank of an open pool (R2): the mapped file, its journal, and which segment lies in which
 * buffer.
 *
 * A buffer serves one segment from its first block to its last. It stays a read source after that,
 * until another segment needs it; and it is not taken before the sync of its last commit returned,
 * because until then the bank may hold the only copy.
 */
import { assert } from '../base/assert.ts';
import { BLOCK_BYTES } from '../base/units.ts';
import {
  type BankGeometry,
  type BankIdentity,
  bankBytesOf,
  bufferOffsetOf,
  encodeBankHeader,
  frameSeedOf,
} from '../formats/bank.ts';
import { type Geometry, NO_SEGMENT } from '../formats/geometry.ts';
import { bankNameOf } from '../formats/superblock.ts';
import type { Kernels, MappedFile, Platform } from '../platform/platform.ts';
import { Journal } from './journal.ts';

/** No buffer can be taken: some sync must return first. */
export const NO_BUFFER = -1;
/** While a segment is open, its buffer's last commit is unknown. */
const STILL_OPEN = Number.POSITIVE_INFINITY;

export class Bank {
  readonly name: string;
  readonly bankId: Uint8Array;
  /** The whole file, seen in three ways. */
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly words: Uint32Array;
  /** As known to `CopyBatch` and `Disk`. */
  readonly memory: number;
  readonly journal: Journal;
  readonly #kernels: Kernels;
  readonly #file: MappedFile;
  readonly #geometry: BankGeometry;
  readonly #bufferOfSegment: Int8Array;
  readonly #segmentOfBuffer: Uint32Array;
  readonly #lastSequence: Float64Array;

  /**
   * Makes the bank file of a pool, replacing one of that name.
   *
   * @throws StoreError `bank_unavailable` if there is no room.
   */
  constructor(
    platform: Platform,
    identity: BankIdentity,
    pool: Geometry,
    bufferCount: number,
    journalUnits: number,
  ) {
    assert(bufferCount >= 2 && bufferCount < 128, 'a bank has 2 to 127 buffers');
    this.#geometry = { journalUnits, bufferCount, bufferBytes: pool.segmentBytes };
    this.#kernels = platform.kernels;
    this.name = bankNameOf(identity.poolId, identity.bankId);
    this.bankId = identity.bankId;
    platform.banks.remove(this.name);
    this.#file = platform.banks.create(this.name, bankBytesOf(this.#geometry));
    this.bytes = this.#file.bytes;
    const { buffer, byteOffset, byteLength } = this.bytes;
    this.view = new DataView(buffer, byteOffset, byteLength);
    this.words = new Uint32Array(buffer, byteOffset, byteLength >>> 2);
    encodeBankHeader(this.bytes, identity, this.#geometry, platform.kernels);
    this.memory = platform.kernels.registerMemory(this.bytes);
    const seed = frameSeedOf(identity.bankId);
    this.journal = new Journal(this.bytes, this.#geometry, seed, platform.kernels);
    this.#bufferOfSegment = new Int8Array(pool.segmentCount).fill(NO_BUFFER);
    this.#segmentOfBuffer = new Uint32Array(bufferCount).fill(NO_SEGMENT);
    this.#lastSequence = new Float64Array(bufferCount);
  }

  /** @hotpath */
  bufferOf(segment: number): number {
    return this.#bufferOfSegment[segment] as number;
  }

  /** Byte offset of a block in `memory`, or -1 if its segment lies in no buffer. @hotpath */
  offsetOf(segment: number, block: number): number {
    const buffer = this.#bufferOfSegment[segment];
    if (buffer === undefined || buffer < 0) return -1;
    return bufferOffsetOf(this.#geometry, buffer) + block * BLOCK_BYTES;
  }

  /** Gives a newly opened segment a buffer, or returns false if none can be taken yet. */
  attach(segment: number, durableSequence: number): boolean {
    // The segment may have been freed and opened again while its old image still lay here.
    this.detach(segment);
    const buffer = this.#takeBuffer(durableSequence);
    if (buffer === NO_BUFFER) return false;
    const old = this.#segmentOfBuffer[buffer] as number;
    if (old !== NO_SEGMENT) this.#bufferOfSegment[old] = NO_BUFFER;
    this.#segmentOfBuffer[buffer] = segment;
    this.#bufferOfSegment[segment] = buffer;
    this.#lastSequence[buffer] = STILL_OPEN;
    return true;
  }

  /** The least recently filled buffer whose commits are all durable. */
  #takeBuffer(durableSequence: number): number {
    let best = NO_BUFFER;
    let bestSequence = durableSequence;
    for (let buffer = 0; buffer < this.#lastSequence.length; buffer++) {
      const sequence = this.#lastSequence[buffer] as number;
      if (sequence > bestSequence) continue;
      best = buffer;
      bestSequence = sequence;
    }
    return best;
  }

  /** The segment is sealed, and this was the last commit in it. */
  seal(segment: number, lastSequence: number): void {
    const buffer = this.bufferOf(segment);
    assert(buffer !== NO_BUFFER, 'an open segment has a buffer');
    this.#lastSequence[buffer] = lastSequence;
  }

  /** Forgets the image of a segment, if there is one. All its commits must be durable. */
  detach(segment: number): void {
    const buffer = this.bufferOf(segment);
    if (buffer === NO_BUFFER) return;
    this.#bufferOfSegment[segment] = NO_BUFFER;
    this.#segmentOfBuffer[buffer] = NO_SEGMENT;
    this.#lastSequence[buffer] = 0;
  }

  /** Lets go of the memory. The file stays for the next open; `Platform.banks` removes it. */
  close(): void {
    this.#kernels.unregisterMemory(this.memory);
    this.#file.close();
  }
}
