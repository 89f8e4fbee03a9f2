/** Creating, resizing, removing and listing volumes. Cold. */
import { StoreError } from '../base/errors.ts';
import { BLOCK_BYTES } from '../base/units.ts';
import { ENTRY_BYTES, OperationKind } from '../formats/summary-entry.ts';
import {
  encodeVolume,
  encodeVolumeChange,
  VolumeChangeRecord,
  VolumeRecord,
} from '../formats/volume-record.ts';
import { LOG_BUSY, LOG_FULL, type Log } from '../log/log.ts';
import type { Catalog } from '../volumes/catalog.ts';
import type { Engine } from '../volumes/engine.ts';
import { faultOfSize, faultOfVolume } from '../volumes/volume-table.ts';
import { ADMIN_BUSY, type AdminQueue } from './admin-queue.ts';
import type { VolumeInfo } from './store.ts';

/** Whether the log takes an operation of records now. @throws StoreError `pool_full`, `pool_failed`. */
export function logHasRoom(log: Log, recordBytes: number): boolean {
  const room = log.roomFor(0, recordBytes / ENTRY_BYTES);
  if (room === LOG_BUSY) return false;
  if (room === LOG_FULL) throw new StoreError('pool_full');
  if (log.failed !== undefined) throw log.failed;
  return true;
}

export class VolumeAdmin {
  readonly #catalog: Catalog;
  readonly #engine: Engine;
  readonly #queue: AdminQueue;

  constructor(catalog: Catalog, engine: Engine, queue: AdminQueue) {
    this.#catalog = catalog;
    this.#engine = engine;
    this.#queue = queue;
    engine.onVolumeCleared = (slot) => this.#cleared(slot);
  }

  get #log(): Log {
    return this.#engine.parts.log;
  }

  create(name: string, sizeBytes: number): Promise<VolumeInfo> {
    let slot = -1;
    return this.#queue.run({
      durable: true,
      attempt: () => {
        const fault = faultOfVolume(name, sizeBytes);
        if (fault !== undefined) throw new StoreError('invalid_argument', { fault });
        this.#catalog.volumes.requireRoom(name, sizeBytes);
        if (!logHasRoom(this.#log, VolumeRecord.byteLength)) return ADMIN_BUSY;
        const id = this.#log.nextVolumeId();
        if (id === 0) return ADMIN_BUSY;
        const txn = this.#begin(OperationKind.volumeCreate, id, VolumeRecord.byteLength);
        // R15: a volume that was not cloned owns every name.
        const volume = { id, name, sizeBytes, createdTxn: txn, minMba: 0 };
        const record = new Uint8Array(VolumeRecord.byteLength);
        encodeVolume(volume, record, 0);
        this.#log.appendRaw(record);
        slot = this.#catalog.volumes.add(volume);
        return txn;
      },
      result: () => this.infoOf(slot),
    });
  }

  resize(name: string, sizeBytes: number): Promise<VolumeInfo> {
    let slot = -1;
    return this.#queue.run({
      durable: true,
      attempt: () => {
        const { volumes, map } = this.#catalog;
        slot = this.requireSlot(name);
        const fault = faultOfSize(sizeBytes);
        if (fault !== undefined) throw new StoreError('invalid_argument', { fault });
        const space = volumes.space[slot] as number;
        if (this.#engine.clears.isClearing(space)) return ADMIN_BUSY;
        const before = map.blocksOf(space);
        const after = sizeBytes / BLOCK_BYTES;
        volumes.requireBlocks(after - before);
        if (!logHasRoom(this.#log, VolumeChangeRecord.byteLength)) return ADMIN_BUSY;
        const txn = this.#change(OperationKind.volumeResize, slot, sizeBytes);
        volumes.setSize(slot, sizeBytes);
        if (after < before) this.#engine.addClear(slot, after, before);
        else volumes.fitSpace(slot);
        return txn;
      },
      result: () => this.infoOf(slot),
    });
  }

  remove(name: string): Promise<void> {
    return this.#queue.run({
      durable: true,
      attempt: () => {
        const { volumes, map } = this.#catalog;
        const slot = this.requireSlot(name);
        if ((volumes.sessionCount[slot] as number) > 0) {
          throw new StoreError('in_use', { volume: name });
        }
        const space = volumes.space[slot] as number;
        if (this.#engine.clears.isClearing(space)) return ADMIN_BUSY;
        if (!logHasRoom(this.#log, VolumeChangeRecord.byteLength)) return ADMIN_BUSY;
        const txn = this.#change(OperationKind.volumeRemove, slot, 0);
        volumes.hide(slot);
        this.#engine.addClear(slot, 0, map.blocksOf(space));
        return txn;
      },
      result: () => undefined,
    });
  }

  list(): VolumeInfo[] {
    return this.#catalog.volumes.slots().map((slot) => this.infoOf(slot));
  }

  /** @throws StoreError `not_found`. */
  requireSlot(name: string): number {
    const slot = this.#catalog.volumes.findByName(name);
    if (slot < 0) throw new StoreError('not_found', { volume: name });
    return slot;
  }

  infoOf(slot: number): VolumeInfo {
    const { volumes, map } = this.#catalog;
    return {
      id: volumes.id[slot] as number,
      name: volumes.nameOf(slot),
      sizeBytes: volumes.sizeBytesOf(slot),
      storedBytes: map.mappedOf(volumes.space[slot] as number) * BLOCK_BYTES,
      sessionCount: volumes.sessionCount[slot] as number,
    };
  }

  #begin(kind: number, branch: number, recordBytes: number): number {
    this.#engine.turn.noteAppend();
    return this.#log.beginOperation(kind, 0, 0, 0, 0, 0, branch, recordBytes / ENTRY_BYTES);
  }

  #change(kind: number, slot: number, sizeBytes: number): number {
    const id = this.#catalog.volumes.id[slot] as number;
    const record = new Uint8Array(VolumeChangeRecord.byteLength);
    encodeVolumeChange({ id, sizeBytes }, record, 0);
    const txn = this.#begin(kind, id, record.byteLength);
    this.#log.appendRaw(record);
    return txn;
  }

  /** The blocks that a smaller size or a removal gave up are gone. */
  #cleared(slot: number): void {
    const { volumes } = this.#catalog;
    const id = volumes.id[slot] as number;
    if (volumes.findById(id) === slot) volumes.fitSpace(slot);
    else volumes.remove(slot);
  }
}
