/**
 * A driver and a fake host on one thread, with a clock that moves only when somebody looks at it or
 * a turn of the event loop passes. A blocked driver looks at its clock, and every look lets the
 * host take a step: so the synchronous face runs here without a second thread, and the same way
 * each time.
 */
import type { MessagePort } from 'node:worker_threads';
import { expect } from 'vitest';
import type { Driver } from '../../../guest/api.ts';
import { connect } from '../../../guest/connect.ts';
import type { ConnectOptions } from '../../../guest/options.ts';
import { Prng } from '../../../src/base/prng.ts';
import { createNodePlatform } from '../../../src/platform/node-platform.ts';
import type { Clock, Platform, Timer } from '../../../src/platform/platform.ts';
import { FakeHost, type FakeHostOptions, FakeStore, makeDoor } from './fake-host.ts';

const US_PER_MS = 1000;

/** `toEqual` takes a second for a large array. */
export function expectSame(found: Uint8Array, expected: Uint8Array): void {
  if (Buffer.compare(found, expected) === 0) return;
  const at = expected.findIndex((byte, i) => byte !== found[i]);
  expect({ at, byte: found[at], length: found.length }).toEqual({
    at,
    byte: expected[at],
    length: expected.length,
  });
}

interface Due {
  readonly atUs: number;
  readonly callback: () => void;
}

export class TestClock implements Clock {
  onLook: () => void = () => undefined;
  #us = 0;
  #timers: Due[] = [];

  nowUs(): number {
    this.onLook();
    this.#us += US_PER_MS;
    return this.#us;
  }

  wallMs(): number {
    return 0;
  }

  after(delayMs: number, callback: () => void): Timer {
    const due = { atUs: this.#us + delayMs * US_PER_MS, callback };
    this.#timers.push(due);
    return {
      cancel: () => {
        this.#timers = this.#timers.filter((timer) => timer !== due);
      },
    };
  }

  /** Moves on, and calls what has come due, in order. */
  advance(ms: number): void {
    this.#us += ms * US_PER_MS;
    for (;;) {
      const [next] = this.#timers
        .filter(({ atUs }) => atUs <= this.#us)
        .sort((a, b) => a.atUs - b.atUs);
      if (next === undefined) return;
      this.#timers = this.#timers.filter((timer) => timer !== next);
      next.callback();
    }
  }
}

export class Rig {
  readonly clock = new TestClock();
  readonly store: FakeStore;
  readonly platform: Platform;
  readonly guestDoor: MessagePort;
  readonly #hostDoor: MessagePort;
  #host: FakeHost | undefined;
  #running: boolean = true;
  /** Whether turns of the event loop move the clock. */
  ticking: boolean = true;

  constructor(sizeBytes: number = 1 << 20) {
    this.store = new FakeStore(sizeBytes);
    const random = new Prng(1);
    this.platform = {
      ...createNodePlatform(),
      clock: this.clock,
      entropy: { fill: (bytes) => random.fill(bytes) },
    };
    const { guestDoor, hostDoor } = makeDoor();
    this.guestDoor = guestDoor;
    this.#hostDoor = hostDoor;
    this.clock.onLook = () => this.#host?.step();
    const turn = () => {
      this.#host?.step();
      if (this.ticking) this.clock.advance(1);
      if (this.#running) setImmediate(turn);
    };
    setImmediate(turn);
  }

  get host(): FakeHost {
    if (this.#host === undefined) throw new Error('no host is up');
    return this.#host;
  }

  /** Starts a host, after the one before has been killed. */
  start(options: FakeHostOptions = {}): FakeHost {
    this.#host?.kill();
    this.#host = new FakeHost(this.store, [this.#hostDoor], options);
    return this.#host;
  }

  kill(silently = false): void {
    this.#host?.kill(silently);
    this.#host = undefined;
  }

  connect(options: Partial<ConnectOptions> = {}): Promise<Driver> {
    // Ten looks at the clock per spin: a host that answers late seldom costs a real sleep.
    const { guestDoor: host, platform } = this;
    return connect({ host, volume: 'v', platform, spinUs: 10_000, ...options });
  }

  /** Lets the event loop turn until the condition holds. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise((resolve) => setImmediate(resolve));
  }

  end(): void {
    this.kill();
    this.#running = false;
    this.guestDoor.close();
  }
}
