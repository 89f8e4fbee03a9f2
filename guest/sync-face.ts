/** Commands that block the thread until they are done. What each does is said in `api.ts`. */
import type { StoreError } from '../src/base/errors.ts';
import { SECTOR_BYTES } from '../src/base/units.ts';
import { Opcode } from '../src/channel/protocol.ts';
import type { Payload, SyncFace, VolumeFacts } from './api.ts';
import { isEmptyTransfer } from './async-face.ts';
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
export interface SyncHost {
  readonly commandBytesMax: number;
  /** Issues the operation and returns when it has ended. */
  runToEnd(operation: Operation): void;
  /** Takes the answer to INFO over. */
  learn(info: Uint8Array): VolumeFacts;
}

interface Force {
  readonly fua?: boolean;
}

export class BlockingFace implements SyncFace {
  readonly #driver: SyncHost;

  constructor(driver: SyncHost) {
    this.#driver = driver;
  }

  read(position: number, byteLength: number): Uint8Array {
    checkMultiple('byteLength', byteLength);
    const target = new Uint8Array(byteLength);
    this.#run(transferRequest(Opcode.READ, position, [target], false));
    return target;
  }

  readInto(position: number, target: Payload): void {
    this.#run(transferRequest(Opcode.READ, position, [bytesOf(target)], false));
  }

  readv(position: number, targets: readonly Payload[]): void {
    this.#run(transferRequest(Opcode.READ, position, targets.map(bytesOf), false));
  }

  write(position: number, data: Uint8Array, options?: Force): void {
    this.writeFrom(position, data, options);
  }

  writeFrom(position: number, source: Payload, options?: Force): void {
    const fua = options?.fua ?? false;
    this.#run(transferRequest(Opcode.WRITE, position, [bytesOf(source)], fua));
  }

  writev(position: number, sources: readonly Payload[], options?: Force): void {
    const fua = options?.fua ?? false;
    this.#run(transferRequest(Opcode.WRITE, position, sources.map(bytesOf), fua));
  }

  writeZeroes(position: number, byteLength: number, options?: Force): void {
    const fua = options?.fua ?? false;
    this.#run(rangeRequest(Opcode.WRITE_ZEROES, position, byteLength, fua));
  }

  discard(position: number, byteLength: number, options?: Force): void {
    const fua = options?.fua ?? false;
    this.#run(rangeRequest(Opcode.DISCARD, position, byteLength, fua));
  }

  flush(): void {
    this.#run(plainRequest(Opcode.FLUSH));
  }

  nop(): void {
    this.#run(plainRequest(Opcode.NOP));
  }

  info(): VolumeFacts {
    const target = new Uint8Array(SECTOR_BYTES);
    this.#run(infoRequest(target));
    return this.#driver.learn(target);
  }

  #run(request: Request): void {
    if (isEmptyTransfer(request)) return;
    let failure: StoreError | undefined;
    const operation = new Operation(request, this.#driver.commandBytesMax, (error) => {
      failure = error;
    });
    this.#driver.runToEnd(operation);
    if (failure !== undefined) throw failure as StoreError;
  }
}
