/**
 * The volumes of a pool, by slot: their names, sizes and spaces in the block map.
 *
 * The table only says what is so. The log decides and orders changes; live and in replay the same
 * calls make them.
 */
import { assert } from '../base/assert.ts';
import { StoreError } from '../base/errors.ts';
import { BLOCK_BYTES, SECTOR_BYTES } from '../base/units.ts';
import { type StoredVolume, VOLUME_NAME_BYTES_MAX } from '../formats/volume-record.ts';
import type { BlockMap } from '../maps/block-map.ts';
import { SPACES_MAX } from '../maps/flat-map.ts';

/** A volume has one space. */
export const VOLUMES_MAX = SPACES_MAX;
/** `findByName`, `findById`: there is none. */
export const VOLUME_NONE = -1;
/** A block volume is this object of its branch. */
export const BLOCK_OBJECT = 1;

export class VolumeTable {
  /** 0 in a free slot. */
  readonly id = new Uint32Array(VOLUMES_MAX);
  readonly space = new Int32Array(VOLUMES_MAX);
  /** What guests may address. */
  readonly sectorCount = new Float64Array(VOLUMES_MAX);
  /** Sessions that hold it, attached or within their grace. */
  readonly sessionCount = new Int32Array(VOLUMES_MAX);
  volumeCount = 0;

  readonly #map: BlockMap;
  readonly #name: string[] = [];
  readonly #createdTxn = new Float64Array(VOLUMES_MAX);
  readonly #minMba = new Float64Array(VOLUMES_MAX);
  readonly #byName = new Map<string, number>();
  readonly #byId = new Map<number, number>();

  constructor(map: BlockMap) {
    this.#map = map;
  }

  findByName(name: string): number {
    return this.#byName.get(name) ?? VOLUME_NONE;
  }

  findById(id: number): number {
    return this.#byId.get(id) ?? VOLUME_NONE;
  }

  nameOf(slot: number): string {
    return this.#name[slot] ?? '';
  }

  sizeBytesOf(slot: number): number {
    return (this.sectorCount[slot] as number) * SECTOR_BYTES;
  }

  /** Slots in use, oldest volume first. */
  slots(): number[] {
    return [...this.#byId.entries()].sort(([a], [b]) => a - b).map(([, slot]) => slot);
  }

  storedOf(slot: number): StoredVolume {
    return {
      id: this.id[slot] as number,
      name: this.nameOf(slot),
      sizeBytes: this.sizeBytesOf(slot),
      createdTxn: this.#createdTxn[slot] as number,
      minMba: this.#minMba[slot] as number,
    };
  }

  /** @throws StoreError `already_exists`, `limit_exceeded`, before anything changed. */
  requireRoom(name: string, sizeBytes: number): void {
    if (this.#byName.has(name)) throw new StoreError('already_exists', { volume: name });
    if (this.volumeCount >= VOLUMES_MAX) {
      throw new StoreError('limit_exceeded', { volumesMax: VOLUMES_MAX });
    }
    this.requireBlocks(sizeBytes / BLOCK_BYTES);
  }

  /** @throws StoreError `limit_exceeded` unless so many more blocks can be provisioned. */
  requireBlocks(moreBlocks: number): void {
    const { roomBlocks } = this.#map;
    if (moreBlocks <= roomBlocks) return;
    const details = { askedBlocks: moreBlocks, provisionableBlocks: roomBlocks };
    throw new StoreError('limit_exceeded', details);
  }

  /** @throws StoreError `already_exists`, `limit_exceeded`. */
  add(volume: StoredVolume): number {
    this.requireRoom(volume.name, volume.sizeBytes);
    const slot = this.id.indexOf(0);
    assert(slot >= 0, 'a table with room has a free slot');
    const blockCount = volume.sizeBytes / BLOCK_BYTES;
    this.space[slot] = this.#map.addSpace(volume.id, BLOCK_OBJECT, blockCount);
    this.id[slot] = volume.id;
    this.sectorCount[slot] = volume.sizeBytes / SECTOR_BYTES;
    this.sessionCount[slot] = 0;
    this.#name[slot] = volume.name;
    this.#createdTxn[slot] = volume.createdTxn;
    this.#minMba[slot] = volume.minMba;
    this.#byName.set(volume.name, slot);
    this.#byId.set(volume.id, slot);
    this.volumeCount++;
    return slot;
  }

  /** From now on guests see this size. The space follows: see `fitSpace`. */
  setSize(slot: number, sizeBytes: number): void {
    this.sectorCount[slot] = sizeBytes / SECTOR_BYTES;
  }

  /** Makes the space as large as the volume; what lay past the end was cleared. */
  fitSpace(slot: number): void {
    this.#map.resizeSpace(this.space[slot] as number, this.sizeBytesOf(slot) / BLOCK_BYTES);
  }

  /** Nobody finds the volume any more; slot and space stay until its blocks are cleared. */
  hide(slot: number): void {
    this.#byName.delete(this.nameOf(slot));
    this.#byId.delete(this.id[slot] as number);
  }

  /** Frees slot and space of a hidden volume without blocks. */
  remove(slot: number): void {
    assert(!this.#byId.has(this.id[slot] as number), 'a volume is hidden before it is removed');
    this.#map.removeSpace(this.space[slot] as number);
    this.id[slot] = 0;
    this.sectorCount[slot] = 0;
    this.#name[slot] = '';
    this.volumeCount--;
  }
}

/** What is wrong with a volume that is asked for; undefined if nothing. */
export function faultOfVolume(name: string, sizeBytes: number): string | undefined {
  const nameBytes = new TextEncoder().encode(name).byteLength;
  if (nameBytes === 0) return 'empty name';
  if (nameBytes > VOLUME_NAME_BYTES_MAX) return 'name longer than 255 bytes';
  // Control characters would let a name forge lines of a listing; a lone surrogate has no UTF-8.
  if (/\p{Cc}|\p{Cs}/u.test(name)) return 'name with control characters';
  return faultOfSize(sizeBytes);
}

/** Sizes are whole blocks, so that no block has bytes behind the end of its volume. */
export function faultOfSize(sizeBytes: number): string | undefined {
  if (!Number.isSafeInteger(sizeBytes) || sizeBytes <= 0) return 'size is not positive';
  return sizeBytes % BLOCK_BYTES === 0 ? undefined : 'size is no multiple of 4096';
}
