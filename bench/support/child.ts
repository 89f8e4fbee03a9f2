/**
 * Processes of our own that a benchmark talks to: one question, one answer, over Node's IPC. A
 * child whose parent is gone ends by itself.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Resources } from './resources.ts';

/** No step of a benchmark takes longer; without an answer it would wait for ever. */
const ANSWER_MS_MAX = 180_000;

interface Question {
  readonly id: number;
  readonly name: string;
  readonly argument: unknown;
}

interface Answer {
  readonly id: number;
  readonly result?: unknown;
  readonly error?: string;
}

/** The module beside `from`, as it is run: compiled. */
export function compiled(name: string, from: string): string {
  return fileURLToPath(new URL(name, from));
}

/** The parent's side. */
export class Child {
  readonly process: ChildProcess;
  readonly #waiting = new Map<number, (answer: Answer) => void>();
  #nextId = 1;

  /** Starts `module` with `nodeOptions`; it ends with `resources` at the latest. */
  constructor(resources: Resources, module: string, nodeOptions: readonly string[] = []) {
    this.process = fork(module, [], { execArgv: [...nodeOptions], serialization: 'advanced' });
    resources.adopt(this.process);
    this.process.on('message', (message) => {
      const answer = message as Answer;
      this.#waiting.get(answer.id)?.(answer);
      this.#waiting.delete(answer.id);
    });
    this.process.once('exit', (status, signal) => {
      const error = `${module} ended: ${signal ?? status}`;
      for (const [id, settle] of this.#waiting) settle({ id, error });
      this.#waiting.clear();
    });
  }

  get pid(): number {
    const { pid } = this.process;
    if (pid === undefined) throw new Error('the process did not start');
    return pid;
  }

  /** Asks the child's handler `name`; rejects if it threw, ended, or took too long. */
  async ask<Result>(name: string, argument?: unknown): Promise<Result> {
    const id = this.#nextId++;
    const answer = await new Promise<Answer>((resolve) => {
      const timer = setTimeout(() => settle({ id, error: 'no answer' }), ANSWER_MS_MAX);
      const settle = (settled: Answer) => {
        clearTimeout(timer);
        resolve(settled);
      };
      this.#waiting.set(id, settle);
      const question: Question = { id, name, argument };
      this.process.send(question, (error) => {
        if (error !== null) settle({ id, error: error.message });
      });
    });
    if (answer.error !== undefined) throw new Error(`${name}: ${answer.error}`);
    return answer.result as Result;
  }
}

/** What a child answers to each question. Runs may block the child's thread. */
export type Handlers = Readonly<Record<string, (argument: never) => unknown>>;

/** The child's side: answers questions until the parent goes. */
export function serve(handlers: Handlers): void {
  process.on('message', (message) => {
    void answer(handlers, message as Question).then((reply) => process.send?.(reply));
  });
  process.on('disconnect', () => process.exit(0));
}

async function answer(handlers: Handlers, { id, name, argument }: Question): Promise<Answer> {
  try {
    const handler = handlers[name];
    if (handler === undefined) throw new Error('no such question');
    return { id, result: await handler(argument as never) };
  } catch (error) {
    return { id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
}
