/** Rules about files as such: their size, their names, their lists. */
import { basename } from 'node:path/posix';
import type { Source } from './source.ts';

const LINES_MAX = 500;
const KEBAB = /^[a-z0-9]+(-[a-z0-9]+)*(\.[a-z0-9]+(-[a-z0-9]+)*)*$/;
const SNAKE = /^[a-z0-9]+(_[a-z0-9]+)*\.(cc|h|map|txt)$/;

/** Files that no longer fit into a reader's head. */
export function tooLong({ path, text }: Source): string[] {
  const lines = text.replace(/\n$/, '').split('\n').length;
  return lines <= LINES_MAX
    ? []
    : [`${path}:${LINES_MAX + 1}: ${lines} lines, at most ${LINES_MAX}`];
}

/** Names that are not kebab-case, or in native/ not Google's snake_case. */
export function misnamed(path: string): string[] {
  // Names that tools prescribe.
  if (basename(path).startsWith('.')) return [];
  if (path.startsWith('native/')) {
    return SNAKE.test(basename(path)) ? [] : [`${path}:1: not snake_case`];
  }
  return path.split('/').every((part) => KEBAB.test(part)) ? [] : [`${path}:1: not kebab-case`];
}

/** Where native/sources.txt and the .cc files beside it differ. */
export function sourceListGaps(list: string, paths: readonly string[]): string[] {
  const listed = list.split('\n').filter((line) => line !== '');
  const present = paths.filter((path) => path.endsWith('.cc'));
  const file = 'native/sources.txt:1';
  return [
    ...listed
      .filter((path) => !present.includes(path))
      .map((path) => `${file}: ${path} is not there`),
    ...present
      .filter((path) => !listed.includes(path))
      .map((path) => `${file}: ${path} is missing`),
  ];
}
