import { MessageChannel, type MessagePort } from 'node:worker_threads';

/** Keeps the event loop, and so the process, alive while told to. A referenced port does that. */
export class LoopHold {
  readonly #port: MessagePort;
  #held: boolean = false;

  constructor() {
    this.#port = new MessageChannel().port1;
    // A port that nobody listens to does not hold the loop, referenced or not.
    this.#port.on('message', () => undefined);
    this.#port.unref();
  }

  set(held: boolean): void {
    if (held === this.#held) return;
    this.#held = held;
    if (held) this.#port.ref();
    else this.#port.unref();
  }

  close(): void {
    this.#port.close();
  }
}
