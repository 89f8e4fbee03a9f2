/**
 * What administrators ask, answered on the reactor's thread by the store's cold calls.
 */
import { unreachable } from '../src/base/assert.ts';
import { StoreError } from '../src/base/errors.ts';
import { closeFd, OpenFlag, openFile } from '../src/bindings/files.ts';
import { inspectMemfd } from '../src/bindings/memory.ts';
import {
  type AdminRequest,
  type AdminRequestType,
  type AdminResult,
  LISTING_MAX,
  type VolumeEntry,
} from '../src/channel/control-schema.ts';
import { HOST_COUNTER_NAMES, HostCounters } from '../src/channel/host-page.ts';
import type { Clock } from '../src/platform/platform.ts';
import type { Store, VolumeInfo } from '../src/store/store.ts';
import type { ReactorLoop } from './reactor-loop.ts';
import type { SessionKeeper } from './session-keeper.ts';

const US_PER_MS = 1000;

export interface AdministrationOptions {
  readonly store: Store | undefined;
  readonly keeper: SessionKeeper;
  readonly clock: Clock;
  readonly poolPath: string | undefined;
  readonly hostPid: number;
  readonly cold: ReactorLoop['cold'];
  /** Steps of the loop, sleeps included or not: what `stat` shows. */
  readonly loopFacts: () => Readonly<Record<string, number>>;
  /** A volume has a new size: its guests are told. */
  readonly onResized: (session: number, sizeBytes: number) => void;
}

export class Administration {
  readonly #options: AdministrationOptions;
  readonly #startedUs: number;

  constructor(options: AdministrationOptions) {
    this.#options = options;
    this.#startedUs = options.clock.nowUs();
  }

  /** @throws StoreError what the store says, `unsupported` without a pool. */
  async answer(request: AdminRequest): Promise<AdminResult<AdminRequestType>> {
    const { cold } = this.#options;
    switch (request.type) {
      case 'stat':
        return this.#stat();
      case 'pool-info':
        return this.#poolInfo();
      case 'volume-list':
        return this.#list(request.after);
      case 'volume-info':
        return { volume: entryOf(this.#store.requireVolume(request.name)) };
      case 'volume-create': {
        const { name, sizeBytes } = request;
        const volume = await cold(() => this.#store.createVolume(name, sizeBytes));
        return { volume: entryOf(volume) };
      }
      case 'volume-resize':
        return await this.#resize(request.name, request.sizeBytes);
      case 'volume-remove':
        await cold(() => this.#store.removeVolume(request.name));
        return {};
      default:
        return unreachable(request);
    }
  }

  get #store(): Store {
    const { store } = this.#options;
    if (store === undefined) throw new StoreError('unsupported', { pool: 'none' });
    return store;
  }

  #list(after: string | undefined): AdminResult<'volume-list'> {
    const sorted = this.#store
      .listVolumes()
      .filter(({ name }) => after === undefined || name > after)
      .sort((a, b) => (a.name < b.name ? -1 : 1));
    const more = sorted.length > LISTING_MAX;
    return { volumes: sorted.slice(0, LISTING_MAX).map(entryOf), more };
  }

  async #resize(name: string, sizeBytes: number): Promise<AdminResult<'volume-resize'>> {
    const { cold, keeper, onResized } = this.#options;
    const volume = await cold(() => this.#store.resizeVolume(name, sizeBytes));
    for (const session of keeper.reactor.sessions) {
      if (session.storeSession >= 0 && session.volumeId === volume.id) {
        onResized(session.number, volume.sizeBytes);
      }
    }
    return { volume: entryOf(volume) };
  }

  #stat(): AdminResult<'stat'> {
    const { keeper, clock, hostPid, store, loopFacts } = this.#options;
    const sum = new HostCounters();
    sum.merge(keeper.past);
    const { sessions } = keeper.reactor;
    for (const { counters } of sessions) sum.merge(counters);
    const named = HOST_COUNTER_NAMES.map((name, i) => [name, sum.counters[i] as number]);
    const { latency } = sum;
    return {
      hostPid,
      uptimeMs: Math.round((clock.nowUs() - this.#startedUs) / US_PER_MS),
      sessionCount: sessions.length,
      counters: { ...Object.fromEntries(named), ...loopFacts(), ...store?.stats() },
      latencyNs: {
        p50: latency.percentile(50),
        p99: latency.percentile(99),
        p999: latency.percentile(99.9),
        max: latency.max,
      },
    };
  }

  #poolInfo(): AdminResult<'pool-info'> {
    const store = this.#store;
    const { freeSegments, segmentCount, checkpointGeneration } = store.stats();
    const path = this.#options.poolPath ?? '';
    const sizeBytes = sizeOf(path);
    return {
      path,
      sizeBytes,
      // All but the superblocks' few MiB is segments.
      freeBytes: Math.floor((sizeBytes * freeSegments) / Math.max(1, segmentCount)),
      incarnation: store.incarnation,
      volumeCount: store.listVolumes().length,
      facts: {
        poolId: store.poolId,
        segmentCount,
        freeSegments,
        checkpointGeneration,
        failed: store.failed?.message ?? '',
      },
    };
  }
}

function sizeOf(path: string): number {
  const fd = openFile(path, OpenFlag.READ_ONLY);
  try {
    return inspectMemfd(fd).sizeBytes;
  } finally {
    closeFd(fd);
  }
}

function entryOf({ id, name, sizeBytes, storedBytes, sessionCount }: VolumeInfo): VolumeEntry {
  return { id, name, sizeBytes, usedBytes: storedBytes, sessionCount };
}
