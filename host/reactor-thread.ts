/**
 * The reactor's thread: opens the pool, then serves until it is told to close. Loaded as a worker,
 * so from dist/. What the main thread says is in reactor-messages.ts.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { assert, unreachable } from '../src/base/assert.ts';
import { StoreError } from '../src/base/errors.ts';
import { Poller } from '../src/bindings/waiting.ts';
import type { LinkHandle } from '../src/channel/link.ts';
import { createNodePlatform } from '../src/platform/node-platform.ts';
import type { Platform } from '../src/platform/platform.ts';
import type { Store } from '../src/store/store.ts';
import { Administration } from './administration.ts';
import { LoopPollerSleeper, LoopWordSleeper } from './loop-sleepers.ts';
import { openPool } from './open-pool.ts';
import { type LoopSleeper, ReactorLoop } from './reactor-loop.ts';
import { type FromReactor, plainOf, type ReactorData, type ToReactor } from './reactor-messages.ts';
import { SessionKeeper } from './session-keeper.ts';

/** How often damage and failures are looked for, to be logged. */
const REPORT_MS = 250;

class ReactorThread {
  readonly #post: (message: FromReactor) => void;
  readonly #store: Store | undefined;
  readonly #platform: Platform;
  readonly #keeper: SessionKeeper;
  readonly #loop: ReactorLoop;
  readonly #administration: Administration;
  #failureReported: boolean = false;

  constructor(
    data: ReactorData,
    post: (message: FromReactor) => void,
    store: Store | undefined,
    platform: Platform,
  ) {
    this.#post = post;
    this.#store = store;
    this.#platform = platform;
    const { options, wake, hostPid } = data;
    const { clock } = platform;
    const { sleeper, poller } = sleeperFor(wake, store);
    const cold: ReactorLoop['cold'] = async (operation) => await this.#loop.cold(operation);
    this.#keeper = new SessionKeeper({
      store,
      platform,
      poller,
      sessionsMax: options.limits.sessions,
      graceMs: options.graceMs,
      post,
      cold,
    });
    const { spinUs, cpuBudget } = options;
    const { reactor } = this.#keeper;
    this.#loop = new ReactorLoop({ reactor, clock, sleeper, spinUs, cpuBudget, hostPid });
    this.#administration = new Administration({
      store,
      keeper: this.#keeper,
      clock,
      poolPath: options.pool,
      hostPid,
      cold,
      loopFacts: () => this.#loop.facts(clock.nowUs()),
      onResized: (session, sizeBytes) => post({ kind: 'resized', session, sizeBytes }),
    });
  }

  start(): void {
    this.#loop.start();
    if (this.#store !== undefined) this.#report(this.#store);
  }

  receive(message: ToReactor): void {
    switch (message.kind) {
      case 'attach':
        void this.#keeper.attach(message);
        break;
      case 'start':
        this.#keeper.start(message.session);
        break;
      case 'end':
        this.#keeper.end(message.session, message.end);
        break;
      case 'admin':
        void this.#administer(message.id, message.request);
        break;
      case 'close':
        void this.#close();
        break;
      default:
        unreachable(message);
    }
  }

  async #administer(
    id: number,
    request: Extract<ToReactor, { kind: 'admin' }>['request'],
  ): Promise<void> {
    try {
      const result = await this.#administration.answer(request);
      this.#post({ kind: 'answered', id, result });
    } catch (error) {
      this.#post({ kind: 'declined', id, error: plainOf(error) });
    }
  }

  async #close(): Promise<void> {
    const store = this.#store;
    try {
      await this.#loop.cold(async () => {
        await this.#keeper.closeAll();
        await store?.close();
      });
      this.#post({ kind: 'closed', error: undefined });
    } catch (error) {
      this.#post({ kind: 'closed', error: plainOf(error) });
    }
    this.#loop.stop();
  }

  #report(store: Store): void {
    for (const { volume, lba, positionBytes, code } of store.takeDamage()) {
      const facts = { volume, lba, positionBytes, code };
      this.#post({ kind: 'warning', event: 'stored block unreadable', facts });
    }
    if (store.failed !== undefined && !this.#failureReported) {
      this.#failureReported = true;
      const { code, message: reason } = store.failed;
      this.#post({ kind: 'warning', event: 'pool failed', facts: { code, reason } });
    }
    this.#platform.clock.after(REPORT_MS, () => this.#report(store), { hold: false });
  }
}

/** What rings when there is something to do: messages, guests, the disk. */
function sleeperFor(
  wake: LinkHandle,
  store: Store | undefined,
): { readonly sleeper: LoopSleeper; readonly poller: Poller | undefined } {
  if (typeof wake !== 'number') {
    return { sleeper: new LoopWordSleeper(new Int32Array(wake, 0, 1)), poller: undefined };
  }
  const poller = new Poller();
  poller.add(wake);
  if (store !== undefined && store.eventFd >= 0) poller.add(store.eventFd);
  return { sleeper: new LoopPollerSleeper(poller), poller };
}

async function main(): Promise<void> {
  const port = parentPort;
  assert(port !== null, 'this file runs as a worker');
  const data = workerData as ReactorData;
  const { bankDir } = data.options;
  const platform = createNodePlatform(bankDir === undefined ? {} : { bankDir });
  const post = (message: FromReactor) => port.postMessage(message);
  let store: Store | undefined;
  try {
    store = await openPool(data.options, platform);
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    post({ kind: 'open-failed', error: plainOf(error) });
    return;
  }
  const thread = new ReactorThread(data, post, store, platform);
  port.on('message', (message: ToReactor) => thread.receive(message));
  const facts = store === undefined ? {} : { poolId: store.poolId, incarnation: store.incarnation };
  post({ kind: 'opened', facts });
  thread.start();
}

await main();
