import { GIB } from '../../src/base/units.ts';
import type { OpenStoreOptions } from '../../src/store/store.ts';
import type { StoreFactory } from './harness.ts';
import type { SimProcess } from './sim-process.ts';
import type { ToyBug } from './toy-records.ts';
import { ToyStore } from './toy-store.ts';

/** The toy only ever appends, and a simulated disk costs nothing where it is empty. */
const TOY_POOL_BYTES = 64 * GIB;

async function openToyStore(
  process: SimProcess,
  path: string,
  options: OpenStoreOptions,
  bug: ToyBug | undefined,
): Promise<ToyStore> {
  const disk = await process.pools.open(path, { lockWaitMs: 1000 });
  const store = new ToyStore(process, disk, bug);
  try {
    await store.recover(options.discardBank ?? false);
  } catch (error) {
    if (process.alive) await disk.close();
    throw error;
  }
  return store;
}

/** Runs over the toy store, right or with one bug. */
export function toyFactory(bug?: ToyBug): StoreFactory {
  return {
    createPool: (process, path) =>
      process.pools.create(path, { sizeBytes: TOY_POOL_BYTES, writeThrough: false }),
    openStore: (process, path, options) => openToyStore(process, path, options, bug),
  };
}
