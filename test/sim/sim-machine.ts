/**
 * A machine with disks and memory on which host processes start, die, and lose power, all from one
 * seed. A crash can be set for the n-th crash point from now, so that a history can be cut at
 * every place where a cut makes a difference.
 */
import { assert } from '../../src/base/assert.ts';
import { crc32c } from '../../src/base/crc32c.ts';
import { Prng } from '../../src/base/prng.ts';
import { GIB, SECTOR_BYTES } from '../../src/base/units.ts';
import type { SimBankFile } from './sim-banks.ts';
import { SimTime } from './sim-clock.ts';
import type { SimFile } from './sim-file.ts';
import { type CrashPoint, SimProcess } from './sim-process.ts';

export interface SimMachineOptions {
  readonly seed: number;
  /** What direct I/O asks of memory, position and length. */
  readonly alignmentBytes?: number;
  /** Room for banks. */
  readonly bankBytesMax?: number;
}

export class SimMachine {
  readonly seed: number;
  readonly alignmentBytes: number;
  readonly time: SimTime;
  /** Pool files by path. */
  readonly disks = new Map<string, SimFile>();
  /** Bank files by name. A test may delete one, as a cleaner of temporary files does. */
  readonly banks = new Map<string, SimBankFile>();
  bankBytesMax: number;
  readonly #prng: Prng;
  readonly #processes = new Set<SimProcess>();
  #startedCount = 0;
  #bootNumber = 1;
  #pointCount = 0;
  #crashAt = Number.POSITIVE_INFINITY;
  #lastPoint: CrashPoint | undefined;
  #traceHash = 0;

  constructor({ seed, alignmentBytes = SECTOR_BYTES, bankBytesMax = GIB }: SimMachineOptions) {
    this.seed = seed;
    this.alignmentBytes = alignmentBytes;
    this.bankBytesMax = bankBytesMax;
    this.#prng = new Prng(seed);
    this.time = new SimTime(this.#prng.fork());
  }

  get bootId(): string {
    return `00000000-0000-4000-8000-${String(this.#bootNumber).padStart(12, '0')}`;
  }

  /** Crash points passed since the machine was made. */
  get pointCount(): number {
    return this.#pointCount;
  }

  get lastPoint(): CrashPoint | undefined {
    return this.#lastPoint;
  }

  /** Equal for two runs that did the same I/O with the same bytes in the same order. */
  get traceHash(): number {
    return this.#traceHash;
  }

  startProcess(): SimProcess {
    this.#startedCount += 1;
    const process = new SimProcess(this, `process-${this.#startedCount}`, this.#prng.fork());
    this.#processes.add(process);
    return process;
  }

  /** The process that passes the n-th crash point from now, counted from 1, dies there. */
  armCrash(pointCount: number): void {
    assert(pointCount >= 1, 'a crash lies ahead');
    this.#crashAt = this.#pointCount + pointCount;
  }

  disarmCrash(): void {
    this.#crashAt = Number.POSITIVE_INFINITY;
  }

  /** Every process dies; disks and banks keep what they have. */
  killProcesses(): void {
    for (const process of this.#processes) process.kill();
    this.#processes.clear();
  }

  /** Every process dies, banks vanish, and of unsynced writes anything may be left. */
  losePower(): void {
    this.killProcesses();
    for (const file of this.disks.values()) file.losePower();
    this.banks.clear();
    this.#bootNumber += 1;
  }

  /** For the simulated parts: whether the process that passes this point dies here. */
  countPoint(point: CrashPoint): boolean {
    this.#pointCount += 1;
    this.#lastPoint = point;
    if (this.#pointCount !== this.#crashAt) return false;
    this.disarmCrash();
    return true;
  }

  /** For the simulated parts: notes an event. */
  trace(kind: number, slot: number, value: number, bytes: Uint8Array): void {
    const words = new Float64Array([this.#traceHash, kind, slot, value]);
    const sum = crc32c(new Uint8Array(words.buffer), 0, words.byteLength, 0);
    this.#traceHash = crc32c(bytes, 0, bytes.byteLength, sum);
  }
}
