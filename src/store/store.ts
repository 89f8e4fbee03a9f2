/**
 * A pool, opened: what the host serves guests from.
 *
 * One thread owns a store. Commands go in as rows of `requests` and come out through
 * `takeCompleted`, both between calls of `step`, which never blocks, never throws for what a guest
 * or a disk did, and does all the work. The rest is cold: promises that `step` fulfils.
 *
 *   claim -> fill -> submit ->| step |-> takeCompleted -> read status -> release
 */
import type { StoreError } from '../base/errors.ts';
import type { RecoveryReport } from '../log/recovery.ts';
import type { RequestTable } from '../volumes/request-table.ts';

/** How a session holds its volume. */
export type AttachMode =
  /** Reads and writes; nobody else is attached. */
  | 'exclusive'
  /** Reads and writes beside others that asked for `shared` or `readonly`. */
  | 'shared'
  /** Reads beside others that asked for `shared` or `readonly`. */
  | 'readonly';

export interface OpenStoreOptions {
  /** Wait for another owner of the pool to go, at most this long. Default 5,000. */
  readonly lockWaitMs?: number;
  /** Give up completed writes that were not flushed, if their bank is lost (R3). Default false. */
  readonly discardBank?: boolean;
  /** Memory of the block cache. Default 256 MiB. */
  readonly cacheBytes?: number;
  /** Rows of the request table. Default `REQUESTS_MAX`. */
  readonly requestsMax?: number;
}

export type { CreatePoolOptions } from '../log/create-pool.ts';

export interface VolumeInfo {
  readonly id: number;
  readonly name: string;
  readonly sizeBytes: number;
  /** Blocks that hold data, in bytes. */
  readonly storedBytes: number;
  readonly sessionCount: number;
}

export interface OpenSessionOptions {
  readonly volume: string;
  /** Default `exclusive`. */
  readonly mode?: AttachMode;
  /** 1 to `SESSION_QUEUES_MAX`. */
  readonly queueCount: number;
  /** Tags of each queue, 1 to `SESSION_TAGS_MAX`. */
  readonly queueDepth: number;
  /** How long the volume is kept for this guest after it or the host is gone. */
  readonly graceMs: number;
  /** Whose process it is, for listings. */
  readonly uid: number;
}

/** What a guest needs to attach again. The secret leaves this process once, and is not kept. */
export interface SessionGrant {
  /** Names the session in `RequestTable.claim`, until it is closed or detached. */
  readonly session: number;
  readonly guest: number;
  readonly secret: Uint8Array;
  readonly incarnation: number;
  readonly volume: VolumeInfo;
  readonly mode: AttachMode;
  readonly queueCount: number;
  readonly queueDepth: number;
}

export interface ReattachOptions {
  readonly guest: number;
  /** 16 bytes, compared in constant time. */
  readonly secret: Uint8Array;
  /** The pool's incarnation when the guest attached. */
  readonly incarnation: number;
}

export interface SessionInfo {
  readonly session: number;
  readonly guest: number;
  readonly volume: string;
  readonly mode: AttachMode;
  readonly uid: number;
  /** False: gone, and its volume is kept for it until its grace is over. */
  readonly attached: boolean;
}

/** Counters since the pool was opened, for the control page and `logflume stat`. Units in names. */
export interface StoreStats {
  readonly readCommands: number;
  readonly writeCommands: number;
  readonly zeroCommands: number;
  readonly flushCommands: number;
  readonly failedCommands: number;
  readonly repeatedCommands: number;
  /** Commands that had to wait for another one, for the log, or for a read. */
  readonly heldCommands: number;
  readonly readBytes: number;
  readonly writtenBytes: number;
  readonly bankHits: number;
  readonly cacheHits: number;
  readonly cacheMisses: number;
  readonly unmappedReads: number;
  readonly checksumMismatches: number;
  readonly mediaErrors: number;
  readonly cacheFrames: number;
  readonly cachedFrames: number;
  readonly mappedBlocks: number;
  readonly provisionedBlocks: number;
  readonly commits: number;
  readonly syncs: number;
  readonly checkpoints: number;
  readonly loggedBytes: number;
  readonly freeSegments: number;
  readonly segmentCount: number;
  readonly checkpointGeneration: number;
  readonly requestsInFlight: number;
}

/** A stored block that could not be read twice in a row. */
export interface DamageReport {
  readonly volume: string;
  readonly lba: number;
  readonly positionBytes: number;
  readonly code: 'checksum_mismatch' | 'media_error';
}

export interface Store {
  /** 32 hexadecimal digits. */
  readonly poolId: string;
  /** Grows when completed writes that were not flushed were lost (R3). */
  readonly incarnation: number;
  /** What the open found and repeated. */
  readonly recovery: RecoveryReport;
  readonly requests: RequestTable;
  /** Blocks that one WRITE may touch; a larger one is `batch_too_large`. */
  readonly writeBlocksMax: number;
  /** Set when the disk failed for good (R6): reads may still be served, nothing else is. */
  readonly failed: StoreError | undefined;

  /** Hands a filled row to the engine. It is looked at in the next `step`. @hotpath */
  submit(row: number): void;
  /**
   * Does what can be done now: reaps the disk, runs commands, publishes, commits. `nowUs` is the
   * platform's clock. False if there was nothing to do. @hotpath
   */
  step(nowUs: number): boolean;
  /** A row that is done, or -1. Read it, then `requests.release` it. @hotpath */
  takeCompleted(): number;
  /** Whether another `step` would find work now, without waiting for disk or clock. @hotpath */
  readonly hasWork: boolean;
  /** When `step` must run again even if nothing happens, in the clock's microseconds. @hotpath */
  readonly nextDeadlineUs: number;
  /** Readable after disk completions; -1 if simulated. */
  readonly eventFd: number;

  /** @throws StoreError `already_exists`, `invalid_argument`, `limit_exceeded`, `pool_full`, `pool_failed`. Durable. */
  createVolume(name: string, sizeBytes: number): Promise<VolumeInfo>;
  /** Bytes past a smaller size are gone. @throws StoreError `not_found`, `limit_exceeded`, `invalid_argument`. Durable. */
  resizeVolume(name: string, sizeBytes: number): Promise<VolumeInfo>;
  /** @throws StoreError `not_found`, `in_use` while a session holds it. Durable. */
  removeVolume(name: string): Promise<void>;
  listVolumes(): VolumeInfo[];
  /** @throws StoreError `not_found`. */
  requireVolume(name: string): VolumeInfo;
  /** The volume's size now, for range checks and INFO. @hotpath */
  sizeBytesOf(session: number): number;

  /**
   * Attaches a new guest. Survives the death of the host when it resolves.
   *
   * @throws StoreError `not_found`, `in_use`, `limit_exceeded`, `invalid_argument`, `pool_failed`.
   */
  openSession(options: OpenSessionOptions): Promise<SessionGrant>;
  /**
   * Takes a session up again after its guest or the host was away.
   *
   * @throws StoreError `incarnation_changed`, `permission_denied` (unknown guest or wrong secret),
   * `in_use` while its earlier commands are not reaped.
   */
  reattachSession(options: ReattachOptions): Promise<SessionGrant>;
  /**
   * The guest is gone without a word: its grace starts now. Call it when every command of the
   * session is released, so that no I/O still uses its memory.
   */
  detachSession(session: number): void;
  /** Ends a session whose commands are all released; its volume is free again at once. */
  closeSession(session: number): Promise<void>;
  listSessions(): SessionInfo[];

  stats(): StoreStats;
  /** Damage found by reads since the last call, at most a bounded number. */
  takeDamage(): DamageReport[];
  /** Resolves when all that was completed before the call is on disk. */
  flush(): Promise<void>;
  /** Commits, writes a checkpoint and marks the pool clean. Every row must have been released. */
  close(): Promise<void>;
}
