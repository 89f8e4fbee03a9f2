/**
 * Keeps one reactor's thread running: starts it, talks to it, and starts the next when it dies. A
 * reactor that dies again and again is not started for ever.
 *
 *   opening --opened--> running --died--> opening …
 *      └-- open-failed, or too many deaths --> over
 */
import type { Worker } from 'node:worker_threads';
import { assert } from '../src/base/assert.ts';
import { StoreError } from '../src/base/errors.ts';
import { closeFd } from '../src/bindings/files.ts';
import { addonAvailable } from '../src/bindings/load.ts';
import { createEvent, signalEvent } from '../src/bindings/waiting.ts';
import type { AdminRequest, AdminRequestType, AdminResult } from '../src/channel/control-schema.ts';
import type { LinkHandle } from '../src/channel/link.ts';
import { NotifyBell } from '../src/memory/bell.ts';
import type { Clock } from '../src/platform/platform.ts';
import type { CheckedHostOptions } from './options.ts';
import { errorOf, type FromReactor, type ReactorData, type ToReactor } from './reactor-messages.ts';
import { startThread } from './start-thread.ts';

/** A reactor that dies more often is ill, and its guests are better told so. */
const DEATHS_PER_MINUTE_MAX = 5;
const MINUTE_US = 60_000_000;

export interface SupervisorEvents {
  /** Guests may attach, now for the first time or again. */
  onOpened(facts: Readonly<Record<string, string | number | bigint>>): void;
  onMessage(message: FromReactor): void;
  /** A thread that had opened the pool is gone, and every session with it. */
  onLost(cause: Error | undefined): void;
  /** No other is started: the pool could not be opened again, or threads died too often. */
  onOver(failure: StoreError): void;
}

interface Pending {
  readonly resolve: (result: AdminResult<AdminRequestType>) => void;
  readonly reject: (error: StoreError) => void;
}

export class Supervisor {
  readonly #options: CheckedHostOptions;
  readonly #clock: Clock;
  readonly #events: SupervisorEvents;
  /** Outlives the thread: the next one sleeps on it as well. */
  readonly #wake: LinkHandle;
  readonly #pending = new Map<number, Pending>();
  #worker: Worker | undefined;
  #opening: Promise<void> | undefined;
  #closed: ((error: StoreError | undefined) => void) | undefined;
  #nextId = 1;
  #deathsUs: number[] = [];
  #over: boolean = false;
  /** Until the first has opened the pool nothing is tried again: the caller is told. */
  #openedOnce: boolean = false;
  #openFailure: StoreError | undefined;

  constructor(options: CheckedHostOptions, clock: Clock, events: SupervisorEvents) {
    this.#options = options;
    this.#clock = clock;
    this.#events = events;
    this.#wake = addonAvailable() ? createEvent() : new SharedArrayBuffer(4);
  }

  /** What guests of this process ring if there is no addon: word 0 wakes the reactor. */
  get wake(): LinkHandle {
    return this.#wake;
  }

  get isRunning(): boolean {
    return this.#worker !== undefined && this.#opening === undefined;
  }

  /** Starts the thread; resolves when the pool is open. @throws StoreError why it is not. */
  async open(): Promise<void> {
    assert(this.#worker === undefined, 'one reactor at a time');
    this.#opening = this.#start();
    await this.#opening;
  }

  /** Resolves when the next reactor is open, at once if one is. @throws StoreError `host_lost`. */
  async ready(): Promise<void> {
    while (this.#opening !== undefined) await this.#opening.catch(() => undefined);
    // A thread that could not open the pool may still be there, on its way out.
    if (this.#openFailure !== undefined) throw this.#openFailure;
    if (this.#worker === undefined) throw new StoreError('host_lost', { reactor: 'over' });
  }

  /** Sends to the running thread; a thread that has just died loses it, as all it was told. */
  post(message: ToReactor): void {
    this.#worker?.postMessage(message);
    this.ring();
  }

  /** Wakes the reactor if it sleeps. */
  ring(): void {
    if (typeof this.#wake === 'number') signalEvent(this.#wake);
    else new NotifyBell(new Int32Array(this.#wake), 0).ring();
  }

  /** @throws StoreError what the store says, `host_lost` if the thread dies first. */
  async request(request: AdminRequest): Promise<AdminResult<AdminRequestType>> {
    await this.ready();
    const id = this.#nextId++;
    return await new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject });
      this.post({ kind: 'admin', id, request });
    });
  }

  /** Lets the reactor finish what it has and close the pool; then its thread is gone. */
  async close(): Promise<void> {
    // A reactor that dies while it closes is not replaced.
    this.#over = true;
    await this.#opening?.catch(() => undefined);
    const worker = this.#worker;
    if (worker !== undefined) {
      const failure = await new Promise<StoreError | undefined>((resolve) => {
        this.#closed = resolve;
        this.post({ kind: 'close' });
      });
      await worker.terminate();
      if (failure !== undefined) throw failure;
    }
  }

  /** Gives back what outlived the threads. Nothing may be rung afterwards. */
  dispose(): void {
    if (typeof this.#wake === 'number') closeFd(this.#wake);
  }

  /** Ends the thread where it stands; resolves when the next one is open. */
  async terminate(): Promise<void> {
    const worker = this.#worker;
    if (worker === undefined) return;
    const ended = worker.terminate();
    // It ends when its native sleep does.
    this.ring();
    await ended;
    await this.ready();
  }

  #start(): Promise<void> {
    const workerData: ReactorData = {
      options: this.#options,
      wake: this.#wake,
      hostPid: process.pid,
    };
    const worker = startThread(new URL('./reactor-thread.js', import.meta.url), workerData);
    this.#worker = worker;
    let cause: Error | undefined;
    worker.on('error', (error: Error) => {
      cause = error;
    });
    return new Promise((resolve, reject) => {
      const settle = (error: StoreError | undefined) => {
        this.#opening = undefined;
        if (error === undefined) resolve();
        else reject(error);
      };
      worker.on('message', (message: FromReactor) => this.#receive(message, settle));
      worker.on('exit', () => {
        settle(new StoreError('host_lost', { reactor: 'ended while opening' }, { cause }));
        this.#exited(cause);
      });
    });
  }

  #receive(message: FromReactor, settle: (error: StoreError | undefined) => void): void {
    if (message.kind === 'opened') {
      this.#openedOnce = true;
      settle(undefined);
      this.#events.onOpened(message.facts);
    } else if (message.kind === 'open-failed') {
      this.#openFailure = errorOf(message.error);
      settle(this.#openFailure);
    } else if (message.kind === 'closed') {
      this.#closed?.(message.error === undefined ? undefined : errorOf(message.error));
    } else if (message.kind === 'answered' || message.kind === 'declined') {
      const pending = this.#pending.get(message.id);
      this.#pending.delete(message.id);
      if (message.kind === 'answered') pending?.resolve(message.result);
      else pending?.reject(errorOf(message.error));
    } else this.#events.onMessage(message);
  }

  #exited(cause: Error | undefined): void {
    this.#worker = undefined;
    const lost = new StoreError('host_lost', { reactor: 'ended' }, { cause });
    for (const { reject } of this.#pending.values()) reject(lost);
    this.#pending.clear();
    this.#closed?.(lost);
    if (!this.#openedOnce || this.#over) {
      this.#over = true;
      return;
    }
    const failure = this.#openFailure ?? this.#tooManyDeaths(cause);
    if (failure === undefined) {
      this.#opening = this.#start();
      // Who waits for it hears of a failure; nobody else has to.
      this.#opening.catch(() => undefined);
    } else this.#over = true;
    this.#events.onLost(cause);
    if (failure !== undefined) this.#events.onOver(failure);
  }

  #tooManyDeaths(cause: Error | undefined): StoreError | undefined {
    const nowUs = this.#clock.nowUs();
    this.#deathsUs = [...this.#deathsUs.filter((at) => at > nowUs - MINUTE_US), nowUs];
    const deaths = this.#deathsUs.length;
    if (deaths <= DEATHS_PER_MINUTE_MAX) return undefined;
    return new StoreError('host_lost', { reactorDeathsPerMinute: deaths }, { cause });
  }
}
