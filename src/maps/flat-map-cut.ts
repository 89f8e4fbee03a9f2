/**
 * The frozen side of a flat map while a checkpoint is written: the chunks that existed at the cut,
 * with their words as they were.
 *
 * The map asks `holds` before it changes a chunk; if so it goes on with a copy and leaves the
 * original here. A chunk that was encoded is not held any more, so the longer a checkpoint runs the
 * fewer copies it causes.
 */
import { assert } from '../base/assert.ts';
import { setU32, setU53 } from '../base/record.ts';
import { PageKind } from '../formats/checkpoint-page.ts';
import {
  encodeMapEntry,
  MAP_PAGE_ENTRIES_MAX,
  MAP_PAGE_SPAN_BLOCKS,
  MapPageEntry,
  MapPageHeader,
} from '../formats/map-page.ts';
import type { PageInfo } from '../log/sources.ts';

const ENTRY_WORDS = 4;

export interface FrozenChunk {
  readonly chunk: number;
  readonly words: Uint32Array;
  /** Mapped blocks in it. */
  readonly live: number;
  readonly branch: number;
  readonly object: number;
  readonly firstLba: number;
}

export class FlatMapCut {
  pageCount = 0;
  #open = false;
  #chunks: FrozenChunk[] = [];
  /** By chunk number: 1 while the live map must not change the words it shares with the cut. */
  #held = new Uint8Array(0);
  #heldCount = 0;
  // The encoder's place: which chunk, and the step in it of the next entry.
  #next = 0;
  #step = 0;

  begin(): void {
    assert(!this.#open, 'one cut at a time');
    this.#open = true;
    this.#chunks = [];
    this.pageCount = 0;
    this.#next = 0;
    this.#step = 0;
  }

  add(frozen: FrozenChunk): void {
    if (frozen.live === 0) return;
    if (frozen.chunk >= this.#held.length) this.#grow(frozen.chunk);
    this.#held[frozen.chunk] = 1;
    this.#heldCount++;
    this.#chunks.push(frozen);
    this.pageCount += Math.ceil(frozen.live / MAP_PAGE_ENTRIES_MAX);
  }

  /** Whether the cut still needs the chunk's words as they are. @hotpath */
  holds(chunk: number): boolean {
    return this.#heldCount > 0 && this.#held[chunk] === 1;
  }

  /** @hotpath */
  letGo(chunk: number): void {
    this.#held[chunk] = 0;
    this.#heldCount--;
  }

  encodePage(view: DataView, at: number, info: PageInfo): void {
    const frozen = this.#chunks[this.#next];
    assert(frozen !== undefined, 'no more pages are encoded than were announced');
    const { words } = frozen;
    let count = 0;
    let step = this.#step;
    for (; step < MAP_PAGE_SPAN_BLOCKS && count < MAP_PAGE_ENTRIES_MAX; step++) {
      const word = step * ENTRY_WORDS;
      if (words[word] === 0) continue;
      const entryAt = at + MapPageHeader.byteLength + count * MapPageEntry.byteLength;
      encodeMapEntry(view, entryAt, words, word, step);
      count++;
    }
    setU32(view, at, MapPageHeader.branch, frozen.branch);
    setU32(view, at, MapPageHeader.entryCount, count);
    setU53(view, at, MapPageHeader.object, frozen.object);
    setU53(view, at, MapPageHeader.firstLba, frozen.firstLba);
    info.kind = PageKind.map;
    info.entryCount = count;
    info.keyHigh = frozen.branch;
    info.keyBase = frozen.firstLba;
    this.#advance(frozen, step);
  }

  end(): void {
    assert(this.#open, 'a cut was begun');
    this.#open = false;
    for (const { chunk } of this.#chunks) this.#held[chunk] = 0;
    this.#heldCount = 0;
    this.#chunks = [];
  }

  #advance(frozen: FrozenChunk, step: number): void {
    for (let rest = step; rest < MAP_PAGE_SPAN_BLOCKS; rest++) {
      if (frozen.words[rest * ENTRY_WORDS] === 0) continue;
      this.#step = rest;
      return;
    }
    if (this.#held[frozen.chunk] === 1) this.letGo(frozen.chunk);
    this.#next++;
    this.#step = 0;
  }

  #grow(chunk: number): void {
    const held = new Uint8Array(Math.max(1024, 2 * (chunk + 1)));
    held.set(this.#held);
    this.#held = held;
  }
}
