/**
 * What a log stores of a catalog: pages that were encoded at a cut give the same catalog back, and
 * pages and operations that make no sense are refused as `pool_corrupt`, never with an assertion.
 * Replay of whole histories is in test/store and test/sim.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { StoreError } from '../../src/base/errors.ts';
import { setU16, setU32, setU53 } from '../../src/base/record.ts';
import { BLOCK_BYTES } from '../../src/base/units.ts';
import { PAGE_BODY_BYTES, PageKind } from '../../src/formats/checkpoint-page.ts';
import {
  encodeSession,
  encodeSessionClose,
  SESSIONS_PER_PAGE,
  SessionRecord,
} from '../../src/formats/session-record.ts';
import {
  BlockEntry,
  ENTRY_BYTES,
  OperationEntry,
  OperationKind,
  putBlockEntry,
  putOperationEntry,
  putRangeEntry,
} from '../../src/formats/summary-entry.ts';
import {
  encodeVolume,
  encodeVolumeChange,
  VOLUMES_PER_PAGE,
} from '../../src/formats/volume-record.ts';
import type { PageInfo } from '../../src/log/sources.ts';
import { FlatMap } from '../../src/maps/flat-map.ts';
import { Catalog } from '../../src/volumes/catalog.ts';
import { CatalogPages } from '../../src/volumes/checkpoint-pages.ts';
import { BLOCK_OBJECT } from '../../src/volumes/volume-table.ts';

interface StoredPage {
  readonly bytes: Uint8Array;
  readonly info: PageInfo;
}

function cut(catalog: Catalog): StoredPage[] {
  const pages = new CatalogPages(catalog);
  const countMax = pages.pageCountMax();
  const count = pages.beginCut();
  expect(count).toBeLessThanOrEqual(countMax);
  const stored = Array.from({ length: count }, () => {
    const info = { kind: 0, entryCount: 0, keyHigh: 0, keyBase: 0 };
    const bytes = new Uint8Array(PAGE_BODY_BYTES);
    pages.encodePage(bytes, new DataView(bytes.buffer), 0, info);
    return { bytes, info };
  });
  pages.endCut();
  return stored;
}

function load(stored: readonly StoredPage[]): Catalog {
  const catalog = new Catalog(new FlatMap());
  const pages = new CatalogPages(catalog);
  for (const { bytes, info } of stored) {
    pages.loadPage(bytes, new DataView(bytes.buffer), 0, info);
  }
  return catalog;
}

/** All that a catalog says. */
function describeCatalog(catalog: Catalog): unknown {
  const { volumes, sessions, windows, map } = catalog;
  return {
    volumes: volumes.slots().map((slot) => {
      const blocks: number[][] = [];
      map.forEach(volumes.space[slot] as number, (...entry) => blocks.push(entry));
      return { ...volumes.storedOf(slot), blocks, sessions: volumes.sessionCount[slot] };
    }),
    sessions: sessions
      .sessions()
      .map((session) => sessions.requireStored(session))
      .sort((a, b) => a.guest - b.guest),
    windows: windows.usedCount,
    pages: cut(catalog).length,
  };
}

function sessionOf(guest: number, volume: number) {
  return {
    guest,
    volume,
    mode: 2,
    queueCount: 2,
    queueDepth: 8,
    uid: 1000,
    graceMs: 5000,
    incarnation: 3,
    openedTxn: 77,
    secretDigest: new Uint8Array(32).fill(guest),
  };
}

function makeCatalog(volumeCount: number, sessionCount: number, blockCount: number): Catalog {
  const catalog = new Catalog(new FlatMap());
  for (let i = 0; i < volumeCount; i++) {
    const volume = { id: 10 + i, name: `disk ${i}`, sizeBytes: 4096 * BLOCK_BYTES };
    catalog.volumes.add({ ...volume, createdTxn: 5 + i, minMba: 0 });
    const space = catalog.map.findSpace(10 + i, BLOCK_OBJECT);
    for (let block = 0; block < blockCount; block++) {
      catalog.map.set(space, (block * 37) % 4096, 1 + block, block * 99, 1000 + block);
    }
  }
  for (let i = 0; i < sessionCount; i++) {
    catalog.addSession(sessionOf(100 + i, 10 + (i % volumeCount)));
    for (let tag = 0; tag < i % 9; tag++) {
      catalog.windows.noteOf(100 + i, tag % 2, tag % 8, 2 ** 40 + tag);
    }
  }
  return catalog;
}

/** An operation with its entries, as it lies in the log. */
function operationBytes(kind: number, branch: number, entries: number): [Uint8Array, DataView] {
  const bytes = new Uint8Array((1 + entries) * ENTRY_BYTES);
  const view = new DataView(bytes.buffer);
  putOperationEntry(view, 0, kind, 0, 0, 0, 0, 0, branch, 500, entries);
  return [bytes, view];
}

describe('catalog', () => {
  it('comes back from its pages', () => {
    const sizes = fc.record({
      volumeCount: fc.integer({ min: 1, max: 2 * VOLUMES_PER_PAGE + 1 }),
      sessionCount: fc.constantFrom(0, 1, SESSIONS_PER_PAGE, SESSIONS_PER_PAGE + 1, 300),
      blockCount: fc.constantFrom(0, 1, 249, 250, 251, 600),
    });
    const property = fc.property(sizes, ({ volumeCount, sessionCount, blockCount }) => {
      const catalog = makeCatalog(volumeCount, sessionCount, blockCount);
      const copy = load(cut(catalog));
      expect(describeCatalog(copy)).toEqual(describeCatalog(catalog));
      for (const guest of catalog.sessions.sessions().map((s) => catalog.sessions.guest[s])) {
        const one = catalog.sessions.findByGuest(guest as number);
        const two = copy.sessions.findByGuest(guest as number);
        for (let tag = 0; tag < 8; tag++) {
          const applied = catalog.windows.wasApplied(one, tag % 2, tag, 2 ** 40 + tag);
          expect(copy.windows.wasApplied(two, tag % 2, tag, 2 ** 40 + tag)).toBe(applied);
        }
      }
    });
    fc.assert(property, { numRuns: 10 });
  });

  it('refuses damaged pages, and asserts nothing about them', () => {
    const stored = cut(makeCatalog(3, 4, 300));
    const damage = fc.record({
      page: fc.nat(stored.length - 1),
      at: fc.nat(200),
      value: fc.oneof(fc.nat(255), fc.constantFrom(0, 255)),
      entryCount: fc.option(fc.constantFrom(0, 1, 15, 5000)),
      kind: fc.option(fc.constantFrom<number>(...Object.values(PageKind), 99)),
    });
    const property = fc.property(damage, ({ page, at, value, entryCount, kind }) => {
      const pages = stored.map(({ bytes, info }) => ({ bytes: bytes.slice(), info: { ...info } }));
      const bad = pages[page] as { bytes: Uint8Array; info: PageInfo };
      bad.bytes[at] = value;
      if (entryCount !== null) bad.info.entryCount = entryCount;
      if (kind !== null) bad.info.kind = kind;
      try {
        load(pages);
      } catch (error) {
        expect(error).toBeInstanceOf(StoreError);
      }
    });
    fc.assert(property, { numRuns: 300 });
  });

  it('repeats operations, and gives back the places that they freed', () => {
    const catalog = makeCatalog(1, 0, 4);
    const pages = new CatalogPages(catalog);
    const freed: number[] = [];
    const places = { release: (pba: number) => freed.push(pba) };
    const [bytes, view] = operationBytes(OperationKind.write, 10, 2);
    putBlockEntry(view, ENTRY_BYTES, BLOCK_OBJECT, 37, 1001, 1001);
    putBlockEntry(view, 2 * ENTRY_BYTES, BLOCK_OBJECT, 5, 2000, 0);
    pages.replay(bytes, view, 0, 700, places);
    const [zeroBytes, zeroView] = operationBytes(OperationKind.zero, 10, 1);
    putRangeEntry(zeroView, ENTRY_BYTES, BLOCK_OBJECT, 0, 38);
    pages.replay(zeroBytes, zeroView, 0, 0, places);
    expect(freed).toEqual([2, 1, 701, 700]);
    const [removeBytes, removeView] = operationBytes(OperationKind.volumeRemove, 10, 1);
    encodeVolumeChange({ id: 10, sizeBytes: 0 }, removeBytes, ENTRY_BYTES);
    pages.replay(removeBytes, removeView, 0, 0, places);
    expect(freed.slice(4)).toEqual([3, 4]);
    expect(catalog.map.provisionedBlocks).toBe(0);
  });

  it('refuses operations that do not fit it', () => {
    const corrupt = expect.objectContaining({ code: 'pool_corrupt' });
    const refuse = (kind: number, entries: number, fill: (bytes: Uint8Array) => void) => {
      const catalog = makeCatalog(1, 1, 4);
      const [bytes, view] = operationBytes(kind, 10, entries);
      fill(bytes);
      const places = { release: () => undefined };
      expect(() => new CatalogPages(catalog).replay(bytes, view, 0, 7, places)).toThrow(corrupt);
    };
    const block = (lba: number, oldMba: number) => (bytes: Uint8Array) =>
      putBlockEntry(new DataView(bytes.buffer), ENTRY_BYTES, BLOCK_OBJECT, lba, 9999, oldMba);
    refuse(OperationKind.write, 1, block(4096, 0));
    refuse(OperationKind.write, 1, block(0, 0));
    refuse(OperationKind.write, 1, block(1, 1000));
    refuse(OperationKind.write, 1, (bytes) => {
      block(1, 0)(bytes);
      setU53(new DataView(bytes.buffer), ENTRY_BYTES, BlockEntry.object, 2);
    });
    refuse(OperationKind.write, 1, (bytes) => {
      block(1, 0)(bytes);
      setU32(new DataView(bytes.buffer), 0, OperationEntry.branch, 11);
    });
    refuse(OperationKind.write, 1, (bytes) => {
      block(1, 0)(bytes);
      const view = new DataView(bytes.buffer);
      setU32(view, 0, OperationEntry.guest, 100);
      setU16(view, 0, OperationEntry.tag, 8);
      setU53(view, 0, OperationEntry.operation, 1);
    });
    const range = (first: number, count: number) => (bytes: Uint8Array) =>
      putRangeEntry(new DataView(bytes.buffer), ENTRY_BYTES, BLOCK_OBJECT, first, count);
    refuse(OperationKind.zero, 1, range(4000, 97));
    refuse(OperationKind.discard, 1, range(2 ** 53 - 1, 2 ** 53 - 1));
    const volume = { id: 10, name: 'new', sizeBytes: 4096, createdTxn: 1, minMba: 0 };
    refuse(OperationKind.volumeCreate, 10, (bytes) => encodeVolume(volume, bytes, ENTRY_BYTES));
    const named = { ...volume, id: 20, name: 'disk 0' };
    refuse(OperationKind.volumeCreate, 10, (bytes) => encodeVolume(named, bytes, ENTRY_BYTES));
    const odd = { ...volume, id: 20, sizeBytes: 1000 };
    refuse(OperationKind.volumeCreate, 10, (bytes) => encodeVolume(odd, bytes, ENTRY_BYTES));
    const change = (id: number, sizeBytes: number) => (bytes: Uint8Array) =>
      encodeVolumeChange({ id, sizeBytes }, bytes, ENTRY_BYTES);
    refuse(OperationKind.volumeResize, 1, change(11, 4096));
    refuse(OperationKind.volumeResize, 1, change(10, 4097));
    refuse(OperationKind.volumeRemove, 1, change(10, 0));
    const session = (guest: number, volumeId: number) => (bytes: Uint8Array) =>
      encodeSession(sessionOf(guest, volumeId), bytes, ENTRY_BYTES);
    const sessionEntries = SessionRecord.byteLength / ENTRY_BYTES;
    refuse(OperationKind.sessionOpen, sessionEntries, session(100, 10));
    refuse(OperationKind.sessionOpen, sessionEntries, session(200, 11));
    refuse(OperationKind.sessionClose, 1, (bytes) => encodeSessionClose(101, bytes, ENTRY_BYTES));
    refuse(OperationKind.snapshot, 0, () => undefined);
  });
});
