import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const SUPPORT = new URL('../../../dist/test/guest/support/', import.meta.url);

/** A guest process, line by line. */
export class GuestProcess {
  readonly child: ChildProcess;
  readonly lines: string[] = [];
  readonly exited: Promise<unknown[]>;
  #changed: () => void = () => undefined;

  constructor(task: string, host: string, flags: readonly string[] = []) {
    const script = fileURLToPath(new URL('guest-process.js', SUPPORT));
    const stdio = ['pipe', 'pipe', 'inherit'] as const;
    this.child = spawn(process.execPath, [...flags, script, task, host], { stdio: [...stdio] });
    this.exited = once(this.child, 'close');
    if (this.child.stdout === null) throw new Error('a piped output is there');
    createInterface(this.child.stdout).on('line', (line) => {
      this.lines.push(line);
      this.#changed();
    });
  }

  async says(line: string): Promise<void> {
    while (!this.lines.includes(line)) {
      await new Promise<void>((resolve) => {
        this.#changed = resolve;
      });
    }
  }
}
