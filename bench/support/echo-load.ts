/** Round trips through what Node offers without us: a Unix socket, and postMessage. */
import { once } from 'node:events';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { Child, compiled } from './child.ts';
import { quantile } from './report.ts';
import type { Resources } from './resources.ts';

const SOCKET_MODULE = compiled('./echo-process.js', import.meta.url);
const WORKER_MODULE = compiled('./echo-worker.js', import.meta.url);

/** A message as large as a command. */
const MESSAGE_BYTES = 64;
const WARM_UP_COUNT = 2000;
const US_PER_MS = 1000;

/** Median µs of one small message to another process and back. */
export async function unixSocketUs(resources: Resources, count: number): Promise<number> {
  const child = new Child(resources, SOCKET_MODULE);
  const path = join(resources.folder(), 'echo.sock');
  await child.ask('listen', path);
  const socket = createConnection(path);
  await once(socket, 'connect');
  const message = new Uint8Array(MESSAGE_BYTES).fill(1);
  const median = await timedTurns(Math.min(WARM_UP_COUNT, count), count, (onAnswer) => {
    let missing = 0;
    socket.on('data', (bytes) => {
      missing -= bytes.byteLength;
      if (missing === 0) onAnswer();
    });
    return () => {
      missing = MESSAGE_BYTES;
      socket.write(message);
    };
  });
  socket.destroy();
  child.process.disconnect();
  return median;
}

/** Median µs of one small message to a worker thread and back. */
export async function postMessageUs(count: number): Promise<number> {
  const worker = new Worker(WORKER_MODULE);
  await once(worker, 'online');
  const median = await timedTurns(Math.min(WARM_UP_COUNT, count), count, (onAnswer) => {
    worker.on('message', onAnswer);
    return () => worker.postMessage(1);
  });
  await worker.terminate();
  return median;
}

/**
 * Sends, waits for the answer, sends again. `open` is given what to call with each answer, and
 * returns what sends.
 */
function timedTurns(
  warmUpCount: number,
  count: number,
  open: (onAnswer: () => void) => () => void,
): Promise<number> {
  return new Promise((resolve) => {
    const samples = new Float64Array(count);
    let turn = -warmUpCount;
    let start = 0;
    const send = open(() => {
      if (turn >= 0) samples[turn] = (performance.now() - start) * US_PER_MS;
      turn++;
      if (turn === count) {
        resolve(quantile(samples, 0.5));
        return;
      }
      start = performance.now();
      send();
    });
    start = performance.now();
    send();
  });
}
