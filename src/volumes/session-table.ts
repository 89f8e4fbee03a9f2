/**
 * The sessions of a pool (R26): which guest holds which volume, and how.
 *
 *   free --add--> attached --detach--> away --attach--> attached
 *                                      away --its grace is over--> closed
 *
 * A session that is away keeps its volume: nobody gets an attachment that conflicts with it until
 * it is closed. After a restart every recorded session is away.
 */
import { timingSafeEqual } from 'node:crypto';
import { assert } from '../base/assert.ts';
import { SessionMode, type StoredSession } from '../formats/session-record.ts';

/** Sessions of one pool, those that are away included. Rows of requests name them in 16 bits. */
export const SESSIONS_MAX = 1024;
/** Queue pairs of one session. */
export const SESSION_QUEUES_MAX = 16;
/** Commands in flight of one queue pair; tags are numbered below. */
export const SESSION_TAGS_MAX = 1024;
/** Longest time that a volume is kept for a guest that is away: a day. */
export const SESSION_GRACE_MS_MAX = 86_400_000;
/** No such session. */
export const SESSION_NONE = -1;

export const SessionState = { FREE: 0, ATTACHED: 1, AWAY: 2 } as const;

export class SessionTable {
  // For each command. -----------------------------------------------------------------------
  readonly state = new Uint8Array(SESSIONS_MAX);
  readonly guest = new Uint32Array(SESSIONS_MAX);
  readonly volumeSlot = new Int32Array(SESSIONS_MAX);
  /** One of `SessionMode`. */
  readonly mode = new Uint8Array(SESSIONS_MAX);
  readonly queueCount = new Uint16Array(SESSIONS_MAX);
  readonly queueDepth = new Uint16Array(SESSIONS_MAX);

  sessionCount = 0;
  /** The earliest end of a grace; Infinity if nobody is away. */
  nextDeadlineUs = Number.POSITIVE_INFINITY;

  readonly #deadlineUs = new Float64Array(SESSIONS_MAX).fill(Number.POSITIVE_INFINITY);
  readonly #stored: (StoredSession | undefined)[] = [];
  readonly #byGuest = new Map<number, number>();

  get hasRoom(): boolean {
    return this.sessionCount < SESSIONS_MAX;
  }

  findByGuest(guest: number): number {
    return this.#byGuest.get(guest) ?? SESSION_NONE;
  }

  /** Sessions in use. */
  sessions(): number[] {
    return [...this.#byGuest.values()];
  }

  requireStored(session: number): StoredSession {
    const stored = this.#stored[session];
    assert(stored !== undefined, 'the session is in use');
    return stored;
  }

  /** Adds a session that is away without a deadline, until `attach` or `awayUntil`. */
  add(stored: StoredSession, volumeSlot: number): number {
    assert(this.hasRoom, 'there is room for the session');
    assert(!this.#byGuest.has(stored.guest), 'guest ids are not reused');
    const session = this.state.indexOf(SessionState.FREE);
    this.state[session] = SessionState.AWAY;
    this.guest[session] = stored.guest;
    this.volumeSlot[session] = volumeSlot;
    this.mode[session] = stored.mode;
    this.queueCount[session] = stored.queueCount;
    this.queueDepth[session] = stored.queueDepth;
    this.#deadlineUs[session] = Number.POSITIVE_INFINITY;
    this.#stored[session] = stored;
    this.#byGuest.set(stored.guest, session);
    this.sessionCount++;
    return session;
  }

  /** Whether one more session in this mode agrees with all that hold the volume. */
  mayAttach(volumeSlot: number, mode: number): boolean {
    for (const session of this.#byGuest.values()) {
      if (this.volumeSlot[session] !== volumeSlot) continue;
      if (mode === SessionMode.exclusive) return false;
      if (this.mode[session] === SessionMode.exclusive) return false;
    }
    return true;
  }

  attach(session: number): void {
    assert(this.state[session] === SessionState.AWAY, 'only who is away comes back');
    this.state[session] = SessionState.ATTACHED;
    this.#deadlineUs[session] = Number.POSITIVE_INFINITY;
    this.#findNextDeadline();
  }

  /** The guest is away, and its volume is kept until `deadlineUs`. */
  awayUntil(session: number, deadlineUs: number): void {
    assert(this.state[session] !== SessionState.FREE, 'the session is in use');
    this.state[session] = SessionState.AWAY;
    this.#deadlineUs[session] = deadlineUs;
    this.#findNextDeadline();
  }

  /** Sessions whose grace is over. */
  expired(nowUs: number): number[] {
    return this.sessions().filter((session) => (this.#deadlineUs[session] as number) <= nowUs);
  }

  remove(session: number): void {
    assert(this.state[session] !== SessionState.FREE, 'a session is removed once');
    this.#byGuest.delete(this.guest[session] as number);
    this.state[session] = SessionState.FREE;
    this.#stored[session] = undefined;
    this.#deadlineUs[session] = Number.POSITIVE_INFINITY;
    this.sessionCount--;
    this.#findNextDeadline();
  }

  /** Whether the digest is that of the session's secret, in constant time. */
  secretFits(session: number, digest: Uint8Array): boolean {
    const { secretDigest } = this.requireStored(session);
    return digest.byteLength === secretDigest.byteLength && timingSafeEqual(digest, secretDigest);
  }

  #findNextDeadline(): void {
    this.nextDeadlineUs = this.#deadlineUs.reduce(
      (a, b) => Math.min(a, b),
      Number.POSITIVE_INFINITY,
    );
  }
}

/** What is wrong with a stored session, beyond its bytes; undefined if nothing. */
export function faultOfStoredSession(stored: StoredSession): string | undefined {
  const { queueCount, queueDepth, graceMs } = stored;
  if (queueCount < 1 || queueCount > SESSION_QUEUES_MAX) return 'queue count out of bounds';
  if (queueDepth < 1 || queueDepth > SESSION_TAGS_MAX) return 'queue depth out of bounds';
  return graceMs <= SESSION_GRACE_MS_MAX ? undefined : 'grace is too long';
}
