/** What the demonstration's processes and threads tell the one that directs them. */
import type { StreamResult } from './transfer.ts';

export type GuestMessage =
  | { readonly kind: 'progress'; readonly doneBytes: number }
  | { readonly kind: 'done'; readonly result: StreamResult; readonly probe?: ProbeSummary }
  | { readonly kind: 'failed'; readonly message: string };

/** Percentiles in microseconds, and a histogram as counts by doubling latency from `fromNs` on. */
export interface ProbeSummary {
  readonly nopP50Us: number;
  readonly nopP99Us: number;
  readonly readP50Us: number;
  readonly readP99Us: number;
  readonly readsByDoubling: readonly { readonly belowNs: number; readonly count: number }[];
}

/** What a guest is told when it starts. */
export interface GuestTask {
  readonly host: string;
  readonly volume: string;
  readonly path: string;
  readonly byteLength: number;
  readonly probe: boolean;
}

/** Progress is told so often in a stream, so that telling does not cost more than doing. */
const TELLINGS = 100;

/** Calls `send` about a hundred times while `byteLength` bytes come. */
export function everyFew(
  byteLength: number,
  send: (doneBytes: number) => void,
): (doneBytes: number) => void {
  let told = 0;
  return (doneBytes) => {
    if (doneBytes - told < byteLength / TELLINGS) return;
    told = doneBytes;
    send(doneBytes);
  };
}
