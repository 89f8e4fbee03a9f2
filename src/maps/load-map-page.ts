import { StoreError } from '../base/errors.ts';
import { getU32, getU53 } from '../base/record.ts';
import {
  MAP_PAGE_ENTRIES_MAX,
  MAP_PAGE_SPAN_BLOCKS,
  MapPageEntry,
  MapPageHeader,
  mapEntryMba,
  mapEntryStep,
} from '../formats/map-page.ts';
import { type BlockMap, SPACE_NONE } from './block-map.ts';

/**
 * Adds the entries of a MAP page to its space. The page's checksum was good, so what is refused
 * here was written wrong: by a bug, or by a version that this one does not know.
 *
 * @throws StoreError `pool_corrupt`; some entries may have been added.
 */
export function loadMapPage(map: BlockMap, view: DataView, at: number): void {
  const branch = getU32(view, at, MapPageHeader.branch);
  const object = getU53(view, at, MapPageHeader.object);
  const firstLba = getU53(view, at, MapPageHeader.firstLba);
  const entryCount = getU32(view, at, MapPageHeader.entryCount);
  const space = map.findSpace(branch, object);
  if (space === SPACE_NONE) throw new StoreError('pool_corrupt', { mapPageOfBranch: branch });
  if (entryCount > MAP_PAGE_ENTRIES_MAX) throw new StoreError('pool_corrupt', { entryCount });
  if (firstLba % MAP_PAGE_SPAN_BLOCKS !== 0) throw new StoreError('pool_corrupt', { firstLba });

  let previous = -1;
  for (let i = 0; i < entryCount; i++) {
    const entryAt = at + MapPageHeader.byteLength + i * MapPageEntry.byteLength;
    const step = mapEntryStep(view, entryAt);
    const lba = firstLba + step;
    const pba = getU32(view, entryAt, MapPageEntry.pba);
    if (step <= previous || lba >= map.blocksOf(space) || pba === 0) {
      throw new StoreError('pool_corrupt', { branch, lba, pba });
    }
    previous = step;
    map.set(space, lba, pba, getU32(view, entryAt, MapPageEntry.sum), mapEntryMba(view, entryAt));
  }
}
