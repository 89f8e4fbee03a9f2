import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { closeFd, directAlignment, OpenFlag, openFile } from '../../src/bindings/files.ts';

export const ADDON_PATH = fileURLToPath(
  new URL('../../build/Release/logflume.node', import.meta.url),
);

/** Runs before the code of children and worker threads, which use the addon itself. */
const PRELUDE = `const addon = require(${JSON.stringify(ADDON_PATH)});\n`;

export interface ChildResult {
  readonly status: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs code in a process of its own, where `addon` is the addon, and waits for its end. */
export function runChild(code: string, ...nodeOptions: readonly string[]): ChildResult {
  const args = [...nodeOptions, '-e', PRELUDE + code];
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, args, {
    encoding: 'utf8',
  });
  return { status, signal, stdout, stderr };
}

/** The same, with at most `fdCountMax` descriptors. */
export function runChildWithFewFds(code: string, fdCountMax: number): ChildResult {
  const script = `ulimit -n ${fdCountMax}; exec "$0" -e "$1"`;
  const args = ['-c', script, process.execPath, PRELUDE + code];
  const { status, signal, stdout, stderr } = spawnSync('sh', args, { encoding: 'utf8' });
  return { status, signal, stdout, stderr };
}

/** The same, running beside this process. */
export function startChild(code: string): { pid: number; ended: Promise<ChildResult> } {
  const child = spawn(process.execPath, ['-e', PRELUDE + code]);
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const ended = new Promise<ChildResult>((resolve) => {
    child.on('close', (status, signal) => resolve({ status, signal, stdout, stderr }));
  });
  return { pid: child.pid ?? -1, ended };
}

/** Runs code in a thread of its own, where `addon` is the addon and `workerData` the data. */
export function startThread(code: string, workerData: unknown = undefined): Worker {
  const prelude = `${PRELUDE}const { parentPort, workerData } = require('node:worker_threads');\n`;
  return new Worker(prelude + code, { eval: true, workerData });
}

export function openFdCount(): number {
  return readdirSync('/proc/self/fd').length;
}

/** A folder for one test, removed by `remove()`. */
export function makeFolder(parent = tmpdir()): { path: string; remove: () => void } {
  const path = mkdtempSync(join(parent, 'lf-'));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

/** A folder on a file system with direct I/O, which tmpfs is not; undefined if there is none. */
export function findDirectFolder(): string | undefined {
  const build = fileURLToPath(new URL('../../build', import.meta.url));
  return [tmpdir(), build].find((parent) => {
    const folder = makeFolder(parent);
    const fd = openFile(join(folder.path, 'probe'), OpenFlag.READ_WRITE | OpenFlag.CREATE);
    const alignment = directAlignment(fd);
    closeFd(fd);
    folder.remove();
    return alignment !== undefined;
  });
}
