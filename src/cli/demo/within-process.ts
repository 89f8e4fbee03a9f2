/**
 * Part 2: host and guest in two workers of this process, over a SharedArrayBuffer, on a pool of
 * their own. The reactor's worker is terminated while the guest goes on.
 */
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { connectAdmin } from '../../../guest/index.ts';
import { type Host, startHost } from '../../../host/index.ts';
import { isSame } from './across-processes.ts';
import type { InsideTask } from './inside-thread.ts';
import type { GuestMessage, ProbeSummary } from './messages.ts';
import { createDemoPool, volumeBytesFor } from './pool-size.ts';
import type { Source } from './source.ts';
import type { PartSummary } from './summary.ts';
import type { StreamResult } from './transfer.ts';

const TERMINATIONS: readonly number[] = [0.3, 0.7];
const VOLUME = 'demo';

/** Runs the part in `folder`; says what happens by `say`. */
export async function runWithinProcess(
  source: Source,
  folder: string,
  say: (line: string) => void,
): Promise<PartSummary> {
  const pool = join(folder, 'part2.pool');
  await createDemoPool(pool, source.byteLength);
  const host = await startHost({ pool, bankDir: process.env['LOGFLUME_BANK_DIR'] });
  try {
    const admin = await connectAdmin({ host: host.openPort() });
    await admin.createVolume(VOLUME, volumeBytesFor(source.byteLength));
    await admin.close();
    say('host and guest as two workers of one process; the reactor is terminated twice');
    const { result, probe, restarts } = await runThread(host, source, say);
    return {
      title: 'threads (SharedArrayBuffer)',
      matched: isSame(source, result),
      restarts,
      streams: [result],
      writeMbps: undefined,
      readMbps: undefined,
      probe,
    };
  } finally {
    await host.close();
  }
}

interface Outcome {
  readonly result: StreamResult;
  readonly probe: ProbeSummary | undefined;
  readonly restarts: number;
}

function runThread(host: Host, source: Source, say: (line: string) => void): Promise<Outcome> {
  const port = host.openPort();
  const { path, byteLength } = source;
  const workerData: InsideTask = { port, volume: VOLUME, path, byteLength };
  const script = new URL('./inside-thread.js', import.meta.url);
  const worker = new Worker(script, { workerData, transferList: [port] });
  let next = 0;
  let restarts = 0;
  return new Promise((resolve, reject) => {
    worker.on('message', (message: GuestMessage) => {
      if (message.kind === 'done') {
        const { result, probe } = message;
        resolve({ result, probe, restarts });
      }
      if (message.kind !== 'progress') return;
      if (message.doneBytes < (TERMINATIONS[next] ?? 2) * source.byteLength) return;
      next++;
      say(`  the reactor's worker is terminated at ${percent(message.doneBytes, source)} %`);
      host.terminateReactor().then(() => restarts++, reject);
    });
    worker.on('error', reject);
    worker.on('exit', (status) => {
      if (status !== 0) reject(new Error(`the guest thread ended with status ${status}`));
    });
  });
}

function percent(doneBytes: number, { byteLength }: Source): number {
  return Math.round((doneBytes / byteLength) * 100);
}
