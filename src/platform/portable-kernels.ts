/**
 * The addon's checksums and copies once more in plain JavaScript: for the simulator, for tests that
 * compare the two, and for guests and tools on a machine where the addon is not built. It cannot
 * serve a real disk, whose direct I/O needs aligned memory and numbers that the addon knows.
 */
import { assert } from '../base/assert.ts';
import { crc32c } from '../base/crc32c.ts';
import { COPY_ROW_WORDS, CopyKind } from '../bindings/kinds.ts';
import type { CopyBatch } from './copy-batch.ts';
import { CopyTable } from './copy-table.ts';
import type { Kernels } from './platform.ts';

/** Buffers by number. A number that was given back is used again. */
export class MemoryTable {
  readonly #buffers: (Uint8Array | undefined)[] = [];
  readonly #free: number[] = [];

  add(bytes: Uint8Array): number {
    const memory = this.#free.pop() ?? this.#buffers.length;
    this.#buffers[memory] = bytes;
    return memory;
  }

  remove(memory: number): void {
    assert(this.#buffers[memory] !== undefined, 'the memory is registered');
    this.#buffers[memory] = undefined;
    this.#free.push(memory);
  }

  require(memory: number): Uint8Array {
    const bytes = this.#buffers[memory];
    assert(bytes !== undefined, 'the memory is registered');
    return bytes;
  }
}

/** Throws unless every row lies within its memories and copies between ranges apart. */
export function checkRows(memories: MemoryTable, jobs: Uint32Array, count: number): void {
  for (let row = 0; row < count; row++) {
    const at = row * COPY_ROW_WORDS;
    const byteLength = jobs[at + 5] as number;
    const target = memories.require(jobs[at + 3] as number);
    const targetEnd = (jobs[at + 4] as number) + byteLength;
    assert(targetEnd <= target.byteLength, 'a job ends within its target');
    const kind = jobs[at] as number;
    if (kind !== CopyKind.COPY && kind !== CopyKind.COPY_SUM) continue;
    const source = memories.require(jobs[at + 1] as number);
    const sourceEnd = (jobs[at + 2] as number) + byteLength;
    assert(sourceEnd <= source.byteLength, 'a job ends within its source');
    if (source.buffer !== target.buffer) continue;
    const targetStart = target.byteOffset + targetEnd - byteLength;
    const sourceStart = source.byteOffset + sourceEnd - byteLength;
    const apart = Math.abs(targetStart - sourceStart) >= byteLength;
    assert(apart, 'a job copies between ranges that do not overlap');
  }
}

/** Runs one row of a table that `checkRows` has passed. */
export function runRow(
  memories: MemoryTable,
  jobs: Uint32Array,
  row: number,
  sums: Uint32Array,
): void {
  const at = row * COPY_ROW_WORDS;
  const kind = jobs[at] as number;
  const target = memories.require(jobs[at + 3] as number);
  const start = jobs[at + 4] as number;
  const end = start + (jobs[at + 5] as number);
  if (kind === CopyKind.ZERO) {
    target.fill(0, start, end);
    return;
  }
  if (kind !== CopyKind.SUM) {
    const source = memories.require(jobs[at + 1] as number);
    const sourceOffset = jobs[at + 2] as number;
    target.set(source.subarray(sourceOffset, sourceOffset + end - start), start);
  }
  if (kind !== CopyKind.COPY) sums[row] = crc32c(target, start, end, 0);
}

export class PortableKernels implements Kernels {
  readonly memories = new MemoryTable();

  crc32c(bytes: Uint8Array, start: number, end: number, seed: number): number {
    return crc32c(bytes, start, end, seed);
  }

  /** Of the JavaScript heap, whatever the interface says: nothing here does direct I/O. */
  allocate(byteLength: number): Uint8Array {
    return new Uint8Array(byteLength);
  }

  registerMemory(bytes: Uint8Array): number {
    return this.memories.add(bytes);
  }

  unregisterMemory(memory: number): void {
    this.memories.remove(memory);
  }

  createCopyBatch(rowCountMax: number): CopyBatch {
    const { memories } = this;
    return new CopyTable(rowCountMax, (jobs, count, sums) => {
      checkRows(memories, jobs, count);
      for (let row = 0; row < count; row++) runRow(memories, jobs, row, sums);
    });
  }
}
