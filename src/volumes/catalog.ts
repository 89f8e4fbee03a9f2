import { assert } from '../base/assert.ts';
import { BLOCK_BYTES } from '../base/units.ts';
import type { StoredSession } from '../formats/session-record.ts';
import type { Places } from '../log/sources.ts';
import type { BlockMap } from '../maps/block-map.ts';
import { AppliedWindows } from './applied-windows.ts';
import { SESSIONS_MAX, SessionTable } from './session-table.ts';
import { VolumeTable } from './volume-table.ts';

/**
 * All that a pool's log describes: the map, the volumes, the sessions and their windows. It exists
 * before the log does, because recovery fills it; live commands change it by the same calls.
 */
export class Catalog {
  readonly map: BlockMap;
  readonly volumes: VolumeTable;
  readonly sessions = new SessionTable();
  readonly windows = new AppliedWindows(SESSIONS_MAX);

  constructor(map: BlockMap) {
    this.map = map;
    this.volumes = new VolumeTable(map);
  }

  /** Adds a session that is away, with an empty window. Its volume exists. */
  addSession(stored: StoredSession): number {
    const slot = this.volumes.findById(stored.volume);
    assert(slot >= 0, 'a session is of a volume that exists');
    const session = this.sessions.add(stored, slot);
    this.volumes.sessionCount[slot] = (this.volumes.sessionCount[slot] as number) + 1;
    this.windows.open(stored.guest, stored.queueCount, stored.queueDepth);
    this.windows.bind(session, stored.guest);
    return session;
  }

  /** Forgets a session and its window. */
  removeSession(session: number): void {
    const slot = this.sessions.volumeSlot[session] as number;
    this.volumes.sessionCount[slot] = (this.volumes.sessionCount[slot] as number) - 1;
    this.windows.unbind(session);
    this.windows.close(this.sessions.guest[session] as number);
    this.sessions.remove(session);
  }

  /** Gives a volume another size at once, all that lies past it included. */
  resizeVolume(slot: number, sizeBytes: number, places: Places): void {
    const space = this.volumes.space[slot] as number;
    const before = this.map.blocksOf(space);
    const after = sizeBytes / BLOCK_BYTES;
    if (after < before) {
      this.map.clearRange(space, after, before - after, places, Number.MAX_SAFE_INTEGER);
    }
    this.volumes.setSize(slot, sizeBytes);
    this.volumes.fitSpace(slot);
  }

  /** Removes a volume at once, with all its blocks. */
  removeVolume(slot: number, places: Places): void {
    const space = this.volumes.space[slot] as number;
    const blockCount = this.map.blocksOf(space);
    this.map.clearRange(space, 0, blockCount, places, Number.MAX_SAFE_INTEGER);
    this.volumes.hide(slot);
    this.volumes.remove(slot);
  }
}
