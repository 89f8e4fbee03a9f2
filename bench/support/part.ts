/** A single part to measure: the same thing done `runs` times, and what sets it up again. */
export interface Part {
  /** Ends in `_ns`: per run. */
  readonly metric: string;
  readonly runs: number;
  readonly once: () => void;
  /** Runs before each sample, untimed. */
  readonly before?: () => void;
}

/** Stops the compiler from leaving out work whose result nobody reads. */
export const sink = { value: 0 };
