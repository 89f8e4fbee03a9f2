/**
 * The host's half of one queue pair: copies commands into private memory, where the guest cannot
 * change them, checks the copies, and answers.
 *
 * Everything is addressed by tag, below the queue's depth and in flight at most once, so a command
 * stays readable here from `take` to `complete`. What a guest may get wrong in one command is a
 * status for that command (`validateCommand`); what makes the rings meaningless (impossible
 * indices, a tag twice, no room for answers, operation numbers that do not rise) throws an error
 * whose reaction is `detach`: this session ends, no other notices.
 */
import { assert } from '../base/assert.ts';
import { StoreError } from '../base/errors.ts';
import { getU16, getU32, getU53 } from '../base/record.ts';
import type { Bell } from '../memory/bell.ts';
import { type Region, WORD_BYTES, WORD_SHIFT } from '../memory/region.ts';
import { RING_FULL, RingConsumer, RingProducer } from '../memory/spsc-ring.ts';
import { statusOfCommand } from './command-check.ts';
import type { RegionLayout } from './geometry.ts';
import {
  Completion,
  EXTENTS_INLINE_MAX,
  EXTENTS_MAX,
  ExtentEntry,
  Submission,
  SubmissionFlag,
} from './protocol.ts';

const SUBMISSION_WORDS = Submission.byteLength / WORD_BYTES;
// The words of a submission; the first holds opcode, flags and tag.
const FLAGS_SHIFT = 8;
const BYTE_MASK = 0xff;
const RESERVED_COUNT_SHIFT = 16;
const EXTENT_COUNT_WORD = Submission.extentCount / WORD_BYTES;
const TABLE_WORD = Submission.tableOffset / WORD_BYTES;
const EXTENTS_WORD = Submission.firstOffset / WORD_BYTES;
const RESERVED_WORD = Submission.reserved / WORD_BYTES;
assert(RESERVED_WORD === 12, 'a command is copied up to its reserve');
assert(SUBMISSION_WORDS === RESERVED_WORD + 4, 'all of the reserve is looked at');
const EXTENT_WORDS = ExtentEntry.byteLength / WORD_BYTES;
const TABLE_WORDS = EXTENTS_MAX * EXTENT_WORDS;
const TAG_WORD = 0;
const TAG_SHIFT = 16;
const TWO_POW_32 = 0x1_0000_0000;

export interface HostQueueOptions {
  /** Verified by `verifyRegion`. */
  readonly region: Region;
  readonly layout: RegionLayout;
  readonly queueIndex: number;
  /** Rung when completions are published while the guest is parked. */
  readonly guestBell: Bell;
}

export class HostQueue {
  readonly queueDepth: number;
  readonly queueIndex: number;
  /** Filled by `take`: entry i is valid below the count it returned, until its next call. */
  readonly takenTags: Uint16Array;
  /** Put into every completion from now on: 0 (no wish) to 65,535. */
  congestion = 0;
  /** How often `publish` had to ring. */
  bellsRung = 0;

  readonly #region: Region;
  readonly #dataOffset: number;
  readonly #dataBytes: number;
  readonly #guestBell: Bell;
  readonly #submissions: RingConsumer;
  readonly #completions: RingProducer;
  readonly #commandWords: Int32Array;
  readonly #commands: DataView;
  /** What stood in each command's reserve, all of its words or-ed. */
  readonly #reserves: Int32Array;
  readonly #inFlight: Uint8Array;
  /** Copies of extent tables by tag; made when the first command brings one. */
  #tables: Uint32Array = new Uint32Array(0);
  #inFlightCount = 0;
  #unpublishedCount = 0;
  #lastOperation = 0;

  /** @throws StoreError `ring_corrupt` unless the guest has just reset the rings. */
  constructor({ region, layout, queueIndex, guestBell }: HostQueueOptions) {
    const queue = layout.queues[queueIndex];
    assert(queue !== undefined, 'the queue is one of the layout');
    const depth = layout.geometry.queueDepth;
    this.queueDepth = depth;
    this.queueIndex = queueIndex;
    this.takenTags = new Uint16Array(depth);
    this.#region = region;
    this.#dataOffset = layout.dataOffset;
    this.#dataBytes = layout.dataBytes;
    this.#guestBell = guestBell;
    this.#submissions = new RingConsumer(region, {
      offset: queue.submissionOffset,
      slotCount: depth,
      slotBytes: Submission.byteLength,
    });
    this.#completions = new RingProducer(region, {
      offset: queue.completionOffset,
      slotCount: depth,
      slotBytes: Completion.byteLength,
    });
    const firstTail = this.#completions.claimedCount;
    if (this.#submissions.emptyTail !== 0 || firstTail !== 0) {
      const head = this.#submissions.emptyTail;
      throw new StoreError('ring_corrupt', { head, tail: firstTail, expected: 'empty rings' });
    }
    this.#commandWords = new Int32Array(depth * SUBMISSION_WORDS);
    this.#commands = new DataView(this.#commandWords.buffer);
    this.#reserves = new Int32Array(depth);
    this.#inFlight = new Uint8Array(depth);
  }

  /** Commands taken and not completed. */
  get inFlightCount(): number {
    return this.#inFlightCount;
  }

  /** Bytes from the start of the region to the data area that extents are relative to. */
  get dataOffset(): number {
    return this.#dataOffset;
  }

  /** How many commands wait to be taken. @hotpath @throws StoreError `ring_corrupt`. */
  waitingCount(): number {
    return this.#submissions.peek();
  }

  /** Whether `take` would find something, or throw. @hotpath */
  hasWork(): boolean {
    return this.#submissions.hasWork();
  }

  /**
   * Copies at most `countMax` commands into private memory, oldest first, puts their tags into
   * `takenTags` and returns how many. @hotpath
   *
   * @throws StoreError `ring_corrupt`, `protocol_violation`: end the session.
   */
  take(countMax: number): number {
    const ring = this.#submissions;
    const waiting = ring.peek();
    const count = waiting < countMax ? waiting : countMax;
    if (count === 0) return 0;
    // Each command's completion gets its slot now, so that publishing one can never wait.
    const wanted = this.#inFlightCount + count;
    if (this.#completions.roomCount(wanted) < wanted) {
      throw new StoreError('protocol_violation', { unreadCompletions: this.queueDepth - wanted });
    }
    for (let i = 0; i < count; i++) {
      this.takenTags[i] = this.#copyIn(ring.slotOffset(i) >>> WORD_SHIFT);
    }
    ring.consume(count);
    this.#inFlightCount = wanted;
    return count;
  }

  /**
   * 0, or the status with which to complete a command just taken. Copies its table of extents, if
   * it has one; the extents are then inside the data area, whatever the guest does. Whether the
   * sectors are inside the volume is the store's question. @hotpath
   */
  validateCommand(tag: number): number {
    if (this.extentCount(tag) > EXTENTS_INLINE_MAX && this.extentCount(tag) <= EXTENTS_MAX) {
      this.#copyTable(tag);
    }
    return statusOfCommand(this, tag, this.#dataBytes);
  }

  /** One of `Opcode`, if `validateCommand` gave 0. The same holds for the rest. @hotpath */
  opcode(tag: number): number {
    return (this.#commandWords[tag * SUBMISSION_WORDS] as number) & BYTE_MASK;
  }

  flags(tag: number): number {
    return ((this.#commandWords[tag * SUBMISSION_WORDS] as number) >>> FLAGS_SHIFT) & BYTE_MASK;
  }

  /** Whether the command completes only once it is durable. @hotpath */
  isForced(tag: number): boolean {
    return (this.flags(tag) & SubmissionFlag.FUA) !== 0;
  }

  operation(tag: number): number {
    return getU53(this.#commands, tag * Submission.byteLength, Submission.operation);
  }

  sectorIndex(tag: number): number {
    return getU53(this.#commands, tag * Submission.byteLength, Submission.sectorIndex);
  }

  sectorCount(tag: number): number {
    return getU32(this.#commands, tag * Submission.byteLength, Submission.sectorCount);
  }

  extentCount(tag: number): number {
    return getU16(this.#commands, tag * Submission.byteLength, Submission.extentCount);
  }

  tableOffset(tag: number): number {
    return getU32(this.#commands, tag * Submission.byteLength, Submission.tableOffset);
  }

  /** Bytes from the start of the data area, of extent `index`. @hotpath */
  extentOffset(tag: number, index: number): number {
    if (this.extentCount(tag) > EXTENTS_INLINE_MAX) {
      return this.#tables[tag * TABLE_WORDS + index * EXTENT_WORDS] as number;
    }
    return this.inlineExtentWord(tag, index * EXTENT_WORDS);
  }

  extentBytes(tag: number, index: number): number {
    if (this.extentCount(tag) > EXTENTS_INLINE_MAX) {
      return this.#tables[tag * TABLE_WORDS + index * EXTENT_WORDS + 1] as number;
    }
    return this.inlineExtentWord(tag, index * EXTENT_WORDS + 1);
  }

  /** Word `index` of the four that hold the inline extents. @hotpath */
  inlineExtentWord(tag: number, index: number): number {
    return (this.#commandWords[tag * SUBMISSION_WORDS + EXTENTS_WORD + index] as number) >>> 0;
  }

  /** Whether the command has neither extents nor a table. @hotpath */
  hasNoExtents(tag: number): boolean {
    const words = this.#commandWords;
    const row = tag * SUBMISSION_WORDS;
    const bits =
      (words[row + EXTENT_COUNT_WORD] as number) |
      (words[row + TABLE_WORD] as number) |
      (words[row + EXTENTS_WORD] as number) |
      (words[row + EXTENTS_WORD + 1] as number) |
      (words[row + EXTENTS_WORD + 2] as number) |
      (words[row + EXTENTS_WORD + 3] as number);
    return bits === 0;
  }

  /** Whether every reserved byte of the command is zero. @hotpath */
  isReserveZero(tag: number): boolean {
    const word = this.#commandWords[tag * SUBMISSION_WORDS + EXTENT_COUNT_WORD] as number;
    return word >>> RESERVED_COUNT_SHIFT === 0 && this.#reserves[tag] === 0;
  }

  /**
   * Answers a command; the guest sees it at `publish`. The tag and what it addressed here are void
   * afterwards. `status` is 0 or that of an error. @hotpath
   */
  complete(tag: number, status: number, resultBytes: number): void {
    assert(this.#inFlight[tag] === 1, 'a command is answered once');
    const slot = this.#completions.claim();
    assert(slot !== RING_FULL, 'take reserved the slot');
    const { words } = this.#region;
    const at = slot >>> WORD_SHIFT;
    const row = tag * SUBMISSION_WORDS + Submission.operation / WORD_BYTES;
    // The reserve is left as the guest made it: zeros. What it writes there only it would read.
    words[at + Completion.tag / WORD_BYTES] = tag | (status << TAG_SHIFT);
    words[at + Completion.reservedFlags / WORD_BYTES] = this.congestion << TAG_SHIFT;
    words[at + Completion.operation / WORD_BYTES] = this.#commandWords[row] as number;
    words[at + Completion.operation / WORD_BYTES + 1] = this.#commandWords[row + 1] as number;
    words[at + Completion.resultBytes / WORD_BYTES] = resultBytes;
    this.#inFlight[tag] = 0;
    this.#inFlightCount--;
    this.#unpublishedCount++;
  }

  /** Shows the guest what was completed since the last call, and wakes it if it sleeps. @hotpath */
  publish(): void {
    if (this.#unpublishedCount === 0) return;
    this.#unpublishedCount = 0;
    if (this.#completions.publish()) {
      this.bellsRung++;
      this.#guestBell.ring();
    }
  }

  /** Announces a sleep; false if there are commands after all. Then sleep, then `unpark`. */
  prepareToPark(): boolean {
    return this.#submissions.prepareToPark();
  }

  unpark(): void {
    this.#submissions.unpark();
  }

  /** The word a spinning wait watches, and what it holds while nothing is there to take. */
  get submissionWord(): number {
    return this.#submissions.tailWord;
  }

  get emptySubmissionWord(): number {
    return this.#submissions.emptyTail;
  }

  /** Reads each shared word once; what is checked is the copy. Returns the tag. */
  #copyIn(source: number): number {
    const { words } = this.#region;
    const first = words[source + TAG_WORD] as number;
    const tag = first >>> TAG_SHIFT;
    if (tag >= this.queueDepth || this.#inFlight[tag] !== 0) {
      throw new StoreError('protocol_violation', { badTag: tag });
    }
    const row = tag * SUBMISSION_WORDS;
    const copy = this.#commandWords;
    copy[row] = first;
    // Written out: as a loop it costs twice as much (host_take_complete_ns, bench parts).
    copy[row + 1] = words[source + 1] as number;
    copy[row + 2] = words[source + 2] as number;
    copy[row + 3] = words[source + 3] as number;
    copy[row + 4] = words[source + 4] as number;
    copy[row + 5] = words[source + 5] as number;
    copy[row + 6] = words[source + 6] as number;
    copy[row + 7] = words[source + 7] as number;
    copy[row + 8] = words[source + 8] as number;
    copy[row + 9] = words[source + 9] as number;
    copy[row + 10] = words[source + 10] as number;
    copy[row + 11] = words[source + 11] as number;
    const reserve =
      (words[source + RESERVED_WORD] as number) |
      (words[source + RESERVED_WORD + 1] as number) |
      (words[source + RESERVED_WORD + 2] as number) |
      (words[source + RESERVED_WORD + 3] as number);
    this.#reserves[tag] = reserve;

    const operationRow = row + Submission.operation / WORD_BYTES;
    const high = (copy[operationRow + 1] as number) >>> 0;
    const operation = high * TWO_POW_32 + ((copy[operationRow] as number) >>> 0);
    // Replays come oldest first and new commands after them, so numbers rise within a life too.
    if (operation <= this.#lastOperation || operation > Number.MAX_SAFE_INTEGER) {
      throw new StoreError('protocol_violation', { operation, last: this.#lastOperation });
    }
    this.#lastOperation = operation;
    this.#inFlight[tag] = 1;
    return tag;
  }

  #copyTable(tag: number): void {
    const tableOffset = this.tableOffset(tag);
    const wordCount = this.extentCount(tag) * EXTENT_WORDS;
    if (tableOffset % ExtentEntry.byteLength !== 0) return;
    if (tableOffset > this.#dataBytes - wordCount * WORD_BYTES) return;
    if (this.#tables.length === 0) this.#tables = new Uint32Array(this.queueDepth * TABLE_WORDS);
    const { words } = this.#region;
    const source = (this.#dataOffset + tableOffset) / WORD_BYTES;
    const target = tag * TABLE_WORDS;
    for (let i = 0; i < wordCount; i++) {
      this.#tables[target + i] = (words[source + i] as number) >>> 0;
    }
  }
}
