/** Reads a whole volume through a session of its own, as versions by sector. */
import { codeOf, STATUS_OK } from '../../src/base/errors.ts';
import { SECTOR_BYTES } from '../../src/base/units.ts';
import { RequestOp } from '../../src/volumes/request-table.ts';
import type { SimStore } from './harness.ts';
import { ModelViolation, type VolumeModel } from './model.ts';
import { makeScratch, versionOf } from './sector-data.ts';
import type { SimProcess } from './sim-process.ts';
import { SECTORS_MAX } from './workload.ts';

/** Turns of the reactor that one read may take. */
const TURNS_MAX = 20_000;

export interface Observer {
  readonly store: SimStore;
  readonly process: SimProcess;
  readonly volume: VolumeModel;
  pump<Value>(promise: Promise<Value>): Promise<Value>;
  turn(): Promise<void>;
}

/** Nobody else may have commands in flight. @throws ModelViolation */
export async function observeVolume(observer: Observer): Promise<Float64Array> {
  const { store, process, volume, pump } = observer;
  const versions = new Float64Array(volume.sectorCount);
  const grant = await pump(
    store.openSession({
      volume: volume.name,
      mode: 'readonly',
      queueCount: 1,
      queueDepth: 1,
      graceMs: 1,
      uid: 0,
    }),
  );
  const bytes = new Uint8Array(SECTORS_MAX * SECTOR_BYTES);
  const memory = process.kernels.registerMemory(bytes);
  const scratch = makeScratch();
  for (let first = 0; first < volume.sectorCount; first += SECTORS_MAX) {
    const count = Math.min(SECTORS_MAX, volume.sectorCount - first);
    await read(observer, { session: grant.session, memory, first, count });
    for (let i = 0; i < count; i++) {
      const sector = first + i;
      versions[sector] = versionOf(bytes, i * SECTOR_BYTES, volume.tag, sector, scratch);
    }
  }
  await pump(store.closeSession(grant.session));
  process.kernels.unregisterMemory(memory);
  return versions;
}

async function read(
  { store, volume, turn }: Observer,
  place: { session: number; memory: number; first: number; count: number },
): Promise<void> {
  const { requests } = store;
  const row = requests.claim(place.session);
  if (row < 0) throw new ModelViolation('no row for an observer');
  requests.op[row] = RequestOp.READ;
  requests.queue[row] = 0;
  requests.tag[row] = 0;
  requests.operation[row] = 1 + place.first;
  requests.sectorIndex[row] = place.first;
  requests.sectorCount[row] = place.count;
  requests.memory[row] = place.memory;
  requests.addExtent(row, 0, place.count * SECTOR_BYTES);
  store.submit(row);
  for (let turns = 0; store.takeCompleted() !== row; turns++) {
    if (turns > TURNS_MAX) throw new ModelViolation('a read of the observer never ends');
    await turn();
  }
  const status = requests.status[row] ?? -1;
  requests.release(row);
  if (status === STATUS_OK) return;
  throw new ModelViolation(`${volume.name}: reading ${place.first} failed with ${codeOf(status)}`);
}
