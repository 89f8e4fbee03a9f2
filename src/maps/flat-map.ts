/**
 * A block map that keeps every entry in memory: chunks of typed arrays, allocated when first used.
 *
 *   directory of a space: lba / 2048 -> chunk number        entry = chunk number x 2048 + lba % 2048
 *   chunk: 2048 x [pba u32, sum u32, mba low u32, mba high u32]; a pba of 0 says unmapped
 *
 * It costs 16 bytes per mapped block (4 GiB per TiB) and nothing for untouched stretches, which is
 * why what it may hold is limited.
 *
 * A checkpoint sees one moment while writes go on (R10). `beginCut` only lists the chunks; whoever
 * first changes a listed chunk leaves a copy of it behind for the encoder, once per chunk.
 */
import { assert } from '../base/assert.ts';
import { StoreError } from '../base/errors.ts';
import { MAP_PAGE_ENTRIES_MAX } from '../formats/map-page.ts';
import type { PageInfo, Places } from '../log/sources.ts';
import { type BlockMap, ENTRY_NONE, type EntryVisitor, SPACE_NONE } from './block-map.ts';
import { FlatMapCut } from './flat-map-cut.ts';
import { loadMapPage } from './load-map-page.ts';

/** 256 GiB of volumes in one pool: 1 GiB of memory when all of it is written. */
export const FLAT_MAP_BLOCKS_MAX = 2 ** 26;

/** Spaces of a map, removed ones not counted: one for each volume. */
export const SPACES_MAX = 1024;

/** A chunk is 32 KiB: small enough that copying one for a cut does not show (about 4 us). */
export const CHUNK_BLOCKS = 2048;
const CHUNK_SHIFT = 11;
const CHUNK_MASK = CHUNK_BLOCKS - 1;

/** Words of an entry, and where they are. */
export const ENTRY_WORDS = 4;
const SUM = 1;
const MBA_LOW = 2;
const MBA_HIGH = 3;

const TWO_POW_32 = 0x1_0000_0000;
const CHUNK_NONE = -1;
const NO_WORDS = new Uint32Array(0);
const NO_DIRECTORY = new Int32Array(0);

export class FlatMap implements BlockMap {
  provisionedBlocks = 0;
  mappedBlocks = 0;

  // Spaces, by number.
  readonly #directories: Int32Array[] = [];
  readonly #branch: number[] = [];
  readonly #object: number[] = [];
  readonly #blockCount: number[] = [];
  readonly #mapped: number[] = [];
  readonly #freeSpaces: number[] = [];

  // Chunks, by number.
  readonly #words: Uint32Array[] = [];
  readonly #live: number[] = [];
  readonly #freeChunks: number[] = [];

  #pageCount = 0;

  readonly #cut = new FlatMapCut();
  readonly #blocksMax: number;

  /** `blocksMax` is lowered by tests. */
  constructor(blocksMax: number = FLAT_MAP_BLOCKS_MAX) {
    assert(blocksMax <= FLAT_MAP_BLOCKS_MAX, 'a flat map holds at most FLAT_MAP_BLOCKS_MAX');
    this.#blocksMax = blocksMax;
  }

  get roomBlocks(): number {
    return this.#blocksMax - this.provisionedBlocks;
  }

  addSpace(branch: number, object: number, blockCount: number): number {
    assert(this.findSpace(branch, object) === SPACE_NONE, 'a space is added once');
    this.#requireRoom(blockCount);
    const space = this.#freeSpaces.pop() ?? this.#directories.length;
    if (space >= SPACES_MAX) throw new StoreError('limit_exceeded', { spacesMax: SPACES_MAX });
    this.#directories[space] = new Int32Array(chunksFor(blockCount)).fill(CHUNK_NONE);
    this.#branch[space] = branch;
    this.#object[space] = object;
    this.#blockCount[space] = blockCount;
    this.#mapped[space] = 0;
    this.provisionedBlocks += blockCount;
    return space;
  }

  findSpace(branch: number, object: number): number {
    for (let space = 0; space < this.#branch.length; space++) {
      if (this.#branch[space] === branch && this.#object[space] === object) return space;
    }
    return SPACE_NONE;
  }

  resizeSpace(space: number, blockCount: number): void {
    const before = this.blocksOf(space);
    if (blockCount > before) this.#requireRoom(blockCount - before);
    const old = this.#directories[space] as Int32Array;
    const directory = new Int32Array(chunksFor(blockCount)).fill(CHUNK_NONE);
    for (let i = 0; i < old.length; i++) {
      if (i < directory.length) directory[i] = old[i] as number;
      else assert(old[i] === CHUNK_NONE, 'what lies past the new end was cleared');
    }
    this.#directories[space] = directory;
    this.#blockCount[space] = blockCount;
    this.provisionedBlocks += blockCount - before;
  }

  removeSpace(space: number): void {
    assert(this.#mapped[space] === 0, 'a space is empty when it is removed');
    this.provisionedBlocks -= this.blocksOf(space);
    this.#directories[space] = NO_DIRECTORY;
    this.#branch[space] = -1;
    this.#object[space] = -1;
    this.#blockCount[space] = 0;
    this.#freeSpaces.push(space);
  }

  blocksOf(space: number): number {
    return this.#blockCount[space] as number;
  }

  mappedOf(space: number): number {
    return this.#mapped[space] as number;
  }

  /** @hotpath */
  find(space: number, lba: number): number {
    const directory = this.#directories[space] as Int32Array;
    const chunk = directory[lba >>> CHUNK_SHIFT] as number;
    if (chunk === CHUNK_NONE) return ENTRY_NONE;
    const step = lba & CHUNK_MASK;
    const pba = (this.#words[chunk] as Uint32Array)[step * ENTRY_WORDS] as number;
    return pba === 0 ? ENTRY_NONE : chunk * CHUNK_BLOCKS + step;
  }

  /** @hotpath */
  pbaAt(entry: number): number {
    const words = this.#words[entry >>> CHUNK_SHIFT] as Uint32Array;
    return words[(entry & CHUNK_MASK) * ENTRY_WORDS] as number;
  }

  /** @hotpath */
  sumAt(entry: number): number {
    const words = this.#words[entry >>> CHUNK_SHIFT] as Uint32Array;
    return words[(entry & CHUNK_MASK) * ENTRY_WORDS + SUM] as number;
  }

  /** @hotpath */
  mbaAt(entry: number): number {
    const words = this.#words[entry >>> CHUNK_SHIFT] as Uint32Array;
    const at = (entry & CHUNK_MASK) * ENTRY_WORDS;
    return (words[at + MBA_HIGH] as number) * TWO_POW_32 + (words[at + MBA_LOW] as number);
  }

  /** @hotpath */
  set(space: number, lba: number, pba: number, sum: number, mba: number): number {
    assert(pba !== 0, 'block 0 of a pool is its superblock');
    assert(lba < (this.#blockCount[space] as number), 'a mapped block lies inside its space');
    const directory = this.#directories[space] as Int32Array;
    let chunk = directory[lba >>> CHUNK_SHIFT] as number;
    if (chunk === CHUNK_NONE) chunk = this.#addChunk(space, lba);
    const words = this.#wordsToChange(chunk);
    const step = lba & CHUNK_MASK;
    const at = step * ENTRY_WORDS;
    if (words[at] === 0) {
      const live = this.#live[chunk] as number;
      if (live % MAP_PAGE_ENTRIES_MAX === 0) this.#pageCount++;
      this.#live[chunk] = live + 1;
      this.#mapped[space] = (this.#mapped[space] as number) + 1;
      this.mappedBlocks++;
    }
    words[at] = pba;
    words[at + SUM] = sum;
    words[at + MBA_LOW] = mba >>> 0;
    words[at + MBA_HIGH] = (mba / TWO_POW_32) >>> 0;
    return chunk * CHUNK_BLOCKS + step;
  }

  /** @hotpath */
  setSum(entry: number, pba: number, sum: number): void {
    const chunk = entry >>> CHUNK_SHIFT;
    const at = (entry & CHUNK_MASK) * ENTRY_WORDS;
    // Also false if the chunk is gone, whose array is then empty.
    if ((this.#words[chunk] as Uint32Array)[at] !== pba) return;
    this.#wordsToChange(chunk)[at + SUM] = sum;
  }

  clearRange(
    space: number,
    firstLba: number,
    blockCount: number,
    places: Places,
    workMax: number,
  ): number {
    const end = firstLba + blockCount;
    assert(end <= this.blocksOf(space), 'a cleared range lies inside its space');
    const directory = this.#directories[space] as Int32Array;
    let work = 0;
    let lba = firstLba;
    while (lba < end && work < workMax) {
      const index = lba >>> CHUNK_SHIFT;
      const stop = Math.min(end, (index + 1) * CHUNK_BLOCKS);
      const chunk = directory[index] as number;
      if (chunk === CHUNK_NONE) {
        work++;
      } else {
        this.#clearInChunk(space, chunk, lba & CHUNK_MASK, stop - lba, places);
        if (this.#live[chunk] === 0) {
          directory[index] = CHUNK_NONE;
          this.#freeChunk(chunk);
        }
        work += stop - lba;
      }
      lba = stop;
    }
    return lba - firstLba;
  }

  forEach(space: number, visit: EntryVisitor): void {
    const directory = this.#directories[space] as Int32Array;
    for (let index = 0; index < directory.length; index++) {
      const chunk = directory[index] as number;
      if (chunk === CHUNK_NONE) continue;
      for (let step = 0; step < CHUNK_BLOCKS; step++) {
        const entry = chunk * CHUNK_BLOCKS + step;
        const pba = this.pbaAt(entry);
        if (pba === 0) continue;
        visit(index * CHUNK_BLOCKS + step, pba, this.sumAt(entry), this.mbaAt(entry));
      }
    }
  }

  /** Exact, and kept as blocks come and go. */
  pageCountMax(): number {
    return this.#pageCount;
  }

  beginCut(): number {
    this.#cut.begin();
    for (let space = 0; space < this.#directories.length; space++) {
      const directory = this.#directories[space] as Int32Array;
      const branch = this.#branch[space] as number;
      const object = this.#object[space] as number;
      for (let index = 0; index < directory.length; index++) {
        const chunk = directory[index] as number;
        if (chunk === CHUNK_NONE) continue;
        const words = this.#words[chunk] as Uint32Array;
        const live = this.#live[chunk] as number;
        this.#cut.add({ chunk, words, live, branch, object, firstLba: index * CHUNK_BLOCKS });
      }
    }
    return this.#cut.pageCount;
  }

  encodePage(view: DataView, at: number, info: PageInfo): void {
    this.#cut.encodePage(view, at, info);
  }

  endCut(): void {
    this.#cut.end();
  }

  loadPage(view: DataView, at: number): void {
    loadMapPage(this, view, at);
  }

  #requireRoom(blockCount: number): void {
    if (blockCount <= this.roomBlocks) return;
    throw new StoreError('limit_exceeded', {
      flatMapBlocksMax: this.#blocksMax,
      provisionedBlocks: this.provisionedBlocks,
      askedBlocks: blockCount,
    });
  }

  /** The first write to a stretch of 8 MiB pays for its chunk, once. */
  #addChunk(space: number, lba: number): number {
    const chunk = this.#freeChunks.pop() ?? this.#words.length;
    this.#words[chunk] = new Uint32Array(CHUNK_BLOCKS * ENTRY_WORDS);
    this.#live[chunk] = 0;
    (this.#directories[space] as Int32Array)[lba >>> CHUNK_SHIFT] = chunk;
    return chunk;
  }

  #freeChunk(chunk: number): void {
    this.#words[chunk] = NO_WORDS;
    this.#freeChunks.push(chunk);
  }

  /** The chunk's words, which a cut no longer looks at. @hotpath */
  #wordsToChange(chunk: number): Uint32Array {
    const words = this.#words[chunk] as Uint32Array;
    if (!this.#cut.holds(chunk)) return words;
    // The cut keeps the array that it knows; the copy is the one that goes on living.
    const copy = words.slice();
    this.#words[chunk] = copy;
    this.#cut.letGo(chunk);
    return copy;
  }

  #clearInChunk(space: number, chunk: number, step: number, count: number, places: Places): void {
    const words = this.#wordsToChange(chunk);
    let cleared = 0;
    for (let at = step * ENTRY_WORDS; at < (step + count) * ENTRY_WORDS; at += ENTRY_WORDS) {
      const pba = words[at] as number;
      if (pba === 0) continue;
      places.release(pba);
      words[at] = 0;
      words[at + SUM] = 0;
      words[at + MBA_LOW] = 0;
      words[at + MBA_HIGH] = 0;
      cleared++;
    }
    const live = this.#live[chunk] as number;
    this.#live[chunk] = live - cleared;
    this.#pageCount += pagesFor(live - cleared) - pagesFor(live);
    this.#mapped[space] = (this.#mapped[space] as number) - cleared;
    this.mappedBlocks -= cleared;
  }
}

function chunksFor(blockCount: number): number {
  return Math.ceil(blockCount / CHUNK_BLOCKS);
}

function pagesFor(live: number): number {
  return Math.ceil(live / MAP_PAGE_ENTRIES_MAX);
}
