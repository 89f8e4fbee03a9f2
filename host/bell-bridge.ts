import type { Worker } from 'node:worker_threads';
import { startThread } from './start-thread.ts';

export interface BellBridgeData {
  /** Word 0 is rung by guests of this process. */
  readonly words: Int32Array;
  /** The eventfd that the reactor sleeps on. */
  readonly target: number;
}

/** A running bridge (bell-bridge-thread.ts). It does not keep the process alive. */
export class BellBridge {
  /** Resolves when rings are passed on: no guest may be told to ring before. */
  readonly ready: Promise<void>;
  readonly #worker: Worker;

  constructor(data: BellBridgeData) {
    const script = new URL('./bell-bridge-thread.js', import.meta.url);
    this.#worker = startThread(script, data);
    this.#worker.unref();
    this.ready = new Promise((resolve) => this.#worker.once('message', () => resolve()));
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
  }
}
