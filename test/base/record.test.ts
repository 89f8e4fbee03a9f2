/** Layouts that cannot be right do not load, and every accessor stores what it reads. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  bytes,
  describeRecord,
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
} from '../../src/base/record.ts';

describe('record', () => {
  it('gives offsets and a description', () => {
    const table = record('Sample', 16, { kind: u8(0), pad: bytes(1, 3), size: u32(4), id: u53(8) });
    expect(table).toEqual({ kind: 0, pad: 1, size: 4, id: 8, byteLength: 16 });
    expect(describeRecord(table)).toBe('Sample[16] kind@0+1 pad@1+3 size@4+4 id@8+8');
    expect(() => describeRecord({ byteLength: 16 })).toThrow('made by record()');
  });

  it('refuses gaps, overlaps, wrong sizes and fields askew', () => {
    expect(() => record('Gap', 8, { a: u16(0), b: u32(4) })).toThrow('Gap.b: offset 4, expected 2');
    expect(() => record('Lap', 6, { a: u32(0), b: u16(2) })).toThrow('Lap.b: offset 2, expected 4');
    expect(() => record('End', 8, { a: u32(0) })).toThrow('End: fields end at 4, not at 8');
    expect(() => record('Askew', 5, { a: u8(0), b: u32(1) })).toThrow('not aligned');
  });

  it('reads back what was stored, little-endian, and touches nothing else', () => {
    const table = record('All', 16, { a: u8(0), pad: u8(1), b: u16(2), c: u32(4), d: u53(8) });
    const inputs = fc.tuple(fc.nat(0xff), fc.nat(0xffff), fc.nat(0x7fff_ffff), fc.maxSafeNat());
    const property = fc.property(inputs, ([a, b, c, d]) => {
      const view = new DataView(new ArrayBuffer(20));
      setU8(view, 2, table.a, a);
      setU16(view, 2, table.b, b);
      setU32(view, 2, table.c, c * 2);
      setU53(view, 2, table.d, d);
      const read = [getU8(view, 2, table.a), getU16(view, 2, table.b), getU32(view, 2, table.c)];
      expect([...read, getU53(view, 2, table.d)]).toEqual([a, b, c * 2, d]);
      expect(view.getBigUint64(10, true)).toBe(BigInt(d));
      expect([view.getUint16(0), view.getUint8(3), view.getUint16(18)]).toEqual([0, 0, 0]);
    });
    fc.assert(property);
  });

  it('asserts that a u53 is one', () => {
    const table = record('One', 8, { a: u53(0) });
    const view = new DataView(new ArrayBuffer(8));
    expect(() => setU53(view, 0, table.a, 2 ** 53)).toThrow('u53');
    expect(() => setU53(view, 0, table.a, -1)).toThrow('u53');
  });
});
