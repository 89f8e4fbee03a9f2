/**
 * Rules about the source itself that the linter cannot state. A failure names file and line, like a
 * compiler's. That each rule reports what it should is proved in rules.test.ts.
 */
import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { bannedInProduct, bannedText, bannedTypes } from './banned.ts';
import { ENTRY_POINTS } from './floors.ts';
import { deadFiles, deadMentions, strayImports } from './imports.ts';
import { misnamed, sourceListGaps, tooLong } from './shape.ts';
import { filesUnder, readSources } from './source.ts';

const PRODUCT = ['src', 'guest', 'host'];
const TYPESCRIPT = [...PRODUCT, 'bench', 'test'];
const TEXT = /(?:\.(?:ts|mjs|cc|h|json|md|txt|sh|gyp)|\.gitignore|\.npmrc|\.ci\/run)$/;

const product = readSources(PRODUCT, /\.ts$/);
const typescript = readSources(TYPESCRIPT, /\.ts$/);
const code = readSources([...TYPESCRIPT, 'scripts', 'native'], /\.(ts|mjs|cc|h)$/);
const texts = readSources(['.'], TEXT);

describe('the source', () => {
  it('is found', () => {
    expect(product.length).toBeGreaterThan(0);
    expect(texts.map(({ path }) => path)).toContain('package-lock.json');
  });

  it('imports down the floors only', () => {
    expect(product.flatMap(strayImports)).toEqual([]);
  });

  it('names only files that are there', () => {
    const paths = new Set(typescript.map(({ path }) => path));
    expect(product.flatMap((source) => deadMentions(source, paths))).toEqual([]);
  });

  it('takes time, chance and disk from the platform', () => {
    expect(product.flatMap(bannedInProduct)).toEqual([]);
  });

  it('does not go around the type checker', () => {
    expect(typescript.flatMap(bannedTypes)).toEqual([]);
  });

  it('holds no loose ends and no names of a machine', () => {
    expect(texts.flatMap(bannedText)).toEqual([]);
  });

  it('fits into files of readable size', () => {
    expect(code.flatMap(tooLong)).toEqual([]);
  });

  it('is named in one way', () => {
    expect([...TYPESCRIPT, 'scripts', 'native'].flatMap(filesUnder).flatMap(misnamed)).toEqual([]);
  });

  // While the house is being built, its lower floors stand before anything uses them.
  it.skipIf(!ENTRY_POINTS.every((path) => existsSync(path)))('has no dead files', () => {
    expect(deadFiles(typescript, ENTRY_POINTS)).toEqual([]);
  });

  it('lists the native sources completely', () => {
    const list = 'native/sources.txt';
    const text = existsSync(list) ? readFileSync(list, 'utf8') : '';
    expect(sourceListGaps(text, filesUnder('native'))).toEqual([]);
  });
});
