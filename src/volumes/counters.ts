/** Counts of the engine since the pool was opened, by index, in one Float64Array. */
export const Counter = {
  READ_COMMANDS: 0,
  WRITE_COMMANDS: 1,
  /** WRITE_ZEROES and DISCARD. */
  ZERO_COMMANDS: 2,
  FLUSH_COMMANDS: 3,
  FAILED_COMMANDS: 4,
  /** Answered because they were applied before (R25). */
  REPEATED_COMMANDS: 5,
  READ_BYTES: 6,
  WRITTEN_BYTES: 7,
  /** Blocks read from the bank, the cache, the disk, and from nowhere. */
  BANK_HITS: 8,
  CACHE_HITS: 9,
  CACHE_MISSES: 10,
  UNMAPPED_READS: 11,
  CHECKSUM_MISMATCHES: 12,
  MEDIA_ERRORS: 13,
  /** Requests that had to wait for another one, for the log, or for a read. */
  HELD_REQUESTS: 14,
} as const;

export const COUNTER_COUNT = 15;
