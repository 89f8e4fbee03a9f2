import { StoreError } from '../base/errors.ts';
import { GIB, KIB, MIB } from '../base/units.ts';

const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  K: KIB,
  M: MIB,
  G: GIB,
  T: 1024 * GIB,
};

/**
 * Bytes of a size as people write it: `4096`, `512K`, `1.5G`, `2TiB`. Units are powers of 1024.
 *
 * @throws StoreError `invalid_argument` naming the text.
 */
export function parseSize(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?$/i.exec(text.trim());
  const unit = UNITS[(match?.[2] ?? '').toUpperCase()];
  const sizeBytes = Number(match?.[1]) * (unit ?? Number.NaN);
  if (!Number.isSafeInteger(sizeBytes) || sizeBytes < 0) {
    throw new StoreError('invalid_argument', {
      size: text,
      expected: 'a number with K, M, G or T',
    });
  }
  return sizeBytes;
}

/** A size for people: at most four digits and a unit, `1.5 GiB`. */
export function formatSize(sizeBytes: number): string {
  let value = sizeBytes;
  let unit = 'B';
  for (const next of ['KiB', 'MiB', 'GiB', 'TiB']) {
    if (value < 1024) break;
    value /= 1024;
    unit = next;
  }
  const digits = Number.isInteger(value) || value >= 100 ? 0 : 1;
  return `${value.toFixed(digits)} ${unit}`;
}

/** A duration for people, from nanoseconds up to minutes. */
export function formatDurationUs(us: number): string {
  if (us < 1) return `${(us * 1000).toFixed(0)} ns`;
  if (us < 1000) return `${us.toFixed(us < 10 ? 2 : 1)} us`;
  if (us < 1_000_000) return `${(us / 1000).toFixed(us < 10_000 ? 2 : 1)} ms`;
  return `${(us / 1_000_000).toFixed(us < 10_000_000 ? 2 : 1)} s`;
}

/** A count for people: `1.2 M`. */
export function formatCount(count: number): string {
  if (count < 10_000) return count.toFixed(count < 10 && !Number.isInteger(count) ? 1 : 0);
  if (count < 1_000_000) return `${(count / 1000).toFixed(count < 100_000 ? 1 : 0)} k`;
  return `${(count / 1_000_000).toFixed(2)} M`;
}
