/** Volumes and changes to them come back as stored, or are refused with a reason. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import {
  decodeVolume,
  decodeVolumeChange,
  encodeVolume,
  encodeVolumeChange,
  VolumeRecord,
} from '../../src/formats/volume-record.ts';
import { expectGolden } from './support/golden.ts';

const VOLUME = { id: 7, name: 'disk-ä', sizeBytes: 0x1_0000_0200, createdTxn: 12, minMba: 34 };

function encoded(volume = VOLUME): Uint8Array {
  const bytes = new Uint8Array(VolumeRecord.byteLength).fill(0xff);
  encodeVolume(volume, bytes, 0);
  return bytes;
}

it('looks as it always did', () => {
  expect(decodeVolume(encoded(), 0)).toEqual(VOLUME);
  expectGolden('volume', encoded());
  const bytes = new Uint8Array(32);
  encodeVolumeChange({ id: 7, sizeBytes: 512 }, bytes, 0);
  expect(decodeVolumeChange(bytes, 0)).toEqual({ id: 7, sizeBytes: 512 });
  expectGolden('volume-change', bytes);
});

it('comes back for every name of 1 to 255 bytes', () => {
  const name = fc.string({ minLength: 1, maxLength: 60, unit: 'grapheme' }).filter((text) => {
    return !text.includes('\0') && new TextEncoder().encode(text).byteLength <= 255;
  });
  const property = fc.property(name, fc.nat(), (text, sizeBytes) => {
    const volume = { ...VOLUME, name: text, sizeBytes };
    expect(decodeVolume(encoded(volume), 0)).toEqual(volume);
  });
  fc.assert(property, { numRuns: 200 });
});

it('is refused cut short, without id or name, or with reserve in use', () => {
  expect(decodeVolume(encoded().slice(0, -1), 0)).toBe('volume record is cut short');
  expect(decodeVolume(encoded({ ...VOLUME, id: 0 }), 0)).toBe('volume id is 0');
  expect(decodeVolume(encoded({ ...VOLUME, name: '' }), 0)).toBe('volume name is empty');
  const bytes = encoded();
  bytes[40] = 1;
  expect(decodeVolume(bytes, 0)).toBe('reserved bytes are not zero');
  expect(decodeVolumeChange(new Uint8Array(31), 0)).toBe('volume change is cut short');
  expect(decodeVolumeChange(new Uint8Array(32), 0)).toBe('volume id is 0');
});
