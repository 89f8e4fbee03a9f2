import { Worker } from 'node:worker_threads';

export interface BellBridgeData {
  /** Word 0 is rung by guests of this process. */
  readonly words: Int32Array;
  /** The eventfd that the reactor sleeps on. */
  readonly target: number;
}

/** Starts the thread; it does not keep the process alive. */
export function startBellBridge(data: BellBridgeData): Worker {
  const worker = new Worker(new URL('./bell-bridge-thread.js', import.meta.url), {
    workerData: data,
  });
  worker.unref();
  return worker;
}
