/**
 * Golden bytes: what a record looks like on disk, kept as a hex dump beside the tests. A change
 * that moves a byte fails here, and needs a new version in `versions.ts`, not a new dump.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { expect } from 'vitest';

const FOLDER = new URL('../../golden/formats/', import.meta.url);

/** Sixteen bytes a line, runs of equal lines shown once. */
export function dumpOf(bytes: Uint8Array): string {
  const lines: string[] = [];
  let previous = '';
  for (let at = 0; at < bytes.byteLength; at += 16) {
    const line = [...bytes.subarray(at, at + 16)]
      .map((byte) => byte.toString(16).padStart(2, '0'))
      .join(' ');
    if (line === previous) {
      if (lines.at(-1) !== '*') lines.push('*');
      continue;
    }
    previous = line;
    lines.push(`${at.toString(16).padStart(6, '0')}  ${line}`);
  }
  return `${lines.join('\n')}\n${bytes.byteLength.toString(16).padStart(6, '0')}\n`;
}

/** Compares with the dump of that name. LOGFLUME_GOLDEN=write makes dumps that are not there. */
export function expectGolden(name: string, bytes: Uint8Array): void {
  const file = new URL(`${name}.hex`, FOLDER);
  const dump = dumpOf(bytes);
  const write = process.env['LOGFLUME_GOLDEN'] === 'write';
  if (write && !existsSync(file)) writeFileSync(file, dump, { flag: 'wx' });
  expect(dump).toBe(readFileSync(file, 'utf8'));
}
