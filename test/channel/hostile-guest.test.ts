/**
 * The host's half against a guest that writes what it likes into shared memory. Every word of a
 * command, of its table and of the ring headers is set to edge values and random ones: the host
 * answers with a status or ends the session, and what it accepts lies inside the data area.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { StoreError, statusOf } from '../../src/base/errors.ts';
import {
  Completion,
  EXTENTS_MAX,
  HostPage,
  Opcode,
  Submission,
} from '../../src/channel/protocol.ts';
import { WORD_BYTES } from '../../src/memory/region.ts';
import { RING_HEADER_BYTES, RingWord } from '../../src/memory/spsc-ring.ts';
import { makePair } from './queue-pair.ts';

const LITTLE_ENDIAN = true;
const DETACH = expect.objectContaining({ reaction: 'detach' });
const words32 = fc.oneof(
  fc.constantFrom(0, 1, 2, 3, 7, 8, 128, 129, 511, 512, 513, 4096, 65_024, 65_536, 0x7fff_ffff),
  fc.constantFrom(0x8000_0000, 0xffff_fe00, 0xffff_fff8, 0xffff_ffff),
  fc.integer({ min: 0, max: 0xffff_ffff }),
);

/** A pair with one published command, and the byte offset of its slot. */
function withCommand() {
  const pair = makePair();
  const tag = pair.guest.claimTag();
  pair.guest.encodeTransfer(tag, Opcode.WRITE, 0, 8, 4096, 4096);
  pair.guest.submit(tag);
  pair.guest.publish();
  const submissionOffset = pair.layout.queues[1]?.submissionOffset as number;
  return { ...pair, tag, submissionOffset, slot: submissionOffset + RING_HEADER_BYTES };
}

type Change = readonly [offset: number, bytes: 1 | 2 | 4, value: number];

function statusAfter(...changes: readonly Change[]): number {
  const { host, region, slot, tag } = withCommand();
  for (const [offset, bytes, value] of changes) {
    if (bytes === 1) region.view.setUint8(slot + offset, value);
    else if (bytes === 2) region.view.setUint16(slot + offset, value, LITTLE_ENDIAN);
    else region.view.setUint32(slot + offset, value, LITTLE_ENDIAN);
  }
  host.take(1);
  return host.validateCommand(tag);
}

const NO_DATA: readonly Change[] = [
  [Submission.extentCount, 2, 0],
  [Submission.firstOffset, 4, 0],
  [Submission.firstBytes, 4, 0],
];

describe('a command that is wrong', () => {
  const cases: Record<string, [string | 0, readonly Change[]]> = {
    'as sent': [0, []],
    'unknown opcode': ['unsupported', [[Submission.opcode, 1, 7]]],
    'unknown flag': ['unsupported', [[Submission.flags, 1, 2]]],
    'forced read': [
      'unsupported',
      [
        [Submission.opcode, 1, Opcode.READ],
        [Submission.flags, 1, 1],
      ],
    ],
    'reserved count': ['unsupported', [[Submission.reservedCount, 2, 1]]],
    'reserve at the end': ['unsupported', [[Submission.reserved + 12, 4, 0x0100_0000]]],
    'sectors beyond 2^53': ['out_of_range', [[Submission.sectorIndex + 4, 4, 0x20_0000]]],
    'sectors up to 2^53': [
      'out_of_range',
      [
        [Submission.sectorIndex + 4, 4, 0x1f_ffff],
        [Submission.sectorIndex, 4, 0xffff_fff8],
      ],
    ],
    'no sectors': ['invalid_argument', [[Submission.sectorCount, 4, 0]]],
    'too many sectors': ['limit_exceeded', [[Submission.sectorCount, 4, 2049]]],
    'fewer sectors than data': ['invalid_argument', [[Submission.sectorCount, 4, 7]]],
    'data past the area': ['out_of_range', [[Submission.firstOffset, 4, 65_536 - 4096 + 1]]],
    'data at the end of the area': [0, [[Submission.firstOffset, 4, 65_536 - 4096]]],
    'data that wraps': ['out_of_range', [[Submission.firstOffset, 4, 0xffff_f000]]],
    'data larger than the area': ['out_of_range', [[Submission.firstBytes, 4, 0xffff_fe00]]],
    'half a sector': ['invalid_argument', [[Submission.firstBytes, 4, 4352]]],
    'no data': ['invalid_argument', [[Submission.firstBytes, 4, 0]]],
    'no extents': ['invalid_argument', NO_DATA],
    'too many extents': ['limit_exceeded', [[Submission.extentCount, 2, EXTENTS_MAX + 1]]],
    'a second extent that is not counted': ['invalid_argument', [[Submission.secondBytes, 4, 512]]],
    'a table that is not counted': ['invalid_argument', [[Submission.tableOffset, 4, 8]]],
    'a table askew': [
      'invalid_argument',
      [
        [Submission.extentCount, 2, 3],
        [Submission.tableOffset, 4, 4],
      ],
    ],
    'a table past the area': [
      'out_of_range',
      [
        [Submission.extentCount, 2, 3],
        [Submission.tableOffset, 4, 65_536 - 16],
      ],
    ],
    'a discard with data': ['invalid_argument', [[Submission.opcode, 1, Opcode.DISCARD]]],
    'a discard': [0, [[Submission.opcode, 1, Opcode.DISCARD], ...NO_DATA]],
    'a long discard': [
      0,
      [
        [Submission.opcode, 1, Opcode.DISCARD],
        [Submission.sectorCount, 4, 0xffff_ffff],
        ...NO_DATA,
      ],
    ],
    'a flush of sectors': ['invalid_argument', [[Submission.opcode, 1, Opcode.FLUSH], ...NO_DATA]],
  };
  it.each(Object.entries(cases))('%s', (_name, [code, changes]) => {
    expect(statusAfter(...changes)).toBe(code === 0 ? 0 : statusOf(code as 'unsupported'));
  });

  it('answers each operation number once, and only with a higher one', () => {
    const { host, guest, region, slot } = withCommand();
    host.take(1);
    const tag = guest.claimTag();
    guest.encode(tag, Opcode.NOP, 0, 0, 0);
    guest.submit(tag);
    region.view.setUint32(slot + Submission.byteLength + Submission.operation, 1, LITTLE_ENDIAN);
    guest.publish();
    expect(() => host.take(1)).toThrow(DETACH);
  });

  it.each([0, 8, 0xffff])(
    'ends the session over tag %i where that is in flight or beyond',
    (bad) => {
      const { host, guest, region, slot } = withCommand();
      host.take(1);
      const tag = guest.claimTag();
      guest.encode(tag, Opcode.NOP, 0, 0, 0);
      guest.submit(tag);
      region.view.setUint16(slot + Submission.byteLength + Submission.tag, bad, LITTLE_ENDIAN);
      guest.publish();
      expect(() => host.take(1)).toThrow(DETACH);
    },
  );

  it('ends the session of a guest that leaves no room for answers', () => {
    const { host, guest, region, layout } = makePair();
    const completionHead = (layout.queues[1]?.completionOffset as number) / WORD_BYTES;
    for (let round = 0; round < 2; round++) {
      for (let i = 0; i < 8; i++) {
        const tag = guest.claimTag();
        guest.encode(tag, Opcode.NOP, 0, 0, 0);
        guest.submit(tag);
      }
      guest.publish();
      if (round === 1) expect(() => host.take(8)).toThrow(DETACH);
      else host.take(8);
      for (let tag = 0; tag < 8 && round === 0; tag++) host.complete(tag, 0, 0);
      host.publish();
      if (round === 0) guest.reap(8);
      for (let tag = 0; tag < 8 && round === 0; tag++) guest.releaseTag(tag);
      region.words[completionHead + RingWord.HEAD] = 0; // As if it had read none.
    }
  });

  it('refuses rings that were not reset', () => {
    const { makeHost, region, submissionOffset } = withCommand();
    expect(() => makeHost()).not.toThrow();
    region.words[submissionOffset / WORD_BYTES + RingWord.HEAD] = 1;
    expect(() => makeHost()).toThrow(DETACH);
  });
});

describe('a guest that writes anything', () => {
  it('gets a status or is cut off, and nothing outside the data area is accepted', () => {
    const changes = fc.array(fc.tuple(fc.nat(15), words32), { minLength: 1, maxLength: 4 });
    const tables = fc.array(words32, { maxLength: 16 });
    const property = fc.property(changes, tables, fc.nat(200), (slotChanges, table, tableAt) => {
      const { host, region, layout, slot } = withCommand();
      for (const [word, value] of slotChanges) region.words[slot / WORD_BYTES + word] = value;
      const tableWord = layout.dataOffset / WORD_BYTES + tableAt * 2;
      for (const [i, value] of table.entries()) region.words[tableWord + i] = value;
      try {
        host.take(8);
      } catch (error) {
        expect((error as StoreError).reaction).toBe('detach');
        return;
      }
      const tag = host.takenTags[0] as number;
      const status = host.validateCommand(tag);
      if (status === 0) expectInside(host, tag);
      host.complete(tag, status, 0);
    });
    fc.assert(property, { numRuns: 3000 });
  });

  it('cannot break the host with any word of the headers', () => {
    const property = fc.property(fc.nat(), words32, (pick, value) => {
      const { host, region, layout, guest } = withCommand();
      const end = (layout.queues[1]?.completionOffset as number) + RING_HEADER_BYTES;
      const word = pick % (end / WORD_BYTES);
      region.words[word] = value;
      try {
        const count = host.take(8);
        for (let i = 0; i < count; i++) {
          const tag = host.takenTags[i] as number;
          host.complete(tag, host.validateCommand(tag), 0);
        }
        host.publish();
        host.prepareToPark();
        host.unpark();
      } catch (error) {
        if (!(error instanceof StoreError)) throw error;
        expect(error.reaction).toBe('detach');
      }
      expect(guest.queueDepth).toBe(8);
    });
    fc.assert(property, { numRuns: 3000 });
  });

  it('holds records of the stated sizes', () => {
    const sizes = [Submission.byteLength, Completion.byteLength, HostPage.byteLength];
    expect(sizes).toEqual([64, 32, 8192]);
  });
});

function expectInside(host: ReturnType<typeof makePair>['host'], tag: number): void {
  let sum = 0;
  for (let i = 0; i < host.extentCount(tag); i++) {
    expect(host.extentBytes(tag, i)).toBeGreaterThan(0);
    expect(host.extentOffset(tag, i) + host.extentBytes(tag, i)).toBeLessThanOrEqual(65_536);
    sum += host.extentBytes(tag, i);
  }
  if (sum > 0) expect(sum).toBe(host.sectorCount(tag) * 512);
  expect(Number.isSafeInteger(host.sectorIndex(tag) + host.sectorCount(tag))).toBe(true);
}
