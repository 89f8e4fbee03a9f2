/**
 * What the attached guests hold, and whether one more fits the limits. A guest is a process here:
 * that is what the kernel tells about a peer, and what a region belongs to.
 */
import { assert } from '../src/base/assert.ts';
import { StoreError } from '../src/base/errors.ts';
import type { RegionLayout } from '../src/channel/geometry.ts';
import type { HostLimits } from './options.ts';

interface Account {
  regionCount: number;
  regionBytes: number;
}

/** Given back once with `release`. */
export interface Reservation {
  readonly pid: number;
  readonly regionBytes: number;
}

export class Accounts {
  readonly #limits: HostLimits;
  readonly #byPid = new Map<number, Account>();
  #sessionCount = 0;
  #regionBytes = 0;

  constructor(limits: HostLimits) {
    this.#limits = limits;
  }

  get sessionCount(): number {
    return this.#sessionCount;
  }

  get regionBytes(): number {
    return this.#regionBytes;
  }

  /**
   * Counts a region of the process `pid`, before any memory of it is touched.
   *
   * @throws StoreError `limit_exceeded` naming the limit; nothing is counted then.
   */
  reserve(pid: number, layout: RegionLayout): Reservation {
    const { regionBytes, geometry } = layout;
    const limits = this.#limits;
    const account = this.#byPid.get(pid) ?? { regionCount: 0, regionBytes: 0 };
    const commands = geometry.queueCount * geometry.queueDepth;
    const asked: readonly (readonly [keyof HostLimits, number])[] = [
      ['sessions', this.#sessionCount + 1],
      ['regionsPerGuest', account.regionCount + 1],
      ['regionBytesPerGuest', account.regionBytes + regionBytes],
      ['regionBytesTotal', this.#regionBytes + regionBytes],
      ['queuePairs', geometry.queueCount],
      ['commandsInFlight', commands],
    ];
    for (const [limit, wanted] of asked) {
      const most = limits[limit];
      if (wanted > most) throw new StoreError('limit_exceeded', { limit, wanted, most });
    }
    account.regionCount++;
    account.regionBytes += regionBytes;
    this.#byPid.set(pid, account);
    this.#sessionCount++;
    this.#regionBytes += regionBytes;
    return { pid, regionBytes };
  }

  release({ pid, regionBytes }: Reservation): void {
    const account = this.#byPid.get(pid);
    assert(account !== undefined, 'a reservation is released once');
    account.regionCount--;
    account.regionBytes -= regionBytes;
    if (account.regionCount === 0) this.#byPid.delete(pid);
    this.#sessionCount--;
    this.#regionBytes -= regionBytes;
    assert(this.#regionBytes >= 0, 'no more bytes are released than were reserved');
  }
}
