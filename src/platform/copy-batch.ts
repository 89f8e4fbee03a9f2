/**
 * A preallocated table of copy and checksum jobs that run in order in one call, so that a step of
 * the reactor pays for one crossing into native code, however many blocks it moves.
 *
 * A job may read what an earlier job of the batch wrote. Sums are taken over the target after the
 * copy: a guest that changes its buffer meanwhile stores one version or the other, with its sum.
 */
export interface CopyBatch {
  readonly rowCount: number;
  readonly hasRoom: boolean;
  /** Checksum of row i's target, valid after `run` for rows that asked for one. */
  readonly sums: Uint32Array;
  /** Each adds a job and returns its row. Offsets and lengths are in bytes. @hotpath */
  copy(
    sourceMemory: number,
    sourceOffset: number,
    targetMemory: number,
    targetOffset: number,
    byteLength: number,
  ): number;
  copyAndSum(
    sourceMemory: number,
    sourceOffset: number,
    targetMemory: number,
    targetOffset: number,
    byteLength: number,
  ): number;
  sum(memory: number, offset: number, byteLength: number): number;
  zero(memory: number, offset: number, byteLength: number): number;
  /** Rows that can still be added. */
  readonly roomCount: number;
  /** Runs every job, in order. Rows and sums stay readable until `clear`. */
  run(): void;
  /** Empties the table. */
  clear(): void;
}
