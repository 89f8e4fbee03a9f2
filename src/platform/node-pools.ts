/**
 * Pool files on this machine's file systems, always under direct I/O: a pool behind the page cache
 * would hide failed writes and hold every block twice, so what cannot do it is refused by name.
 */
import { rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { assert } from '../base/assert.ts';
import { StoreError } from '../base/errors.ts';
import { MIB } from '../base/units.ts';
import type { DiskBackend } from '../bindings/disk-queue.ts';
import {
  AllocateMode,
  allocateFile,
  closeFd,
  directAlignment,
  lockFile,
  OpenFlag,
  openFile,
  syncFile,
  writeAt,
} from '../bindings/files.ts';
import { allocateAligned, inspectMemfd } from '../bindings/memory.ts';
import type { Disk } from './disk.ts';
import { fileSystemOf, isInMemory, lockHolderOf } from './file-systems.ts';
import { NodeDisk } from './node-disk.ts';
import type { Clock, OpenPoolOptions, PoolFiles } from './platform.ts';

/** The store moves blocks of 4 KiB, so it can serve no disk that asks for more. */
const ALIGNMENT_BYTES_MAX = 4096;
/** How often somebody who waits for a pool's lock looks: flock cannot wait with a deadline. */
const LOCK_RETRY_MS = 10;
/** Few calls, little memory. */
const ZERO_CHUNK_BYTES = 4 * MIB;

function isErrno(error: unknown, name: string): boolean {
  return error instanceof StoreError && error.details['errno'] === name;
}

function refuseBuffered(path: string, fileSystem: string): StoreError {
  return new StoreError('unsupported', { path, fileSystem, missing: 'direct I/O (O_DIRECT)' });
}

/** Opens for direct I/O or refuses, naming the file system. */
function openDirect(path: string, flags: number): number {
  try {
    return openFile(path, flags | OpenFlag.DIRECT);
  } catch (error) {
    if (isErrno(error, 'EEXIST')) throw new StoreError('already_exists', { path });
    if (!isErrno(error, 'EINVAL')) throw error;
    if ((flags & OpenFlag.CREATE) === 0) throw refuseBuffered(path, fileSystemOf(path));
    // The kernel may have made the file before it refused the flag.
    rmSync(path, { force: true });
    throw refuseBuffered(path, fileSystemOf(dirname(path)));
  }
}

/** What direct I/O on this open file asks for. */
function requireAlignment(fd: number, path: string): number {
  const fileSystem = fileSystemOf(path);
  if (isInMemory(fileSystem)) throw refuseBuffered(path, fileSystem);
  const alignment = directAlignment(fd);
  // Kernels before 6.1 do not tell; where the open succeeded, whole blocks are aligned enough.
  if (alignment === undefined) return ALIGNMENT_BYTES_MAX;
  const alignmentBytes = Math.max(alignment.memoryBytes, alignment.offsetBytes);
  if (alignmentBytes > ALIGNMENT_BYTES_MAX) {
    throw new StoreError('unsupported', { path, fileSystem, alignmentBytes });
  }
  return alignmentBytes;
}

function syncFolder(path: string): void {
  const fd = openFile(path, OpenFlag.READ_ONLY);
  try {
    syncFile(fd);
  } finally {
    closeFd(fd);
  }
}

export class NodePoolFiles implements PoolFiles {
  readonly #clock: Clock;
  readonly #backend: DiskBackend;

  constructor(clock: Clock, backend: DiskBackend) {
    this.#clock = clock;
    this.#backend = backend;
  }

  async open(path: string, options: OpenPoolOptions): Promise<Disk> {
    const { lockWaitMs, readOnly = false, beside = false } = options;
    assert(readOnly || !beside, 'whoever writes is the owner');
    const fd = openDirect(path, readOnly ? OpenFlag.READ_ONLY : OpenFlag.READ_WRITE);
    try {
      if (!beside) await this.#lock(fd, path, lockWaitMs);
      const { sizeBytes, isRegularFile } = inspectMemfd(fd);
      if (!isRegularFile) throw new StoreError('unsupported', { path, missing: 'a regular file' });
      const alignmentBytes = requireAlignment(fd, path);
      const backend = this.#backend;
      return new NodeDisk(fd, { sizeBytes, alignmentBytes, readOnly, backend });
    } catch (error) {
      closeFd(fd);
      throw error;
    }
  }

  async create(path: string, options: { sizeBytes: number; writeThrough: boolean }): Promise<void> {
    const { sizeBytes, writeThrough } = options;
    assert(sizeBytes > 0, 'a pool has a size');
    assert(sizeBytes % ALIGNMENT_BYTES_MAX === 0, 'a pool is whole blocks');
    const { CREATE, EXCLUSIVE, READ_WRITE } = OpenFlag;
    const fd = openDirect(path, READ_WRITE | CREATE | EXCLUSIVE);
    try {
      requireAlignment(fd, path);
      allocateFile(fd, AllocateMode.ALLOCATE, 0, sizeBytes);
      if (writeThrough) await this.#writeZeros(fd, sizeBytes);
      syncFile(fd);
    } catch (error) {
      rmSync(path, { force: true });
      throw error;
    } finally {
      closeFd(fd);
    }
    syncFolder(dirname(path));
  }

  async #lock(fd: number, path: string, lockWaitMs: number): Promise<void> {
    const deadlineUs = this.#clock.nowUs() + lockWaitMs * 1000;
    while (!lockFile(fd)) {
      if (this.#clock.nowUs() >= deadlineUs) {
        throw new StoreError('pool_locked', { path, holder: lockHolderOf(path) });
      }
      await this.#turn(LOCK_RETRY_MS);
    }
  }

  /** Writes every block once, so that later syncs find no extents to convert. */
  async #writeZeros(fd: number, sizeBytes: number): Promise<void> {
    const zeros = allocateAligned(Math.min(ZERO_CHUNK_BYTES, sizeBytes));
    for (let position = 0; position < sizeBytes; position += ZERO_CHUNK_BYTES) {
      const byteLength = Math.min(ZERO_CHUNK_BYTES, sizeBytes - position);
      writeAt(fd, zeros.bytes.subarray(0, byteLength), position);
      // Between chunks the event loop gets its turn, for signals and progress.
      await this.#turn(0);
    }
    zeros.unmap();
  }

  async #turn(delayMs: number): Promise<void> {
    await new Promise<void>((resolve) => this.#clock.after(delayMs, resolve));
  }
}
