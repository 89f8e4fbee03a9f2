/**
 * From a guest's ring to the store and back: copies a batch of commands, answers what needs no
 * store, hands on the rest, and answers that when the store is done with it.
 *
 * Nothing here allocates per command. A row of the store's table carries the session's number in
 * `context`, and queue and tag beside it; that is all it takes to find the way back.
 */
import { assert } from '../src/base/assert.ts';
import { STATUS_OK, StoreError, statusOf } from '../src/base/errors.ts';
import { setU32, setU53 } from '../src/base/record.ts';
import { BLOCK_BYTES, SECTOR_BYTES } from '../src/base/units.ts';
import { HostCounter } from '../src/channel/host-page.ts';
import type { HostQueue } from '../src/channel/host-queue.ts';
import { COMMAND_BYTES_MAX, Opcode, VolumeInfo, VolumeInfoFlag } from '../src/channel/protocol.ts';
import type { Clock } from '../src/platform/platform.ts';
import type { Store } from '../src/store/store.ts';
import { RequestFlag, RequestOp, TABLE_FULL } from '../src/volumes/request-table.ts';
import type { Session } from './session.ts';

/** Commands taken from one queue before the next has its turn: about 30 µs of work. */
export const VISIT_COMMANDS_MAX = 32;

/** Commands without sense, one after the other, after which a guest is taken for hostile. */
const MALFORMED_IN_ROW_MAX = 1000;

/** No command of this turn has gone to the store: the clock, 60 ns a reading, was not asked. */
export const TURN_UNTIMED = -1;

const UNSUPPORTED = statusOf('unsupported');
const NS_PER_US = 1000;

/** The store's name for each opcode; 0 where the host answers itself. */
const REQUEST_OP = new Uint8Array(8);
REQUEST_OP[Opcode.READ] = RequestOp.READ;
REQUEST_OP[Opcode.WRITE] = RequestOp.WRITE;
REQUEST_OP[Opcode.WRITE_ZEROES] = RequestOp.WRITE_ZEROES;
REQUEST_OP[Opcode.DISCARD] = RequestOp.DISCARD;
REQUEST_OP[Opcode.FLUSH] = RequestOp.FLUSH;

export class Dispatcher {
  readonly #store: Store | undefined;
  /** Sessions by number, the reactor's own table. */
  readonly #sessions: readonly (Session | undefined)[];
  readonly #clock: Clock;
  #turnUs = TURN_UNTIMED;

  constructor(store: Store | undefined, sessions: readonly (Session | undefined)[], clock: Clock) {
    this.#store = store;
    this.#sessions = sessions;
    this.#clock = clock;
  }

  /** A new turn begins: what goes to the store from now on carries another time. @hotpath */
  beginTurn(): void {
    this.#turnUs = TURN_UNTIMED;
  }

  /** When the first command of this turn went to the store, or `TURN_UNTIMED`. @hotpath */
  get turnUs(): number {
    return this.#turnUs;
  }

  /**
   * Takes at most `VISIT_COMMANDS_MAX` commands and returns how many. Completions are published by
   * the caller. @hotpath
   *
   * @throws StoreError with reaction `detach`: the guest broke the protocol, end its session.
   */
  visit(session: Session, queue: HostQueue, waitingCount: number): number {
    const count = queue.take(this.#budget(waitingCount));
    countBatch(session, waitingCount);
    for (let i = 0; i < count; i++) {
      const tag = queue.takenTags[i] as number;
      const status = queue.validateCommand(tag);
      if (status === STATUS_OK) this.#start(session, queue, tag);
      else refuseMalformed(session, queue, tag, status);
    }
    return count;
  }

  /** Answers what the store has done; how many. Completions are published by the caller. @hotpath */
  drain(): number {
    const store = this.#store;
    if (store === undefined) return 0;
    const { requests } = store;
    let count = 0;
    // Read after the store has worked, and only if it has: its work is part of the latency.
    let nowUs = TURN_UNTIMED;
    for (let row = store.takeCompleted(); row >= 0; row = store.takeCompleted()) {
      const session = this.#sessions[requests.context[row] as number];
      assert(session !== undefined, 'a session outlives its rows');
      if (nowUs === TURN_UNTIMED) nowUs = this.#clock.nowUs();
      const status = requests.status[row] as number;
      const resultBytes = requests.resultBytes[row] as number;
      const op = requests.op[row] as number;
      const latencyNs = (nowUs - (requests.submittedUs[row] as number)) * NS_PER_US;
      const tag = requests.tag[row] as number;
      const queue = session.queues[requests.queue[row] as number];
      assert(queue !== undefined, 'a row names a queue of its session');
      requests.release(row);
      session.inFlightCount--;
      count++;
      if (!session.answered) continue;
      queue.complete(tag, status, resultBytes);
      countCompletion(session, op, status, resultBytes, latencyNs);
    }
    return count;
  }

  /** Commands beyond the free rows stay in the guest's ring: that is the way to push back. */
  #budget(waitingCount: number): number {
    const most = waitingCount < VISIT_COMMANDS_MAX ? waitingCount : VISIT_COMMANDS_MAX;
    const store = this.#store;
    if (store === undefined) return most;
    const free = store.requests.capacity - store.requests.claimedCount;
    return free < most ? free : most;
  }

  #start(session: Session, queue: HostQueue, tag: number): void {
    const opcode = queue.opcode(tag);
    addTo(session, HostCounter.COMMANDS_NOP + opcode, 1);
    session.malformedInRow = 0;
    if (opcode === Opcode.NOP) queue.complete(tag, STATUS_OK, 0);
    else if (opcode === Opcode.INFO) this.#answerInfo(session, queue, tag);
    else this.#submit(session, queue, tag, opcode);
  }

  #submit(session: Session, queue: HostQueue, tag: number, opcode: number): void {
    const store = this.#store;
    if (store === undefined || session.storeSession < 0) {
      queue.complete(tag, UNSUPPORTED, 0);
      return;
    }
    if (this.#turnUs === TURN_UNTIMED) this.#turnUs = this.#clock.nowUs();
    const { requests } = store;
    const row = requests.claim(session.storeSession);
    assert(row !== TABLE_FULL, 'no more is taken than there are rows');
    requests.op[row] = REQUEST_OP[opcode] as number;
    requests.flags[row] = queue.isForced(tag) ? RequestFlag.FUA : 0;
    requests.queue[row] = queue.queueIndex;
    requests.tag[row] = tag;
    requests.operation[row] = queue.operation(tag);
    requests.sectorIndex[row] = queue.sectorIndex(tag);
    requests.sectorCount[row] = queue.sectorCount(tag);
    requests.memory[row] = session.memory;
    requests.context[row] = session.number;
    requests.submittedUs[row] = this.#turnUs;
    const extentCount = queue.extentCount(tag);
    for (let i = 0; i < extentCount; i++) {
      const offset = queue.dataOffset + queue.extentOffset(tag, i);
      requests.addExtent(row, offset, queue.extentBytes(tag, i));
    }
    session.inFlightCount++;
    store.submit(row);
  }

  #sizeBytesOf(session: Session): number {
    if (this.#store === undefined || session.storeSession < 0) return 0;
    return this.#store.sizeBytesOf(session.storeSession);
  }

  #answerInfo(session: Session, queue: HostQueue, tag: number): void {
    const { view } = session.region;
    const at = queue.dataOffset + queue.extentOffset(tag, 0);
    const sizeBytes = this.#sizeBytesOf(session);
    setU53(view, at, VolumeInfo.sectorCount, Math.floor(sizeBytes / SECTOR_BYTES));
    setU53(view, at, VolumeInfo.volumeId, session.volumeId);
    setU32(view, at, VolumeInfo.flags, session.readOnly ? VolumeInfoFlag.READ_ONLY : 0);
    setU32(view, at, VolumeInfo.blockBytes, BLOCK_BYTES);
    setU32(view, at, VolumeInfo.commandBytesMax, COMMAND_BYTES_MAX);
    const end = at + VolumeInfo.byteLength;
    for (let i = at + VolumeInfo.reserved; i < end; i++) view.setUint8(i, 0);
    queue.complete(tag, STATUS_OK, VolumeInfo.byteLength);
  }
}

function refuseMalformed(session: Session, queue: HostQueue, tag: number, status: number): void {
  queue.complete(tag, status, 0);
  addTo(session, HostCounter.ERRORS, 1);
  session.malformedInRow++;
  if (session.malformedInRow > MALFORMED_IN_ROW_MAX) {
    const malformedInRow = session.malformedInRow;
    throw new StoreError('protocol_violation', { malformedInRow, lastStatus: status });
  }
}

function countBatch(session: Session, waitingCount: number): void {
  const { counters } = session.counters;
  addTo(session, HostCounter.BATCHES, 1);
  addTo(session, HostCounter.DEPTH_SEEN_SUM, waitingCount);
  if (waitingCount > (counters[HostCounter.DEPTH_SEEN_MAX] as number)) {
    counters[HostCounter.DEPTH_SEEN_MAX] = waitingCount;
  }
}

function countCompletion(
  session: Session,
  op: number,
  status: number,
  resultBytes: number,
  latencyNs: number,
): void {
  session.counters.latency.record(latencyNs);
  if (status !== STATUS_OK) addTo(session, HostCounter.ERRORS, 1);
  else if (op === RequestOp.READ) addTo(session, HostCounter.BYTES_READ, resultBytes);
  else if (op === RequestOp.WRITE) addTo(session, HostCounter.BYTES_WRITTEN, resultBytes);
}

function addTo(session: Session, counter: number, amount: number): void {
  const { counters } = session.counters;
  counters[counter] = (counters[counter] as number) + amount;
}
