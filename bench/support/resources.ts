/**
 * What a benchmark borrows from the machine and must give back on every path: processes, threads,
 * folders. Given back in reverse order when the run ends, fails, or is interrupted.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A benchmark that takes longer hangs, and would hold a CI machine for ever. */
const RUN_MS_MAX = 20 * 60_000;

/** What a process gets to end by itself before it is killed. */
const END_MS = 10_000;

export class Resources {
  readonly #closers: (() => Promise<void> | void)[] = [];
  /** What must not be left behind even if nothing can be awaited any more. */
  readonly #children = new Set<ChildProcess>();
  readonly #folders = new Set<string>();

  /**
   * Runs `body` and gives back everything it borrowed, whatever happens. Sets the process's exit
   * status to 1 if it fails.
   */
  static async use(body: (resources: Resources) => Promise<void>): Promise<void> {
    const resources = new Resources();
    const leave = () => process.exit(130);
    const onExit = () => resources.#abandon();
    process.on('exit', onExit);
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, leave);
    const watchdog = setTimeout(() => {
      process.stderr.write(`the benchmark has not ended after ${RUN_MS_MAX / 60_000} minutes\n`);
      process.exit(1);
    }, RUN_MS_MAX);
    try {
      await body(resources);
    } catch (error) {
      process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : error}\n`);
      process.exitCode = 1;
    } finally {
      clearTimeout(watchdog);
      await resources.close();
      process.off('exit', onExit);
      for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.off(signal, leave);
    }
  }

  /** Runs `close` at the end, before what was deferred earlier. */
  defer(close: () => Promise<void> | void): void {
    this.#closers.push(close);
  }

  /** A new folder on the disk of temporary files, removed at the end. */
  folder(): string {
    const path = mkdtempSync(join(tmpdir(), 'logflume-bench-'));
    this.#folders.add(path);
    this.defer(() => {
      rmSync(path, { recursive: true, force: true });
      this.#folders.delete(path);
    });
    return path;
  }

  /** Starts a program that runs until the end. Its output is shown only if `show` says so. */
  program(command: string, args: readonly string[]): ChildProcess {
    const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    // A program that cannot be started shows when it is first used.
    child.on('error', (error) => process.stderr.write(`${command}: ${error.message}\n`));
    child.stderr?.on('data', (text: Buffer) => process.stderr.write(`${command}: ${text}`));
    this.adopt(child);
    return child;
  }

  /** Ends this process at the end. */
  adopt(child: ChildProcess): void {
    this.#children.add(child);
    child.once('exit', () => this.#children.delete(child));
    this.defer(() => endProcess(child));
  }

  /** Gives everything back. A failure to do so is reported and does not stop the rest. */
  async close(): Promise<void> {
    for (let close = this.#closers.pop(); close !== undefined; close = this.#closers.pop()) {
      try {
        await close();
      } catch (error) {
        process.stderr.write(`while cleaning up: ${String(error)}\n`);
        process.exitCode = 1;
      }
    }
  }

  #abandon(): void {
    for (const child of this.#children) child.kill('SIGKILL');
    for (const path of this.#folders) rmSync(path, { recursive: true, force: true });
  }
}

/** Asks a process to end, kills it if it does not, and resolves when it has. */
export async function endProcess(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), END_MS);
  await gone;
  clearTimeout(timer);
}
