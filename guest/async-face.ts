/** Commands as promises. What each does is said in `api.ts`. */
import { StoreError } from '../src/base/errors.ts';
import { SECTOR_BYTES } from '../src/base/units.ts';
import { Opcode } from '../src/channel/protocol.ts';
import type { AsyncFace, Payload, ReadOptions, VolumeFacts, WriteOptions } from './api.ts';
import { bytesOf } from './data-buffer.ts';
import {
  checkMultiple,
  infoRequest,
  Operation,
  plainRequest,
  type Request,
  rangeRequest,
  transferRequest,
} from './operation.ts';

/** What the face needs of the driver around it. */
export interface AsyncHost {
  readonly commandBytesMax: number;
  /** Issues the operation or puts it in line, and sees to it that its end is noticed. */
  launch(operation: Operation): void;
  /** Takes the answer to INFO over. */
  learn(info: Uint8Array): VolumeFacts;
}

export class PromiseFace implements AsyncFace {
  readonly #driver: AsyncHost;

  constructor(driver: AsyncHost) {
    this.#driver = driver;
  }

  async read(position: number, byteLength: number, options?: ReadOptions): Promise<Uint8Array> {
    checkMultiple('byteLength', byteLength);
    const target = new Uint8Array(byteLength);
    await this.#run(transferRequest(Opcode.READ, position, [target], false), options);
    return target;
  }

  async readInto(position: number, target: Payload, options?: ReadOptions): Promise<void> {
    await this.#run(transferRequest(Opcode.READ, position, [bytesOf(target)], false), options);
  }

  async readv(position: number, targets: readonly Payload[], options?: ReadOptions): Promise<void> {
    const payload = targets.map(bytesOf);
    await this.#run(transferRequest(Opcode.READ, position, payload, false), options);
  }

  async write(position: number, data: Uint8Array, options?: WriteOptions): Promise<void> {
    await this.writeFrom(position, data, options);
  }

  async writeFrom(position: number, source: Payload, options?: WriteOptions): Promise<void> {
    const fua = options?.fua ?? false;
    await this.#run(transferRequest(Opcode.WRITE, position, [bytesOf(source)], fua), options);
  }

  async writev(
    position: number,
    sources: readonly Payload[],
    options?: WriteOptions,
  ): Promise<void> {
    const payload = sources.map(bytesOf);
    const fua = options?.fua ?? false;
    await this.#run(transferRequest(Opcode.WRITE, position, payload, fua), options);
  }

  async writeZeroes(position: number, byteLength: number, options?: WriteOptions): Promise<void> {
    const fua = options?.fua ?? false;
    await this.#run(rangeRequest(Opcode.WRITE_ZEROES, position, byteLength, fua), options);
  }

  async discard(position: number, byteLength: number, options?: WriteOptions): Promise<void> {
    const fua = options?.fua ?? false;
    await this.#run(rangeRequest(Opcode.DISCARD, position, byteLength, fua), options);
  }

  async flush(options?: ReadOptions): Promise<void> {
    await this.#run(plainRequest(Opcode.FLUSH), options);
  }

  async nop(options?: ReadOptions): Promise<void> {
    await this.#run(plainRequest(Opcode.NOP), options);
  }

  async info(options?: ReadOptions): Promise<VolumeFacts> {
    const target = new Uint8Array(SECTOR_BYTES);
    await this.#run(infoRequest(target), options);
    return this.#driver.learn(target);
  }

  #run(request: Request, options: ReadOptions | undefined): Promise<void> {
    const signal = options?.signal;
    if (signal?.aborted === true) return Promise.reject(cancelled(signal));
    if (isEmptyTransfer(request)) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const abort = () => {
        if (signal !== undefined) operation.fail(cancelled(signal));
      };
      const operation = new Operation(request, this.#driver.commandBytesMax, (error) => {
        signal?.removeEventListener('abort', abort);
        if (error === undefined) resolve();
        else reject(error);
      });
      signal?.addEventListener('abort', abort, { once: true });
      this.#driver.launch(operation);
    });
  }
}

/** A transfer or range of no bytes is done without the host, which would refuse it. */
export function isEmptyTransfer({ opcode, byteLength }: Request): boolean {
  return byteLength === 0 && opcode !== Opcode.FLUSH && opcode !== Opcode.NOP;
}

function cancelled(signal: AbortSignal): StoreError {
  return new StoreError('cancelled', {}, { cause: signal.reason });
}
