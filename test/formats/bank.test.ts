/** A bank's header and frames are believed only whole and only where they belong. */
import { describe, expect, it } from 'vitest';
import { setU32 } from '../../src/base/record.ts';
import {
  BANK_JOURNAL_OFFSET,
  BankHeader,
  bankBytesOf,
  bankGeometryAt,
  bankIdentityAt,
  bankVersionAt,
  bufferOffsetOf,
  decodeFrame,
  encodeBankHeader,
  FrameKind,
  faultOfBankHeader,
  frameSeedOf,
  putFrameHeader,
} from '../../src/formats/bank.ts';
import { CHECKSUMS, forEachFlip, idOf } from './support/fixtures.ts';
import { expectGolden } from './support/golden.ts';

const GEOMETRY = { journalUnits: 256, bufferCount: 2, bufferBytes: 8192 };
const IDENTITY = { poolId: idOf(1), bankId: idOf(2), bootId: 'boot-7' };
const SEED = frameSeedOf(IDENTITY.bankId);

function bank(): Uint8Array {
  const bytes = new Uint8Array(bankBytesOf(GEOMETRY));
  encodeBankHeader(bytes, IDENTITY, GEOMETRY, CHECKSUMS);
  return bytes;
}

function frame(position = 1000): Uint8Array {
  const bytes = new Uint8Array(4 * 32).fill(0x5a);
  const view = new DataView(bytes.buffer);
  const { entries } = FrameKind;
  putFrameHeader(bytes, view, 0, entries, 1, 3, 44, 55, position, 0x1_0000_0006, SEED, CHECKSUMS);
  return bytes;
}

const decode = (bytes: Uint8Array, position = 1000, seed = SEED) =>
  decodeFrame(bytes, 0, bytes.byteLength, position, seed, CHECKSUMS);

describe('bank header', () => {
  it('comes back as it was stored, and looks as it always did', () => {
    const bytes = bank();
    expect(faultOfBankHeader(bytes, CHECKSUMS)).toBeUndefined();
    expect(bankGeometryAt(bytes)).toEqual(GEOMETRY);
    expect(bankIdentityAt(bytes)).toEqual(IDENTITY);
    expect(bufferOffsetOf(GEOMETRY, 1)).toBe(BANK_JOURNAL_OFFSET + 256 * 32 + 8192);
    expectGolden('bank-header', bytes.subarray(0, 4096));
  });

  it('is refused with any byte flipped, or cut short', () => {
    forEachFlip(bank(), 0, 4096, (flipped, at) => {
      expect(faultOfBankHeader(flipped, CHECKSUMS), `byte ${at}`).toBeDefined();
    });
    expect(faultOfBankHeader(bank().slice(0, 8191), CHECKSUMS)).toBe('shorter than its header');
    expect(faultOfBankHeader(bank().slice(0, -1), CHECKSUMS)).toBe('shorter than its buffers');
  });

  it('of an unknown version is whole, so that it can be refused for that', () => {
    const bytes = bank();
    const view = new DataView(bytes.buffer);
    setU32(view, 0, BankHeader.version, 5);
    const sum = CHECKSUMS.crc32c(bytes, 0, BankHeader.checksum, 0);
    setU32(view, 0, BankHeader.checksum, sum);
    expect(faultOfBankHeader(bytes, CHECKSUMS)).toBeUndefined();
    expect(bankVersionAt(bytes)).toBe(5);
  });
});

describe('journal frame', () => {
  it('comes back as it was stored, and looks as it always did', () => {
    expect(decode(frame())).toEqual({
      kind: FrameKind.entries,
      buffer: 1,
      entryCount: 3,
      segment: 44,
      firstBlock: 55,
      commitSequence: 0x1_0000_0006,
      entriesAt: 32,
    });
    expectGolden('bank-frame', frame());
  });

  it('is refused with any byte flipped, entries included', () => {
    forEachFlip(frame(), 0, 128, (flipped, at) => {
      expect(typeof decode(flipped), `byte ${at}`).toBe('string');
    });
  });

  it('is refused in another lap of the ring, in another bank, or past its end', () => {
    expect(decode(frame(), 1000 + 256)).toBe('frame checksum mismatch');
    expect(decode(frame(), 1000, SEED + 1)).toBe('frame checksum mismatch');
    expect(decode(frame().slice(0, 96))).toBe('frame reaches past its end');
    expect(decode(new Uint8Array(32))).toBe('no frame');
  });
});
