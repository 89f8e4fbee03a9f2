/**
 * Attaching and detaching guests (R26). Cold, but for the look at the next deadline.
 */
import { createHash } from 'node:crypto';
import { assert } from '../base/assert.ts';
import { StoreError } from '../base/errors.ts';
import {
  encodeSession,
  encodeSessionClose,
  SessionCloseRecord,
  SessionMode,
  SessionRecord,
} from '../formats/session-record.ts';
import { ENTRY_BYTES, OperationKind } from '../formats/summary-entry.ts';
import type { Log } from '../log/log.ts';
import type { Clock, Entropy } from '../platform/platform.ts';
import type { Catalog } from '../volumes/catalog.ts';
import type { Engine } from '../volumes/engine.ts';
import {
  faultOfStoredSession,
  SESSION_NONE,
  SESSIONS_MAX,
  SessionState,
} from '../volumes/session-table.ts';
import { ADMIN_BUSY, ADMIN_NOTHING, type AdminQueue } from './admin-queue.ts';
import type {
  AttachMode,
  OpenSessionOptions,
  ReattachOptions,
  SessionGrant,
  SessionInfo,
} from './store.ts';
import { logHasRoom, type VolumeAdmin } from './volume-admin.ts';

const SECRET_BYTES = 16;
const US_PER_MS = 1000;
/** Before an expired session that the log could not take is tried again. */
const EXPIRY_RETRY_US = 1_000_000;

export interface SessionAdminParts {
  readonly catalog: Catalog;
  readonly engine: Engine;
  readonly queue: AdminQueue;
  readonly volumes: VolumeAdmin;
  readonly clock: Clock;
  readonly entropy: Entropy;
}

export class SessionAdmin {
  readonly #parts: SessionAdminParts;

  constructor(parts: SessionAdminParts) {
    this.#parts = parts;
  }

  get #log(): Log {
    return this.#parts.engine.parts.log;
  }

  /**
   * After an open every session is away, and its grace begins. One of an older incarnation can
   * never come back (R3), so it keeps its volume for nobody and is closed at once.
   */
  startGraces(): void {
    const { sessions } = this.#parts.catalog;
    const nowUs = this.#parts.clock.nowUs();
    for (const session of sessions.sessions()) {
      const { incarnation, graceMs } = sessions.requireStored(session);
      const comesBack = incarnation === this.#log.incarnation;
      sessions.awayUntil(session, comesBack ? nowUs + graceMs * US_PER_MS : nowUs);
    }
    // Before any other call: the first to attach must not find its volume held by nobody.
    this.expire(nowUs);
  }

  /** Closes the sessions whose grace is over. */
  expire(nowUs: number): void {
    const { sessions } = this.#parts.catalog;
    for (const session of sessions.expired(nowUs)) {
      // So that it is not found again while its end is on the way.
      sessions.awayUntil(session, Number.POSITIVE_INFINITY);
      const guest = sessions.guest[session] as number;
      this.#close(guest, SessionState.AWAY).catch(() => {
        const still = sessions.findByGuest(guest);
        if (still === SESSION_NONE || sessions.state[still] !== SessionState.AWAY) return;
        if (this.#log.failed === undefined) sessions.awayUntil(still, nowUs + EXPIRY_RETRY_US);
      });
    }
  }

  open(options: OpenSessionOptions): Promise<SessionGrant> {
    const secret = new Uint8Array(SECRET_BYTES);
    this.#parts.entropy.fill(secret);
    let session = SESSION_NONE;
    return this.#parts.queue.run({
      durable: false,
      attempt: () => {
        const { catalog, volumes } = this.#parts;
        const slot = volumes.requireSlot(options.volume);
        const mode = SessionMode[options.mode ?? 'exclusive'];
        const stored = {
          volume: catalog.volumes.id[slot] as number,
          mode,
          queueCount: options.queueCount,
          queueDepth: options.queueDepth,
          uid: options.uid,
          graceMs: options.graceMs,
          incarnation: this.#log.incarnation,
          secretDigest: digestOf(secret),
        };
        const fault = faultOfStoredSession({ ...stored, guest: 1, openedTxn: 0 });
        if (fault !== undefined) throw new StoreError('invalid_argument', { fault });
        if (!catalog.sessions.mayAttach(slot, mode)) {
          throw new StoreError('in_use', { volume: options.volume });
        }
        if (!catalog.sessions.hasRoom) {
          throw new StoreError('limit_exceeded', { sessionsMax: SESSIONS_MAX });
        }
        if (!logHasRoom(this.#log, SessionRecord.byteLength)) return ADMIN_BUSY;
        const guest = this.#log.nextGuestId();
        if (guest === 0) return ADMIN_BUSY;
        const txn = this.#begin(OperationKind.sessionOpen, stored.volume, SessionRecord.byteLength);
        const record = new Uint8Array(SessionRecord.byteLength);
        encodeSession({ ...stored, guest, openedTxn: txn }, record, 0);
        this.#log.appendRaw(record);
        session = catalog.addSession({ ...stored, guest, openedTxn: txn });
        catalog.sessions.attach(session);
        return txn;
      },
      result: () => this.#grantOf(session, secret),
    });
  }

  /** Needs no turn: the session is recorded already. */
  reattach(options: ReattachOptions): SessionGrant {
    const { sessions } = this.#parts.catalog;
    if (options.incarnation !== this.#log.incarnation) {
      throw new StoreError('incarnation_changed', { incarnation: this.#log.incarnation });
    }
    const session = sessions.findByGuest(options.guest);
    // One answer for both, so that nobody learns which guests exist.
    if (session === SESSION_NONE || !sessions.secretFits(session, digestOf(options.secret))) {
      throw new StoreError('permission_denied', { guest: options.guest });
    }
    if (sessions.requireStored(session).incarnation !== this.#log.incarnation) {
      throw new StoreError('incarnation_changed', { incarnation: this.#log.incarnation });
    }
    const inFlight = this.#parts.engine.parts.requests.inFlightOf(session);
    if (sessions.state[session] === SessionState.ATTACHED || inFlight > 0) {
      throw new StoreError('in_use', { guest: options.guest, inFlight });
    }
    sessions.attach(session);
    return this.#grantOf(session, options.secret);
  }

  detach(session: number): void {
    const { sessions } = this.#parts.catalog;
    const inFlight = this.#parts.engine.parts.requests.inFlightOf(session);
    assert(inFlight === 0, 'commands of a session are released before it is detached');
    assert(sessions.state[session] === SessionState.ATTACHED, 'only who is attached is detached');
    const { graceMs } = sessions.requireStored(session);
    sessions.awayUntil(session, this.#parts.clock.nowUs() + graceMs * US_PER_MS);
  }

  close(session: number): Promise<void> {
    const { sessions } = this.#parts.catalog;
    const inFlight = this.#parts.engine.parts.requests.inFlightOf(session);
    assert(inFlight === 0, 'commands of a session are released before it is closed');
    return this.#close(sessions.requireStored(session).guest, SessionState.ATTACHED);
  }

  list(): SessionInfo[] {
    const { sessions, volumes } = this.#parts.catalog;
    return sessions.sessions().map((session) => {
      const stored = sessions.requireStored(session);
      return {
        session,
        guest: stored.guest,
        volume: volumes.nameOf(sessions.volumeSlot[session] as number),
        mode: modeOf(stored.mode),
        uid: stored.uid,
        attached: sessions.state[session] === SessionState.ATTACHED,
      };
    });
  }

  /** Ends a guest's session, if it is still in that state when its turn comes. */
  #close(guest: number, state: number): Promise<void> {
    return this.#parts.queue.run({
      durable: false,
      attempt: () => {
        const { catalog } = this.#parts;
        const session = catalog.sessions.findByGuest(guest);
        if (session === SESSION_NONE) return ADMIN_NOTHING;
        if (catalog.sessions.state[session] !== state) return ADMIN_NOTHING;
        if (this.#parts.engine.parts.requests.inFlightOf(session) > 0) return ADMIN_NOTHING;
        if (!logHasRoom(this.#log, SessionCloseRecord.byteLength)) return ADMIN_BUSY;
        const branch = catalog.sessions.requireStored(session).volume;
        const record = new Uint8Array(SessionCloseRecord.byteLength);
        const txn = this.#begin(OperationKind.sessionClose, branch, record.byteLength);
        encodeSessionClose(guest, record, 0);
        this.#log.appendRaw(record);
        catalog.removeSession(session);
        return txn;
      },
      result: () => undefined,
    });
  }

  #begin(kind: number, branch: number, recordBytes: number): number {
    this.#parts.engine.turn.noteAppend();
    return this.#log.beginOperation(kind, 0, 0, 0, 0, 0, branch, recordBytes / ENTRY_BYTES);
  }

  #grantOf(session: number, secret: Uint8Array): SessionGrant {
    const { catalog, volumes } = this.#parts;
    const stored = catalog.sessions.requireStored(session);
    return {
      session,
      guest: stored.guest,
      secret,
      incarnation: stored.incarnation,
      volume: volumes.infoOf(catalog.sessions.volumeSlot[session] as number),
      mode: modeOf(stored.mode),
      queueCount: stored.queueCount,
      queueDepth: stored.queueDepth,
    };
  }
}

function modeOf(code: number): AttachMode {
  if (code === SessionMode.shared) return 'shared';
  return code === SessionMode.readonly ? 'readonly' : 'exclusive';
}

/** A secret of 16 random bytes needs no salt and no slow hash. */
function digestOf(secret: Uint8Array): Uint8Array {
  return createHash('sha256').update(secret).digest();
}
