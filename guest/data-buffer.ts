/**
 * Pieces of the data area that callers hold. Freeing one that a command still uses takes effect
 * when the command has ended: until then the host may write to it.
 */
import { assert } from '../src/base/assert.ts';
import { StoreError } from '../src/base/errors.ts';
import { AREA_FULL } from '../src/memory/data-area.ts';
import type { DataBuffer } from './api.ts';
import type { Core } from './core.ts';

/** The least alignment of a piece, for direct reads and for whole blocks. */
const PIECE_BYTES_MIN = 4096;

class Piece implements DataBuffer {
  readonly bytes: Uint8Array;
  readonly offset: number;
  readonly byteLength: number;
  readonly #onFree: () => void;
  #freed: boolean = false;

  constructor(bytes: Uint8Array, offset: number, onFree: () => void) {
    this.bytes = bytes;
    this.offset = offset;
    this.byteLength = bytes.byteLength;
    this.#onFree = onFree;
  }

  get freed(): boolean {
    return this.#freed;
  }

  free(): void {
    if (this.#freed) return;
    this.#freed = true;
    this.#onFree();
  }
}

/** Claims a piece of the area. @throws StoreError `invalid_argument`, `limit_exceeded`. */
export function allocatePiece(core: Core, byteLength: number): DataBuffer {
  const bytesMax = core.layout.dataBytes;
  if (!Number.isInteger(byteLength) || byteLength <= 0 || byteLength > bytesMax) {
    const expected = `an integer from 1 to ${bytesMax}`;
    throw new StoreError('invalid_argument', {
      argument: 'byteLength',
      value: byteLength,
      expected,
    });
  }
  const offset = core.area.claim(Math.max(byteLength, PIECE_BYTES_MIN));
  if (offset === AREA_FULL) {
    const { freeBytes } = core.area;
    const hint = 'free buffers or attach with more dataBytes';
    throw new StoreError('limit_exceeded', { byteLength, freeBytes, hint });
  }
  const start = core.layout.dataOffset + offset;
  const bytes = core.region.bytes.subarray(start, start + byteLength);
  return new Piece(bytes, offset, () => core.releasePiece(offset, byteLength));
}

/** The memory behind an argument. @throws StoreError `invalid_argument` if it was freed. */
export function bytesOf(payload: Uint8Array | DataBuffer): Uint8Array {
  if (payload instanceof Uint8Array) return payload;
  if (!(payload instanceof Piece)) {
    const expected = 'a Uint8Array or a DataBuffer of this package';
    throw new StoreError('invalid_argument', { argument: 'buffer', expected });
  }
  if (payload.freed) {
    throw new StoreError('invalid_argument', { argument: 'buffer', value: 'freed' });
  }
  assert(payload.bytes.byteLength <= payload.byteLength, 'a piece is as long as it was');
  return payload.bytes;
}
