/**
 * Everything nondeterministic that production code may touch, as interfaces with one real
 * implementation each (`node-platform.ts`) and one simulated (`test/sim`). Code above this floor
 * takes a `Platform`, or the part it needs, through its constructor.
 */
import type { CopyBatch } from './copy-batch.ts';
import type { Disk } from './disk.ts';

export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** Monotonic microseconds from an arbitrary start. Costs about 60 ns: sample it, per batch. */
  nowUs(): number;
  /** Milliseconds since 1970, for people to read. No decision may depend on it. */
  wallMs(): number;
  /**
   * Calls back once, on the event loop, after at least `delayMs`. The process lives until then,
   * unless `hold` is false.
   */
  after(delayMs: number, callback: () => void, options?: { hold?: boolean }): Timer;
}

export interface Entropy {
  /** Fills with unpredictable bytes: ids and secrets. */
  fill(bytes: Uint8Array): void;
}

/** Checksums and bulk copies. Buffers are known by number, the same number that a `Disk` takes. */
export interface Kernels {
  /** CRC-32C of bytes [start, end) continued from `seed`. */
  crc32c(bytes: Uint8Array, start: number, end: number, seed: number): number;
  /** Zeroed memory, aligned for direct I/O and outside the JavaScript heap. Freed when collected. */
  allocate(byteLength: number): Uint8Array;
  /** Numbers a buffer for `CopyBatch` and `Disk`; it stays alive until unregistered. */
  registerMemory(bytes: Uint8Array): number;
  unregisterMemory(memory: number): void;
  /** A table of at most `rowCountMax` jobs that run in one call. */
  createCopyBatch(rowCountMax: number): CopyBatch;
}

/** Files that hold pools. */
export interface OpenPoolOptions {
  /** Milliseconds to wait for another owner to go. */
  readonly lockWaitMs: number;
  readonly readOnly?: boolean;
  /** Takes no lock: for a look at superblocks, beside an owner that may be writing. Read-only. */
  readonly beside?: boolean;
}

export interface PoolFiles {
  /**
   * Opens for direct I/O and takes the owner's lock (R5) on the descriptor that does the I/O,
   * waiting at most `lockWaitMs`.
   *
   * @throws StoreError `pool_locked` naming the holder where the kernel tells; `unsupported` naming
   * the file system if it does no direct I/O; `system_error`.
   */
  open(path: string, options: OpenPoolOptions): Promise<Disk>;
  /**
   * Makes a file of this size, all of it allocated, or written through with zeros. Fails if the
   * path exists. The file and its directory entry are durable when this resolves.
   *
   * @throws StoreError `already_exists`; `unsupported` as `open`; `system_error`, ENOSPC included,
   * and no file is left.
   */
  create(path: string, options: { sizeBytes: number; writeThrough: boolean }): Promise<void>;
}

/** A file mapped into memory that outlives this process, but not the machine: a bank (R2). */
export interface MappedFile {
  readonly bytes: Uint8Array;
  close(): void;
}

export interface BankFiles {
  /**
   * Makes a bank file of zeros, fully allocated and prefaulted, mode 0600, and maps it. Names hold
   * no slash.
   *
   * @throws StoreError `bank_unavailable` if there is no room or no folder to trust;
   * `already_exists`.
   */
  create(name: string, byteLength: number): MappedFile;
  /** Undefined if there is none. @throws StoreError `bank_lost` if owner, mode or type is wrong. */
  open(name: string): MappedFile | undefined;
  /** Removes the name if it is there. */
  remove(name: string): void;
}

export interface Platform {
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly kernels: Kernels;
  readonly pools: PoolFiles;
  readonly banks: BankFiles;
  /** Identifies the running boot of the machine: changes exactly when memory was lost. */
  bootId(): string;
}
