/** What became of an attempt to run a command that changes something. */
export const Outcome = {
  /** Appended, and its copies queued. */
  DONE: 0,
  /** It has blocks to wait for; it will be told. */
  FILLING: 1,
  /** No room for its fills: try again after some were delivered. */
  STALLED: 2,
  /** No room in the log now: try again in a later turn. */
  LOG_BUSY: 3,
  /** Appended; its blocks are being cleared in slices. */
  CLEARING: 4,
  /** It failed; `RowWork.fault` says how. */
  FAILED: 5,
} as const;
