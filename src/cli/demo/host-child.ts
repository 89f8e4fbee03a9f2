/** A host in a process of its own, that can be killed without warning and started again. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { StoreError } from '../../base/errors.ts';

const MAIN = fileURLToPath(new URL('../main.js', import.meta.url));
/** The host says this on its standard output once guests can attach. */
export const LISTENING = 'listening on';

export class HostChild {
  readonly #args: readonly string[];
  #child: ChildProcess | undefined;
  #killed = 0;

  constructor(pool: string, socket: string, bankFolder: string | undefined) {
    const bank = bankFolder === undefined ? [] : ['--bank', bankFolder];
    this.#args = [MAIN, 'host', '--pool', pool, '--listen', socket, ...bank];
  }

  get killedCount(): number {
    return this.#killed;
  }

  /** Resolves once guests can attach. @throws StoreError `system_error` with what it printed. */
  async start(): Promise<void> {
    const child = spawn(process.execPath, [...this.#args], { stdio: ['ignore', 'pipe', 'pipe'] });
    this.#child = child;
    let printed = '';
    await new Promise<void>((resolve, reject) => {
      const note = (chunk: Buffer) => {
        printed = (printed + chunk.toString()).slice(-2000);
        if (printed.includes(LISTENING)) resolve();
      };
      child.stdout?.on('data', note);
      child.stderr?.on('data', note);
      child.on('exit', () => {
        reject(new StoreError('system_error', { call: 'host', says: printed.trim() }));
      });
    });
  }

  /** SIGKILL: nothing is flushed, nobody is told. */
  async kill(): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null) return;
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
    this.#killed++;
  }

  /** SIGTERM: drains and flushes; what it ended with. */
  async stop(): Promise<number | null> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return null;
    const gone = once(child, 'exit');
    child.kill('SIGTERM');
    await gone;
    return child.exitCode;
  }
}
