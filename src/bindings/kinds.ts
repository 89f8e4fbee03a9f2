/** Numbers that the addon's batched calls understand; the C++ side has the same in kinds.h. */

/** A row of `runCopies`: [kind, source memory, source offset, target memory, target offset, byteLength]. */
export const CopyKind = {
  /** Copies. */
  COPY: 0,
  /** Copies, then sums the target. */
  COPY_SUM: 1,
  /** Sums the target; the source is not looked at. */
  SUM: 2,
  /** Fills the target with zeros. */
  ZERO: 3,
} as const;

export const COPY_ROW_WORDS = 6;

/** A row of `diskQueueSubmit`: [kind, slot, memory, memory offset, byteLength, position]. */
export const DiskKind = {
  READ: 0,
  WRITE: 1,
  /** fdatasync; memory and lengths are ignored. */
  SYNC: 2,
} as const;

export const DISK_ROW_NUMBERS = 6;
