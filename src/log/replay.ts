/**
 * Brings table and client from a checkpoint to the newest state: the chain's commits, then what
 * only the bank holds. One txn after another, none twice, none left out (R9).
 */
import { StoreError } from '../base/errors.ts';
import { firstPbaOf, type Geometry, segmentOf } from '../formats/geometry.ts';
import type { Disk } from '../platform/disk.ts';
import type { Kernels } from '../platform/platform.ts';
import { type FoundBank, restorePayload } from './bank-file.ts';
import { type ChainCommit, forEachOperation } from './roll-forward.ts';
import type { SegmentTable } from './segment-table.ts';
import type { Places, ReplayTarget } from './sources.ts';

export class Replay implements Places {
  readonly #geometry: Geometry;
  readonly #table: SegmentTable;
  readonly #target: ReplayTarget;
  readonly #generation: number;
  /** Segments in which the log went on after the checkpoint. */
  readonly touched = new Set<number>();
  #txn: number;
  operationCount = 0;

  /** Everything up to `txn` is in table and target already. */
  constructor(
    geometry: Geometry,
    table: SegmentTable,
    target: ReplayTarget,
    generation: number,
    txn: number,
  ) {
    this.#geometry = geometry;
    this.#table = table;
    this.#target = target;
    this.#generation = generation;
    this.#txn = txn;
  }

  /** The last txn replayed. */
  get txn(): number {
    return this.#txn;
  }

  release(pba: number): void {
    const segment = segmentOf(this.#geometry, pba);
    if (segment >= this.#geometry.segmentCount || this.#table.liveOf(segment) === 0) {
      const txn = this.#txn;
      throw new StoreError('pool_corrupt', { structure: 'segment table', segment, pba, txn });
    }
    this.#table.removeBlock(segment, this.#txn);
  }

  /** @throws StoreError `pool_corrupt`. */
  replayCommit(commit: ChainCommit): void {
    const { header, entries, entriesView, firstPba } = commit;
    this.#touch(header.segment);
    forEachOperation(entriesView, 0, header.entryCount, (at, txn, firstBlock, blockCount) => {
      const pba = firstPba + firstBlock;
      this.#replay(entries, entriesView, at, txn, header.segment, pba, blockCount);
    });
  }

  /**
   * Writes all blocks of the bank to the pool, then replays what it has beyond the chain. They are
   * not synced yet. Blocks of commits that the chain has are written again: if a sync failed, the
   * disk may show them now and lose them later, whatever a next sync says (R2, R6).
   *
   * @throws StoreError `pool_corrupt` if commits are missing between chain and bank.
   */
  async replayBank(bank: FoundBank, disk: Disk, kernels: Kernels): Promise<void> {
    const { bytes } = bank.file;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (const frame of bank.frames) {
      const { segment, firstBlock } = frame;
      const places: [at: number, txn: number, block: number, blockCount: number][] = [];
      let frameBlocks = 0;
      forEachOperation(view, frame.entriesAt, frame.entryCount, (at, txn, block, blockCount) => {
        frameBlocks += blockCount;
        if (txn > this.#txn) places.push([at, txn, block, blockCount]);
      });
      await restorePayload(disk, kernels, bank, this.#geometry, frame, firstBlock, frameBlocks);
      const first = places[0];
      if (first === undefined) continue;
      if (first[1] !== this.#txn + 1) {
        const details = { structure: 'log', lastTxn: this.#txn, bankTxn: first[1] };
        throw new StoreError('pool_corrupt', { ...details, reason: 'commits before the bank' });
      }
      this.#touch(segment);
      const firstPba = firstPbaOf(this.#geometry, segment) + firstBlock;
      for (const [at, txn, block, blockCount] of places) {
        this.#replay(bytes, view, at, txn, segment, firstPba + block, blockCount);
      }
    }
  }

  #touch(segment: number): void {
    if (!this.#table.touch(segment, this.#generation)) {
      const reason = 'the log went on in a segment that is in use';
      throw new StoreError('pool_corrupt', { structure: 'segment table', segment, reason });
    }
    this.touched.add(segment);
  }

  #replay(
    bytes: Uint8Array,
    view: DataView,
    at: number,
    txn: number,
    segment: number,
    firstPba: number,
    blockCount: number,
  ): void {
    this.#txn = txn;
    this.operationCount++;
    for (let i = 0; i < blockCount; i++) this.#table.addBlock(segment, txn);
    this.#target.replay(bytes, view, at, firstPba, this);
  }
}
