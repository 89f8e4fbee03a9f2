/**
 * Part 1: a host process, a guest process that writes and a guest thread of a third process that
 * reads. The host dies by SIGKILL in the middle of both, several times, and is started again;
 * nobody tells the guests anything.
 */
import { fork } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { connectAdmin } from '../../../guest/index.ts';
import { StoreError } from '../../base/errors.ts';
import { HostChild } from './host-child.ts';
import type { GuestMessage, GuestTask, ProbeSummary } from './messages.ts';
import { createDemoPool, volumeBytesFor } from './pool-size.ts';
import type { Source } from './source.ts';
import type { PartSummary } from './summary.ts';
import type { StreamResult } from './transfer.ts';

/** How much was done, as a fraction, when the host is killed. */
const WRITE_KILLS: readonly number[] = [0.15, 0.4, 0.7];
const READ_KILLS: readonly number[] = [0.3, 0.65];
const VOLUME = 'demo';
const WRITER = new URL('./writer-process.js', import.meta.url);
const READER = new URL('./reader-process.js', import.meta.url);

/** Runs the part in `folder`; says what happens by `say`. */
export async function runAcrossProcesses(
  source: Source,
  folder: string,
  say: (line: string) => void,
): Promise<PartSummary> {
  const pool = join(folder, 'part1.pool');
  const socket = join(folder, 'host.sock');
  await createDemoPool(pool, source.byteLength);
  const host = new HostChild(pool, socket, process.env['LOGFLUME_BANK_DIR']);
  await host.start();
  try {
    const admin = await connectAdmin({ host: socket });
    await admin.createVolume(VOLUME, volumeBytesFor(source.byteLength));
    await admin.close();
    const { path, byteLength } = source;
    const task: GuestTask = { host: socket, volume: VOLUME, path, byteLength, probe: true };
    say('a guest process streams it into a volume; the host is killed 3 times meanwhile');
    const written = await runGuest(WRITER, task, host, WRITE_KILLS, say);
    say('a guest thread of another process reads it back; the host is killed twice');
    const read = await runGuest(READER, task, host, READ_KILLS, say);
    const status = await host.stop();
    if (status !== 0)
      throw new StoreError('system_error', { call: 'host', status: String(status) });
    return {
      title: 'processes (memfd)',
      matched: isSame(source, written.result) && isSame(source, read.result),
      restarts: host.killedCount,
      streams: [written.result, read.result],
      writeMbps: mbps(written.result),
      readMbps: mbps(read.result),
      probe: read.probe,
    };
  } finally {
    await host.kill();
  }
}

/** Megabytes per second, pauses included. */
export function mbps({ byteLength, elapsedMs }: StreamResult): number {
  return byteLength / elapsedMs / 1000;
}

export function isSame(source: Source, { byteLength, sha256 }: StreamResult): boolean {
  return byteLength === source.byteLength && sha256 === source.sha256;
}

interface GuestOutcome {
  readonly result: StreamResult;
  readonly probe: ProbeSummary | undefined;
}

/** Starts a guest and kills the host whenever the guest passes one of the marks. */
function runGuest(
  script: URL,
  task: GuestTask,
  host: HostChild,
  kills: readonly number[],
  say: (line: string) => void,
): Promise<GuestOutcome> {
  const child = fork(fileURLToPath(script));
  child.send(task);
  let next = 0;
  let restarting: Promise<void> = Promise.resolve();
  return new Promise((resolve, reject) => {
    const killAt = (doneBytes: number) => {
      if (next >= kills.length || doneBytes < (kills[next] ?? 1) * task.byteLength) return;
      next++;
      say(`  kill -9 of the host at ${Math.round((doneBytes / task.byteLength) * 100)} %`);
      restarting = restarting.then(() => host.kill()).then(() => host.start());
      restarting.catch(reject);
    };
    child.on('message', (message: GuestMessage) => {
      if (message.kind === 'progress') killAt(message.doneBytes);
      if (message.kind === 'failed') reject(new Error(message.message));
      if (message.kind !== 'done') return;
      const { result, probe } = message;
      restarting.then(() => resolve({ result, probe }), reject);
    });
    child.on('exit', (status) => {
      // After `done` this finds the promise settled.
      if (status !== 0) reject(new Error(`a guest process ended with status ${status}`));
    });
  });
}
