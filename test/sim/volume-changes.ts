/**
 * Volumes made, resized and removed between loads. Each is durable when its call resolves, and after
 * a crash in between it has happened or not.
 */
import { StoreError } from '../../src/base/errors.ts';
import type { Prng } from '../../src/base/prng.ts';
import { SECTOR_BYTES } from '../../src/base/units.ts';
import type { VolumeInfo } from '../../src/store/store.ts';
import { ModelViolation, VolumeModel } from './model.ts';

/** More would only take time to compare. */
const VOLUMES_MAX = 6;
const SIZES_SECTORS: readonly number[] = [64, 128, 256, 1024, 2048];

/** The calls of a store that this drives. */
export interface VolumeCalls {
  createVolume(name: string, sizeBytes: number): Promise<VolumeInfo>;
  resizeVolume(name: string, sizeBytes: number): Promise<VolumeInfo>;
  removeVolume(name: string): Promise<void>;
  listVolumes(): VolumeInfo[];
}

interface Pending {
  readonly startedAt: number;
  /** Whether the pool shows that it happened. */
  happened(infos: ReadonlyMap<string, VolumeInfo>): boolean;
  apply(): void;
}

export class VolumeChanges {
  volumes: VolumeModel[] = [];
  readonly #prng: Prng;
  #pending: Pending | undefined;
  #madeCount = 0;

  constructor(prng: Prng) {
    this.#prng = prng;
  }

  /** Makes one volume. */
  create(store: VolumeCalls, sectorCount: number, now: number): Promise<unknown> {
    this.#madeCount += 1;
    const volume = new VolumeModel(`volume-${this.#madeCount}`, this.#madeCount, sectorCount);
    this.#pending = {
      startedAt: now,
      happened: (infos) => infos.has(volume.name),
      apply: () => this.volumes.push(volume),
    };
    return store.createVolume(volume.name, sectorCount * SECTOR_BYTES);
  }

  /** Starts a change that `isUsed` allows. No command may be in flight. */
  start(
    store: VolumeCalls,
    now: number,
    isUsed: (volume: VolumeModel) => boolean,
  ): Promise<unknown> {
    const unused = this.volumes.filter((volume) => !isUsed(volume));
    const kind = this.#prng.below(3);
    if (kind === 0 && this.volumes.length < VOLUMES_MAX) {
      return this.create(store, this.#prng.pick(SIZES_SECTORS), now);
    }
    if (kind === 1 && unused.length > 0) return this.#remove(store, this.#prng.pick(unused), now);
    return this.#resize(store, this.#prng.pick(this.volumes), now);
  }

  /** The call resolved. */
  finish(): void {
    this.#pending?.apply();
    this.#pending = undefined;
  }

  /** The call was refused, and nothing has changed. */
  refuse(error: unknown): void {
    const ordinary = error instanceof StoreError && error.code === 'in_use';
    if (!ordinary) throw error;
    this.#pending = undefined;
  }

  /**
   * Compares the volumes that a recovery shows, and settles a change that a crash cut short. When
   * that was started if it has happened: all that completed before it must be there, too.
   */
  check(infos: readonly VolumeInfo[]): number | undefined {
    const byName = new Map(infos.map((info) => [info.name, info]));
    const pending = this.#pending;
    this.#pending = undefined;
    const happened = pending?.happened(byName) ?? false;
    if (happened) pending?.apply();
    for (const { name, sectorCount } of this.volumes) {
      const sizeBytes = byName.get(name)?.sizeBytes;
      if (sizeBytes !== sectorCount * SECTOR_BYTES) {
        throw new ModelViolation(`${name} has ${sizeBytes} bytes, not ${sectorCount} sectors`);
      }
    }
    if (byName.size !== this.volumes.length) throw new ModelViolation('a volume is too many');
    return happened ? pending?.startedAt : undefined;
  }

  #resize(store: VolumeCalls, volume: VolumeModel, now: number): Promise<unknown> {
    const sectorCount = this.#prng.pick(SIZES_SECTORS);
    const sizeBytes = sectorCount * SECTOR_BYTES;
    this.#pending = {
      startedAt: now,
      happened: (infos) => infos.get(volume.name)?.sizeBytes === sizeBytes,
      apply: () => volume.resize(sectorCount),
    };
    return store.resizeVolume(volume.name, sizeBytes);
  }

  #remove(store: VolumeCalls, volume: VolumeModel, now: number): Promise<unknown> {
    this.#pending = {
      startedAt: now,
      happened: (infos) => !infos.has(volume.name),
      apply: () => {
        this.volumes = this.volumes.filter((other) => other !== volume);
      },
    };
    return store.removeVolume(volume.name);
  }
}
