/**
 * The pool's one loop, as a `step()`: take a batch from each queue pair, let the store work, answer
 * what is done, show it to the guests. Never blocks; the thread around it (reactor-loop.ts) decides
 * when to step, when to sleep and when to return to its event loop.
 *
 * With nothing to do a step costs one atomic load per queue pair. Nothing here allocates per
 * command. A guest that breaks the protocol is handed to `onBroken` and the others go on.
 */
import { assert } from '../src/base/assert.ts';
import { StoreError } from '../src/base/errors.ts';
import type { HostQueue } from '../src/channel/host-queue.ts';
import type { Clock } from '../src/platform/platform.ts';
import type { Store } from '../src/store/store.ts';
import { Dispatcher, TURN_UNTIMED } from './dispatcher.ts';
import { type Session, SessionEnd } from './session.ts';

/** Polls without work between two looks at the store's clockwork: some 5 µs. */
const IDLE_POLLS_PER_STORE_STEP = 256;
/** And between two questions whether the store has work, which cost as much as the poll itself. */
const IDLE_POLLS_PER_LOOK = 16;
/** Of the batches that need no store, one in this many is timed, which costs 100 ns and 48 B. */
const BATCHES_PER_TIMED_ONE = 4096;
const NS_PER_US = 1000;

export interface ReactorEvents {
  /** The session was ended because of what its guest did. It is draining now. */
  onBroken(session: Session, error: StoreError): void;
  /** Nothing uses the session's memory any more. */
  onDrained(session: Session): void;
}

export interface ReactorOptions {
  readonly store: Store | undefined;
  readonly clock: Clock;
  readonly sessionsMax: number;
  readonly events: ReactorEvents;
}

export class Reactor {
  readonly #store: Store | undefined;
  readonly #clock: Clock;
  readonly #events: ReactorEvents;
  readonly #dispatcher: Dispatcher;
  readonly #sessions: (Session | undefined)[];
  /** The serving sessions' queue pairs, in turn, and beside each whose it is. */
  #queues: HostQueue[] = [];
  #owners: Session[] = [];
  /** Where the round begins: moves on, so that no guest is always the first. */
  #firstQueue = 0;
  #idlePolls = 0;
  #nextLook = IDLE_POLLS_PER_LOOK;
  #batchesUntilTimed = BATCHES_PER_TIMED_ONE;
  #drainingCount = 0;
  #closing: boolean = false;

  constructor({ store, clock, sessionsMax, events }: ReactorOptions) {
    this.#store = store;
    this.#clock = clock;
    this.#events = events;
    this.#sessions = new Array<Session | undefined>(sessionsMax).fill(undefined);
    this.#dispatcher = new Dispatcher(store, this.#sessions, clock);
  }

  /** What there is to announce a sleep on. */
  get queues(): readonly HostQueue[] {
    return this.#queues;
  }

  /** Attached sessions, draining ones included. */
  get sessions(): Session[] {
    return this.#sessions.filter((session) => session !== undefined);
  }

  sessionAt(number: number): Session | undefined {
    return this.#sessions[number];
  }

  add(session: Session): void {
    assert(this.#sessions[session.number] === undefined, 'a session has a place of its own');
    this.#sessions[session.number] = session;
  }

  /** Serves the session's rings from the next step on. */
  start(session: Session): void {
    try {
      session.start();
    } catch (error) {
      this.#break(session, error);
      return;
    }
    this.#listQueues();
  }

  /** Takes no more from a session. `onDrained` follows, at once or when its rows are back. */
  end(session: Session, end: SessionEnd): void {
    if (session.ended !== undefined) return;
    session.ended = end;
    this.#listQueues();
    this.#drainingCount++;
    this.#removeDrained();
  }

  /** Takes nothing more from any guest, and lets go of each when it is answered. */
  closeAll(): void {
    this.#closing = true;
    for (const session of this.sessions) this.end(session, SessionEnd.KEPT);
  }

  /** Does what there is to do now, and says about how much that was; 0 is nothing. @hotpath */
  step(): number {
    this.#dispatcher.beginTurn();
    const taken = this.#takeFromGuests();
    // Who wants nothing of the store does not wait for it.
    if (taken > 0) this.#publish();
    const done = this.#runStore(taken);
    if (done > 0) this.#publish();
    if (taken + done > 0 && this.#drainingCount > 0) this.#removeDrained();
    return taken + done;
  }

  /** The next step asks the store, whether it says that it has work or not. */
  askStore(): void {
    this.#idlePolls = IDLE_POLLS_PER_STORE_STEP;
  }

  /** When a step is due although nothing happens, in the clock's microseconds. */
  get nextDeadlineUs(): number {
    return this.#store === undefined ? Number.POSITIVE_INFINITY : this.#store.nextDeadlineUs;
  }

  /** Whether the store would go on at once. */
  get hasStoreWork(): boolean {
    return this.#store?.hasWork ?? false;
  }

  #takeFromGuests(): number {
    const queues = this.#queues;
    const count = queues.length;
    let at = this.#firstQueue;
    let taken = 0;
    for (let i = 0; i < count; i++) {
      if (at >= count) at = 0;
      taken += this.#visit(at);
      // A guest that broke the protocol is out of the lists: the rest has its turn next time.
      if (this.#queues !== queues) return taken + 1;
      at++;
    }
    if (taken > 0) this.#firstQueue = at + 1 > count ? 1 : at + 1;
    return taken;
  }

  #visit(at: number): number {
    const queue = this.#queues[at] as HostQueue;
    try {
      const waiting = queue.waitingCount();
      if (waiting === 0) return 0;
      return this.#serve(this.#owners[at] as Session, queue, waiting);
    } catch (error) {
      this.#break(this.#owners[at] as Session, error);
      return 0;
    }
  }

  #serve(session: Session, queue: HostQueue, waiting: number): number {
    this.#batchesUntilTimed--;
    if (this.#batchesUntilTimed > 0) return this.#dispatcher.visit(session, queue, waiting);
    this.#batchesUntilTimed = BATCHES_PER_TIMED_ONE;
    const startUs = this.#clock.nowUs();
    const taken = this.#dispatcher.visit(session, queue, waiting);
    // What went to the store is timed by itself, to its end.
    if (this.#dispatcher.turnUs !== TURN_UNTIMED) return taken;
    const latencyNs = (this.#clock.nowUs() - startUs) * NS_PER_US;
    for (let i = 0; i < taken; i++) session.counters.latency.record(latencyNs);
    return taken;
  }

  #runStore(taken: number): number {
    const store = this.#store;
    if (store === undefined) return 0;
    if (store.requests.claimedCount === 0) {
      this.#idlePolls += 1 + taken;
      if (this.#idlePolls < IDLE_POLLS_PER_STORE_STEP && !this.#storeFoundWork()) return 0;
    }
    this.#idlePolls = 0;
    this.#nextLook = IDLE_POLLS_PER_LOOK;
    const { turnUs } = this.#dispatcher;
    const worked = store.step(turnUs === TURN_UNTIMED ? this.#clock.nowUs() : turnUs) ? 1 : 0;
    return worked + this.#dispatcher.drain();
  }

  /** Whether it is time to look, and the store has something to do without any command. */
  #storeFoundWork(): boolean {
    if (this.#idlePolls < this.#nextLook) return false;
    this.#nextLook = this.#idlePolls + IDLE_POLLS_PER_LOOK;
    return this.#store?.hasWork ?? false;
  }

  #publish(): void {
    const queues = this.#queues;
    for (let i = 0; i < queues.length; i++) (queues[i] as HostQueue).publish();
    if (this.#drainingCount > 0) this.#publishDraining();
  }

  /** What was taken from a guest before it left is still answered. */
  #publishDraining(): void {
    for (const session of this.sessions) {
      if (session.ended === undefined || !session.answered) continue;
      for (const queue of session.queues) queue.publish();
    }
  }

  #break(session: Session, error: unknown): void {
    // Anything else is our own mistake, and ends the thread.
    if (!(error instanceof StoreError)) throw error;
    session.answered = false;
    this.#events.onBroken(session, error);
    this.end(session, SessionEnd.FOR_GOOD);
  }

  #listQueues(): void {
    const serving = this.sessions.filter(({ ended }) => ended === undefined && !this.#closing);
    this.#queues = serving.flatMap((session) => session.queues);
    this.#owners = serving.flatMap((session) => session.queues.map(() => session));
    this.#firstQueue = 0;
  }

  #removeDrained(): void {
    for (const session of this.sessions) {
      if (!session.drained) continue;
      this.#sessions[session.number] = undefined;
      this.#drainingCount--;
      this.#events.onDrained(session);
    }
  }

  /** Counters of the whole into every session's page. */
  count(counter: number, value: number): void {
    for (const session of this.sessions) session.counters.counters[counter] = value;
  }

  /** Writes the pages of all sessions. */
  showAll(hostPid: number): void {
    for (const session of this.sessions) {
      if (session.ended === undefined) session.show(hostPid);
    }
  }
}
