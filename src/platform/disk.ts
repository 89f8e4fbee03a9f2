/** Slots are numbers below this. */
export const DISK_SLOTS_MAX = 65_536;

/** Operations that can be in flight on one disk; more than this no device has use for. */
export const DISK_ENTRIES_MAX = 1024;

/**
 * Positioned I/O on one pool file.
 *
 * The hot face is queue, submit and reap by slot, because a thread that never leaves its loop runs
 * no promise. The caller owns the slots: one operation in flight per slot, and the memory of a
 * slot is lent until it is reaped. Nothing orders operations in flight together; a sync covers the
 * writes that were reaped before it was queued.
 */
export interface Disk {
  /** Size of the file, as it was when opened. */
  readonly sizeBytes: number;
  /** Memory, position and length are multiples of this. */
  readonly alignmentBytes: number;
  /** Operations queued or submitted and not yet reaped. */
  readonly inFlightCount: number;
  /** Filled by `reap`. A result is the bytes transferred, or a negative errno. */
  readonly completedSlots: Int32Array;
  readonly completedResults: Int32Array;

  /** False if the queue is full: reap first. Memory is a number from `Kernels.registerMemory`. */
  queueRead(
    slot: number,
    memory: number,
    memoryOffset: number,
    byteLength: number,
    positionBytes: number,
  ): boolean;
  queueWrite(
    slot: number,
    memory: number,
    memoryOffset: number,
    byteLength: number,
    positionBytes: number,
  ): boolean;
  /** fdatasync. */
  queueSync(slot: number): boolean;
  /** Hands over what was queued, in one call. Cheap if nothing was. */
  submit(): void;
  /** Whether `reap` would find something; true once too often, never too seldom. No system call. */
  hasCompletions(): boolean;
  /** Takes completions, not always all, into `completedSlots` and `completedResults`; how many. */
  reap(): number;
  /** A descriptor that is readable after completions, for a sleeping thread; -1 if simulated. */
  readonly eventFd: number;

  // The cold face: open, recovery, check. Not to be mixed with operations in flight.
  /** @throws StoreError `media_error` if the disk fails or ends early. `bytes` from `Kernels.allocate`. */
  read(bytes: Uint8Array, positionBytes: number): Promise<void>;
  /** @throws StoreError `pool_failed`: what is on disk is unknown. */
  write(bytes: Uint8Array, positionBytes: number): Promise<void>;
  /** fdatasync. @throws StoreError `pool_failed`. */
  sync(): Promise<void>;
  /** Waits for what is in flight, then releases lock and descriptor. */
  close(): Promise<void>;
}
