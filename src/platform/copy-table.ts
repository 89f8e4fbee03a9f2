/**
 * The one `CopyBatch`: a table of numbers, filled here and run elsewhere. The runner is the addon,
 * or its twin in JavaScript (portable-kernels.ts); the simulator puts its crash points around that.
 */
import { assert } from '../base/assert.ts';
import { COPY_ROW_WORDS, CopyKind } from '../bindings/kinds.ts';
import type { CopyBatch } from './copy-batch.ts';

/**
 * Runs rows [0, count) of `jobs` in order and stores the sums asked for. Rows are laid out as
 * `CopyKind` says. Throws, before any job has run, if a row reaches outside its memories.
 */
export type CopyRunner = (jobs: Uint32Array, count: number, sums: Uint32Array) => void;

/** More would let one step of the reactor hold its thread for too long, at about 1 µs a row. */
export const COPY_ROWS_MAX = 65_536;

const OFFSET_MAX = 0xffff_ffff;

export class CopyTable implements CopyBatch {
  readonly sums: Uint32Array;
  readonly #jobs: Uint32Array;
  readonly #rowCountMax: number;
  readonly #runner: CopyRunner;
  #rowCount = 0;
  #ran = false;

  constructor(rowCountMax: number, runner: CopyRunner) {
    assert(rowCountMax >= 1, 'a batch has room for a job');
    assert(rowCountMax <= COPY_ROWS_MAX, 'a batch is bounded');
    this.#rowCountMax = rowCountMax;
    this.#runner = runner;
    this.#jobs = new Uint32Array(rowCountMax * COPY_ROW_WORDS);
    this.sums = new Uint32Array(rowCountMax);
  }

  get rowCount(): number {
    return this.#rowCount;
  }

  get roomCount(): number {
    return this.#rowCountMax - this.#rowCount;
  }

  get hasRoom(): boolean {
    return this.#rowCount < this.#rowCountMax;
  }

  /** @hotpath */
  copy(
    sourceMemory: number,
    sourceOffset: number,
    targetMemory: number,
    targetOffset: number,
    byteLength: number,
  ): number {
    const { COPY } = CopyKind;
    return this.#add(COPY, sourceMemory, sourceOffset, targetMemory, targetOffset, byteLength);
  }

  /** @hotpath */
  copyAndSum(
    sourceMemory: number,
    sourceOffset: number,
    targetMemory: number,
    targetOffset: number,
    byteLength: number,
  ): number {
    const { COPY_SUM } = CopyKind;
    return this.#add(COPY_SUM, sourceMemory, sourceOffset, targetMemory, targetOffset, byteLength);
  }

  /** @hotpath */
  sum(memory: number, offset: number, byteLength: number): number {
    return this.#add(CopyKind.SUM, memory, offset, memory, offset, byteLength);
  }

  /** @hotpath */
  zero(memory: number, offset: number, byteLength: number): number {
    return this.#add(CopyKind.ZERO, memory, offset, memory, offset, byteLength);
  }

  /** @hotpath */
  run(): void {
    assert(!this.#ran, 'a batch runs once between two clears');
    this.#ran = true;
    if (this.#rowCount > 0) this.#runner(this.#jobs, this.#rowCount, this.sums);
  }

  /** @hotpath */
  clear(): void {
    this.#rowCount = 0;
    this.#ran = false;
  }

  /** @hotpath */
  #add(
    kind: number,
    sourceMemory: number,
    sourceOffset: number,
    targetMemory: number,
    targetOffset: number,
    byteLength: number,
  ): number {
    assert(this.#rowCount < this.#rowCountMax, 'the batch has room');
    assert(!this.#ran, 'a batch that ran is cleared before it is filled again');
    assert(sourceOffset >= 0 && sourceOffset <= OFFSET_MAX, 'source offset fits a row');
    assert(targetOffset >= 0 && targetOffset <= OFFSET_MAX, 'target offset fits a row');
    assert(byteLength >= 0 && byteLength <= OFFSET_MAX, 'length fits a row');
    const row = this.#rowCount;
    const at = row * COPY_ROW_WORDS;
    const jobs = this.#jobs;
    jobs[at] = kind;
    jobs[at + 1] = sourceMemory;
    jobs[at + 2] = sourceOffset;
    jobs[at + 3] = targetMemory;
    jobs[at + 4] = targetOffset;
    jobs[at + 5] = byteLength;
    this.#rowCount = row + 1;
    return row;
  }
}
