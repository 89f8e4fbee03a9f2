/**
 * The one `Store`: engine, log and disk of a pool, in the order that one step gives them.
 *
 *   reap -> cold calls -> commands, copies, publish -> log -> durable completions -> submit
 *
 * Disk operations are handed over last: until the copies of the turn have run, frames and buffers
 * that a new read or write names may still be read by them.
 */
import { assert } from '../base/assert.ts';
import { StoreError } from '../base/errors.ts';
import { hexOf } from '../formats/byte-strings.ts';
import { positionOf } from '../formats/geometry.ts';
import { LOG_SLOTS } from '../log/limits.ts';
import type { Log } from '../log/log.ts';
import type { RecoveryReport } from '../log/recovery.ts';
import type { Disk } from '../platform/disk.ts';
import type { Clock, Platform } from '../platform/platform.ts';
import type { Catalog } from '../volumes/catalog.ts';
import { Counter } from '../volumes/counters.ts';
import type { Engine } from '../volumes/engine.ts';
import type { Damage } from '../volumes/fills.ts';
import type { RequestTable } from '../volumes/request-table.ts';
import { AdminQueue } from './admin-queue.ts';
import { SessionAdmin } from './session-admin.ts';
import type {
  DamageReport,
  OpenSessionOptions,
  ReattachOptions,
  SessionGrant,
  SessionInfo,
  Store,
  StoreStats,
  VolumeInfo,
} from './store.ts';
import { VolumeAdmin } from './volume-admin.ts';

/** Between looks at a disk that has nothing to tell, while closing. */
const LOOK_AGAIN_MS = 1;

export interface PoolStoreParts {
  readonly platform: Platform;
  readonly disk: Disk;
  readonly log: Log;
  readonly catalog: Catalog;
  readonly engine: Engine;
  readonly report: RecoveryReport;
}

export class PoolStore implements Store {
  readonly requests: RequestTable;
  readonly recovery: RecoveryReport;
  readonly #disk: Disk;
  readonly #log: Log;
  readonly #catalog: Catalog;
  readonly #engine: Engine;
  readonly #clock: Clock;
  readonly #queue: AdminQueue;
  readonly #volumes: VolumeAdmin;
  readonly #sessions: SessionAdmin;
  #closing: boolean = false;

  constructor({ platform, disk, log, catalog, engine, report }: PoolStoreParts) {
    this.recovery = report;
    this.requests = engine.parts.requests;
    this.#disk = disk;
    this.#log = log;
    this.#catalog = catalog;
    this.#engine = engine;
    this.#clock = platform.clock;
    const queue = new AdminQueue(log);
    const volumes = new VolumeAdmin(catalog, engine, queue);
    const { clock, entropy } = platform;
    this.#queue = queue;
    this.#volumes = volumes;
    this.#sessions = new SessionAdmin({ catalog, engine, queue, volumes, clock, entropy });
    this.#sessions.startGraces();
  }

  get poolId(): string {
    return hexOf(this.#log.poolId);
  }

  get incarnation(): number {
    return this.#log.incarnation;
  }

  get failed(): StoreError | undefined {
    return this.#log.failed;
  }

  get writeBlocksMax(): number {
    return this.#engine.parts.writeBlocksMax;
  }

  get eventFd(): number {
    return this.#disk.eventFd;
  }

  // The hot face. ----------------------------------------------------------------------------

  /** @hotpath */
  submit(row: number): void {
    assert(!this.#closing, 'nothing is submitted to a store that closes');
    this.#engine.submit(row);
  }

  /** @hotpath */
  step(nowUs: number): boolean {
    return this.#closing ? false : this.#step(nowUs);
  }

  /** @hotpath */
  takeCompleted(): number {
    return this.#engine.turn.completed.take();
  }

  /** @hotpath */
  get hasWork(): boolean {
    if (this.#engine.turn.completed.count > 0 || this.#queue.untriedCount > 0) return true;
    return this.#engine.hasWork || this.#disk.hasCompletions() || this.#log.hasWork;
  }

  /** @hotpath */
  get nextDeadlineUs(): number {
    return Math.min(this.#log.nextDeadlineUs, this.#catalog.sessions.nextDeadlineUs);
  }

  /** @hotpath */
  sizeBytesOf(session: number): number {
    const slot = this.#catalog.sessions.volumeSlot[session] as number;
    return this.#catalog.volumes.sizeBytesOf(slot);
  }

  /** @hotpath */
  #step(nowUs: number): boolean {
    let any = this.#reap();
    if (nowUs >= this.#catalog.sessions.nextDeadlineUs) this.#sessions.expire(nowUs);
    if (this.#queue.untriedCount > 0) any = this.#queue.tryAll() || any;
    any = this.#engine.run() || any;
    const logMoved = this.#log.step(nowUs);
    this.#engine.finish(logMoved);
    this.#queue.settle();
    this.#disk.submit();
    return any || logMoved;
  }

  /** @hotpath */
  #reap(): boolean {
    const disk = this.#disk;
    if (!disk.hasCompletions()) return false;
    const count = disk.reap();
    for (let i = 0; i < count; i++) {
      const slot = disk.completedSlots[i] as number;
      const result = disk.completedResults[i] as number;
      if (slot < LOG_SLOTS) this.#log.onDisk(slot, result);
      else this.#engine.fills.onDisk(slot, result);
    }
    return count > 0;
  }

  // The cold face. ---------------------------------------------------------------------------

  async createVolume(name: string, sizeBytes: number): Promise<VolumeInfo> {
    this.#requireOpen();
    return await this.#volumes.create(name, sizeBytes);
  }

  async resizeVolume(name: string, sizeBytes: number): Promise<VolumeInfo> {
    this.#requireOpen();
    return await this.#volumes.resize(name, sizeBytes);
  }

  async removeVolume(name: string): Promise<void> {
    this.#requireOpen();
    await this.#volumes.remove(name);
  }

  listVolumes(): VolumeInfo[] {
    return this.#volumes.list();
  }

  requireVolume(name: string): VolumeInfo {
    return this.#volumes.infoOf(this.#volumes.requireSlot(name));
  }

  async openSession(options: OpenSessionOptions): Promise<SessionGrant> {
    this.#requireOpen();
    return await this.#sessions.open(options);
  }

  async reattachSession(options: ReattachOptions): Promise<SessionGrant> {
    this.#requireOpen();
    return this.#sessions.reattach(options);
  }

  detachSession(session: number): void {
    this.#sessions.detach(session);
  }

  async closeSession(session: number): Promise<void> {
    this.#requireOpen();
    await this.#sessions.close(session);
  }

  listSessions(): SessionInfo[] {
    return this.#sessions.list();
  }

  async flush(): Promise<void> {
    this.#requireOpen();
    const attempt = () => this.#log.lastTxn;
    await this.#queue.run({ durable: true, attempt, result: () => undefined });
  }

  stats(): StoreStats {
    const { parts } = this.#engine;
    const count = (counter: number) => parts.counters[counter] as number;
    const log = this.#log.stats();
    return {
      readCommands: count(Counter.READ_COMMANDS),
      writeCommands: count(Counter.WRITE_COMMANDS),
      zeroCommands: count(Counter.ZERO_COMMANDS),
      flushCommands: count(Counter.FLUSH_COMMANDS),
      failedCommands: count(Counter.FAILED_COMMANDS),
      repeatedCommands: count(Counter.REPEATED_COMMANDS),
      heldCommands: count(Counter.HELD_REQUESTS),
      readBytes: count(Counter.READ_BYTES),
      writtenBytes: count(Counter.WRITTEN_BYTES),
      bankHits: count(Counter.BANK_HITS),
      cacheHits: count(Counter.CACHE_HITS),
      cacheMisses: count(Counter.CACHE_MISSES),
      unmappedReads: count(Counter.UNMAPPED_READS),
      checksumMismatches: count(Counter.CHECKSUM_MISMATCHES),
      mediaErrors: count(Counter.MEDIA_ERRORS),
      cacheFrames: parts.cache.frameCount,
      cachedFrames: parts.cache.cachedCount,
      mappedBlocks: parts.map.mappedBlocks,
      provisionedBlocks: parts.map.provisionedBlocks,
      commits: log.commits,
      syncs: log.syncs,
      checkpoints: log.checkpoints,
      loggedBytes: log.loggedBytes,
      freeSegments: log.freeSegments,
      segmentCount: log.segmentCount,
      checkpointGeneration: this.#log.checkpointGeneration,
      requestsInFlight: parts.requests.claimedCount,
    };
  }

  takeDamage(): DamageReport[] {
    return this.#engine.fills.takeDamage().map((damage) => this.#reportOf(damage));
  }

  async close(): Promise<void> {
    this.#requireOpen();
    assert(this.requests.claimedCount === 0, 'every row is released before a close');
    this.#closing = true;
    try {
      await this.#drain();
      if (this.#log.failed === undefined) await this.#log.close();
    } finally {
      this.#queue.close(new StoreError('closed'));
      await this.#disk.close();
      this.#engine.parts.cache.close();
    }
    if (this.#log.failed !== undefined && this.#log.failed.code !== 'closed')
      throw this.#log.failed;
  }

  /** Steps until no command, call, clear or read is left. */
  async #drain(): Promise<void> {
    const { fills, clears } = this.#engine;
    for (;;) {
      const any = this.#step(this.#clock.nowUs());
      if (fills.count === 0 && clears.count === 0 && this.#queue.count === 0) return;
      if (any) continue;
      await new Promise<void>((resolve) => {
        this.#clock.after(LOOK_AGAIN_MS, resolve);
      });
    }
  }

  #requireOpen(): void {
    if (this.#closing) throw new StoreError('closed');
  }

  #reportOf(damage: Damage): DamageReport {
    const { volumes } = this.#catalog;
    const slot = volumes.slots().find((one) => volumes.space[one] === damage.space);
    return {
      volume: slot === undefined ? '' : volumes.nameOf(slot),
      lba: damage.lba,
      positionBytes: positionOf(damage.pba),
      code: damage.code,
    };
  }
}
