/** Sessions and windows come back as stored, or are refused with a reason. */
import { expect, it } from 'vitest';
import {
  decodeSession,
  decodeSessionClose,
  decodeWindow,
  encodeSession,
  encodeSessionClose,
  encodeWindow,
  SessionMode,
  SessionRecord,
  type StoredSession,
} from '../../src/formats/session-record.ts';
import { expectGolden } from './support/golden.ts';

const SESSION: StoredSession = {
  guest: 3,
  volume: 4,
  mode: SessionMode.shared,
  queueCount: 5,
  queueDepth: 64,
  uid: 1000,
  graceMs: 30_000,
  incarnation: 2,
  openedTxn: 77,
  secretDigest: Uint8Array.from({ length: 32 }, (_, i) => 200 - i),
};

function encoded(session = SESSION): Uint8Array {
  const bytes = new Uint8Array(SessionRecord.byteLength).fill(0xff);
  encodeSession(session, bytes, 0);
  return bytes;
}

it('looks as it always did', () => {
  expect(decodeSession(encoded(), 0)).toEqual(SESSION);
  expectGolden('session', encoded());
  const close = new Uint8Array(32);
  encodeSessionClose(3, close, 0);
  expect(decodeSessionClose(close, 0)).toBe(3);
  expectGolden('session-close', close);
  const window = new Uint8Array(16);
  const stored = { guest: 3, queue: 1, tag: 9, operation: 0x1_0000_0002 };
  encodeWindow(stored, window, 0);
  expect(decodeWindow(window, 0)).toEqual(stored);
  expectGolden('window', window);
});

it('is refused cut short, without a guest, of an unknown mode, or with reserve in use', () => {
  expect(decodeSession(encoded().slice(0, -1), 0)).toBe('session record is cut short');
  expect(decodeSession(encoded({ ...SESSION, guest: 0 }), 0)).toBe('guest id is 0');
  expect(decodeSession(encoded({ ...SESSION, mode: 4 }), 0)).toBe('unknown session mode');
  const bytes = encoded();
  bytes[100] = 1;
  expect(decodeSession(bytes, 0)).toBe('reserved bytes are not zero');
  expect(decodeSessionClose(new Uint8Array(32), 0)).toBe('guest id is 0');
  expect(decodeSessionClose(new Uint8Array(8), 0)).toBe('session close is cut short');
  expect(decodeWindow(new Uint8Array(16), 0)).toBe('guest id is 0');
  expect(decodeWindow(new Uint8Array(15), 0)).toBe('window record is cut short');
});
