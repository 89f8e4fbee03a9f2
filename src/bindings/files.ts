/**
 * Files by descriptor, on the calling thread: cold paths only. The hot path's I/O is
 * `disk-queue.ts`. Descriptors are plain numbers, closed by the thread that opened them, or when it
 * ends: a thread that is terminated keeps no lock.
 */
import { assert } from '../base/assert.ts';
import { addon } from './load.ts';
import { Errno, requireResult } from './system-error.ts';

/** Flags of open(2), to be combined with `|`. Checked against Node's own in the tests. */
export const OpenFlag = {
  READ_ONLY: 0,
  READ_WRITE: 2,
  CREATE: 0o100,
  /** With CREATE: fails with EEXIST if the path is there. */
  EXCLUSIVE: 0o200,
  TRUNCATE: 0o1000,
  /** O_DIRECT, which is one of the few flags that differ between processors. */
  DIRECT: process.arch === 'arm64' ? 0o200000 : 0o40000,
} as const;

/** Modes of fallocate(2). 0 allocates and, past the end, extends the file. */
export const AllocateMode = { ALLOCATE: 0, KEEP_SIZE: 1, PUNCH_HOLE: 2, ZERO_RANGE: 16 } as const;

/** What direct I/O asks of a transfer: multiples of these. */
export interface DirectAlignment {
  readonly memoryBytes: number;
  readonly offsetBytes: number;
}

/** @throws StoreError `system_error` with the path. */
export function openFile(path: string, flags: number, mode = 0o600): number {
  assert(!path.includes('\0'), 'a path holds no zero byte');
  return requireResult('open', addon().openFile(path, flags, mode), { path });
}

/**
 * Ties a descriptor of this thread to its life: it is closed when the thread ends, however it ends,
 * unless `closeFd` is called on this thread before. Returns it. For what no other thread closes.
 */
export function adoptFd(fd: number): number {
  requireResult('adopt', addon().adoptFd(fd), { fd });
  return fd;
}

export function closeFd(fd: number): void {
  requireResult('close', addon().closeFd(fd), { fd });
}

/** Another number for the same open file; both must be closed, and a lock is held until then. */
export function duplicateFd(fd: number): number {
  return requireResult('dup', addon().duplicateFd(fd), { fd });
}

/** Takes the exclusive flock(2) of this open file. False if another open file holds it. */
export function lockFile(fd: number): boolean {
  const result = addon().lockFile(fd);
  if (result === Errno.EAGAIN) return false;
  requireResult('flock', result, { fd });
  return true;
}

/** `mode` is of `AllocateMode`. @throws StoreError `system_error`, ENOSPC and EOPNOTSUPP included. */
export function allocateFile(
  fd: number,
  mode: number,
  positionBytes: number,
  byteLength: number,
): void {
  assertPosition(positionBytes);
  assertPosition(byteLength);
  const result = addon().allocateFile(fd, mode, positionBytes, byteLength);
  requireResult('fallocate', result, { positionBytes, byteLength });
}

export function truncateFile(fd: number, sizeBytes: number): void {
  assertPosition(sizeBytes);
  requireResult('ftruncate', addon().truncateFile(fd, sizeBytes), { sizeBytes });
}

/** fdatasync(2). After an error nobody knows what is on disk: never call it again for that file. */
export function syncData(fd: number): void {
  requireResult('fdatasync', addon().syncData(fd), { fd });
}

/** fsync(2), also for directories. The same holds after an error. */
export function syncFile(fd: number): void {
  requireResult('fsync', addon().syncFile(fd), { fd });
}

/** Reads until `bytes` is full or the file ends; bytes read. */
export function readAt(fd: number, bytes: Uint8Array, positionBytes: number): number {
  assertPosition(positionBytes);
  return requireResult('pread', addon().readAt(fd, bytes, positionBytes), { positionBytes });
}

/** Writes all of `bytes`, or throws and has written some of it. */
export function writeAt(fd: number, bytes: Uint8Array, positionBytes: number): void {
  assertPosition(positionBytes);
  const doneBytes = requireResult('pwrite', addon().writeAt(fd, bytes, positionBytes), {
    positionBytes,
  });
  if (doneBytes !== bytes.byteLength) requireResult('pwrite', Errno.EIO, { positionBytes });
}

/** Undefined if the file cannot be opened for direct I/O, or the kernel does not tell. */
export function directAlignment(fd: number): DirectAlignment | undefined {
  const out = new Float64Array(2);
  requireResult('statx', addon().directAlignment(fd, out), { fd });
  const [memoryBytes = 0, offsetBytes = 0] = out;
  return memoryBytes > 0 && offsetBytes > 0 ? { memoryBytes, offsetBytes } : undefined;
}

function assertPosition(value: number): void {
  assert(Number.isSafeInteger(value), 'a position or length is an integer');
  assert(value >= 0, 'a position or length is not negative');
}
