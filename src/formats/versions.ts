/**
 * The versions and marks of everything stored, in one place.
 *
 * Changing a record is a new version: a line here, golden bytes, and a decoder for the old one.
 * A structure of an unknown version is refused, never skipped.
 */
import { StoreError } from '../base/errors.ts';

/** Four letters as the u32 that shows them in a hex dump. */
function mark(letters: string): number {
  let value = 0;
  for (let i = 3; i >= 0; i--) value = value * 256 + letters.charCodeAt(i);
  return value;
}

export const SUPERBLOCK_MAGIC = mark('LFsb');
export const PARTIAL_MAGIC = mark('LFps');
export const COMMIT_MARK_MAGIC = mark('LFcm');
export const CHECKPOINT_PAGE_MAGIC = mark('LFcp');
export const BANK_MAGIC = mark('LFbk');
/** Of a journal frame: 16 bits, because its header shares 32 bytes with the rest. */
export const FRAME_MAGIC = 0x4a46;

/** 1: the first. */
export const SUPERBLOCK_VERSION = 1;
/** 1: the first. Covers header, summary entries and commit mark, which change together. */
export const PARTIAL_VERSION = 1;
/** 1: the first. Covers the page header, SUT entries, and volume, session and map records. */
export const CHECKPOINT_VERSION = 1;
/** 1: the first. */
export const BANK_VERSION = 1;

/**
 * Feature bits, by what a program that does not know one must do: nothing (compat), open
 * read-only (roCompat), refuse (incompat). None is given out yet.
 */
export const KNOWN_FEATURES = { compat: 0, roCompat: 0, incompat: 0 } as const;

/** @throws StoreError `version_unsupported` naming the structure, unless the versions agree. */
export function requireVersion(structure: string, found: number, known: number): void {
  if (found === known) return;
  throw new StoreError('version_unsupported', { structure, version: found, known });
}
