/** A partial segment's first unit is believed only whole, in its place, and with its mark. */
import { describe, expect, it } from 'vitest';
import { setU16, setU32 } from '../../src/base/record.ts';
import {
  COMMIT_MARK_OFFSET,
  decodePartial,
  FIRST_UNIT_ENTRIES,
  overflowUnitsOf,
  PARTIAL_HEADER_BYTES,
  type PartialFacts,
  PartialHeader,
  partialUnitsOf,
  putCommitMark,
  putPartialHeader,
} from '../../src/formats/partial-segment.ts';
import { CHECKSUMS, forEachFlip, idOf } from './support/fixtures.ts';
import { expectGolden } from './support/golden.ts';

const PLACE = { poolId: idOf(1), segment: 3, block: 10, pba: 5000, segmentBlocks: 512 };
const FACTS: PartialFacts = {
  poolId: idOf(1),
  segment: 3,
  block: 10,
  commitSequence: 0x2_0000_0005,
  durableSequence: 0x2_0000_0003,
  generation: 17,
  txnFirst: 900,
  txnLast: 905,
  nextSegment: 4,
  secondSegment: 6,
  previousChecksum: 0xdeadbeef,
  entryCount: 130,
  payloadBlocks: 120,
  entriesChecksum: 0xcafe,
};

function encoded(facts: PartialFacts = FACTS, pba = PLACE.pba): Uint8Array {
  const unit = new Uint8Array(4096);
  const view = new DataView(unit.buffer);
  const sum = putPartialHeader(unit, view, 0, facts, pba, CHECKSUMS);
  putCommitMark(unit, view, COMMIT_MARK_OFFSET, facts, sum, pba, CHECKSUMS);
  return unit;
}

const decode = (unit: Uint8Array, place = PLACE) => decodePartial(unit, 0, place, CHECKSUMS);

describe('partial segment', () => {
  it('R12: header, first entries and mark share one unit, so the smallest commit is 8 KiB', () => {
    expect(PARTIAL_HEADER_BYTES + FIRST_UNIT_ENTRIES * 32 + 64).toBe(4096);
    expect(FIRST_UNIT_ENTRIES).toBe(122);
    expect(partialUnitsOf(1, 2) * 4096).toBe(8192);
    expect([0, 122, 123, 250, 251].map(overflowUnitsOf)).toEqual([0, 0, 1, 1, 2]);
  });

  it('comes back as it was stored, and looks as it always did', () => {
    const unit = encoded();
    const { poolId: _, ...facts } = FACTS;
    expect(decode(unit)).toMatchObject({ ...facts, overflowUnits: 1 });
    expectGolden('partial-segment', unit);
  });

  it('is refused with any byte of header or mark flipped', () => {
    const unit = encoded();
    forEachFlip(unit, 0, PARTIAL_HEADER_BYTES, (flipped) => {
      expect(typeof decode(flipped)).toBe('string');
    });
    forEachFlip(unit, COMMIT_MARK_OFFSET, 4096, (flipped) => {
      expect(typeof decode(flipped)).toBe('string');
    });
  });

  it('is refused when the mark is that of an older commit in the same place', () => {
    const unit = encoded();
    const older = encoded({ ...FACTS, commitSequence: FACTS.commitSequence - 100 });
    unit.set(older.subarray(COMMIT_MARK_OFFSET), COMMIT_MARK_OFFSET);
    expect(decode(unit)).toBe('commit mark of another commit');
  });

  it('is refused in another place, segment or pool', () => {
    expect(decode(encoded(), { ...PLACE, pba: 5001 })).toBe('header checksum mismatch');
    expect(decode(encoded(), { ...PLACE, segment: 4 })).toBe('of another segment');
    expect(decode(encoded(), { ...PLACE, block: 11 })).toBe('of another block');
    expect(decode(encoded(), { ...PLACE, poolId: idOf(9) })).toBe('of another pool');
  });

  it('is refused if it would leave its segment or miscounts its overflow', () => {
    expect(decode(encoded({ ...FACTS, payloadBlocks: 501 }))).toBe('reaches past its segment');
    const unit = encoded();
    const view = new DataView(unit.buffer);
    setU32(view, 0, PartialHeader.overflowUnits, 2);
    const sum = CHECKSUMS.crc32c(unit, 0, PartialHeader.headerChecksum, PLACE.pba);
    setU32(view, 0, PartialHeader.headerChecksum, sum);
    putCommitMark(unit, view, COMMIT_MARK_OFFSET, FACTS, sum, PLACE.pba, CHECKSUMS);
    expect(decode(unit)).toBe('overflow does not fit the entries');
  });

  it('of an unknown version is named so', () => {
    const unit = encoded();
    const view = new DataView(unit.buffer);
    setU16(view, 0, PartialHeader.version, 2);
    const sum = CHECKSUMS.crc32c(unit, 0, PartialHeader.headerChecksum, PLACE.pba);
    setU32(view, 0, PartialHeader.headerChecksum, sum);
    expect(decode(unit)).toBe('version 2');
  });
});
