/**
 * Lets a log do what it has to do, for open and close, when no reactor does. Cold.
 */

import type { StoreError } from '../base/errors.ts';
import type { Disk } from '../platform/disk.ts';
import type { Clock } from '../platform/platform.ts';

/** Between looks at a disk that has nothing to tell: short against a sync, long against a look. */
const LOOK_AGAIN_MS = 1;

/** What is driven: a `Log`. */
export interface Driven {
  readonly failed: StoreError | undefined;
  readonly hasWork: boolean;
  step(nowUs: number): boolean;
  onDisk(slot: number, result: number): void;
}

/**
 * Steps, submits and reaps until `done`. Nothing else may use the disk meanwhile.
 *
 * @throws StoreError whatever stopped the log.
 */
export async function drive(
  log: Driven,
  disk: Disk,
  clock: Clock,
  done: () => boolean,
): Promise<void> {
  for (;;) {
    if (log.failed !== undefined) throw log.failed;
    if (done()) return;
    const stepped = log.step(clock.nowUs());
    disk.submit();
    const count = disk.reap();
    for (let i = 0; i < count; i++) {
      log.onDisk(disk.completedSlots[i] as number, disk.completedResults[i] as number);
    }
    if (!stepped && count === 0) await pause(clock);
  }
}

/** Reaps until nothing is in flight, whatever came of it. */
export async function drain(disk: Disk, clock: Clock): Promise<void> {
  disk.submit();
  while (disk.inFlightCount > 0) {
    if (disk.reap() === 0) await pause(clock);
  }
}

async function pause(clock: Clock): Promise<void> {
  await new Promise<void>((resolve) => {
    clock.after(LOOK_AGAIN_MS, resolve);
  });
}
