/** Every planted bug still fits the sources. That each is found is `npm run sim -- --mutants`. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { applyEdits } from './mutant-runner.ts';
import { MUTANTS } from './mutants.ts';

describe('mutants', () => {
  it.each(MUTANTS)('$rule: $name', ({ edits }) => {
    const texts = applyEdits(edits, (file) => readFileSync(file, 'utf8'));
    for (const [file, text] of texts) expect(text).not.toBe(readFileSync(file, 'utf8'));
  });

  it('are at least fifteen, under names of their own', () => {
    expect(new Set(MUTANTS.map(({ name }) => name)).size).toBe(MUTANTS.length);
    expect(MUTANTS.length).toBeGreaterThanOrEqual(15);
  });
});
