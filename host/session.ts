/**
 * One attached guest as the reactor sees it: its memory, its queue pairs, what it did.
 *
 *   waiting --start--> serving --end--> draining --last row back from the store--> drained
 *
 * A draining session takes no command and answers none, but its memory stays mapped until the
 * store has given every row back: a disk may still be writing into it (R5).
 */
import type { ChannelGeometry, RegionLayout } from '../src/channel/geometry.ts';
import { HostCounter, HostCounters } from '../src/channel/host-page.ts';
import { HostQueue } from '../src/channel/host-queue.ts';
import type { Bell } from '../src/memory/bell.ts';
import type { Region } from '../src/memory/region.ts';

/** Why a session ends, and whether its guest may come back to it. */
export const SessionEnd = {
  /** The guest is gone without a word: its volume is kept for it, for its grace (R26). */
  KEPT: 1,
  /** The guest said goodbye, or broke the protocol: the volume is free at once. */
  FOR_GOOD: 2,
} as const;
export type SessionEnd = (typeof SessionEnd)[keyof typeof SessionEnd];

export interface SessionOptions {
  /** Its place in the reactor's table. */
  readonly number: number;
  /** Its place in the store's table; -1 if it holds no volume. */
  readonly storeSession: number;
  readonly region: Region;
  readonly layout: RegionLayout;
  /** Number of the region's memory for the store's copies; -1 in a host without a pool. */
  readonly memory: number;
  readonly guestBell: Bell;
  readonly guestId: number;
  /** In hexadecimal. Never logged. */
  readonly secret: string;
  readonly volumeId: number;
  readonly volumeName: string | undefined;
  readonly readOnly: boolean;
  /** Gives the memory back to the machine, once nothing uses it. */
  readonly unmap: () => void;
}

export class Session {
  readonly number: number;
  readonly storeSession: number;
  readonly region: Region;
  readonly layout: RegionLayout;
  readonly memory: number;
  readonly guestId: number;
  readonly secret: string;
  readonly volumeId: number;
  readonly volumeName: string | undefined;
  readonly readOnly: boolean;
  readonly counters = new HostCounters();
  readonly unmap: () => void;
  /** Empty until the guest has put its rings in order and said so. */
  queues: readonly HostQueue[] = [];
  /** Rows of the store's table that belong to this session. */
  inFlightCount = 0;
  /** Commands without sense since the last one that had some. */
  malformedInRow = 0;
  ended: SessionEnd | undefined = undefined;
  /** False once its guest has broken the rings: nothing is written there any more. */
  answered: boolean = true;
  readonly #guestBell: Bell;

  constructor(options: SessionOptions) {
    this.number = options.number;
    this.storeSession = options.storeSession;
    this.region = options.region;
    this.layout = options.layout;
    this.memory = options.memory;
    this.guestId = options.guestId;
    this.secret = options.secret;
    this.volumeId = options.volumeId;
    this.volumeName = options.volumeName;
    this.readOnly = options.readOnly;
    this.unmap = options.unmap;
    this.#guestBell = options.guestBell;
  }

  get geometry(): ChannelGeometry {
    return this.layout.geometry;
  }

  /**
   * Looks at the rings, which the guest has just emptied or filled with what it puts back.
   *
   * @throws StoreError `ring_corrupt` if they are in no such state.
   */
  start(): void {
    const { region, layout } = this;
    this.queues = layout.queues.map(
      (_, queueIndex) => new HostQueue({ region, layout, queueIndex, guestBell: this.#guestBell }),
    );
  }

  /** Whether nothing of the host uses the region any more. */
  get drained(): boolean {
    return this.ended !== undefined && this.inFlightCount === 0;
  }

  /** Brings the page in the guest's region up to date. Some 2 µs. */
  show(hostPid: number): void {
    let bells = 0;
    for (const queue of this.queues) bells += queue.bellsRung;
    this.counters.counters[HostCounter.WAKES_SENT] = bells;
    this.counters.show(this.region, this.layout, hostPid);
  }
}
