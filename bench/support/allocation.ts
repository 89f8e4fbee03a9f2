/** Bytes allocated per command on both sides of the channel. */
import type { BenchHost } from './bench-host.ts';
import { collectGarbage, entriesDelivered, type HeapReading, readHeap } from './heap.ts';

/** Below this it is the noise of the measurement itself. */
const NOISE_BYTES = 0.1;

/** Sides on which a collection came in between are measured again, at most so often. */
const TRIES_MAX = 3;

/**
 * Bytes per command, guest's and host's threads together; 0 if below `NOISE_BYTES`, NaN if a
 * collection always came in between. `run` does `count` commands; it has been warmed up.
 */
export async function allocatedBytes(
  host: BenchHost,
  count: number,
  run: (count: number) => void,
): Promise<number> {
  for (let attempt = 0; attempt < TRIES_MAX; attempt++) {
    await host.readHeaps('collect');
    await collectGarbage();
    const hostBefore = await host.readHeaps('read');
    const before = readHeap();
    run(count);
    const after = readHeap();
    await entriesDelivered();
    const hostAfter = await host.readHeaps('read');
    const collected = readHeap().collections > before.collections;
    const growth = [after.usedBytes - before.usedBytes, ...growths(hostBefore, hostAfter)];
    if (collected || growth.some(Number.isNaN)) continue;
    const bytes = growth.reduce((sum, side) => sum + side, 0) / count;
    return bytes < NOISE_BYTES ? 0 : bytes;
  }
  return Number.NaN;
}

/** By thread; NaN where a collection came in between. */
function growths(before: readonly HeapReading[], after: readonly HeapReading[]): number[] {
  if (before.length === 0) throw new Error('no thread of the host has answered');
  return before.map((first) => {
    const second = after.find(({ threadId }) => threadId === first.threadId);
    if (second === undefined || second.collections !== first.collections) return Number.NaN;
    return second.usedBytes - first.usedBytes;
  });
}
