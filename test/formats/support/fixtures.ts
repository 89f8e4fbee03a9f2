/** One valid value of everything stored, with every field different. */
import { crc32c } from '../../../src/base/crc32c.ts';
import { NO_ID, type Superblock } from '../../../src/formats/superblock.ts';

export const CHECKSUMS = { crc32c };

export function idOf(seed: number): Uint8Array {
  return Uint8Array.from({ length: 16 }, (_, i) => (seed * 16 + i) & 0xff);
}

export const SUPERBLOCK: Superblock = {
  compatFeatures: 0,
  roCompatFeatures: 0,
  incompatFeatures: 0,
  flags: 1,
  generation: 0x1_0000_0001,
  segmentBytes: 8 * 1024 * 1024,
  segmentCount: 100,
  poolBytes: 900 * 1024 * 1024,
  incarnation: 3,
  bootId: '6f1c9b1e-0000-4000-8000-00000000000a',
  poolId: idOf(1),
  bankId: idOf(2),
  previousBankId: NO_ID,
  nextBankId: idOf(3),
  rootPba: 0x11223344,
  rootChecksum: 0x55667788,
  pageCount: 9,
  checkpointGeneration: 0x1_0000_0000,
  cutSequence: 41,
  cutTxn: 42,
  headSegment: 5,
  headBlock: 6,
  headSequence: 43,
  headPreviousChecksum: 0x99aabbcc,
  headNextSegment: 7,
  headSecondSegment: 8,
  txnReserve: 1001,
  mbaReserve: 1002,
  sequenceReserve: 1003,
  snapshotReserve: 1004,
  guestReserve: 1005,
  volumeReserve: 1006,
  createdMs: 1_700_000_000_000,
};

/** Every byte of `bytes` in [start, end) flipped in turn: `decode` must refuse each. */
export function forEachFlip(
  bytes: Uint8Array,
  start: number,
  end: number,
  look: (flipped: Uint8Array, at: number) => void,
): void {
  for (let at = start; at < end; at++) {
    const flipped = bytes.slice();
    flipped[at] = (flipped[at] as number) ^ (1 << (at % 8));
    look(flipped, at);
  }
}
