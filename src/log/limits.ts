/**
 * The log's bounds and paces, each with its reason. Tests shrink them; nothing else should.
 */
import { GIB, KIB, MIB } from '../base/units.ts';

export interface LogLimits {
  /** Images of open segments in the bank. One is filled, one is written, the rest are slack. */
  readonly bufferCount: number;
  /** Units of 32 bytes, a power of two. 1 MiB: what 128 MiB of 4 KiB writes need between syncs. */
  readonly journalUnits: number;
  /** Jobs of the shared copy batch: four full operations, or 4,096 small ones. */
  readonly copyRowsMax: number;
  /** Entries of one commit. Its staging memory, and what a torn commit may cost. */
  readonly entriesMax: number;
  /** An open partial of this size is written: large enough that its summary is below 1 %. */
  readonly commitBytes: number;
  /** So much may be written and not synced. One sync for 8 MiB costs a fast disk nothing. */
  readonly syncBytes: number;
  /** Nothing stays unsynced for longer: the loss of power costs at most this much. */
  readonly unsyncedUs: number;
  /** Log that a next open would have to read: 1 GiB, about a second. */
  readonly checkpointBytes: number;
  /** Dirty state of this age is checkpointed, so that a quiet pool opens fast. */
  readonly checkpointUs: number;
  /** A checkpoint takes at most a twentieth of the time, however large the maps are. */
  readonly checkpointRestFactor: number;
  /** Pages encoded in one step: about 30 µs, so that no command waits long for a checkpoint. */
  readonly pagesPerStep: number;
  /** R11. Twice what a gigabyte of the smallest operations uses; half used is a trigger. */
  readonly txnReserve: number;
  readonly mbaReserve: number;
  readonly sequenceReserve: number;
  /** Ids given out by hand; 32 bits must last for many opens. */
  readonly guestReserve: number;
  readonly volumeReserve: number;
}

export const LOG_LIMITS: LogLimits = {
  bufferCount: 6,
  journalUnits: MIB / 32,
  copyRowsMax: 4096,
  entriesMax: 4096,
  commitBytes: MIB,
  syncBytes: 8 * MIB,
  unsyncedUs: 50_000,
  checkpointBytes: GIB,
  checkpointUs: 30_000_000,
  checkpointRestFactor: 20,
  pagesPerStep: 32,
  txnReserve: 64 * MIB,
  mbaReserve: 64 * MIB,
  sequenceReserve: 512 * KIB,
  guestReserve: KIB,
  volumeReserve: KIB,
};

/** Commits that are closed and not yet synced; a power of two. Twice `syncBytes / commitBytes`. */
export const COMMITS_MAX = 16;
/** Commits being written at once: enough to keep a disk busy, few enough to lose. */
export const COMMIT_WRITES_MAX = 4;

/** The disk slots that are the log's: [0, LOG_SLOTS). All others are the caller's. */
export const SYNC_SLOT = 0;
export const COMMIT_SLOT = 1;
export const PAGES_SLOT = COMMIT_SLOT + COMMIT_WRITES_MAX;
/** Two buffers of checkpoint pages: one is encoded while the other is written. */
export const PAGE_BUFFER_COUNT = 2;
export const SUPERBLOCK_SLOT = PAGES_SLOT + PAGE_BUFFER_COUNT;
export const LOG_SLOTS = SUPERBLOCK_SLOT + 1;

/** Pages of one checkpoint write: 256 KiB, where disks reach their bandwidth. */
export const PAGES_PER_WRITE = 64;
