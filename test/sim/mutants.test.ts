/** Every planted bug still fits the sources. That each is found is `npm run sim -- --mutants`. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { applyEdits, outcomeOf } from './mutant-runner.ts';
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

  it('count as found only if the simulator named a seed', () => {
    expect(outcomeOf(1, 'histories: 1\nseed 44: StoreError: x\n at y').seed).toBe(44);
    expect(outcomeOf(1, 'SyntaxError: the copy does not even load').seed).toBeUndefined();
    expect(outcomeOf(0, 'histories: nothing found').seed).toBeUndefined();
  });

  it('replace a text only where it occurs once', () => {
    const edit = { file: 'f', text: 'a', replacement: 'b' };
    expect(applyEdits([edit], () => 'xax').get('f')).toBe('xbx');
    expect(() => applyEdits([edit], () => 'aa')).toThrow('2 times');
    expect(() => applyEdits([edit], () => 'x')).toThrow('0 times');
  });
});
