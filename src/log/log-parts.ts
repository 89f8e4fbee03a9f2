/** What goes into a log and what comes out as figures, apart from the log itself. */
import type { Geometry } from '../formats/geometry.ts';
import type { Superblock } from '../formats/superblock.ts';
import type { Disk } from '../platform/disk.ts';
import type { Platform } from '../platform/platform.ts';
import type { Bank } from './bank.ts';
import type { LogLimits } from './limits.ts';
import type { SegmentTable } from './segment-table.ts';
import type { CheckpointSource } from './sources.ts';

/** Counters since the pool was opened, for people. */
export interface LogStats {
  readonly segmentCount: number;
  readonly freeSegments: number;
  /** Nothing is mapped in them; a checkpoint makes them free. */
  readonly freeingSegments: number;
  readonly commits: number;
  readonly syncs: number;
  readonly checkpoints: number;
  /** Written to the chain: payload, headers and entries. */
  readonly loggedBytes: number;
  /** Written as checkpoint pages and superblocks. */
  readonly checkpointBytes: number;
  readonly unsyncedTxns: number;
}

/** What `openLog` hands over: a pool that is recovered and synced. */
export interface LogParts {
  readonly platform: Platform;
  readonly disk: Disk;
  readonly geometry: Geometry;
  readonly limits: LogLimits;
  readonly table: SegmentTable;
  readonly bank: Bank;
  readonly source: CheckpointSource;
  /** The durable superblock. Ids start at its reserves. */
  readonly superblock: Superblock;
  readonly incarnation: number;
  /** Segments of the checkpoint that it names. */
  readonly mapSegments: readonly number[];
}

/** Where the next commit goes and what its header will say, as a superblock holds it. */
export type CutHead = Pick<
  Superblock,
  | 'headSegment'
  | 'headBlock'
  | 'headSequence'
  | 'headPreviousChecksum'
  | 'headNextSegment'
  | 'headSecondSegment'
>;
