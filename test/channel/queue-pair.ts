/** A guest's and a host's half over one region on one thread, and a host that can be lost. */

import { formatRegion, layoutOf, verifyRegion } from '../../src/channel/geometry.ts';
import { GuestQueue } from '../../src/channel/guest-queue.ts';
import { HostQueue } from '../../src/channel/host-queue.ts';
import type { Bell } from '../../src/memory/bell.ts';

export const GEOMETRY = { queueCount: 2, queueDepth: 8, dataBytes: 65_536 };

export class CountingBell implements Bell {
  rungCount = 0;
  ring(): void {
    this.rungCount++;
  }
}

export function makePair(queueIndex = 1, geometry = GEOMETRY) {
  const layout = layoutOf(geometry);
  const memory = new SharedArrayBuffer(layout.regionBytes);
  const region = formatRegion(memory, layout, { guestPid: 1, epoch: 1 });
  const hostBell = new CountingBell();
  const guestBell = new CountingBell();
  const guest = new GuestQueue({ region, layout, queueIndex, hostBell });
  const makeHost = () => {
    const hostRegion = verifyRegion(memory, layout);
    return new HostQueue({ region: hostRegion, layout, queueIndex, guestBell });
  };
  return { layout, memory, region, guest, hostBell, guestBell, makeHost, host: makeHost() };
}

/** Everything that there is to reap, as [tag, status, bytes], tags released. */
export function reapAll(guest: GuestQueue): [number, number, number][] {
  const answers: [number, number, number][] = [];
  const count = guest.reap(guest.queueDepth);
  for (let i = 0; i < count; i++) {
    const tag = guest.reapedTags[i] as number;
    answers.push([tag, guest.reapedStatuses[i] as number, guest.reapedBytes[i] as number]);
    guest.releaseTag(tag);
  }
  return answers;
}
