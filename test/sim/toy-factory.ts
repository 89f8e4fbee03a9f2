import type { OpenStoreOptions } from '../../src/store/store.ts';
import type { StoreFactory } from './harness.ts';
import type { SimProcess } from './sim-process.ts';
import type { ToyBug } from './toy-records.ts';
import { ToyStore } from './toy-store.ts';

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
    createPool: (process, path, { sizeBytes }) =>
      process.pools.create(path, { sizeBytes, writeThrough: false }),
    openStore: (process, path, options) => openToyStore(process, path, options, bug),
  };
}
