/**
 * A worker that sleeps on the word which guests of this process ring, and passes each ring on to
 * the eventfd that the reactor sleeps on: a thread cannot sleep on both kinds at once.
 *
 * Started with the first port, and only where the reactor sleeps on eventfds. It costs a ring that
 * wakes a sleeping reactor one more thread switch, and a spinning one nothing.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { signalEvent } from '../src/bindings/waiting.ts';
import { NotifySleeper, SLEEP_MS_MAX, WOKEN } from '../src/memory/bell.ts';
import type { BellBridgeData } from './bell-bridge.ts';

const { words, target } = workerData as BellBridgeData;
const sleeper = new NotifySleeper(words, 0);
parentPort?.postMessage('ready');

for (;;) {
  if (sleeper.sleep(SLEEP_MS_MAX) !== WOKEN) continue;
  // Armed before the ring is passed on: what rings meanwhile ends the next sleep.
  sleeper.arm();
  signalEvent(target);
}
