/** A host in a child process: start it, ask it, kill it. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { HostOptions, HostStats } from '../../../host/index.ts';
import { isErrorCode, StoreError } from '../../../src/base/errors.ts';
import type { HostAnswer, HostQuestion, HostResources } from './host-process.ts';

const SCRIPT = fileURLToPath(
  new URL('../../../dist/test/host/support/host-process.js', import.meta.url),
);

type Settle = (answer: HostAnswer) => void;

export class HostChild {
  readonly #process: ChildProcess;
  readonly #waiting = new Map<number, Settle>();
  #nextId = 1;

  private constructor(process: ChildProcess) {
    this.#process = process;
    process.on('message', (answer: HostAnswer) => {
      this.#waiting.get(answer.id)?.(answer);
      this.#waiting.delete(answer.id);
    });
    process.on('exit', () => {
      const error = { code: 'host_lost', message: 'the host process ended' };
      for (const [id, settle] of this.#waiting) settle({ id, error });
      this.#waiting.clear();
    });
  }

  /** @throws StoreError of the host's `startHost`. */
  static async start(options: HostOptions): Promise<HostChild> {
    const child = new HostChild(fork(SCRIPT, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] }));
    try {
      await child.#ask('start', options);
    } catch (error) {
      await child.kill();
      throw error;
    }
    return child;
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  async stats(): Promise<HostStats> {
    return (await this.#ask('stats')) as HostStats;
  }

  async resources(): Promise<HostResources> {
    return (await this.#ask('resources')) as HostResources;
  }

  async terminateReactor(): Promise<void> {
    await this.#ask('terminate');
  }

  /** A clean end. */
  async close(): Promise<void> {
    await this.#ask('close');
    await this.kill();
  }

  /** SIGKILL; resolves when it is gone. */
  async kill(): Promise<void> {
    const { exitCode, signalCode } = this.#process;
    if (exitCode !== null || signalCode !== null) return;
    const gone = once(this.#process, 'exit');
    this.#process.kill('SIGKILL');
    await gone;
  }

  async #ask(ask: HostQuestion['ask'], options?: HostOptions): Promise<unknown> {
    if (!this.#process.connected) throw new StoreError('host_lost', { hostSays: 'it is gone' });
    const id = this.#nextId++;
    const question: HostQuestion = options === undefined ? { id, ask } : { id, ask, options };
    const answer = await new Promise<HostAnswer>((resolve) => {
      this.#waiting.set(id, resolve);
      this.#process.send(question);
    });
    if (answer.error === undefined) return answer.result;
    const { code, message } = answer.error;
    if (isErrorCode(code)) throw new StoreError(code, { hostSays: message });
    throw new Error(message);
  }
}
