/** System calls of running processes, counted from outside. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Resources } from './resources.ts';

/** Attaching to a process's threads takes milliseconds; beyond this it is not allowed here. */
const ATTACH_MS_MAX = 10_000;

/** A failed run says why. */
export class StraceFailed extends Error {}

/**
 * Counts the system calls that all threads of these processes begin while `body` runs.
 *
 * @throws StraceFailed if processes may not be traced here.
 */
export async function countSystemCalls(
  resources: Resources,
  pids: readonly number[],
  body: () => Promise<void>,
): Promise<number> {
  const output = join(resources.folder(), 'strace.txt');
  const targets = pids.flatMap((pid) => ['-p', String(pid)]);
  const strace = spawn('strace', ['-f', '-c', '-U', 'calls,name', '-o', output, ...targets], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  resources.adopt(strace);
  await attached(strace.stderr, pids.length);
  await body();
  const ended = once(strace, 'exit');
  strace.kill('SIGINT');
  await ended;
  return totalCalls(readFileSync(output, 'utf8'));
}

/** Resolves once strace says that it is attached to as many processes. */
function attached(stderr: NodeJS.ReadableStream, count: number): Promise<void> {
  return new Promise((resolve, reject) => {
    let said = '';
    const timer = setTimeout(() => fail('is not attached yet'), ATTACH_MS_MAX);
    const fail = (why: string) => {
      clearTimeout(timer);
      reject(new StraceFailed(`strace ${why}: ${said.trim()}`));
    };
    stderr.on('data', (text: Buffer) => {
      said += text.toString();
      const attachedCount = said.match(/strace: Process \d+ attached/g)?.length ?? 0;
      if (attachedCount < count) return;
      clearTimeout(timer);
      resolve();
    });
    stderr.on('end', () => fail('ended'));
  });
}

/** The `total` line of a summary; 0 if nothing was called. */
function totalCalls(summary: string): number {
  const total = summary.split('\n').find((line) => /\btotal\s*$/.test(line));
  return total === undefined ? 0 : Number(total.trim().split(/\s+/)[0]);
}
