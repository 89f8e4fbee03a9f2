/** Sizes as people write them; what is left out: the commands that use them (test/cli/commands). */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatCount, formatDurationUs, formatSize, parseSize } from '../../src/cli/size.ts';

describe('size', () => {
  it.each([
    ['4096', 4096],
    ['512K', 524_288],
    ['512M', 536_870_912],
    ['4G', 4_294_967_296],
    ['1.5g', 1_610_612_736],
    ['2TiB', 2_199_023_255_552],
    ['7 MB', 7_340_032],
    ['0', 0],
  ])('reads %s', (text, sizeBytes) => {
    expect(parseSize(text)).toBe(sizeBytes);
  });

  it.each(['-1', '4X', 'G', '1.3', '1e9', '0x10', '99999999999T', '4 G G'])(
    'refuses %j and names it',
    (text) => {
      const refused = expect.objectContaining({ code: 'invalid_argument' });
      expect(() => parseSize(text)).toThrow(refused);
      expect(() => parseSize(text)).toThrow(text);
    },
  );

  it('reads back whole units as it writes them', () => {
    const property = fc.property(fc.nat(1023), fc.constantFrom(1, 1024, 1024 ** 2), (n, unit) => {
      expect(parseSize(formatSize(n * unit))).toBe(n * unit);
    });
    fc.assert(property);
  });

  it('writes durations and counts with a fitting unit', () => {
    expect([0.25, 4.5, 45, 4500, 4.5e6].map(formatDurationUs)).toEqual([
      '250 ns',
      '4.50 us',
      '45.0 us',
      '4.50 ms',
      '4.50 s',
    ]);
    expect([7, 9999, 12_345, 123_456, 1_234_567].map(formatCount)).toEqual([
      '7',
      '9999',
      '12.3 k',
      '123 k',
      '1.23 M',
    ]);
  });
});
