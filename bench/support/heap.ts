/**
 * Bytes allocated between two moments of one thread: the growth of the used heap, if no collection
 * ran between them. A process started with `--import` of this file answers for all of its worker
 * threads, the host's reactor included, without a line of code in it.
 */
import { PerformanceObserver } from 'node:perf_hooks';
import { BroadcastChannel, isMainThread, threadId } from 'node:worker_threads';

const CHANNEL = 'logflume-heap';

/** How long the threads of a process have to answer: a sleeping reactor looks up every 500 ms. */
const ANSWERS_MS = 1500;
const ATTEMPTS_MAX = 5;
/** Once one has answered, the others get this long. */
const OTHERS_MS = 200;

export interface HeapReading {
  readonly threadId: number;
  readonly usedBytes: number;
  /** Collections that this thread has seen so far. */
  readonly collections: number;
}

interface HeapMessage {
  readonly question?: 'read' | 'collect';
  readonly reading?: HeapReading;
}

let collections = 0;
new PerformanceObserver((list) => {
  collections += list.getEntries().length;
}).observe({ entryTypes: ['gc'] });

/** Of this thread. */
export function readHeap(): HeapReading {
  return { threadId, usedBytes: process.memoryUsage().heapUsed, collections };
}

/** Empties this thread's heap of garbage, and counts none of it. Needs `--expose-gc`. */
export async function collectGarbage(): Promise<void> {
  if (globalThis.gc === undefined) throw new Error('allocation is measured with node --expose-gc');
  globalThis.gc();
  globalThis.gc();
  await entriesDelivered();
}

/** Entries about collections arrive by the event loop, a turn or two later. */
export async function entriesDelivered(): Promise<void> {
  for (let turn = 0; turn < 4; turn++) await new Promise((resolve) => setImmediate(resolve));
}

/** Asks all worker threads of this process, again if none answers. Called on its main thread. */
export async function readWorkerHeaps(question: 'read' | 'collect'): Promise<HeapReading[]> {
  for (let attempt = 1; ; attempt++) {
    const readings = await askOnce(question);
    if (readings.length > 0 || attempt === ATTEMPTS_MAX) return readings;
  }
}

async function askOnce(question: 'read' | 'collect'): Promise<HeapReading[]> {
  const channel = new BroadcastChannel(CHANNEL);
  const readings: HeapReading[] = [];
  await new Promise<void>((resolve) => {
    const giveUp = setTimeout(resolve, ANSWERS_MS);
    channel.onmessage = (event) => {
      const { reading } = (event as { data: HeapMessage }).data;
      if (reading === undefined) return;
      readings.push(reading);
      clearTimeout(giveUp);
      setTimeout(resolve, OTHERS_MS);
    };
    const message: HeapMessage = { question };
    channel.postMessage(message);
  });
  channel.close();
  return readings;
}

if (!isMainThread) {
  const channel = new BroadcastChannel(CHANNEL);
  const answer = async (question: 'read' | 'collect') => {
    if (question === 'collect') await collectGarbage();
    const message: HeapMessage = { reading: readHeap() };
    channel.postMessage(message);
  };
  channel.onmessage = (event) => {
    const { question } = (event as { data: HeapMessage }).data;
    if (question !== undefined) void answer(question);
  };
  // Listening for questions is no reason for a thread to live on.
  channel.unref();
}
