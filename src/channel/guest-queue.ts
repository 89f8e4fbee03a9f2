/**
 * The guest's half of one queue pair: numbers commands, keeps a private copy of each until its
 * completion is read, and can therefore hand the very same commands to the next host.
 *
 * A tag goes through four states, and only its owner moves it on:
 *
 *   free --claimTag--> claimed --submit--> in flight --reap--> reaped --releaseTag--> free
 *                         └-------------releaseTag--------------------------------------^
 *
 * A tag stays reserved until it is released, so tables by tag stay good while answers are handed
 * out. At most `queueDepth` commands are in flight, so the completion ring cannot overflow.
 */
import { assert } from '../base/assert.ts';
import { StoreError } from '../base/errors.ts';
import { setU16, setU32 } from '../base/record.ts';
import { SECTOR_BYTES } from '../base/units.ts';
import type { Bell } from '../memory/bell.ts';
import { type Region, WORD_BYTES, WORD_SHIFT } from '../memory/region.ts';
import { RING_FULL, RingConsumer, RingProducer, resetRing } from '../memory/spsc-ring.ts';
import type { QueueLayout, RegionLayout } from './geometry.ts';
import {
  Completion,
  EXTENTS_INLINE_MAX,
  EXTENTS_MAX,
  ExtentEntry,
  Submission,
} from './protocol.ts';

/** What `claimTag()` returns while all tags are out: reap, release, try again. */
export const NO_TAG = -1;

const SUBMISSION_WORDS = Submission.byteLength / WORD_BYTES;
// The words of a submission; the first holds opcode, flags and tag.
const FLAGS_SHIFT = 8;
const TAG_SHIFT = 16;
const EXTENT_COUNT_WORD = Submission.extentCount / WORD_BYTES;
const SUBMITTED_OPERATION_WORD = Submission.operation / WORD_BYTES;
const SECTOR_INDEX_WORD = Submission.sectorIndex / WORD_BYTES;
const SECTOR_COUNT_WORD = Submission.sectorCount / WORD_BYTES;
const TABLE_WORD = Submission.tableOffset / WORD_BYTES;
const EXTENTS_WORD = Submission.firstOffset / WORD_BYTES;
assert(Submission.reserved / WORD_BYTES === 12, 'a command is copied up to its reserve');
const TWO_POW_32 = 0x1_0000_0000;

const FREE = 0;
const CLAIMED = 1;
const IN_FLIGHT = 2;
const REAPED = 3;

// The words of a completion, each of which is read once.
const TAG_AND_STATUS_WORD = Completion.tag / WORD_BYTES;
const CONGESTION_WORD = Completion.reservedFlags / WORD_BYTES;
const OPERATION_WORD = Completion.operation / WORD_BYTES;
const RESULT_WORD = Completion.resultBytes / WORD_BYTES;

export interface GuestQueueOptions {
  readonly region: Region;
  readonly layout: RegionLayout;
  readonly queueIndex: number;
  /** Rung when commands are published while the host is parked. */
  readonly hostBell: Bell;
  /** Operation number of the first command; above all that this guest id used on this queue. */
  readonly firstOperation?: number;
}

export class GuestQueue {
  readonly queueDepth: number;
  readonly queueIndex: number;

  /** Filled by `reap`: entry i is valid below the count it returned, until its next call. */
  readonly reapedTags: Uint16Array;
  /** 0 or the status of an error (`codeOf`). */
  readonly reapedStatuses: Uint16Array;
  readonly reapedBytes: Uint32Array;
  /** The host's latest wish to hold back: 0 (none) to 65,535. */
  congestion = 0;
  /** How often `publish` had to ring. */
  bellsRung = 0;

  readonly #region: Region;
  readonly #layout: QueueLayout;
  readonly #dataOffset: number;
  readonly #dataBytes: number;
  #hostBell: Bell;
  #submissions: RingProducer;
  #completions: RingConsumer;

  // Private, because it must be right after a host has had its hands on the rings.
  readonly #commandWords: Int32Array;
  readonly #commands: DataView;
  readonly #operations: Float64Array;
  readonly #states: Uint8Array;
  readonly #freeTags: Uint16Array;
  #freeCount: number;
  #inFlightCount = 0;
  #unpublishedCount = 0;
  #nextOperation: number;

  constructor({ region, layout, queueIndex, hostBell, firstOperation = 1 }: GuestQueueOptions) {
    const queue = layout.queues[queueIndex];
    assert(queue !== undefined, 'the queue is one of the layout');
    assert(firstOperation >= 1, 'operation 0 means none');
    const depth = layout.geometry.queueDepth;
    this.queueDepth = depth;
    this.queueIndex = queueIndex;
    this.reapedTags = new Uint16Array(depth);
    this.reapedStatuses = new Uint16Array(depth);
    this.reapedBytes = new Uint32Array(depth);
    this.#region = region;
    this.#layout = queue;
    this.#dataOffset = layout.dataOffset;
    this.#dataBytes = layout.dataBytes;
    this.#hostBell = hostBell;
    this.#submissions = submissionProducer(region, queue, depth);
    this.#completions = completionConsumer(region, queue, depth);
    this.#commandWords = new Int32Array(depth * SUBMISSION_WORDS);
    this.#commands = new DataView(this.#commandWords.buffer);
    this.#operations = new Float64Array(depth);
    this.#states = new Uint8Array(depth);
    this.#freeTags = Uint16Array.from({ length: depth }, (_, i) => depth - 1 - i);
    this.#freeCount = depth;
    this.#nextOperation = firstOperation;
  }

  get inFlightCount(): number {
    return this.#inFlightCount;
  }

  /** Tags that `claimTag` can still give out. */
  get freeCount(): number {
    return this.#freeCount;
  }

  /** Operation number that the next submitted command will get. */
  get nextOperation(): number {
    return this.#nextOperation;
  }

  /** Reserves a tag below `queueDepth`, or `NO_TAG`. @hotpath */
  claimTag(): number {
    if (this.#freeCount === 0) return NO_TAG;
    this.#freeCount--;
    const tag = this.#freeTags[this.#freeCount] as number;
    this.#states[tag] = CLAIMED;
    return tag;
  }

  /** Gives back a tag that was reaped, or claimed and not submitted. @hotpath */
  releaseTag(tag: number): void {
    const state = this.#states[tag];
    assert(state === CLAIMED || state === REAPED, 'a tag in flight is not released');
    this.#states[tag] = FREE;
    this.#freeTags[this.#freeCount] = tag;
    this.#freeCount++;
  }

  /** True from `submit` to the `reap` that returns it. @hotpath */
  isInFlight(tag: number): boolean {
    return this.#states[tag] === IN_FLIGHT;
  }

  /**
   * Writes a claimed tag's command, as yet without extents. Sectors are 512 bytes, counted from the
   * start of the volume. @hotpath
   */
  encode(
    tag: number,
    opcode: number,
    flags: number,
    sectorIndex: number,
    sectorCount: number,
  ): void {
    assert(this.#states[tag] === CLAIMED, 'a command is written before it is submitted');
    const words = this.#commandWords;
    const row = tag * SUBMISSION_WORDS;
    words[row] = opcode | (flags << FLAGS_SHIFT) | (tag << TAG_SHIFT);
    words[row + SECTOR_INDEX_WORD] = sectorIndex | 0;
    words[row + SECTOR_INDEX_WORD + 1] = (sectorIndex / TWO_POW_32) | 0;
    words[row + SECTOR_COUNT_WORD] = sectorCount;
    // What an earlier command may have left; its reserve was never anything but zeros.
    words[row + EXTENT_COUNT_WORD] = 0;
    words[row + TABLE_WORD] = 0;
    words[row + EXTENTS_WORD] = 0;
    words[row + EXTENTS_WORD + 1] = 0;
    words[row + EXTENTS_WORD + 2] = 0;
    words[row + EXTENTS_WORD + 3] = 0;
  }

  /** Sets the only extent of a claimed, encoded command. Bytes from the start of the data area. @hotpath */
  setExtent(tag: number, offset: number, byteLength: number): void {
    this.#assertExtent(tag, offset, byteLength);
    const at = tag * Submission.byteLength;
    setU16(this.#commands, at, Submission.extentCount, 1);
    setU32(this.#commands, at, Submission.firstOffset, offset);
    setU32(this.#commands, at, Submission.firstBytes, byteLength);
  }

  /** Adds the second extent to a command that has one. @hotpath */
  setSecondExtent(tag: number, offset: number, byteLength: number): void {
    this.#assertExtent(tag, offset, byteLength);
    const at = tag * Submission.byteLength;
    setU16(this.#commands, at, Submission.extentCount, EXTENTS_INLINE_MAX);
    setU32(this.#commands, at, Submission.secondOffset, offset);
    setU32(this.#commands, at, Submission.secondBytes, byteLength);
  }

  /**
   * Says that the command's extents, more than two, stand in the table at this offset of the data
   * area (`writeTableEntry`). The table must stay as it is until the command is reaped. @hotpath
   */
  setTable(tag: number, tableOffset: number, extentCount: number): void {
    assert(extentCount > EXTENTS_INLINE_MAX, 'fewer extents stand in the command');
    assert(extentCount <= EXTENTS_MAX, 'a table has at most EXTENTS_MAX extents');
    this.#assertExtent(tag, tableOffset, extentCount * ExtentEntry.byteLength);
    const at = tag * Submission.byteLength;
    setU16(this.#commands, at, Submission.extentCount, extentCount);
    setU32(this.#commands, at, Submission.tableOffset, tableOffset);
  }

  /** Writes entry `index` of a table in the data area. @hotpath */
  writeTableEntry(tableOffset: number, index: number, offset: number, byteLength: number): void {
    const entry = tableOffset + index * ExtentEntry.byteLength;
    assert(entry + ExtentEntry.byteLength <= this.#dataBytes, 'the table is in the data area');
    setU32(this.#region.view, this.#dataOffset + entry, ExtentEntry.offset, offset);
    setU32(this.#region.view, this.#dataOffset + entry, ExtentEntry.bytes, byteLength);
  }

  /** One extent, and the sectors that it holds: `encode` and `setExtent` in one. @hotpath */
  encodeTransfer(
    tag: number,
    opcode: number,
    flags: number,
    sectorIndex: number,
    offset: number,
    byteLength: number,
  ): void {
    this.encode(tag, opcode, flags, sectorIndex, byteLength / SECTOR_BYTES);
    this.setExtent(tag, offset, byteLength);
  }

  /**
   * Numbers the command of a claimed tag and puts it into the ring; the host sees it at `publish`.
   * @hotpath
   *
   * @throws StoreError `protocol_violation` if the host answered commands that it did not take.
   */
  submit(tag: number): void {
    assert(this.#states[tag] === CLAIMED, 'a claimed tag is submitted once');
    const operation = this.#nextOperation;
    this.#nextOperation++;
    this.#operations[tag] = operation;
    const at = tag * SUBMISSION_WORDS + SUBMITTED_OPERATION_WORD;
    this.#commandWords[at] = operation | 0;
    this.#commandWords[at + 1] = (operation / TWO_POW_32) | 0;
    this.#states[tag] = IN_FLIGHT;
    this.#inFlightCount++;
    this.#push(tag);
  }

  /** Shows the host what was submitted since the last call, and wakes it if it sleeps. @hotpath */
  publish(): void {
    if (this.#unpublishedCount === 0) return;
    this.#unpublishedCount = 0;
    if (this.#submissions.publish()) {
      this.bellsRung++;
      this.#hostBell.ring();
    }
  }

  /** Whether `reap` would find something. @hotpath */
  hasWork(): boolean {
    return this.#completions.hasWork();
  }

  /**
   * Reads at most `countMax` completions into the `reaped` arrays, and returns how many. Their tags
   * are to be released by the caller when it is done with them. @hotpath
   *
   * @throws StoreError `protocol_violation` if the host answers what was not asked, `ring_corrupt`.
   */
  reap(countMax: number): number {
    const ring = this.#completions;
    const published = ring.peek();
    const count = published < countMax ? published : countMax;
    if (count === 0) return 0;
    const { words } = this.#region;
    for (let i = 0; i < count; i++) {
      const at = ring.slotOffset(i) >>> WORD_SHIFT;
      const tagAndStatus = words[at + TAG_AND_STATUS_WORD] as number;
      const low = (words[at + OPERATION_WORD] as number) >>> 0;
      const high = (words[at + OPERATION_WORD + 1] as number) >>> 0;
      const tag = tagAndStatus & 0xffff;
      if (tag >= this.queueDepth || this.#states[tag] !== IN_FLIGHT) {
        throw new StoreError('protocol_violation', { notInFlightTag: tag });
      }
      if (this.#operations[tag] !== high * TWO_POW_32 + low) {
        throw new StoreError('protocol_violation', { wrongOperationTag: tag });
      }
      this.#states[tag] = REAPED;
      this.#inFlightCount--;
      this.reapedTags[i] = tag;
      this.reapedStatuses[i] = tagAndStatus >>> 16;
      this.reapedBytes[i] = (words[at + RESULT_WORD] as number) >>> 0;
      this.congestion = (words[at + CONGESTION_WORD] as number) >>> 16;
    }
    ring.consume(count);
    return count;
  }

  /** Announces a sleep; false if there are completions after all. Then sleep, then `unpark`. */
  prepareToPark(): boolean {
    return this.#completions.prepareToPark();
  }

  unpark(): void {
    this.#completions.unpark();
  }

  /** The word a spinning wait watches, and what it holds while nothing is there to reap. */
  get completionWord(): number {
    return this.#completions.tailWord;
  }

  get emptyCompletionWord(): number {
    return this.#completions.emptyTail;
  }

  /**
   * After the loss of a host: empties both rings and puts back every command without a completion,
   * oldest operation first, with the tags and operation numbers they had. Returns how many.
   *
   * Only when the earlier host can no longer touch the region, so after the next one has said
   * `attached`; and only after `reap` returned 0: what the earlier host completed stays completed.
   * The host sees the commands as soon as it looks.
   */
  replay(hostBell: Bell): number {
    assert(!this.hasWork(), 'what was completed is reaped before the rings are emptied');
    resetRing(this.#region, this.#layout.submissionOffset);
    resetRing(this.#region, this.#layout.completionOffset);
    this.#submissions = submissionProducer(this.#region, this.#layout, this.queueDepth);
    this.#completions = completionConsumer(this.#region, this.#layout, this.queueDepth);
    this.#hostBell = hostBell;

    const tags: number[] = [];
    for (let tag = 0; tag < this.queueDepth; tag++) if (this.isInFlight(tag)) tags.push(tag);
    tags.sort((a, b) => (this.#operations[a] as number) - (this.#operations[b] as number));
    this.#unpublishedCount = 0;
    for (const tag of tags) this.#push(tag);
    this.publish();
    return tags.length;
  }

  /**
   * Gives up on every command in flight: their tags, oldest operation first, are the caller's to
   * answer and to release. The queue can be used again only after `replay`.
   */
  abandon(): number[] {
    const tags: number[] = [];
    for (let tag = 0; tag < this.queueDepth; tag++) if (this.isInFlight(tag)) tags.push(tag);
    tags.sort((a, b) => (this.#operations[a] as number) - (this.#operations[b] as number));
    for (const tag of tags) this.#states[tag] = REAPED;
    this.#inFlightCount = 0;
    this.#unpublishedCount = 0;
    return tags;
  }

  #push(tag: number): void {
    const slot = this.#submissions.claim();
    // Tags are as many as slots, and a completed command's slot was consumed before.
    if (slot === RING_FULL) throw new StoreError('protocol_violation', { answeredUntakenTag: tag });
    const target = slot >>> WORD_SHIFT;
    const source = tag * SUBMISSION_WORDS;
    const { words } = this.#region;
    const copy = this.#commandWords;
    // Written out: as a loop it costs twice as much (guest_submit_ns, bench parts). The slot's
    // reserve holds the zeros that the memory was made of.
    words[target] = copy[source] as number;
    words[target + 1] = copy[source + 1] as number;
    words[target + 2] = copy[source + 2] as number;
    words[target + 3] = copy[source + 3] as number;
    words[target + 4] = copy[source + 4] as number;
    words[target + 5] = copy[source + 5] as number;
    words[target + 6] = copy[source + 6] as number;
    words[target + 7] = copy[source + 7] as number;
    words[target + 8] = copy[source + 8] as number;
    words[target + 9] = copy[source + 9] as number;
    words[target + 10] = copy[source + 10] as number;
    words[target + 11] = copy[source + 11] as number;
    this.#unpublishedCount++;
  }

  #assertExtent(tag: number, offset: number, byteLength: number): void {
    assert(this.#states[tag] === CLAIMED, 'a command is written before it is submitted');
    assert(offset >= 0 && offset <= this.#dataBytes - byteLength, 'extents are in the data area');
  }
}

function submissionProducer(region: Region, queue: QueueLayout, slotCount: number): RingProducer {
  const offset = queue.submissionOffset;
  return new RingProducer(region, { offset, slotCount, slotBytes: Submission.byteLength });
}

function completionConsumer(region: Region, queue: QueueLayout, slotCount: number): RingConsumer {
  const offset = queue.completionOffset;
  return new RingConsumer(region, { offset, slotCount, slotBytes: Completion.byteLength });
}
