import { describe, expect, it } from 'vitest';
import { StoreError } from '../../src/base/errors.ts';
import { formatError, formatFacts, formatTable } from '../../src/cli/output.ts';

describe('output', () => {
  it('aligns columns, numbers to the right', () => {
    const rows = [
      { name: 'root', size: 8 },
      { name: 'a', size: 1024 },
    ];
    expect(formatTable(rows)).toBe('name  size\nroot     8\na     1024');
  });

  it('prints nothing for no rows', () => {
    expect(formatTable([])).toBe('');
  });

  it('aligns facts', () => {
    expect(formatFacts({ id: 1, name: 'x' })).toBe('id    1\nname  x');
  });

  it('says what the name of a system error means', () => {
    const error = new StoreError('system_error', { path: 'p', call: 'open', errno: 'ENOENT' });
    expect(formatError(error, false)).toContain('errno=ENOENT (no such file or directory)');
  });

  it('says an error in one line, its causes only when asked', () => {
    const cause = new Error('underneath');
    const error = new StoreError('pool_locked', { path: 'p' }, { cause });
    expect(formatError(error, false)).toBe(
      'logflume: another host has the pool open path=p [pool_locked]',
    );
    expect(formatError(error, true)).toContain('caused by: underneath');
  });
});
