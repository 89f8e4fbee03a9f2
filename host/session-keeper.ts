/**
 * Lets guests into the reactor and out again: maps their memory, opens their volumes, and gives
 * both back when nothing uses them any more. Cold, and all of it on the reactor's thread.
 */
import { timingSafeEqual } from 'node:crypto';
import { StoreError } from '../src/base/errors.ts';
import { mapShared } from '../src/bindings/memory.ts';
import type { Poller } from '../src/bindings/waiting.ts';
import { layoutOf, type RegionLayout, verifyRegion } from '../src/channel/geometry.ts';
import { HostCounters } from '../src/channel/host-page.ts';
import type { LinkHandle } from '../src/channel/link.ts';
import { type Bell, NotifyBell } from '../src/memory/bell.ts';
import { EventBell } from '../src/memory/event-bell.ts';
import type { Platform } from '../src/platform/platform.ts';
import type { SessionGrant, Store } from '../src/store/store.ts';
import { Reactor } from './reactor.ts';
import type { ReactorLoop } from './reactor-loop.ts';
import {
  type AttachGrant,
  type AttachOrder,
  type FromReactor,
  plainOf,
} from './reactor-messages.ts';
import { Session, SessionEnd } from './session.ts';

/** Bytes of a secret that a host without a pool gives out, as the store's are. */
const SECRET_BYTES = 16;

export interface SessionKeeperOptions {
  readonly store: Store | undefined;
  readonly platform: Platform;
  /** Undefined without the addon: then guests ring the word that the reactor sleeps on. */
  readonly poller: Poller | undefined;
  readonly sessionsMax: number;
  readonly graceMs: number;
  readonly post: (message: FromReactor) => void;
  /** Runs what the store's steps finish. */
  readonly cold: ReactorLoop['cold'];
}

interface Entry {
  readonly grant: AttachGrant;
  readonly storeSession: number;
}

export class SessionKeeper {
  readonly reactor: Reactor;
  /** What sessions that are gone did. */
  readonly past = new HostCounters();
  readonly #options: SessionKeeperOptions;
  /** Ends that came before their session was attached. */
  readonly #earlyEnds = new Map<number, SessionEnd>();
  readonly #hostBells = new Map<number, number>();
  readonly #onGone = new Map<number, () => void>();
  #nextGuestId = 1;

  constructor(options: SessionKeeperOptions) {
    this.#options = options;
    const { store, platform, sessionsMax, post } = options;
    this.reactor = new Reactor({
      store,
      clock: platform.clock,
      sessionsMax,
      events: {
        onBroken: ({ number }, error) => {
          post({ kind: 'broken', session: number, error: plainOf(error) });
        },
        onDrained: (session) => void this.#letGo(session),
      },
    });
  }

  /** Answers with `attached` or `refused`. */
  async attach(order: AttachOrder): Promise<void> {
    const { session: number } = order;
    this.#earlyEnds.delete(number);
    let session: Session;
    let grant: AttachGrant;
    try {
      await this.#endEarlier(order.resume);
      ({ session, grant } = await this.#enter(order));
    } catch (error) {
      this.#options.post({ kind: 'refused', session: number, error: plainOf(error) });
      return;
    }
    this.reactor.add(session);
    this.#options.post({ kind: 'attached', session: number, grant });
    const end = this.#earlyEnds.get(number);
    if (end !== undefined) this.reactor.end(session, end);
  }

  start(number: number): void {
    const session = this.reactor.sessionAt(number);
    if (session !== undefined && session.ended === undefined) this.reactor.start(session);
  }

  /** `drained` follows. */
  end(number: number, end: SessionEnd): void {
    const session = this.reactor.sessionAt(number);
    if (session === undefined) this.#earlyEnds.set(number, end);
    else this.reactor.end(session, end);
  }

  /** Waits until every session is gone; the reactor takes nothing more. */
  async closeAll(): Promise<void> {
    const gone = this.reactor.sessions.map(async ({ number }) => await this.#whenGone(number));
    this.reactor.closeAll();
    await Promise.all(gone);
  }

  /** A guest that comes back while its last session still stands: that one ends first (R5). */
  async #endEarlier(resume: AttachOrder['resume']): Promise<void> {
    if (resume === undefined) return;
    const earlier = this.reactor.sessions.find(({ guestId }) => guestId === resume.guestId);
    // Somebody without the secret ends nobody's session; the store tells him off.
    if (earlier === undefined || !isSame(earlier.secret, resume.secret)) return;
    const gone = this.#whenGone(earlier.number);
    this.reactor.end(earlier, SessionEnd.KEPT);
    await gone;
  }

  async #enter(order: AttachOrder): Promise<{ session: Session; grant: AttachGrant }> {
    const layout = layoutOf(order.geometry);
    const memory = mapMemory(order.memory, layout.regionBytes);
    try {
      const region = verifyRegion(memory.buffer, layout);
      const { grant, storeSession } = await this.#open(order, layout);
      const { store, platform, poller } = this.#options;
      const registered = store === undefined ? -1 : platform.kernels.registerMemory(region.bytes);
      if (order.hostBell !== undefined) {
        poller?.add(order.hostBell);
        this.#hostBells.set(order.session, order.hostBell);
      }
      const session = new Session({
        number: order.session,
        storeSession,
        region,
        layout,
        memory: registered,
        guestBell: bellOf(order.guestBell),
        guestId: grant.guestId,
        secret: grant.secret,
        volumeId: grant.volume?.id ?? 0,
        volumeName: grant.volume?.name,
        readOnly: grant.volume?.readOnly ?? false,
        unmap: memory.unmap,
      });
      return { session, grant };
    } catch (error) {
      memory.unmap();
      throw error;
    }
  }

  /** Opens or takes up the guest's session in the store. */
  async #open(order: AttachOrder, layout: RegionLayout): Promise<Entry> {
    const { store, cold, graceMs } = this.#options;
    const { resume, volume, mode, uid } = order;
    if (store === undefined || volume === undefined) return this.#openWithoutStore(order);
    const { queueCount, queueDepth } = layout.geometry;
    if (resume !== undefined) {
      const { guestId: guest, incarnation } = resume;
      const secret = Buffer.from(resume.secret, 'hex');
      const grant = await cold(() => store.reattachSession({ guest, secret, incarnation }));
      if (grant.queueCount !== queueCount || grant.queueDepth !== queueDepth) {
        store.detachSession(grant.session);
        throw new StoreError('protocol_mismatch', { field: 'queues', found: queueCount });
      }
      return { grant: grantOf(grant, resume.secret), storeSession: grant.session };
    }
    const asked = { volume, mode, queueCount, queueDepth, graceMs, uid };
    const grant = await cold(() => store.openSession(asked));
    const secret = Buffer.from(grant.secret).toString('hex');
    return { grant: { ...grantOf(grant, secret), resumed: false }, storeSession: grant.session };
  }

  /** Nothing is kept for such a guest, so it may call itself what it was called before. */
  #openWithoutStore({ volume, resume }: AttachOrder): Entry {
    const { platform, store } = this.#options;
    const secret = new Uint8Array(SECRET_BYTES);
    platform.entropy.fill(secret);
    const grant: AttachGrant = {
      guestId: resume?.guestId ?? this.#nextGuestId++,
      secret: resume?.secret ?? Buffer.from(secret).toString('hex'),
      incarnation: store?.incarnation ?? 0,
      resumed: resume !== undefined,
      // A host without a pool calls every volume its own, and empty.
      volume:
        volume === undefined ? undefined : { id: 0, name: volume, sizeBytes: 0, readOnly: true },
    };
    return { grant, storeSession: -1 };
  }

  async #letGo(session: Session): Promise<void> {
    const { store, platform, poller, post, cold } = this.#options;
    const { number, storeSession } = session;
    const bell = this.#hostBells.get(number);
    if (bell !== undefined) poller?.remove(bell);
    this.#hostBells.delete(number);
    if (session.memory >= 0) platform.kernels.unregisterMemory(session.memory);
    session.unmap();
    this.past.merge(session.counters);
    if (store !== undefined && storeSession >= 0) {
      try {
        if (session.ended === SessionEnd.KEPT) store.detachSession(storeSession);
        else await cold(() => store.closeSession(storeSession));
      } catch (error) {
        // The pool has failed; the guest is gone all the same.
        post({ kind: 'warning', event: 'session not closed', facts: plainOf(error).details });
      }
    }
    post({ kind: 'drained', session: number });
    this.#onGone.get(number)?.();
    this.#onGone.delete(number);
  }

  async #whenGone(number: number): Promise<void> {
    const before = this.#onGone.get(number);
    await new Promise<void>((resolve) => {
      this.#onGone.set(number, () => {
        before?.();
        resolve();
      });
    });
  }
}

function mapMemory(
  handle: LinkHandle,
  byteLength: number,
): { readonly buffer: ArrayBufferLike; readonly unmap: () => void } {
  if (typeof handle !== 'number') return { buffer: handle, unmap: () => undefined };
  // The guest has allocated it; faulting a large region in at once would stop all other guests.
  const mapping = mapShared(handle, byteLength, { populate: false });
  return { buffer: mapping.buffer, unmap: () => mapping.unmap() };
}

function bellOf(handle: LinkHandle): Bell {
  if (typeof handle === 'number') return new EventBell(handle);
  return new NotifyBell(new Int32Array(handle, 0, 1), 0);
}

function grantOf(grant: SessionGrant, secret: string): AttachGrant {
  const { id, name, sizeBytes } = grant.volume;
  return {
    guestId: grant.guest,
    secret,
    incarnation: grant.incarnation,
    resumed: true,
    volume: { id, name, sizeBytes, readOnly: grant.mode === 'readonly' },
  };
}

function isSame(one: string, other: string): boolean {
  const a = Buffer.from(one);
  const b = Buffer.from(other);
  return a.length === b.length && timingSafeEqual(a, b);
}
