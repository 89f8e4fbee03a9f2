/**
 * Drives a log on a simulated machine as a reactor would, and remembers what it promised: which
 * operations were published, and which were durable, when the process or the power went.
 */
import { expect } from 'vitest';
import { BLOCK_BYTES, MIB } from '../../../src/base/units.ts';
import { positionOf, segmentOf } from '../../../src/formats/geometry.ts';
import { OperationKind } from '../../../src/formats/summary-entry.ts';
import { createPool } from '../../../src/log/create-pool.ts';
import { LOG_LIMITS, type LogLimits } from '../../../src/log/limits.ts';
import type { Log } from '../../../src/log/log.ts';
import { LOG_READY } from '../../../src/log/log.ts';
import { type OpenedLog, openLog } from '../../../src/log/recovery.ts';
import type { SegmentTable } from '../../../src/log/segment-table.ts';
import type { Disk } from '../../../src/platform/disk.ts';
import { SimMachine } from '../../sim/sim-machine.ts';
import type { SimProcess } from '../../sim/sim-process.ts';
import { imageOf, keyOf, ModelClient, versionOf } from './model-client.ts';

export const POOL = 'pool';
export const SEGMENT_BYTES = 2 * MIB;
export const OBJECT = 1;
export const BRANCH = 7;

/** Small, so that short histories meet every limit. */
export const SMALL_LIMITS: Partial<LogLimits> = {
  bufferCount: 3,
  journalUnits: 2048,
  copyRowsMax: 1024,
  entriesMax: 600,
  commitBytes: 64 * 4096,
  syncBytes: 256 * 4096,
  pagesPerStep: 2,
};

/** One operation of a history: a write of some blocks, or a discard. */
export interface Operation {
  readonly kind: 'write' | 'discard';
  readonly lba: number;
  readonly blockCount: number;
}

/** The state after each operation that was ever begun, by txn: LBA to version. */
export class History {
  readonly states = new Map<number, ReadonlyMap<number, number>>();
  /** Of operations that count; those cut off by a crash are forgotten on reopen. */
  order: number[] = [];
  #current = new Map<number, number>();
  #base: ReadonlyMap<number, number> = new Map();

  apply(txn: number, operation: Operation): void {
    const next = new Map(this.#current);
    for (let lba = operation.lba; lba < operation.lba + operation.blockCount; lba++) {
      if (operation.kind === 'write') next.set(lba, txn);
      else next.delete(lba);
    }
    this.#current = next;
    this.order.push(txn);
    this.states.set(txn, next);
  }

  stateAfter(txn: number): ReadonlyMap<number, number> {
    return this.states.get(txn) ?? this.#base;
  }

  /** After a reopen: only what came up to `txn` happened. */
  cutAt(txn: number): void {
    const state = this.stateAfter(txn);
    this.#base = state;
    this.#current = new Map(state);
    this.states.clear();
    this.order = [];
  }

  get current(): ReadonlyMap<number, number> {
    return this.#current;
  }
}

export class Harness {
  readonly machine: SimMachine;
  readonly limits: Partial<LogLimits>;
  readonly history = new History();
  process: SimProcess;
  client = new ModelClient();
  #opened: OpenedLog | undefined;
  #disk: Disk | undefined;
  /** What was promised last: survives a death, survives a loss of power. */
  publishedTxn = 0;
  durableTxn = 0;
  incarnation = 0;

  constructor(seed: number, limits: Partial<LogLimits> = SMALL_LIMITS) {
    this.machine = new SimMachine({ seed });
    this.limits = limits;
    this.process = this.machine.startProcess();
  }

  get log(): Log {
    if (this.#opened === undefined) throw new Error('the log is open');
    return this.#opened.log;
  }
  get report() {
    return this.#opened?.report;
  }
  get disk(): Disk {
    if (this.#disk === undefined) throw new Error('the disk is open');
    return this.#disk;
  }
  get file() {
    const file = this.machine.disks.get(POOL);
    if (file === undefined) throw new Error('the pool was made');
    return file;
  }

  async create(segmentCount = 16): Promise<void> {
    const sizeBytes = 16 * MIB + segmentCount * SEGMENT_BYTES;
    await createPool(this.process, POOL, { sizeBytes, segmentBytes: SEGMENT_BYTES });
  }

  /** Opens the pool in the running process. */
  async open(discardBank = false): Promise<void> {
    this.client = new ModelClient();
    this.#disk = await this.process.pools.open(POOL, { lockWaitMs: 0 });
    const options = { discardBank, limits: { ...LOG_LIMITS, ...this.limits } };
    this.#opened = await openLog(this.process, this.#disk, this.client, options);
    this.publishedTxn = this.log.publishedTxn;
    this.durableTxn = this.log.durableTxn;
    this.incarnation = this.log.incarnation;
  }

  get table(): SegmentTable {
    return this.log.table;
  }

  segmentOf(pba: number): number {
    return segmentOf(this.log.geometry, pba);
  }

  /** Everything dies; the bank stays. */
  kill(): void {
    this.machine.killProcesses();
    this.process = this.machine.startProcess();
  }

  losePower(): void {
    this.machine.losePower();
    this.process = this.machine.startProcess();
  }

  async close(): Promise<void> {
    await this.log.close();
    this.publishedTxn = this.durableTxn = this.log.durableTxn;
    await this.disk.close();
    this.process = this.machine.startProcess();
  }

  /** Appends an operation, or returns what `roomFor` said. Not yet published. */
  append(operation: Operation): number {
    const { log, client } = this;
    const isWrite = operation.kind === 'write';
    const entryCount = isWrite ? operation.blockCount : 1;
    const room = log.roomFor(isWrite ? operation.blockCount : 0, entryCount);
    if (room !== LOG_READY) return room;
    const kind = isWrite ? OperationKind.write : OperationKind.discard;
    const txn = log.beginOperation(kind, 0, 0, 0, 0, 0, BRANCH, entryCount);
    if (isWrite) {
      for (let i = 0; i < operation.blockCount; i++) this.#appendBlock(operation.lba + i, txn);
    } else {
      log.appendRange(OBJECT, operation.lba, operation.blockCount);
      for (let i = 0; i < operation.blockCount; i++) {
        client.clear(BRANCH, OBJECT, operation.lba + i, log);
      }
    }
    this.history.apply(txn, operation);
    return LOG_READY;
  }

  #appendBlock(lba: number, txn: number): void {
    const { log, client, process } = this;
    const old = client.map.get(keyOf(BRANCH, OBJECT, lba));
    const mba = old?.mba ?? log.nextMba();
    const pba = log.appendBlock(OBJECT, lba, mba, old?.mba ?? 0);
    const image = imageOf(BRANCH, lba, txn);
    const source = process.kernels.registerMemory(image);
    const { bankMemory } = log;
    const row = log.copies.copyAndSum(source, 0, bankMemory, log.bankOffsetOf(pba), BLOCK_BYTES);
    log.sumRow(row);
    const sum = process.kernels.crc32c(image, 0, BLOCK_BYTES, 0);
    client.set({ branch: BRANCH, object: OBJECT, lba, pba, sum, mba, txn }, log);
  }

  /** The end of a turn: copies, publish. */
  publish(): void {
    this.log.copies.run();
    this.log.publish();
    this.publishedTxn = this.log.publishedTxn;
    this.log.copies.clear();
  }

  /** One step of the reactor behind a turn. */
  step(advanceUs = 0): boolean {
    this.machine.time.advance(advanceUs);
    const { log, disk } = this;
    const did = log.step(this.process.clock.nowUs());
    disk.submit();
    const count = disk.reap();
    for (let i = 0; i < count; i++) {
      log.onDisk(disk.completedSlots[i] as number, disk.completedResults[i] as number);
    }
    this.durableTxn = log.durableTxn;
    return did || count > 0;
  }

  /** Appends, publishing and stepping for as long as the log is busy; the last answer. */
  write(operation: Operation): number {
    for (let tries = 0; ; tries++) {
      const room = this.append(operation);
      this.publish();
      if (room !== -1) return room;
      expect(tries).toBeLessThan(10_000);
      this.step(10);
    }
  }

  stepUntil(done: () => boolean): void {
    for (let tries = 0; !done(); tries++) {
      expect(tries).toBeLessThan(10_000);
      expect(this.log.failed).toBeUndefined();
      this.step(10);
    }
  }

  flush(): void {
    const txn = this.log.lastTxn;
    this.log.requestDurable(txn);
    this.stepUntil(() => this.log.durableTxn >= txn);
  }

  checkpoint(): void {
    const generation = this.log.checkpointGeneration;
    this.log.checkpointNow();
    this.stepUntil(() => this.log.checkpointGeneration > generation);
  }

  /**
   * After a reopen: the state is that after some operation of the history, at least `minimumTxn`,
   * and every block that is mapped has the bytes of that version. Returns the txn.
   */
  async expectPrefix(minimumTxn: number): Promise<number> {
    const { client } = this;
    const found = new Map<number, number>();
    for (const stored of client.map.values()) found.set(stored.lba, stored.txn);
    const txns = [0, ...this.history.order];
    const matching = txns.filter((txn) => sameState(this.history.stateAfter(txn), found));
    expect(matching, `the state is none of the history's: ${[...found]}`).not.toEqual([]);
    // Operations without effect leave equal states: the latest of them counts.
    const best = matching.at(-1) ?? 0;
    // Txns jump at an open, so the promise may lie between two operations.
    const promised = this.history.order.filter((txn) => txn <= minimumTxn).at(-1) ?? 0;
    expect(best).toBeGreaterThanOrEqual(promised);
    for (const stored of client.map.values())
      await this.#expectBlock(stored.pba, stored.lba, stored.txn);
    this.history.cutAt(best);
    return best;
  }

  async #expectBlock(pba: number, lba: number, txn: number): Promise<void> {
    const bytes = this.process.kernels.allocate(BLOCK_BYTES);
    await this.disk.read(bytes, positionOf(pba));
    expect(versionOf(bytes, BRANCH, lba), `block ${lba} at ${pba}`).toBe(txn);
  }
}

export function sameState(a: ReadonlyMap<number, number>, b: ReadonlyMap<number, number>): boolean {
  if (a.size !== b.size) return false;
  for (const [lba, version] of a) {
    if (b.get(lba) !== version) return false;
  }
  return true;
}
