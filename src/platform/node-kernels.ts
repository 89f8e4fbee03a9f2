import { crc32c, registerMemory, runCopies, unregisterMemory } from '../bindings/kernels.ts';
import { allocateAligned } from '../bindings/memory.ts';
import type { CopyBatch } from './copy-batch.ts';
import { CopyTable } from './copy-table.ts';
import type { Kernels } from './platform.ts';

/** The addon's checksums and copies. Memory numbers are those of the calling thread. */
export class NodeKernels implements Kernels {
  /** @hotpath */
  crc32c(bytes: Uint8Array, start: number, end: number, seed: number): number {
    return crc32c(bytes, start, end, seed);
  }

  allocate(byteLength: number): Uint8Array {
    return allocateAligned(byteLength).bytes;
  }

  registerMemory(bytes: Uint8Array): number {
    return registerMemory(bytes);
  }

  unregisterMemory(memory: number): void {
    unregisterMemory(memory);
  }

  createCopyBatch(rowCountMax: number): CopyBatch {
    return new CopyTable(rowCountMax, runCopies);
  }
}
