/** The log through its public face, on a simulated machine: what it promised is what is found. */
import { describe, expect, it } from 'vitest';
import { Harness } from './support/log-harness.ts';

describe('log', () => {
  it('keeps what was written across a clean close', async () => {
    const h = new Harness(1);
    await h.create();
    await h.open();
    h.write({ kind: 'write', lba: 0, blockCount: 5 });
    h.write({ kind: 'write', lba: 3, blockCount: 5 });
    h.write({ kind: 'discard', lba: 0, blockCount: 2 });
    await h.close();
    expect(h.machine.banks.size).toBe(0);
    await h.open();
    expect(h.report).toMatchObject({ wasClean: true, commitCount: 0 });
    await h.expectPrefix(h.history.order.at(-1) ?? 0);
    expect(h.history.current.size).toBe(6);
    await h.close();
  });

  it('keeps what was published across a death', async () => {
    const h = new Harness(2);
    await h.create();
    await h.open();
    h.write({ kind: 'write', lba: 0, blockCount: 5 });
    h.flush();
    h.write({ kind: 'write', lba: 3, blockCount: 5 });
    h.kill();
    await h.open();
    expect(h.report).toMatchObject({ wasClean: false, commitCount: 1, bankOperationCount: 1 });
    expect(h.machine.banks.size).toBe(1);
    await h.expectPrefix(h.history.order.at(-1) ?? 0);
    await h.close();
  });
});
