/**
 * Bank files on this machine: found again by whoever comes next, never another user's, and a full
 * tmpfs is an error rather than a bus error.
 */
import { chmodSync, existsSync, mkdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { NodeBankFiles } from '../../src/platform/node-banks.ts';
import { makeTemporaryFolder } from './temporary-folder.ts';

const BANK_BYTES = 256 * 1024;
const parents = [makeTemporaryFolder()];
if (existsSync('/dev/shm')) parents.push(makeTemporaryFolder('/dev/shm'));

const failing = (code: string) => expect.objectContaining({ code });

describe.each(parents)('banks under %s', (parent) => {
  const banks = new NodeBankFiles(join(parent, 'banks'));

  it('are zeros, allocated whole, and for their owner alone', () => {
    const bank = banks.create('fresh', BANK_BYTES);
    expect(bank.bytes.byteLength).toBe(BANK_BYTES);
    expect(bank.bytes.every((byte) => byte === 0)).toBe(true);
    const stat = statSync(join(banks.dir, 'fresh'));
    expect(stat.mode & 0o777).toBe(0o600);
    expect(stat.blocks * 512).toBeGreaterThanOrEqual(BANK_BYTES);
    expect(statSync(banks.dir).mode & 0o777).toBe(0o700);
    bank.close();
    expect(bank.bytes.byteLength).toBe(0);
  });

  it('show what was stored to whoever opens them next', () => {
    const first = banks.create('kept', BANK_BYTES);
    first.bytes[BANK_BYTES - 1] = 77;
    const second = new NodeBankFiles(banks.dir).open('kept');
    expect(second?.bytes[BANK_BYTES - 1]).toBe(77);
    first.close();
    second?.close();
    banks.remove('kept');
    banks.remove('kept');
    expect(banks.open('kept')).toBeUndefined();
  });

  it('are not made twice under one name', () => {
    banks.create('doubled', 4096).close();
    expect(() => banks.create('doubled', 4096)).toThrow(failing('already_exists'));
  });

  it('are unavailable where there is no room, and leave nothing behind', () => {
    // More than an address space holds: a bank that is mapped before it is allocated fails here
    // too, and does not fill the machine's memory.
    expect(() => banks.create('huge', 2 ** 50)).toThrow(failing('bank_unavailable'));
    expect(existsSync(join(banks.dir, 'huge'))).toBe(false);
  });

  it('are lost if their mode, type or length is not what we made', () => {
    banks.create('opened-up', 4096).close();
    chmodSync(join(banks.dir, 'opened-up'), 0o640);
    expect(() => banks.open('opened-up')).toThrow(failing('bank_lost'));
    symlinkSync(join(banks.dir, 'opened-up'), join(banks.dir, 'link'));
    expect(() => banks.open('link')).toThrow(failing('bank_lost'));
    mkdirSync(join(banks.dir, 'folder'));
    expect(() => banks.open('folder')).toThrow(failing('bank_lost'));
    writeFileSync(join(banks.dir, 'empty'), '', { mode: 0o600 });
    expect(() => banks.open('empty')).toThrow(failing('bank_lost'));
  });

  it('are kept in no folder that others can write to', () => {
    const open = new NodeBankFiles(join(parent, 'open'));
    mkdirSync(open.dir);
    chmodSync(open.dir, 0o777);
    expect(() => open.create('bank', 4096)).toThrow(failing('bank_unavailable'));
    expect(() => open.open('bank')).toThrow(failing('bank_lost'));
  });

  it('are absent where their folder is', () => {
    expect(new NodeBankFiles(join(parent, 'nowhere')).open('bank')).toBeUndefined();
  });
});
