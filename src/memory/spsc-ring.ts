/**
 * A ring of fixed-size slots between one producer thread and one consumer thread.
 *
 * `head` counts the slots consumed, `tail` the slots published, both since the ring was reset, both
 * modulo 2^32: only their difference and their low bits mean anything. Each side stores one and
 * loads the other:
 *
 *   (P) producer fills slots, then stores `tail`  ->  consumer loads `tail`, then reads the slots
 *   (C) consumer reads slots, then stores `head`  ->  producer loads `head`, then reuses the slots
 *
 * A consumer that runs out of work parks; the producer rings a bell only for a parked one:
 *
 *   (S) consumer stores `parked = 1`, then loads `tail`, and sleeps only if it is unchanged
 *       producer stores `tail`, then loads `parked`, and rings if it is 1
 *
 * Atomics are sequentially consistent, so one of the two sees the other: no wake-up is lost. The
 * producer takes the flag down as it rings, so that a consumer which takes long to wake is rung
 * once and not for every slot.
 */
import { assert } from '../base/assert.ts';
import { StoreError } from '../base/errors.ts';
import { type Region, WORD_BYTES, WORD_SHIFT } from './region.ts';

/** Words in a ring's header, from its start. 128 bytes apart: prefetch takes lines in pairs. */
export const RingWord = {
  /** Slots consumed. Written by the consumer. */
  HEAD: 0,
  /** Slots published. Written by the producer. */
  TAIL: 32,
  /** 1 while the consumer sleeps or is about to. Set by the consumer, cleared by either. */
  CONSUMER_PARKED: 64,
} as const;

/** Slots start here, from the start of the ring. */
export const RING_HEADER_BYTES = 384;

/** Rings start at multiples of this, or the separation within them would be worth nothing. */
export const RING_ALIGNMENT_BYTES = 128;

/** Index differences are exact up to half the counters' range; far more than any ring here. */
const SLOT_COUNT_MAX = 2 ** 30;

/** What `claim()` returns when the consumer has not yet made room. */
export const RING_FULL = -1;

export interface RingGeometry {
  /** Where the ring starts in its region: a multiple of `RING_ALIGNMENT_BYTES`. */
  readonly offset: number;
  /** A power of two. */
  readonly slotCount: number;
  /** A multiple of 4. */
  readonly slotBytes: number;
}

/** Bytes of the region that a ring takes, rounded so that the next ring may follow. */
export function ringBytes(slotCount: number, slotBytes: number): number {
  const end = RING_HEADER_BYTES + slotCount * slotBytes;
  return Math.ceil(end / RING_ALIGNMENT_BYTES) * RING_ALIGNMENT_BYTES;
}

/** Empties a ring that neither side is using. Slots keep their bytes. */
export function resetRing(region: Region, offset: number): void {
  const base = offset / WORD_BYTES;
  Atomics.store(region.words, base + RingWord.CONSUMER_PARKED, 0);
  Atomics.store(region.words, base + RingWord.HEAD, 0);
  Atomics.store(region.words, base + RingWord.TAIL, 0);
}

/** The producing side. One instance per ring and life; it goes on where the ring's words stand. */
export class RingProducer {
  readonly #words: Int32Array;
  readonly #headWord: number;
  readonly #tailWord: number;
  readonly #parkedWord: number;
  readonly #slotsOffset: number;
  readonly #slotCount: number;
  readonly #slotBytes: number;
  #tail: number; // Ahead of the shared tail by the slots claimed but not published.
  #headSeen: number; // A stale head hides room that exists; it never shows room that does not.

  /** @throws StoreError `ring_corrupt` if head and tail cannot be those of such a ring. */
  constructor(region: Region, geometry: RingGeometry) {
    assertGeometry(region, geometry);
    const base = geometry.offset / WORD_BYTES;
    this.#words = region.words;
    this.#headWord = base + RingWord.HEAD;
    this.#tailWord = base + RingWord.TAIL;
    this.#parkedWord = base + RingWord.CONSUMER_PARKED;
    this.#slotsOffset = geometry.offset + RING_HEADER_BYTES;
    this.#slotCount = geometry.slotCount;
    this.#slotBytes = geometry.slotBytes;
    this.#tail = Atomics.load(this.#words, this.#tailWord);
    this.#headSeen = Atomics.load(this.#words, this.#headWord);
    this.#loadHead();
  }

  /** Slots claimed since the ring was reset, modulo 2^32. */
  get claimedCount(): number {
    return this.#tail;
  }

  /**
   * How many slots can be claimed, looking at the consumer's head only if fewer than `wanted` are
   * known to be free. @hotpath
   *
   * @throws StoreError `ring_corrupt` if the consumer's head is impossible.
   */
  roomCount(wanted: number): number {
    const room = this.#slotCount - ((this.#tail - this.#headSeen) | 0);
    if (room >= wanted) return room;
    this.#loadHead();
    return this.#slotCount - ((this.#tail - this.#headSeen) | 0);
  }

  /**
   * Byte offset in the region of a slot to fill before the next `publish()`, or `RING_FULL`.
   * @hotpath
   *
   * @throws StoreError `ring_corrupt` if the consumer's head is impossible.
   */
  claim(): number {
    if (((this.#tail - this.#headSeen) | 0) === this.#slotCount) {
      this.#loadHead();
      if (((this.#tail - this.#headSeen) | 0) === this.#slotCount) return RING_FULL;
    }
    const slot = this.#tail & (this.#slotCount - 1);
    this.#tail = (this.#tail + 1) | 0;
    return this.#slotsOffset + slot * this.#slotBytes;
  }

  /**
   * Shows the consumer every slot claimed so far. True if it was parked: the caller must ring its
   * bell. Costs two atomic operations even if nothing was claimed. @hotpath
   */
  publish(): boolean {
    Atomics.store(this.#words, this.#tailWord, this.#tail); // (P), (S)
    if (Atomics.load(this.#words, this.#parkedWord) === 0) return false; // (S)
    return Atomics.exchange(this.#words, this.#parkedWord, 0) !== 0;
  }

  #loadHead(): void {
    const head = Atomics.load(this.#words, this.#headWord); // (C)
    const used = (this.#tail - head) | 0;
    // The consumer may be a guest: its counter is input to check, not an invariant to assert.
    if (used < 0 || used > this.#slotCount || ((head - this.#headSeen) | 0) < 0) {
      throw new StoreError('ring_corrupt', { head, tail: this.#tail });
    }
    this.#headSeen = head;
  }
}

/** The consuming side. One instance per ring and life; it goes on where the ring's words stand. */
export class RingConsumer {
  readonly #words: Int32Array;
  readonly #headWord: number;
  readonly #parkedWord: number;
  readonly #slotsOffset: number;
  readonly #slotCount: number;
  readonly #slotBytes: number;
  #head: number;
  #tailSeen: number;

  /** What `peek` read ahead of the oldest slot. Means nothing. */
  readAhead = 0;

  /** Index in the region's words of the word that changes when slots are published. */
  readonly tailWord: number;

  constructor(region: Region, geometry: RingGeometry) {
    assertGeometry(region, geometry);
    const base = geometry.offset / WORD_BYTES;
    this.#words = region.words;
    this.#headWord = base + RingWord.HEAD;
    this.tailWord = base + RingWord.TAIL;
    this.#parkedWord = base + RingWord.CONSUMER_PARKED;
    this.#slotsOffset = geometry.offset + RING_HEADER_BYTES;
    this.#slotCount = geometry.slotCount;
    this.#slotBytes = geometry.slotBytes;
    this.#head = Atomics.load(this.#words, this.#headWord);
    this.#tailSeen = this.#head;
  }

  /** What the tail word holds while there is nothing to consume: what a spinning wait expects. */
  get emptyTail(): number {
    return this.#head;
  }

  /**
   * How many slots are published and not consumed; one atomic load. @hotpath
   *
   * @throws StoreError `ring_corrupt` if the producer's tail is impossible or went back.
   */
  peek(): number {
    const tail = Atomics.load(this.#words, this.tailWord); // (P)
    // Nobody looks at this word. It makes the next slot's cache line travel together with the
    // tail's, and not after it: 45 ns of a round trip of 400 (bench channel).
    this.readAhead = this.#words[this.slotOffset(0) >>> WORD_SHIFT] as number;
    const published = (tail - this.#head) | 0;
    // The producer may be a guest: its counter is input to check, not an invariant to assert.
    if (published < 0 || published > this.#slotCount || ((tail - this.#tailSeen) | 0) < 0) {
      throw new StoreError('ring_corrupt', { head: this.#head, tail });
    }
    this.#tailSeen = tail;
    return published;
  }

  /**
   * Whether the tail has moved, also to where it cannot be: then `peek` throws. One atomic load.
   * @hotpath
   */
  hasWork(): boolean {
    return Atomics.load(this.#words, this.tailWord) !== this.#head; // (P)
  }

  /** Byte offset in the region of the `index`-th published slot, 0 being the oldest. @hotpath */
  slotOffset(index: number): number {
    const slot = (this.#head + index) & (this.#slotCount - 1);
    return this.#slotsOffset + slot * this.#slotBytes;
  }

  /**
   * Gives the oldest `count` slots back to the producer, which may overwrite them at once: what is
   * needed of them must have been copied. `count` is at most what `peek` returned. @hotpath
   */
  consume(count: number): void {
    assert(count >= 0 && count <= ((this.#tailSeen - this.#head) | 0), 'consumes what it has seen');
    this.#head = (this.#head + count) | 0;
    Atomics.store(this.#words, this.#headWord, this.#head); // (C)
  }

  /**
   * Announces that this side is going to sleep. False, and the announcement is taken back, if there
   * is work after all. True: sleep on the bell, then call `unpark()`.
   */
  prepareToPark(): boolean {
    Atomics.store(this.#words, this.#parkedWord, 1); // (S)
    if (!this.hasWork()) return true; // (S)
    this.unpark();
    return false;
  }

  /** Takes the announcement back. A producer that has seen it rings all the same. */
  unpark(): void {
    Atomics.store(this.#words, this.#parkedWord, 0);
  }
}

function assertGeometry(region: Region, { offset, slotCount, slotBytes }: RingGeometry): void {
  assert(slotCount > 0 && (slotCount & (slotCount - 1)) === 0, 'slotCount is a power of two');
  assert(slotCount <= SLOT_COUNT_MAX, 'slotCount is at most 2^30');
  assert(slotBytes > 0 && slotBytes % WORD_BYTES === 0, 'slotBytes is whole words');
  assert(offset >= 0 && offset % RING_ALIGNMENT_BYTES === 0, 'the ring is aligned');
  assert(offset + ringBytes(slotCount, slotBytes) <= region.byteLength, 'the ring fits its region');
}
