/**
 * Reads blocks of a pool, in order mostly, through one window of memory. Cold: recovery and check.
 */
import { assert } from '../base/assert.ts';
import { StoreError } from '../base/errors.ts';
import { BLOCK_BYTES } from '../base/units.ts';
import { positionOf } from '../formats/geometry.ts';
import type { Disk } from '../platform/disk.ts';
import type { Kernels } from '../platform/platform.ts';

/** 256 KiB: one read fetches many small commits, and little is wasted on large ones. */
const WINDOW_BLOCKS = 64;

/** Whether the disk could not read, as opposed to anything else that goes wrong. */
export function isMediaError(error: unknown): boolean {
  return error instanceof StoreError && error.code === 'media_error';
}

export class PoolReader {
  readonly kernels: Kernels;
  readonly #disk: Disk;
  readonly #window: Uint8Array;
  readonly #view: DataView;
  #firstPba = 0;
  #blockCount = 0;

  constructor(disk: Disk, kernels: Kernels) {
    this.kernels = kernels;
    this.#disk = disk;
    this.#window = kernels.allocate(WINDOW_BLOCKS * BLOCK_BYTES);
    this.#view = new DataView(
      this.#window.buffer,
      this.#window.byteOffset,
      this.#window.byteLength,
    );
  }

  /** The window, which `read` returns offsets into. */
  get bytes(): Uint8Array {
    return this.#window;
  }
  get view(): DataView {
    return this.#view;
  }

  /**
   * Byte offset in `bytes` of `pba`, good until the next call. `blocksLeft` is how many blocks
   * from there may be read on, the one asked for included.
   *
   * @throws StoreError `media_error`.
   */
  async read(pba: number, blocksLeft: number): Promise<number> {
    assert(blocksLeft >= 1, 'a block is read');
    const ahead = pba - this.#firstPba;
    if (ahead >= 0 && ahead < this.#blockCount) return ahead * BLOCK_BYTES;
    this.#blockCount = 0;
    const blockCount = Math.min(WINDOW_BLOCKS, blocksLeft);
    try {
      await this.#fill(pba, blockCount);
    } catch (error) {
      if (blockCount === 1 || !isMediaError(error)) throw error;
      // Some block of the window cannot be read; it need not be the one that was asked for.
      await this.#fill(pba, 1);
    }
    return 0;
  }

  async #fill(pba: number, blockCount: number): Promise<void> {
    if (blockCount === WINDOW_BLOCKS) {
      await this.#disk.read(this.#window, positionOf(pba));
    } else {
      // What is handed to the disk must be allocated for it: no part of the window will do.
      const part = this.kernels.allocate(blockCount * BLOCK_BYTES);
      await this.#disk.read(part, positionOf(pba));
      this.#window.set(part);
    }
    this.#firstPba = pba;
    this.#blockCount = blockCount;
  }

  /** Blocks were written since: reads again. */
  forget(): void {
    this.#blockCount = 0;
  }
}
