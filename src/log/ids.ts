/**
 * Numbers that are never given out twice (R11): each is below a reserve that stands in a durable
 * superblock, and an open starts at the reserve. So an id that a lost tail has shown somebody
 * does not come back with another meaning.
 */
import { assert } from '../base/assert.ts';
import { OPERATION_BLOCKS_MAX } from '../formats/summary-entry.ts';
import type { Superblock } from '../formats/superblock.ts';
import { COMMITS_MAX, type LogLimits } from './limits.ts';

/** A superblock's reserves. */
export type Reserves = Pick<
  Superblock,
  | 'txnReserve'
  | 'mbaReserve'
  | 'sequenceReserve'
  | 'snapshotReserve'
  | 'guestReserve'
  | 'volumeReserve'
>;

export class Ids {
  readonly #limits: LogLimits;
  #reserves: Reserves;
  #nextTxn: number;
  #nextMba: number;
  #nextGuest: number;
  #nextVolume: number;
  readonly #nextSnapshot: number;

  /** Starts at the reserves of the superblock that the pool was opened with. */
  constructor(start: Reserves, limits: LogLimits) {
    this.#limits = limits;
    // Nothing may be given out before a superblock with higher reserves is durable.
    this.#reserves = start;
    this.#nextTxn = start.txnReserve;
    this.#nextMba = start.mbaReserve;
    this.#nextGuest = start.guestReserve;
    this.#nextVolume = start.volumeReserve;
    this.#nextSnapshot = start.snapshotReserve;
  }

  /** @hotpath */
  get lastTxn(): number {
    return this.#nextTxn - 1;
  }

  /** Whether operations for which room was made together, two at most, may still take their ids. @hotpath */
  hasRoom(closedSequence: number): boolean {
    const { txnReserve, mbaReserve, sequenceReserve } = this.#reserves;
    return (
      this.#nextTxn + 1 < txnReserve &&
      this.#nextMba + OPERATION_BLOCKS_MAX <= mbaReserve &&
      closedSequence + COMMITS_MAX < sequenceReserve
    );
  }

  /** @hotpath */
  takeTxn(): number {
    assert(this.#nextTxn < this.#reserves.txnReserve, 'a txn is below the reserve');
    return this.#nextTxn++;
  }

  /** @hotpath */
  takeMba(): number {
    assert(this.#nextMba < this.#reserves.mbaReserve, 'an mba is below the reserve');
    return this.#nextMba++;
  }

  /** 0 if the reserve is used up. */
  takeGuest(): number {
    return this.#nextGuest < this.#reserves.guestReserve ? this.#nextGuest++ : 0;
  }

  /** 0 if the reserve is used up. */
  takeVolume(): number {
    return this.#nextVolume < this.#reserves.volumeReserve ? this.#nextVolume++ : 0;
  }

  /** Whether some reserve is more than half used. */
  halfUsed(closedSequence: number): boolean {
    const { txnReserve, mbaReserve, sequenceReserve, guestReserve, volumeReserve } = this.#reserves;
    const limits = this.#limits;
    return (
      2 * (txnReserve - this.#nextTxn) < limits.txnReserve ||
      2 * (mbaReserve - this.#nextMba) < limits.mbaReserve ||
      2 * (sequenceReserve - closedSequence) < limits.sequenceReserve ||
      2 * (guestReserve - this.#nextGuest) < limits.guestReserve ||
      2 * (volumeReserve - this.#nextVolume) < limits.volumeReserve
    );
  }

  /** The reserves for a superblock made now. A clean one gives nothing away: `exact`. */
  reservesFor(closedSequence: number, exact: boolean): Reserves {
    const limits = this.#limits;
    const ahead = exact ? 0 : 1;
    return {
      txnReserve: this.#nextTxn + ahead * limits.txnReserve,
      mbaReserve: this.#nextMba + ahead * limits.mbaReserve,
      sequenceReserve: closedSequence + 1 + ahead * limits.sequenceReserve,
      snapshotReserve: this.#nextSnapshot,
      guestReserve: this.#nextGuest + ahead * limits.guestReserve,
      volumeReserve: this.#nextVolume + ahead * limits.volumeReserve,
    };
  }

  /** A superblock with these reserves is durable. */
  renew(reserves: Reserves): void {
    this.#reserves = reserves;
  }
}
