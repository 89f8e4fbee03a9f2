/**
 * A host process on a simulated machine: the `Platform` that its code sees. It can die at every
 * crash point, which is before and after each thing it does that outlives it, and within a copy
 * batch between any two rows. After that every call of it throws, and nothing it does has effect.
 */
import { assert } from '../../src/base/assert.ts';
import { StoreError } from '../../src/base/errors.ts';
import type { Prng } from '../../src/base/prng.ts';
import { COPY_ROW_WORDS } from '../../src/bindings/kinds.ts';
import type { CopyBatch } from '../../src/platform/copy-batch.ts';
import { CopyTable } from '../../src/platform/copy-table.ts';
import type { Disk } from '../../src/platform/disk.ts';
import type { Clock, Entropy, Kernels, Platform, PoolFiles } from '../../src/platform/platform.ts';
import {
  checkRows,
  type MemoryTable,
  PortableKernels,
  runRow,
} from '../../src/platform/portable-kernels.ts';
import { SimBankFiles } from './sim-banks.ts';
import { SimClock } from './sim-clock.ts';
import { SimDisk } from './sim-disk.ts';
import { SimFile } from './sim-file.ts';
import type { SimMachine } from './sim-machine.ts';

/** How often somebody who waits for a pool's lock looks. */
const LOCK_RETRY_MS = 10;

/** Thrown through the code of a process that is dead. Nobody catches it but the harness. */
export class SimulatedCrash extends Error {
  override readonly name = 'SimulatedCrash';
}

export type CrashPoint =
  | 'step'
  | 'submit.before'
  | 'submit.after'
  | 'reap.before'
  | 'reap.after'
  | 'read.before'
  | 'write.before'
  | 'write.after'
  | 'sync.before'
  | 'sync.after'
  | 'close.before'
  | 'close.after'
  | 'run.before'
  | 'run.after'
  | 'pool.open'
  | 'pool.create.before'
  | 'pool.create.after'
  | 'bank.create.before'
  | 'bank.create.after'
  | 'bank.open'
  | 'bank.remove.before'
  | 'bank.remove.after';

export class SimProcess implements Platform {
  readonly machine: SimMachine;
  readonly name: string;
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly kernels: Kernels;
  readonly pools: PoolFiles;
  readonly banks: SimBankFiles;
  readonly #prng: Prng;
  readonly #portable = new PortableKernels();
  readonly #disks: SimDisk[] = [];
  #alive: boolean = true;

  /** By `SimMachine.startProcess`. */
  constructor(machine: SimMachine, name: string, prng: Prng) {
    this.machine = machine;
    this.name = name;
    this.#prng = prng;
    this.clock = new SimClock(machine.time, this, () => this.requireAlive());
    const entropyPrng = prng.fork();
    this.entropy = { fill: (bytes) => entropyPrng.fill(bytes) };
    this.kernels = this.#makeKernels();
    this.pools = {
      open: (path, options) => this.#open(path, options),
      create: (path, options) => this.#create(path, options),
    };
    this.banks = new SimBankFiles(this);
  }

  get alive(): boolean {
    return this.#alive;
  }

  get memories(): MemoryTable {
    return this.#portable.memories;
  }

  bootId(): string {
    this.requireAlive();
    return this.machine.bootId;
  }

  requireAlive(): void {
    if (!this.#alive) throw new SimulatedCrash(`${this.name} is dead`);
  }

  /**
   * Passes a place where the process may die. `progress` is what may have happened of the thing
   * that it was about to do.
   */
  point(name: CrashPoint, progress?: () => void): void {
    this.requireAlive();
    if (!this.machine.countPoint(name)) return;
    progress?.();
    this.kill();
    throw new SimulatedCrash(`${this.name} died at ${name}`);
  }

  /** Dies here and now. */
  kill(): void {
    if (!this.#alive) return;
    this.#alive = false;
    this.machine.time.removeOwner(this);
    for (const disk of this.#disks) disk.kill();
    this.banks.kill();
  }

  #makeKernels(): Kernels {
    const portable = this.#portable;
    return {
      crc32c: (bytes, start, end, seed) => portable.crc32c(bytes, start, end, seed),
      allocate: (byteLength) => portable.allocate(byteLength),
      registerMemory: (bytes) => portable.registerMemory(bytes),
      unregisterMemory: (memory) => portable.unregisterMemory(memory),
      createCopyBatch: (rowCountMax) => this.#createCopyBatch(rowCountMax),
    };
  }

  #createCopyBatch(rowCountMax: number): CopyBatch {
    return new CopyTable(rowCountMax, (jobs, count, sums) => {
      checkRows(this.memories, jobs, count);
      this.point('run.before', () => this.#runInPart(jobs, count, sums));
      for (let row = 0; row < count; row++) runRow(this.memories, jobs, row, sums);
      this.point('run.after');
    });
  }

  /** Some first rows, and sometimes some first bytes of the next. */
  #runInPart(jobs: Uint32Array, count: number, sums: Uint32Array): void {
    const rowCount = this.#prng.below(count + 1);
    for (let row = 0; row < rowCount; row++) runRow(this.memories, jobs, row, sums);
    if (rowCount === count || this.#prng.chance(0.5)) return;
    const at = rowCount * COPY_ROW_WORDS;
    const cut = jobs.slice(at, at + COPY_ROW_WORDS);
    cut[5] = this.#prng.below((cut[5] ?? 0) + 1);
    runRow(this.memories, cut, 0, new Uint32Array(1));
  }

  async #open(path: string, options: { lockWaitMs: number; readOnly?: boolean }): Promise<Disk> {
    this.point('pool.open');
    const file = this.machine.disks.get(path);
    if (file === undefined) throw new StoreError('system_error', { path, errno: 'ENOENT' });
    const deadlineUs = this.machine.time.nowUs + options.lockWaitMs * 1000;
    while (file.holder !== undefined) {
      const { holder } = file;
      if (this.machine.time.nowUs >= deadlineUs)
        throw new StoreError('pool_locked', { path, holder });
      await new Promise<void>((resolve) => this.clock.after(LOCK_RETRY_MS, resolve));
      this.requireAlive();
    }
    file.holder = this.name;
    const { alignmentBytes } = this.machine;
    const readOnly = options.readOnly ?? false;
    const disk = new SimDisk(this, file, this.#prng.fork(), { readOnly, alignmentBytes });
    this.#disks.push(disk);
    return disk;
  }

  async #create(path: string, options: { sizeBytes: number }): Promise<void> {
    this.point('pool.create.before');
    const { sizeBytes } = options;
    const { disks, alignmentBytes } = this.machine;
    assert(sizeBytes % alignmentBytes === 0, 'a pool is whole sectors');
    if (disks.has(path)) throw new StoreError('already_exists', { path });
    disks.set(path, new SimFile(path, sizeBytes, this.#prng.fork()));
    await Promise.resolve();
    this.point('pool.create.after');
  }
}
