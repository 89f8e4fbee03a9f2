/**
 * The pages of a checkpoint that describe a catalog, in the order in which they can be read back:
 * volumes, sessions, windows, then the map.
 *
 * The map freezes itself. The rest is small and is encoded whole at the cut.
 */
import { assert } from '../base/assert.ts';
import { StoreError } from '../base/errors.ts';
import { PAGE_BODY_BYTES, PageKind } from '../formats/checkpoint-page.ts';
import {
  decodeSession,
  encodeSession,
  SESSIONS_PER_PAGE,
  SessionRecord,
  WINDOWS_PER_PAGE,
  WindowRecord,
} from '../formats/session-record.ts';
import {
  decodeVolume,
  encodeVolume,
  VOLUMES_PER_PAGE,
  VolumeRecord,
} from '../formats/volume-record.ts';
import type { LogClient, PageInfo, Places } from '../log/sources.ts';
import type { Catalog } from './catalog.ts';
import { replayOperation } from './replay.ts';
import { faultOfStoredSession } from './session-table.ts';
import { faultOfVolume } from './volume-table.ts';

/** Encoded records of one kind, cut into pages. */
interface FrozenRecords {
  readonly kind: number;
  readonly recordBytes: number;
  readonly perPage: number;
  readonly bytes: Uint8Array;
}

/** What a log stores of a catalog, and rebuilds it from. */
export class CatalogPages implements LogClient {
  /** Called before a cut: finishes changes that were logged and are not wholly made. */
  beforeCut: () => void = () => {};

  readonly #catalog: Catalog;
  #frozen: FrozenRecords[] = [];
  #frozenPages = 0;
  #next = 0;

  constructor(catalog: Catalog) {
    this.#catalog = catalog;
  }

  pageCountMax(): number {
    const { volumes, sessions, windows, map } = this.#catalog;
    return (
      Math.ceil(volumes.volumeCount / VOLUMES_PER_PAGE) +
      Math.ceil(sessions.sessionCount / SESSIONS_PER_PAGE) +
      Math.ceil(windows.usedCount / WINDOWS_PER_PAGE) +
      map.pageCountMax()
    );
  }

  beginCut(): number {
    this.beforeCut();
    this.#frozen = [this.#freezeVolumes(), this.#freezeSessions(), this.#freezeWindows()];
    this.#frozenPages = this.#frozen.reduce((sum, records) => sum + pagesOf(records), 0);
    this.#next = 0;
    return this.#frozenPages + this.#catalog.map.beginCut();
  }

  encodePage(bytes: Uint8Array, view: DataView, at: number, info: PageInfo): void {
    const index = this.#next;
    this.#next++;
    if (index >= this.#frozenPages) {
      this.#catalog.map.encodePage(view, at, info);
      return;
    }
    let page = index;
    for (const records of this.#frozen) {
      const pageCount = pagesOf(records);
      if (page >= 0 && page < pageCount) encodeRecords(records, page, bytes, at, info);
      page -= pageCount;
    }
  }

  endCut(): void {
    this.#frozen = [];
    this.#catalog.map.endCut();
  }

  loadPage(bytes: Uint8Array, view: DataView, at: number, info: Readonly<PageInfo>): void {
    const { kind, entryCount } = info;
    const fault = this.#load(bytes, view, at, kind, entryCount);
    if (fault !== undefined) throw new StoreError('pool_corrupt', { page: fault, kind });
  }

  replay(bytes: Uint8Array, view: DataView, at: number, firstPba: number, places: Places): void {
    replayOperation(this.#catalog, bytes, view, at, firstPba, places);
  }

  #freezeVolumes(): FrozenRecords {
    const { volumes } = this.#catalog;
    const slots = volumes.slots();
    const recordBytes = VolumeRecord.byteLength;
    const bytes = new Uint8Array(slots.length * recordBytes);
    for (const [i, slot] of slots.entries()) {
      encodeVolume(volumes.storedOf(slot), bytes, i * recordBytes);
    }
    return { kind: PageKind.volumes, recordBytes, perPage: VOLUMES_PER_PAGE, bytes };
  }

  #freezeSessions(): FrozenRecords {
    const { sessions } = this.#catalog;
    const inUse = sessions.sessions();
    const recordBytes = SessionRecord.byteLength;
    const bytes = new Uint8Array(inUse.length * recordBytes);
    for (const [i, session] of inUse.entries()) {
      encodeSession(sessions.requireStored(session), bytes, i * recordBytes);
    }
    return { kind: PageKind.sessions, recordBytes, perPage: SESSIONS_PER_PAGE, bytes };
  }

  #freezeWindows(): FrozenRecords {
    const bytes = this.#catalog.windows.encode();
    const recordBytes = WindowRecord.byteLength;
    return { kind: PageKind.windows, recordBytes, perPage: WINDOWS_PER_PAGE, bytes };
  }

  /** What is wrong with the page; undefined if nothing. */
  #load(
    bytes: Uint8Array,
    view: DataView,
    at: number,
    kind: number,
    entryCount: number,
  ): string | undefined {
    switch (kind) {
      case PageKind.volumes:
        return this.#loadVolumes(bytes, at, entryCount);
      case PageKind.sessions:
        return this.#loadSessions(bytes, at, entryCount);
      case PageKind.windows: {
        if (entryCount > WINDOWS_PER_PAGE) return 'too many windows';
        const fits = this.#catalog.windows.decode(bytes, at, entryCount);
        return fits ? undefined : 'window of no session';
      }
      case PageKind.map:
        this.#catalog.map.loadPage(view, at);
        return undefined;
      default:
        return 'unknown kind';
    }
  }

  #loadVolumes(bytes: Uint8Array, at: number, entryCount: number): string | undefined {
    if (entryCount > VOLUMES_PER_PAGE) return 'too many volumes';
    for (let i = 0; i < entryCount; i++) {
      const volume = decodeVolume(bytes, at + i * VolumeRecord.byteLength);
      if (typeof volume === 'string') return volume;
      const fault = faultOfVolume(volume.name, volume.sizeBytes);
      if (fault !== undefined) return fault;
      if (this.#catalog.volumes.findById(volume.id) >= 0) return 'volume id is taken';
      this.#catalog.volumes.add(volume);
    }
    return undefined;
  }

  #loadSessions(bytes: Uint8Array, at: number, entryCount: number): string | undefined {
    if (entryCount > SESSIONS_PER_PAGE) return 'too many sessions';
    for (let i = 0; i < entryCount; i++) {
      const session = decodeSession(bytes, at + i * SessionRecord.byteLength);
      if (typeof session === 'string') return session;
      const fault = faultOfStoredSession(session);
      if (fault !== undefined) return fault;
      if (this.#catalog.volumes.findById(session.volume) < 0) return 'session of no volume';
      if (this.#catalog.sessions.findByGuest(session.guest) >= 0) return 'guest id is taken';
      this.#catalog.addSession(session);
    }
    return undefined;
  }
}

function pagesOf(records: FrozenRecords): number {
  const count = records.bytes.byteLength / records.recordBytes;
  return Math.ceil(count / records.perPage);
}

function encodeRecords(
  records: FrozenRecords,
  page: number,
  target: Uint8Array,
  at: number,
  info: PageInfo,
): void {
  const pageBytes = records.perPage * records.recordBytes;
  assert(pageBytes <= PAGE_BODY_BYTES, 'the records of a page fit its body');
  const start = page * pageBytes;
  const end = Math.min(start + pageBytes, records.bytes.byteLength);
  target.set(records.bytes.subarray(start, end), at);
  info.kind = records.kind;
  info.entryCount = (end - start) / records.recordBytes;
  info.keyHigh = 0;
  info.keyBase = page;
}
