/**
 * Sessions (R26) and what each guest's queues have applied (R25), as stored: in operations
 * (padded to entries of 32 bytes) and in checkpoint pages.
 */
import {
  bytes,
  getU8,
  getU16,
  getU32,
  getU53,
  record,
  setU8,
  setU16,
  setU32,
  setU53,
  u8,
  u16,
  u32,
  u53,
} from '../base/record.ts';
import { zeroBetween } from './byte-strings.ts';
import { PAGE_BODY_BYTES } from './checkpoint-page.ts';
import { ENTRY_BYTES } from './summary-entry.ts';

/** A secret is kept as its SHA-256. */
export const SECRET_DIGEST_BYTES = 32;

/** How a session holds its volume. Stable numbers. */
export const SessionMode = { exclusive: 1, shared: 2, readonly: 3 } as const;

/** A session: the body of SESSION_OPEN, 4 entries long, and of a SESSIONS page. */
export const SessionRecord = record('SessionRecord', 4 * ENTRY_BYTES, {
  /** Never 0, never used twice. */
  guest: u32(0),
  volume: u32(4),
  mode: u8(8),
  reservedFlags: u8(9),
  queueCount: u16(10),
  queueDepth: u32(12),
  uid: u32(16),
  /** How long the volume is kept for this guest after host or guest is gone. */
  graceMs: u32(20),
  incarnation: u53(24),
  openedTxn: u53(32),
  secretDigest: bytes(40, SECRET_DIGEST_BYTES),
  reserved: bytes(72, 56),
});

export const SESSIONS_PER_PAGE = Math.floor(PAGE_BODY_BYTES / SessionRecord.byteLength);

/** The body of SESSION_CLOSE. */
export const SessionCloseRecord = record('SessionCloseRecord', ENTRY_BYTES, {
  guest: u32(0),
  reserved: bytes(4, 28),
});

/** One tag's newest applied operation, in a WINDOWS page. */
export const WindowRecord = record('WindowRecord', 16, {
  guest: u32(0),
  queue: u16(4),
  tag: u16(6),
  operation: u53(8),
});

export const WINDOWS_PER_PAGE = Math.floor(PAGE_BODY_BYTES / WindowRecord.byteLength);

export interface StoredSession {
  readonly guest: number;
  readonly volume: number;
  /** One of `SessionMode`. */
  readonly mode: number;
  readonly queueCount: number;
  readonly queueDepth: number;
  readonly uid: number;
  readonly graceMs: number;
  readonly incarnation: number;
  readonly openedTxn: number;
  /** `SECRET_DIGEST_BYTES` long. */
  readonly secretDigest: Uint8Array;
}

export function encodeSession(session: StoredSession, target: Uint8Array, at: number): void {
  const view = new DataView(target.buffer, target.byteOffset, target.byteLength);
  target.fill(0, at, at + SessionRecord.byteLength);
  setU32(view, at, SessionRecord.guest, session.guest);
  setU32(view, at, SessionRecord.volume, session.volume);
  setU8(view, at, SessionRecord.mode, session.mode);
  setU16(view, at, SessionRecord.queueCount, session.queueCount);
  setU32(view, at, SessionRecord.queueDepth, session.queueDepth);
  setU32(view, at, SessionRecord.uid, session.uid);
  setU32(view, at, SessionRecord.graceMs, session.graceMs);
  setU53(view, at, SessionRecord.incarnation, session.incarnation);
  setU53(view, at, SessionRecord.openedTxn, session.openedTxn);
  target.set(
    session.secretDigest.subarray(0, SECRET_DIGEST_BYTES),
    at + SessionRecord.secretDigest,
  );
}

/** Decodes a session, or says what is wrong. */
export function decodeSession(source: Uint8Array, at: number): StoredSession | string {
  if (at + SessionRecord.byteLength > source.byteLength) return 'session record is cut short';
  const view = new DataView(source.buffer, source.byteOffset, source.byteLength);
  const guest = getU32(view, at, SessionRecord.guest);
  const mode = getU8(view, at, SessionRecord.mode);
  if (guest === 0) return 'guest id is 0';
  if (mode < SessionMode.exclusive || mode > SessionMode.readonly) return 'unknown session mode';
  const clean =
    getU8(view, at, SessionRecord.reservedFlags) === 0 &&
    zeroBetween(source, at + SessionRecord.reserved, at + SessionRecord.byteLength);
  if (!clean) return 'reserved bytes are not zero';
  const digest = at + SessionRecord.secretDigest;
  return {
    guest,
    volume: getU32(view, at, SessionRecord.volume),
    mode,
    queueCount: getU16(view, at, SessionRecord.queueCount),
    queueDepth: getU32(view, at, SessionRecord.queueDepth),
    uid: getU32(view, at, SessionRecord.uid),
    graceMs: getU32(view, at, SessionRecord.graceMs),
    incarnation: getU53(view, at, SessionRecord.incarnation),
    openedTxn: getU53(view, at, SessionRecord.openedTxn),
    secretDigest: source.slice(digest, digest + SECRET_DIGEST_BYTES),
  };
}

export function encodeSessionClose(guest: number, target: Uint8Array, at: number): void {
  const view = new DataView(target.buffer, target.byteOffset, target.byteLength);
  target.fill(0, at, at + SessionCloseRecord.byteLength);
  setU32(view, at, SessionCloseRecord.guest, guest);
}

/** The guest whose session was closed, or what is wrong. */
export function decodeSessionClose(source: Uint8Array, at: number): number | string {
  if (at + SessionCloseRecord.byteLength > source.byteLength) return 'session close is cut short';
  const view = new DataView(source.buffer, source.byteOffset, source.byteLength);
  const guest = getU32(view, at, SessionCloseRecord.guest);
  if (guest === 0) return 'guest id is 0';
  const end = at + SessionCloseRecord.byteLength;
  return zeroBetween(source, at + SessionCloseRecord.reserved, end)
    ? guest
    : 'reserved bytes are not zero';
}

export interface StoredWindow {
  readonly guest: number;
  readonly queue: number;
  readonly tag: number;
  readonly operation: number;
}

export function encodeWindow(window: StoredWindow, target: Uint8Array, at: number): void {
  const view = new DataView(target.buffer, target.byteOffset, target.byteLength);
  setU32(view, at, WindowRecord.guest, window.guest);
  setU16(view, at, WindowRecord.queue, window.queue);
  setU16(view, at, WindowRecord.tag, window.tag);
  setU53(view, at, WindowRecord.operation, window.operation);
}

/** Decodes a tag's window, or says what is wrong. */
export function decodeWindow(source: Uint8Array, at: number): StoredWindow | string {
  if (at + WindowRecord.byteLength > source.byteLength) return 'window record is cut short';
  const view = new DataView(source.buffer, source.byteOffset, source.byteLength);
  const guest = getU32(view, at, WindowRecord.guest);
  const operation = getU53(view, at, WindowRecord.operation);
  if (guest === 0) return 'guest id is 0';
  if (operation > Number.MAX_SAFE_INTEGER) return 'operation number is too large';
  return {
    guest,
    queue: getU16(view, at, WindowRecord.queue),
    tag: getU16(view, at, WindowRecord.tag),
    operation,
  };
}
