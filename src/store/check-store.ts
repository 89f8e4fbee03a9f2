/** `logflume check`: the log's verification, with maps and volumes as what it is held against. */
import { type CheckClient, type CheckReport, checkPool } from '../log/check.ts';
import type { SegmentVerifier } from '../log/check-blocks.ts';
import { FlatMap } from '../maps/flat-map.ts';
import type { Disk } from '../platform/disk.ts';
import type { Platform } from '../platform/platform.ts';
import { Catalog } from '../volumes/catalog.ts';
import { CatalogPages } from '../volumes/checkpoint-pages.ts';
import { BLOCK_OBJECT } from '../volumes/volume-table.ts';

/**
 * Verifies every structure and checksum of a pool that nobody has open; repairs nothing. `disk` may
 * be read-only. `verify` reads blocks, and may do so on other threads.
 *
 * @throws StoreError only for what keeps it from looking; what it finds is in the report.
 */
export function checkStore(
  platform: Platform,
  disk: Disk,
  verify: SegmentVerifier,
): Promise<CheckReport> {
  return checkPool(platform, disk, createClient(), verify);
}

/** An empty catalog that can be filled from a pool, and then tells what is mapped. */
function createClient(): CheckClient {
  const catalog = new Catalog(new FlatMap());
  const pages = new CatalogPages(catalog);
  return {
    pageCountMax: () => pages.pageCountMax(),
    beginCut: () => pages.beginCut(),
    encodePage: (bytes, view, at, info) => pages.encodePage(bytes, view, at, info),
    endCut: () => pages.endCut(),
    loadPage: (bytes, view, at, info) => pages.loadPage(bytes, view, at, info),
    replay: (bytes, view, at, firstPba, places) => pages.replay(bytes, view, at, firstPba, places),
    forEachMapped: (visit) => {
      for (const slot of catalog.volumes.slots()) {
        const { id } = catalog.volumes.storedOf(slot);
        const space = catalog.map.findSpace(id, BLOCK_OBJECT);
        catalog.map.forEach(space, (lba, pba, sum) => visit(pba, sum, id, BLOCK_OBJECT, lba));
      }
    },
  };
}
