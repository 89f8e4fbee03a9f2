/**
 * What simulated guests write: every sector says which write it is of, and every word of it depends
 * on that, so that a sector read back names its write, and one that was mixed up names none.
 */
import { SECTOR_BYTES } from '../../src/base/units.ts';

const SECTOR_WORDS = SECTOR_BYTES / 4;
const MAGIC = 0x10f10f10;

/** Zeros: never written, zeroed or discarded. */
export const ZERO_VERSION = 0;
/** Bytes that no write of ours stored. */
export const TORN_VERSION = -1;

/** Fills sectors with the content that a write of this version, above 0, stores there. */
export function fillSectors(
  target: Uint8Array,
  volume: number,
  firstSector: number,
  version: number,
): void {
  const words = new Uint32Array(target.buffer, target.byteOffset, target.byteLength / 4);
  for (let at = 0; at < words.length; at += SECTOR_WORDS) {
    const sector = firstSector + at / SECTOR_WORDS;
    words[at] = MAGIC;
    words[at + 1] = volume;
    words[at + 2] = sector;
    words[at + 3] = version;
    const salt = Math.imul(version, 0x9e3779b1) ^ Math.imul(sector, 0x85ebca6b) ^ volume;
    for (let i = 4; i < SECTOR_WORDS; i++) words[at + i] = Math.imul(salt + i, 0xc2b2ae35);
  }
}

/** Version of the write that a sector's bytes are of, `ZERO_VERSION` or `TORN_VERSION`. */
export function versionOf(
  bytes: Uint8Array,
  at: number,
  volume: number,
  sector: number,
  scratch: Uint8Array,
): number {
  const found = bytes.subarray(at, at + SECTOR_BYTES);
  const words = new Uint32Array(found.buffer, found.byteOffset, SECTOR_WORDS);
  if (words[0] === 0) return words.every((word) => word === 0) ? ZERO_VERSION : TORN_VERSION;
  const version = words[3] ?? 0;
  fillSectors(scratch, volume, sector, version);
  return Buffer.compare(found, scratch) === 0 ? version : TORN_VERSION;
}

export function makeScratch(): Uint8Array {
  return new Uint8Array(SECTOR_BYTES);
}
