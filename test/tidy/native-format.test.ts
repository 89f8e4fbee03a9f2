/** The C++ sources are as clang-format leaves them. Debian's version 14 decides. */
import { spawnSync } from 'node:child_process';
import { expect, it } from 'vitest';
import { hasPeer } from '../support/peers.ts';
import { filesUnder } from './source.ts';

function complaints(args: readonly string[], input: string): string {
  const options = { encoding: 'utf8', input } as const;
  return spawnSync('clang-format', ['--dry-run', '--Werror', ...args], options).stderr;
}

it.skipIf(!hasPeer('clang-format'))('the native sources are formatted', () => {
  const paths = filesUnder('native').filter((path) => /\.(cc|h)$/.test(path));
  expect(paths.length).toBeGreaterThan(0);
  expect(complaints(paths, '')).toBe('');
});

it.skipIf(!hasPeer('clang-format'))('reports a source that is not', () => {
  expect(complaints(['--assume-filename=native/x.cc'], 'int  x ;\n')).toContain('x.cc:1');
});
