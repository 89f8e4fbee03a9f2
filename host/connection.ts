/**
 * One peer's control link, on the main thread: a guest from its attach to its end, or somebody who
 * administers. What it sends was parsed before; what it asks for is checked here, and the memory
 * itself where it is mapped.
 *
 *   new --attach--> attaching --attached--> attached --start--> serving --> ending --> over
 *
 * Whatever happens, each descriptor that came with a message is closed exactly once, and after
 * the reactor has let go of it.
 */
import { assert } from '../src/base/assert.ts';
import { type ErrorCode, StoreError } from '../src/base/errors.ts';
import { closeFd } from '../src/bindings/files.ts';
import { inspectMemfd } from '../src/bindings/memory.ts';
import { createEvent } from '../src/bindings/waiting.ts';
import {
  ADMIN_RESULTS,
  type AdminRequest,
  type AttachMessage,
  type ControlMessage,
  type ErrorMessage,
} from '../src/channel/control-schema.ts';
import { layoutOf, type RegionLayout } from '../src/channel/geometry.ts';
import type { ControlLink, LinkHandle } from '../src/channel/link.ts';
import { acceptGuest, FEATURES_KNOWN } from '../src/channel/negotiation.ts';
import { hasOrdinaryPages, isDoorbell } from '../src/platform/descriptors.ts';
import type { Timer } from '../src/platform/platform.ts';
import type { Reservation } from './accounts.ts';
import type { Hall } from './hall.ts';
import type { AttachGrant } from './reactor-messages.ts';
import { SessionEnd } from './session.ts';

/** Between connecting and the first request, and between `attached` and `start`. */
const HANDSHAKE_MS_MAX = 10_000;
/** An administrator that says nothing. */
const ADMIN_IDLE_MS_MAX = 300_000;
/** Requests of one administrator that are being carried out. */
const ADMIN_REQUESTS_MAX = 16;

/** Longest text that a message takes. */
const TEXT_MAX = 1024;

type State = 'new' | 'attaching' | 'attached' | 'serving' | 'ending' | 'over';

/** What the host holds for one session; given back when the reactor has let go of it. */
interface Holding {
  readonly session: number;
  readonly reservation: Reservation;
  readonly features: number;
  readonly descriptors: readonly number[];
  readonly hostBell: LinkHandle;
}

interface Farewell {
  readonly code: ErrorCode;
  readonly reason: string;
}
const DETACHED: Farewell = { code: 'closed', reason: 'detached' };

export class Connection {
  readonly #hall: Hall;
  readonly #link: ControlLink;
  #state: State = 'new';
  #holding: Holding | undefined;
  #deadline: Timer | undefined;
  #adminRequests = 0;
  #linkOpen: boolean = true;
  /** What the guest is told when the reactor has let go of its region. */
  #farewell: Farewell = DETACHED;

  constructor(hall: Hall, link: ControlLink) {
    this.#hall = hall;
    this.#link = link;
    this.#setDeadline(HANDSHAKE_MS_MAX);
    link.open({
      onMessage: (message, handles) => this.#receive(message, handles),
      onClose: (reason) => this.#closed(reason),
    });
  }

  /** The guest's session, while the reactor knows one. */
  get session(): number | undefined {
    return this.#holding?.session;
  }

  get #facts(): Record<string, string | number> {
    const { pid, uid } = this.#link.peer;
    const session = this.#holding?.session;
    return session === undefined ? { pid, uid } : { session, pid, uid };
  }

  // What the reactor says about the session. ----------------------------------------------------

  attached(grant: AttachGrant): void {
    const holding = this.#holding;
    assert(holding !== undefined, 'the reactor attaches sessions that were ordered');
    if (this.#state !== 'attaching') return;
    this.#state = 'attached';
    this.#setDeadline(HANDSHAKE_MS_MAX);
    const { limits } = this.#hall;
    const doorbell = typeof holding.hostBell === 'number' ? 'eventfd' : 'notify';
    this.#send(
      {
        type: 'attached',
        ...grant,
        sessionId: holding.session,
        features: holding.features,
        hostPid: process.pid,
        doorbell,
        limits: {
          commandsInFlightMax: limits.commandsInFlight,
          regionBytesMax: limits.regionBytesPerGuest,
          queueCountMax: limits.queuePairs,
        },
      },
      [holding.hostBell],
    );
    const { guestId, resumed, volume } = grant;
    const facts = { ...this.#facts, guestId, resumed: String(resumed), volume: volume?.name ?? '' };
    this.#hall.note('guest attached', facts);
  }

  /** The reactor took nothing of it. */
  refused(error: StoreError): void {
    this.#letGo();
    this.#refuse(error);
  }

  /** The reactor has ended the session; `drained` follows. */
  broken(error: StoreError): void {
    this.#hall.warn('session ended', { ...this.#facts, code: error.code, reason: error.message });
    this.#farewell = { code: error.code, reason: error.message };
    this.#state = 'ending';
    this.#setDeadline(undefined);
  }

  /** The reactor has let go of the region. */
  drained(): void {
    this.#hall.note('guest gone', this.#facts);
    this.#letGo();
    this.#finish(this.#farewell);
  }

  resized(sizeBytes: number): void {
    this.#send({ type: 'volume-resized', sizeBytes });
  }

  /** The reactor's thread is gone, and the session with it. */
  lost(): void {
    if (this.#holding === undefined) return;
    this.#letGo();
    this.#finish({ code: 'host_lost', reason: 'the reactor ended' });
  }

  /** The host stops: the reactor completes what the guest has in flight, then it is told so. */
  shutDown(): void {
    if (this.#state === 'ending') return;
    this.#farewell = { code: 'shutting_down', reason: 'the host is shutting down' };
  }

  /** Says nothing more. */
  close(): void {
    this.#link.close();
  }

  // What the peer says. ------------------------------------------------------------------------

  #receive(message: ControlMessage, handles: readonly LinkHandle[]): void {
    try {
      if (message.type === 'attach') this.#attach(message, handles);
      else if (message.type === 'start') this.#startServing();
      else if (message.type === 'detach') this.#detach();
      else if (isAdminRequest(message)) this.#administer(message);
      else throw new StoreError('protocol_violation', { unexpected: message.type });
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      this.#refuse(error);
    }
  }

  #attach(message: AttachMessage, handles: readonly LinkHandle[]): void {
    if (this.#state !== 'new') {
      closeDescriptors(handles);
      throw new StoreError('protocol_violation', { unexpected: 'attach' });
    }
    this.#state = 'attaching';
    this.#farewell = DETACHED;
    this.#setDeadline(undefined);
    // While a reactor recovers the pool its guests come back: they wait here.
    this.#hall.whenRunning().then(
      () => {
        if (this.#state === 'attaching' && this.#linkOpen) this.#order(message, handles);
        else closeDescriptors(handles);
      },
      (error: unknown) => {
        closeDescriptors(handles);
        if (!(error instanceof StoreError)) throw error;
        this.#refuse(error);
      },
    );
  }

  #order(message: AttachMessage, handles: readonly LinkHandle[]): void {
    try {
      this.#holding = this.#hold(message, handles);
    } catch (error) {
      closeDescriptors(handles);
      if (!(error instanceof StoreError)) throw error;
      this.#refuse(error);
      return;
    }
    const { session, hostBell } = this.#holding;
    const [memory, guestBell] = handles as readonly [LinkHandle, LinkHandle];
    const { geometry, volume, mode, resume } = message;
    this.#hall.post({
      kind: 'attach',
      session,
      geometry,
      memory,
      guestBell,
      hostBell: typeof hostBell === 'number' ? hostBell : undefined,
      volume,
      mode,
      resume,
      uid: this.#link.peer.uid,
    });
  }

  /** Checks what the guest offers and counts it. @throws StoreError; nothing is held then. */
  #hold(message: AttachMessage, handles: readonly LinkHandle[]): Holding {
    const features = acceptGuest(message, { offered: FEATURES_KNOWN, required: 0 });
    const layout = layoutOf(message.geometry);
    requireMemory(handles, layout);
    const hostBell = this.#link.carries === 'descriptors' ? createEvent() : this.#hall.portBell;
    const descriptors = [...handles, hostBell].filter((handle) => typeof handle === 'number');
    try {
      const reserved = this.#hall.reserve(this, this.#link.peer.pid, layout);
      return { ...reserved, features, descriptors, hostBell };
    } catch (error) {
      closeDescriptors([hostBell]);
      throw error;
    }
  }

  #startServing(): void {
    const holding = this.#holding;
    if (this.#state !== 'attached' || holding === undefined) {
      throw new StoreError('protocol_violation', { unexpected: 'start' });
    }
    this.#state = 'serving';
    this.#setDeadline(undefined);
    this.#hall.post({ kind: 'start', session: holding.session });
  }

  #detach(): void {
    if (this.#state !== 'attached' && this.#state !== 'serving') {
      // The session may have ended while the guest's goodbye was on its way.
      if (this.#state === 'ending') return;
      throw new StoreError('protocol_violation', { unexpected: 'detach' });
    }
    this.#endSession(SessionEnd.FOR_GOOD);
  }

  #administer(request: AdminRequest): void {
    const { requestId } = request;
    if (this.#adminRequests >= ADMIN_REQUESTS_MAX) {
      const busy = new StoreError('limit_exceeded', { requests: ADMIN_REQUESTS_MAX });
      this.#send(errorMessage(busy, requestId));
      return;
    }
    this.#adminRequests++;
    if (this.#state === 'new') this.#setDeadline(ADMIN_IDLE_MS_MAX);
    this.#hall.administer(request, this.#facts).then(
      (result) => {
        this.#adminRequests--;
        this.#send({ type: 'reply', requestId, result });
      },
      (error: unknown) => {
        this.#adminRequests--;
        if (!(error instanceof StoreError)) throw error;
        this.#send(errorMessage(error, requestId));
      },
    );
  }

  // Ends. --------------------------------------------------------------------------------------

  #closed(reason: StoreError | undefined): void {
    this.#linkOpen = false;
    this.#setDeadline(undefined);
    if (reason !== undefined) {
      this.#hall.warn('connection broken', { ...this.#facts, reason: reason.message });
    }
    if (this.#holding === undefined) {
      this.#finish(undefined);
    } else if (this.#state !== 'ending') {
      // A peer that breaks the protocol is not expected back; one that vanished is.
      const broke = reason?.reaction === 'detach';
      this.#endSession(broke ? SessionEnd.FOR_GOOD : SessionEnd.KEPT);
    }
  }

  #endSession(end: SessionEnd): void {
    this.#setDeadline(undefined);
    this.#state = 'ending';
    const session = this.#holding?.session;
    if (session !== undefined) this.#hall.post({ kind: 'end', session, end });
  }

  /** Tells the peer why, and is done with it. */
  #refuse(error: StoreError): void {
    const { code, message: reason } = error;
    this.#hall.warn('guest refused', { ...this.#facts, code, reason });
    if (this.#holding === undefined) {
      this.#send(errorMessage(error));
      this.#finish(undefined);
    } else if (this.#state !== 'ending') {
      this.#farewell = { code, reason };
      this.#endSession(SessionEnd.FOR_GOOD);
    }
  }

  #letGo(): void {
    const holding = this.#holding;
    if (holding === undefined) return;
    this.#holding = undefined;
    closeDescriptors(holding.descriptors);
    this.#hall.release(holding.session, holding.reservation);
  }

  /** Says why, if there was a session, and leaves. */
  #finish(farewell: Farewell | undefined): void {
    if (farewell !== undefined) {
      const reason = farewell.reason.slice(0, TEXT_MAX);
      this.#send({ type: 'session-ended', code: farewell.code, reason });
    }
    if (this.#state === 'over') return;
    this.#state = 'over';
    this.#setDeadline(undefined);
    this.#link.close();
    this.#hall.leave(this);
  }

  #send(message: ControlMessage, handles?: readonly LinkHandle[]): void {
    if (!this.#linkOpen) return;
    try {
      this.#link.send(message, handles);
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      // It does not read what it is told: too much waits for it.
      this.#hall.warn('peer does not read', { ...this.#facts, reason: error.message });
      this.#link.close();
    }
  }

  #setDeadline(delayMs: number | undefined): void {
    this.#deadline?.cancel();
    this.#deadline = undefined;
    // A port belongs to this process: it may wait as long as it likes.
    if (delayMs === undefined || this.#link.carries === 'buffers') return;
    const late = () => this.#refuse(new StoreError('timed_out', { waitedMs: delayMs }));
    this.#deadline = this.#hall.clock.after(delayMs, late, { hold: false });
  }
}

/** @throws StoreError `invalid_argument` naming what is wrong with the memory or the bell. */
function requireMemory(handles: readonly LinkHandle[], layout: RegionLayout): void {
  const [memory, bell] = handles;
  const expected = layout.regionBytes;
  if (memory instanceof SharedArrayBuffer && bell instanceof SharedArrayBuffer) {
    requireThat(memory.byteLength === expected, 'the region is not as long as its geometry says');
    requireThat(bell.byteLength >= 4, 'the bell is no word');
    return;
  }
  requireThat(typeof memory === 'number' && typeof bell === 'number', 'handles of two kinds');
  const facts = inspectMemfd(memory as number);
  requireThat(facts.isRegularFile && facts.seals >= 0, 'the region is no memfd');
  requireThat(facts.sizeIsSealed, 'the memfd is not sealed against shrinking and growing');
  requireThat(facts.sizeBytes === expected, 'the region is not as long as its geometry says');
  requireThat(hasOrdinaryPages(memory as number), 'the memfd is of huge pages');
  requireThat(isDoorbell(bell as number), 'the bell is no eventfd that does not block');
}

function requireThat(condition: boolean, reason: string): void {
  if (!condition) throw new StoreError('invalid_argument', { reason });
}

function errorMessage(error: StoreError, requestId?: number): ErrorMessage {
  const facts = Object.entries(error.details).slice(0, 16);
  const details = Object.fromEntries(
    facts.map(([name, value]) => [name, typeof value === 'bigint' ? String(value) : value]),
  );
  const message = error.message.slice(0, TEXT_MAX);
  const shared = { type: 'error', code: error.code, message, details } as const;
  return requestId === undefined ? shared : { ...shared, requestId };
}

function closeDescriptors(handles: readonly LinkHandle[]): void {
  for (const handle of handles) if (typeof handle === 'number') closeFd(handle);
}

function isAdminRequest(message: ControlMessage): message is AdminRequest {
  return Object.hasOwn(ADMIN_RESULTS, message.type);
}
