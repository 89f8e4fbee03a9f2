/**
 * A guest in a worker thread that only blocks: writes a block, reads it back, flushes now and then,
 * until told to end. Started by `real-host.test.ts` from dist/.
 */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { connectSync } from '../../../guest/index.ts';

export interface ThreadTask {
  readonly host: string | MessagePort;
  readonly volume: string;
  /** Word 0: told to end. Word 1: rounds done. */
  readonly words: Int32Array;
}

export interface ThreadReport {
  readonly rounds: number;
  readonly mismatches: number;
  readonly losses: number;
  readonly lostWakes: number;
}

const BLOCK_COUNT = 64;
const { host, volume, words } = workerData as ThreadTask;
const driver = connectSync({ host, volume });
let losses = 0;
driver.on('state', (state) => {
  if (state === 'host-lost') losses++;
});
const versions = new Int32Array(BLOCK_COUNT);
const block = new Int32Array(1024);
const bytes = new Uint8Array(block.buffer);
// Others have used the volume before.
driver.sync.writeZeroes(0, BLOCK_COUNT * 4096);
let rounds = 0;
let mismatches = 0;
while (Atomics.load(words, 0) === 0) {
  const at = (rounds * 7) % BLOCK_COUNT;
  rounds++;
  versions[at] = rounds;
  block.fill(rounds);
  driver.sync.write(at * 4096, bytes);
  const other = (rounds * 5) % BLOCK_COUNT;
  driver.sync.readInto(other * 4096, bytes);
  const expected = versions[other] as number;
  if (!block.every((word) => word === expected)) mismatches++;
  if (rounds % 16 === 0) driver.sync.flush();
  Atomics.store(words, 1, rounds);
}
const report: ThreadReport = { rounds, mismatches, losses, lostWakes: driver.lostWakes };
driver.closeSync();
parentPort?.postMessage(report);
