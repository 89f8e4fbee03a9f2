/**
 * Runs the commands of all sessions of a pool.
 *
 *            +--> turn's copies --> complete (reads, plain writes)
 *   submit --+--> held: behind another one, for the log, for fills, for a long clear --> again
 *            +--> durable waits --> complete (FLUSH, FUA)
 *
 * A command that changes something is tried as a whole in one turn and held if it cannot run; what
 * it found is found anew when it is tried again (R14). Its blocks are closed to others meanwhile.
 */
import { assert } from '../base/assert.ts';
import { STATUS_OK, statusOf } from '../base/errors.ts';
import type { Catalog } from './catalog.ts';
import { checkRequest } from './check-request.ts';
import { Counter } from './counters.ts';
import { DurableWaits } from './durable-waits.ts';
import { Edges } from './edges.ts';
import { type EngineOptions, EngineParts } from './engine-parts.ts';
import { type FillClient, Fills } from './fills.ts';
import { GuestData } from './guest-data.ts';
import { HELD_NONE } from './held-ranges.ts';
import { EDGE } from './in-flight-table.ts';
import { Outcome } from './outcome.ts';
import { type ClearClient, RangeClears } from './range-clears.ts';
import { CLEAR_WORK_MAX, RangePath } from './range-path.ts';
import { ReadPath } from './read-path.ts';
import { RequestFlag, RequestOp, RequestState } from './request-table.ts';
import { QUEUE_EMPTY, RowQueue } from './row-queue.ts';
import { Turn } from './turn.ts';
import { WritePath, writeRowsMax } from './write-path.ts';

const POOL_FAILED = statusOf('pool_failed');

export class Engine implements FillClient, ClearClient {
  readonly parts: EngineParts;
  readonly turn: Turn;
  readonly fills: Fills;
  readonly clears: RangeClears;
  /** Told of clears that `addClear` began. */
  onVolumeCleared: (slot: number) => void = () => {};

  readonly #reads: ReadPath;
  readonly #writes: WritePath;
  readonly #ranges: RangePath;
  readonly #edges: Edges;
  readonly #guest: GuestData;
  readonly #durable: DurableWaits;
  readonly #submitted: RowQueue;
  /** Held rows that may run now. */
  readonly #ready: RowQueue;
  /** Rows for whose fills there was no room. */
  readonly #stalled: RowQueue;
  /** Rows for which the log had no room, in order. */
  readonly #forLog: RowQueue;
  #logMoved = false;

  constructor(options: EngineOptions & { readonly catalog: Catalog }) {
    const parts = new EngineParts(options);
    const { capacity } = parts.requests;
    const rowsMax = writeRowsMax(parts.writeBlocksMax);
    assert(parts.log.copies.roomCount >= rowsMax, 'a batch holds the largest write');
    this.parts = parts;
    this.turn = new Turn(parts);
    this.fills = new Fills(parts);
    this.clears = new RangeClears(parts.map, parts, this);
    this.#guest = new GuestData(parts.requests, parts.log.copies);
    this.#edges = new Edges(parts, this.fills);
    this.#reads = new ReadPath(parts, this.turn, this.fills, this.#guest);
    this.#writes = new WritePath(parts, this.turn, this.#edges, this.#guest);
    this.#ranges = new RangePath(parts, this.turn, this.#edges, this.#writes, this.clears);
    this.#durable = new DurableWaits(parts, this.turn);
    this.#submitted = new RowQueue(capacity);
    this.#ready = new RowQueue(capacity);
    this.#stalled = new RowQueue(capacity);
    this.#forLog = new RowQueue(capacity);
  }

  /** Whether `run` would do something now. @hotpath */
  get hasWork(): boolean {
    if (this.#submitted.count > 0 || this.#ready.count > 0) return true;
    if (this.fills.hasWork || this.clears.count > 0) return true;
    if (this.#stalled.count > 0 && this.fills.count === 0) return true;
    return this.#forLog.count > 0 && this.#logMoved;
  }

  /** @hotpath */
  submit(row: number): void {
    assert(
      this.parts.requests.state[row] === RequestState.CLAIMED,
      'a row is claimed, then submitted once',
    );
    this.parts.requests.state[row] = RequestState.SUBMITTED;
    this.#submitted.push(row);
  }

  /** The first half of a step: runs what can run, up to the copies. True if it did something. @hotpath */
  run(): boolean {
    let any = this.fills.deliver(this);
    if (this.#stalled.count > 0 && (any || this.fills.count === 0)) any = this.#runStalled();
    if (this.#forLog.count > 0) this.#runForLog();
    this.#runReady();
    // A full batch is a millisecond or two: what is left waits for the next step, so that the log
    // and the disk are looked at in between.
    const { flushCount } = this.turn;
    while (this.#submitted.count > 0 && this.turn.flushCount === flushCount) {
      any = true;
      this.#start(this.#submitted.take());
      this.#runReady();
    }
    if (this.clears.count > 0) any = this.clears.advance(CLEAR_WORK_MAX) || any;
    this.#runReady();
    any = this.turn.flush() || any;
    this.fills.issue();
    return any;
  }

  /** The second half, after the log's step. @hotpath */
  finish(logMoved: boolean): void {
    this.#logMoved = logMoved;
    this.#durable.complete();
    this.turn.flush();
  }

  /** Clears blocks of a volume that is shrunk or removed; `onVolumeCleared` tells. */
  addClear(slot: number, firstLba: number, endLba: number): void {
    const space = this.parts.volumes.space[slot] as number;
    if (firstLba < endLba) this.clears.add(space, firstLba, endLba, -1 - slot);
    else this.onVolumeCleared(slot);
  }

  // What rows wait for. ----------------------------------------------------------------------

  filled(row: number, block: number, frame: number): void {
    if (block !== EDGE) this.#reads.filled(row, block, frame);
    else if (this.#edges.filled(row, frame)) this.#edgesCame(row);
  }

  failed(row: number, block: number, status: number): void {
    if (block !== EDGE) {
      this.#reads.failed(row, status);
      return;
    }
    this.parts.work.fault[row] = status;
    if (this.#edges.oneLess(row)) this.#edgesCame(row);
  }

  cleared(owner: number): void {
    if (owner >= 0) this.#finish(owner, STATUS_OK);
    else this.onVolumeCleared(-1 - owner);
  }

  #edgesCame(row: number): void {
    const fault = this.parts.work.fault[row] as number;
    if (fault === 0) this.#ready.push(row);
    else this.#finish(row, fault);
  }

  // Starting and trying again. ---------------------------------------------------------------

  /** @hotpath */
  #start(row: number): void {
    const { parts } = this;
    const status = checkRequest(parts, row);
    if (status !== STATUS_OK) {
      this.turn.complete(row, status);
      return;
    }
    const op = parts.requests.op[row] as number;
    if (op === RequestOp.FLUSH) {
      parts.count(Counter.FLUSH_COMMANDS, 1);
      this.#durable.add(row);
      return;
    }
    const session = parts.requests.session[row] as number;
    parts.begin(row, parts.sessions.volumeSlot[session] as number);
    this.#guest.reset(row);
    if (op === RequestOp.READ) this.#startRead(row);
    else this.#startChange(row, op);
  }

  /** @hotpath */
  #startRead(row: number): void {
    const { parts } = this;
    parts.count(Counter.READ_COMMANDS, 1);
    if (parts.held.count > 0 && this.#holdBehind(row, false)) return;
    if (!this.#reads.run(row)) this.#stalled.push(row);
  }

  /** @hotpath */
  #startChange(row: number, op: number): void {
    const { parts } = this;
    const counter = op === RequestOp.WRITE ? Counter.WRITE_COMMANDS : Counter.ZERO_COMMANDS;
    parts.count(counter, 1);
    if (parts.held.count > 0 && this.#holdBehind(row, true)) return;
    if (this.#forLog.count > 0) {
      // Behind those that wait for the log already, or a small one would starve a large one.
      this.#hold(row, true);
      this.#forLog.push(row);
      return;
    }
    this.#settle(row, this.#attempt(row));
  }

  /** Holds a new row behind a held one that it may not overtake. False if there is none. */
  #holdBehind(row: number, mutates: boolean): boolean {
    const { held, work } = this.parts;
    const firstLba = work.firstLba[row] as number;
    const endLba = firstLba + (work.blockCount[row] as number);
    const other = held.findConflict(work.space[row] as number, firstLba, endLba, mutates);
    if (other === HELD_NONE) return false;
    this.#hold(row, mutates);
    held.waitFor(row, other);
    return true;
  }

  #hold(row: number, mutates: boolean): void {
    const { held, work } = this.parts;
    const firstLba = work.firstLba[row] as number;
    const endLba = firstLba + (work.blockCount[row] as number);
    held.hold(row, work.space[row] as number, firstLba, endLba, mutates);
    this.parts.count(Counter.HELD_REQUESTS, 1);
  }

  /** Tries a command that changes something. @hotpath */
  #attempt(row: number): number {
    const { requests, windows, log, work } = this.parts;
    if (log.failed !== undefined) {
      work.fault[row] = POOL_FAILED;
      return Outcome.FAILED;
    }
    const session = requests.session[row] as number;
    const queue = requests.queue[row] as number;
    const tag = requests.tag[row] as number;
    if (windows.wasApplied(session, queue, tag, requests.operation[row] as number)) {
      this.parts.count(Counter.REPEATED_COMMANDS, 1);
      return Outcome.DONE;
    }
    return requests.op[row] === RequestOp.WRITE ? this.#writes.run(row) : this.#ranges.run(row);
  }

  /** Does what the outcome of an attempt asks for. @hotpath */
  #settle(row: number, outcome: number): void {
    if (outcome === Outcome.DONE) {
      this.#finish(row, STATUS_OK);
      return;
    }
    if (outcome === Outcome.FAILED) {
      this.#finish(row, this.parts.work.fault[row] as number);
      return;
    }
    if (!this.parts.held.isHeld(row)) this.#hold(row, true);
    if (outcome === Outcome.STALLED) this.#stalled.push(row);
    if (outcome === Outcome.LOG_BUSY) this.#forLog.push(row);
  }

  /** The command is over but for its completion; who waited for it looks again. @hotpath */
  #finish(row: number, status: number): void {
    const { held, requests } = this.parts;
    this.#edges.letGo(row);
    if (held.isHeld(row)) this.#letGo(row);
    const flags = requests.flags[row] as number;
    const durable = (flags & RequestFlag.FUA) !== 0 && status === STATUS_OK;
    if (durable) this.#durable.add(row);
    else this.turn.complete(row, status);
  }

  #letGo(row: number): void {
    const { held } = this.parts;
    let dependent = held.letGo(row);
    while (dependent !== HELD_NONE) {
      const next = held.nextDependent(dependent);
      this.#ready.push(dependent);
      dependent = next;
    }
  }

  /** @hotpath */
  #runReady(): void {
    let row = this.#ready.take();
    while (row !== QUEUE_EMPTY) {
      this.#again(row);
      row = this.#ready.take();
    }
  }

  /** A held row looks again: at its bounds, at who was before it, at everything. */
  #again(row: number): void {
    const { held } = this.parts;
    const status = checkRequest(this.parts, row);
    if (status !== STATUS_OK) {
      this.#finish(row, status);
      return;
    }
    const other = held.findEarlierConflict(row);
    if (other !== HELD_NONE) {
      held.waitFor(row, other);
      return;
    }
    if (this.parts.requests.op[row] !== RequestOp.READ) {
      this.#settle(row, this.#attempt(row));
      return;
    }
    this.#letGo(row);
    if (!this.#reads.run(row)) this.#stalled.push(row);
  }

  #runStalled(): boolean {
    for (let left = this.#stalled.count; left > 0; left--) {
      const row = this.#stalled.take();
      if (this.parts.held.isHeld(row)) this.#ready.push(row);
      else if (!this.#reads.run(row)) this.#stalled.push(row);
    }
    return true;
  }

  #runForLog(): void {
    for (let left = this.#forLog.count; left > 0; left--) {
      const row = this.#forLog.peek();
      const status = checkRequest(this.parts, row);
      if (status !== STATUS_OK) {
        this.#forLog.take();
        this.#finish(row, status);
        continue;
      }
      const outcome = this.#attempt(row);
      if (outcome === Outcome.LOG_BUSY) return;
      this.#forLog.take();
      this.#settle(row, outcome);
    }
  }
}
