/** A superblock copy is believed only whole, only in its own place, and only if all of it is sane. */
import { expect, it } from 'vitest';
import { setU32 } from '../../src/base/record.ts';
import {
  decodeSuperblock,
  encodeSuperblock,
  faultOfSuperblock,
  SuperblockRecord,
  superblockVersionOf,
} from '../../src/formats/superblock.ts';
import { CHECKSUMS, forEachFlip, SUPERBLOCK } from './support/fixtures.ts';
import { expectGolden } from './support/golden.ts';

const POSITION = 3 * 4096;

function encoded(position = POSITION): Uint8Array {
  const bytes = new Uint8Array(4096);
  encodeSuperblock(SUPERBLOCK, bytes, 0, position, CHECKSUMS);
  return bytes;
}

function faultOf(bytes: Uint8Array, position = POSITION): string | undefined {
  return faultOfSuperblock(bytes, 0, position, CHECKSUMS);
}

it('comes back as it was stored, and looks as it always did', () => {
  const bytes = encoded();
  expect(faultOf(bytes)).toBeUndefined();
  expect(superblockVersionOf(bytes, 0)).toBe(1);
  expect(decodeSuperblock(bytes, 0)).toEqual(SUPERBLOCK);
  expectGolden('superblock', bytes);
});

it('is refused with any byte flipped', () => {
  forEachFlip(encoded(), 0, 4096, (flipped, at) => {
    expect(faultOf(flipped), `byte ${at}`).toBeDefined();
  });
});

it('is refused when torn between any two sectors', () => {
  for (let at = 512; at < 4096; at += 512) {
    const older = new Uint8Array(4096);
    const old = { ...SUPERBLOCK, generation: SUPERBLOCK.generation - 2 };
    encodeSuperblock(old, older, 0, POSITION, CHECKSUMS);
    older.set(encoded().subarray(0, at));
    expect(faultOf(older), `torn at ${at}`).toBeDefined();
  }
});

it('is refused in the place of another copy', () => {
  expect(faultOf(encoded(), 0)).toBe('checksum mismatch');
});

it('is refused if its sizes make no pool, though its checksum is right', () => {
  for (const segmentBytes of [0, 4096, 3 * 1024 * 1024, 64 * 1024 * 1024]) {
    const bytes = new Uint8Array(4096);
    encodeSuperblock({ ...SUPERBLOCK, segmentBytes }, bytes, 0, POSITION, CHECKSUMS);
    expect(faultOf(bytes), `${segmentBytes}`).toContain('segment size');
  }
});

it('of an unknown version is whole, so that it can be refused for that', () => {
  const bytes = encoded();
  const view = new DataView(bytes.buffer);
  setU32(view, 0, SuperblockRecord.version, 9);
  const sum = CHECKSUMS.crc32c(bytes, 0, SuperblockRecord.checksum, POSITION / 4096);
  setU32(view, 0, SuperblockRecord.checksum, sum);
  expect(faultOf(bytes)).toBeUndefined();
  expect(superblockVersionOf(bytes, 0)).toBe(9);
});
