/**
 * The two ways to a host: a socket, descriptors and a memfd between processes; a door, ports and a
 * SharedArrayBuffer between threads of one process. Everything that differs is here.
 */
import { MessagePort } from 'node:worker_threads';
import { assert } from '../src/base/assert.ts';
import { StoreError } from '../src/base/errors.ts';
import { adoptFd, closeFd } from '../src/bindings/files.ts';
import { createMemfd, type MappedMemory, mapShared } from '../src/bindings/memory.ts';
import { createEvent } from '../src/bindings/waiting.ts';
import { formatRegion, type RegionLayout } from '../src/channel/geometry.ts';
import type { ControlLink, LinkHandle } from '../src/channel/link.ts';
import { knock } from '../src/channel/port-door.ts';
import { PortLink } from '../src/channel/port-link.ts';
import { connectLink } from '../src/channel/socket-link.ts';
import {
  type Bell,
  NotifyBell,
  NotifySleeper,
  NotifyWaker,
  type Sleeper,
  type Waker,
} from '../src/memory/bell.ts';
import { EventBell, EventSleeper, EventWaker } from '../src/memory/event-bell.ts';
import { type Region, WORD_BYTES } from '../src/memory/region.ts';

/** A region of ours and the bells around it, for as long as a driver lives. */
export interface Transport {
  readonly region: Region;
  /** What goes with `attach`: the region's memory, and the bell that the host rings for us. */
  readonly attachHandles: readonly LinkHandle[];
  /** Waiting for that bell, blocking and on the event loop. */
  readonly sleeper: Sleeper;
  readonly waker: Waker;
  /** A new link to whoever is the host now. @throws StoreError `host_unreachable`. */
  openLink(): ControlLink;
  /** The bell that came with `attached`; that of the host before is let go. */
  adoptHostBell(handle: LinkHandle): Bell;
  /** Frees everything: views of the region are empty afterwards where the memory was mapped. */
  release(): void;
}

/** What every guest of the epoch starts with. */
const FIRST_EPOCH = 1;

/** Makes a region of this layout. @throws StoreError `system_error` if there is no memory for it. */
export function createTransport(host: string | MessagePort, layout: RegionLayout): Transport {
  return host instanceof MessagePort
    ? new ThreadTransport(host, layout)
    : new ProcessTransport(host, layout);
}

/**
 * A link to the host.
 *
 * @throws StoreError `host_unreachable` naming the socket and how to start a host, `system_error`.
 */
export function openLinkTo(host: string | MessagePort): ControlLink {
  if (host instanceof MessagePort) {
    const uid = process.getuid?.() ?? 0;
    const gid = process.getgid?.() ?? 0;
    return new PortLink(knock(host), { pid: process.pid, uid, gid });
  }
  try {
    return connectLink(host);
  } catch (cause) {
    if (!(cause instanceof StoreError)) throw cause;
    const errno = cause.code === 'host_unreachable' ? undefined : cause.details['errno'];
    // Nobody there, and nobody there for long: both are for the next attempt to mend.
    if (errno !== undefined && errno !== 'ETIMEDOUT') throw cause;
    const hint = 'start one with: logflume host --pool FILE --listen SOCKET';
    throw new StoreError('host_unreachable', { socket: host, hint }, { cause });
  }
}

class ProcessTransport implements Transport {
  readonly region: Region;
  readonly attachHandles: readonly LinkHandle[];
  readonly sleeper: Sleeper;
  readonly waker: Waker;
  readonly #socket: string;
  readonly #memory: MappedMemory;
  readonly #descriptors: number[] = [];
  #hostBellFd = -1;

  constructor(socket: string, layout: RegionLayout) {
    this.#socket = socket;
    const memoryFd = adoptFd(createMemfd('logflume-guest', layout.regionBytes));
    this.#descriptors.push(memoryFd);
    try {
      this.#memory = mapShared(memoryFd, layout.regionBytes);
      const epoch = FIRST_EPOCH;
      this.region = formatRegion(this.#memory.buffer, layout, { guestPid: process.pid, epoch });
      const bellFd = adoptFd(createEvent());
      this.#descriptors.push(bellFd);
      this.attachHandles = [memoryFd, bellFd];
      this.sleeper = new EventSleeper(bellFd);
      this.waker = new EventWaker(bellFd);
    } catch (error) {
      for (const fd of this.#descriptors) closeFd(fd);
      throw error;
    }
  }

  openLink(): ControlLink {
    return openLinkTo(this.#socket);
  }

  adoptHostBell(handle: LinkHandle): Bell {
    assert(typeof handle === 'number', 'a socket carries descriptors');
    this.#dropHostBell();
    this.#hostBellFd = adoptFd(handle);
    return new EventBell(handle);
  }

  release(): void {
    this.waker.close();
    this.#dropHostBell();
    for (const fd of this.#descriptors.splice(0)) closeFd(fd);
    this.#memory.unmap();
  }

  #dropHostBell(): void {
    if (this.#hostBellFd >= 0) closeFd(this.#hostBellFd);
    this.#hostBellFd = -1;
  }
}

class ThreadTransport implements Transport {
  readonly region: Region;
  readonly attachHandles: readonly LinkHandle[];
  readonly sleeper: Sleeper;
  readonly waker: Waker;
  readonly #door: MessagePort;

  constructor(door: MessagePort, layout: RegionLayout) {
    this.#door = door;
    const memory = new SharedArrayBuffer(layout.regionBytes);
    const epoch = FIRST_EPOCH;
    this.region = formatRegion(memory, layout, { guestPid: process.pid, epoch });
    const bell = new SharedArrayBuffer(WORD_BYTES);
    const words = new Int32Array(bell);
    this.attachHandles = [memory, bell];
    this.sleeper = new NotifySleeper(words, 0);
    this.waker = new NotifyWaker(words, 0);
  }

  openLink(): ControlLink {
    return openLinkTo(this.#door);
  }

  adoptHostBell(handle: LinkHandle): Bell {
    assert(handle instanceof SharedArrayBuffer, 'a port carries buffers');
    if (handle.byteLength < WORD_BYTES) {
      throw new StoreError('protocol_violation', { bellBytes: handle.byteLength });
    }
    return new NotifyBell(new Int32Array(handle), 0);
  }

  release(): void {
    this.waker.close();
  }
}
