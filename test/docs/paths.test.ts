/** The pages name files, folders and npm scripts that exist. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const PAGES = [
  'README.md',
  'CONTRIBUTING.md',
  ...readdirSync(`${ROOT}docs`)
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
];
/** In a page's text: a path that starts in one of our folders. Patterns with a star name nothing. */
const PATH = /`((?:src|guest|host|native|scripts|test|bench|docs)\/[\w./-]*)`/g;
/** Made by runs of the benchmarks, so not there before the first. */
const MADE_BY_RUNS: readonly string[] = ['docs/benchmarks/'];
const SCRIPT = /npm run ([\w:]+)/g;

function allMatches(text: string, pattern: RegExp): string[] {
  return [...new Set([...text.matchAll(pattern)].map((match) => match[1] ?? ''))];
}

function isThere(path: string): boolean {
  return existsSync(`${ROOT}${path}`) || MADE_BY_RUNS.includes(path);
}

describe.each(PAGES)('%s', (page) => {
  const text = readFileSync(`${ROOT}${page}`, 'utf8');

  it('names paths that are there', () => {
    const missing = allMatches(text, PATH).filter((path) => !isThere(path));
    expect(missing).toEqual([]);
  });

  it('names scripts that are there', () => {
    const { scripts } = JSON.parse(readFileSync(`${ROOT}package.json`, 'utf8')) as {
      scripts: Record<string, string>;
    };
    const missing = allMatches(text, SCRIPT).filter((name) => !Object.hasOwn(scripts, name));
    expect(missing).toEqual([]);
  });
});

describe('docs/rules.md', () => {
  const rules = readFileSync(`${ROOT}docs/rules.md`, 'utf8');

  it('has every rule, as built or for later', () => {
    const numbers = Array.from({ length: 28 }, (_, i) => `R${i + 1}`);
    expect(numbers.filter((rule) => !new RegExp(`\\b${rule}\\b`).test(rules))).toEqual([]);
  });
});
