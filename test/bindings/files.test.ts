/** Descriptors of files: locks, allocation, whole transfers, and errors that name call and path. */
import { constants, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  AllocateMode,
  allocateFile,
  closeFd,
  directAlignment,
  duplicateFd,
  lockFile,
  OpenFlag,
  openFile,
  readAt,
  syncData,
  syncFile,
  truncateFile,
  writeAt,
} from '../../src/bindings/files.ts';
import { allocateAligned } from '../../src/bindings/memory.ts';
import { findDirectFolder, makeFolder } from './fixtures.ts';

const systemError = (details: Record<string, unknown>) =>
  expect.objectContaining({ code: 'system_error', details: expect.objectContaining(details) });

const NEW = OpenFlag.READ_WRITE | OpenFlag.CREATE;
const directFolder = findDirectFolder();

describe('files', () => {
  let folder = makeFolder();
  let path = '';
  beforeEach(() => {
    folder.remove();
    folder = makeFolder(directFolder);
    path = join(folder.path, 'file');
  });
  afterEach(() => folder.remove());

  it("are opened with the system's own flags", () => {
    expect(OpenFlag.READ_WRITE).toBe(constants.O_RDWR);
    expect(OpenFlag.CREATE).toBe(constants.O_CREAT);
    expect(OpenFlag.EXCLUSIVE).toBe(constants.O_EXCL);
    expect(OpenFlag.TRUNCATE).toBe(constants.O_TRUNC);
    expect(OpenFlag.DIRECT).toBe(constants.O_DIRECT);
    closeFd(openFile(path, NEW, 0o640));
    expect(statSync(path).mode & 0o777).toBe(0o640);
  });

  it('name call, errno and path when they cannot be opened', () => {
    const details = { call: 'open', errno: 'ENOENT', path };
    expect(() => openFile(path, OpenFlag.READ_ONLY)).toThrow(systemError(details));
    expect(() => closeFd(1_000_000)).toThrow(systemError({ call: 'close', errno: 'EBADF' }));
  });

  it('are locked by one open file at a time, duplicates included', () => {
    const first = openFile(path, NEW);
    const second = openFile(path, OpenFlag.READ_WRITE);
    expect([lockFile(first), lockFile(second)]).toEqual([true, false]);
    const duplicate = duplicateFd(first);
    closeFd(first);
    expect(lockFile(second)).toBe(false);
    closeFd(duplicate);
    expect(lockFile(second)).toBe(true);
    closeFd(second);
  });

  it('are allocated, cut and synced', () => {
    const fd = openFile(path, NEW);
    allocateFile(fd, AllocateMode.ALLOCATE, 0, 100_000);
    expect(statSync(path)).toMatchObject({ size: 100_000 });
    expect(statSync(path).blocks * 512).toBeGreaterThanOrEqual(100_000);
    truncateFile(fd, 5);
    expect(statSync(path).size).toBe(5);
    syncData(fd);
    syncFile(fd);
    closeFd(fd);
  });

  it('give back what was written, and what there is at their end', () => {
    const fd = openFile(path, NEW);
    const bytes = Uint8Array.from({ length: 3000 }, (_, i) => i);
    writeAt(fd, bytes, 5_000_000_000);
    const back = new Uint8Array(4000);
    expect(readAt(fd, back, 5_000_000_000)).toBe(3000);
    expect(back.subarray(0, 3000)).toEqual(bytes);
    expect(readAt(fd, back, 6_000_000_000)).toBe(0);
    closeFd(fd);
  });

  it('fail to be written when opened for reading', () => {
    closeFd(openFile(path, NEW));
    const fd = openFile(path, OpenFlag.READ_ONLY);
    const write = () => writeAt(fd, new Uint8Array(1), 0);
    expect(write).toThrow(systemError({ call: 'pwrite', errno: 'EBADF' }));
    closeFd(fd);
  });

  it.skipIf(directFolder === undefined)('say what direct I/O asks for, and hold to it', () => {
    const fd = openFile(path, NEW | OpenFlag.DIRECT);
    const { memoryBytes, offsetBytes } = directAlignment(fd) ?? { memoryBytes: 0, offsetBytes: 0 };
    expect(memoryBytes).toBeGreaterThan(0);
    expect(4096 % offsetBytes).toBe(0);
    const { bytes } = allocateAligned(8192);
    writeAt(fd, bytes.fill(3), 4096);
    truncateFile(fd, 4096 + 5000);
    expect(readAt(fd, bytes.fill(0), 4096)).toBe(5000);
    expect(bytes[4999]).toBe(3);
    expect(() => readAt(fd, bytes.subarray(1), 0)).toThrow(systemError({ errno: 'EINVAL' }));
    closeFd(fd);
  });
});
