/**
 * Memory outside the JavaScript heap: shared with other processes through a descriptor, or private
 * and aligned for direct I/O.
 *
 * A mapping lives until `unmap()`, until nothing refers to its buffer any more, or until the end of
 * the thread that made it. Buffers of mappings cannot be transferred or shared between threads:
 * each thread maps the descriptor for itself.
 */
import { assert } from '../base/assert.ts';
import { addon } from './load.ts';
import { requireResult, systemError } from './system-error.ts';

/** Bits of `MemoryFileFacts.seals`, as in fcntl(2). */
export const Seal = { SEAL: 1, SHRINK: 2, GROW: 4, WRITE: 8 } as const;

/** The longest name that memfd_create(2) takes. It only shows in /proc. */
const MEMFD_NAME_BYTES_MAX = 249;

/** What the kernel says about a descriptor, whoever made it. */
export interface MemoryFileFacts {
  readonly sizeBytes: number;
  /** Bits of `Seal`, or -1 if the file system knows no seals. */
  readonly seals: number;
  /** Neither shrinks nor grows any more, so touching a mapping of it cannot be a bus error. */
  readonly sizeIsSealed: boolean;
  readonly uid: number;
  /** Permission bits. */
  readonly mode: number;
  readonly isRegularFile: boolean;
}

/**
 * A new memfd of exactly this size, fully allocated and sealed: its size never changes. The caller
 * closes the descriptor; mappings of it stay.
 *
 * @throws StoreError `system_error`, ENOSPC if the machine has no memory for it.
 */
export function createMemfd(name: string, sizeBytes: number): number {
  assert(Buffer.byteLength(name) <= MEMFD_NAME_BYTES_MAX, 'a memfd has a short name');
  assertSize(sizeBytes);
  return requireResult('memfd_create', addon().memfdCreate(name, sizeBytes), { sizeBytes });
}

/**
 * What a peer's descriptor is, to be checked before it is mapped.
 *
 * @throws StoreError `system_error` if it is not open.
 */
export function inspectMemfd(fd: number): MemoryFileFacts {
  const out = new Float64Array(5);
  requireResult('fstat', addon().describeFd(fd, out), { fd });
  const [sizeBytes = 0, seals = -1, uid = -1, mode = 0, isRegularFile = 0] = out;
  const both = Seal.SHRINK | Seal.GROW;
  const sizeIsSealed = seals >= 0 && (seals & both) === both;
  return { sizeBytes, seals, sizeIsSealed, uid, mode, isRegularFile: isRegularFile === 1 };
}

/** Memory of ours. Keep it, or a view of it, as long as the memory is needed. */
export class MappedMemory {
  readonly buffer: ArrayBuffer;
  /** All of it. Empty after `unmap()`. */
  readonly bytes: Uint8Array<ArrayBuffer>;

  constructor(buffer: ArrayBuffer) {
    this.buffer = buffer;
    this.bytes = new Uint8Array(buffer);
  }

  /**
   * Gives the memory back now. Every view of it is empty afterwards. A second call does nothing.
   *
   * @throws StoreError `system_error` with EBUSY while memory registered with the kernels lies in
   * it (`registerMemory`); nothing has changed then.
   */
  unmap(): void {
    if (this.buffer.byteLength === 0) return;
    requireResult('munmap', addon().unmap(this.buffer));
  }
}

/**
 * Maps the first `sizeBytes` of a file, shared with whoever else maps it, readable and writable.
 * The descriptor may be closed afterwards. `populate` (default true) faults all pages in now.
 *
 * Only a file whose size is sealed or our own is safe to map: a page that the file lost is a bus
 * error, which ends the process.
 *
 * @throws StoreError `system_error`: EINVAL if the file is shorter, ENOTSUP if this runtime refuses
 * external buffers.
 */
export function mapShared(
  fd: number,
  sizeBytes: number,
  options: { populate?: boolean } = {},
): MappedMemory {
  assertSize(sizeBytes);
  return wrap('mmap', addon().mapFile(fd, sizeBytes, options.populate ?? true), sizeBytes);
}

/**
 * Zeroed private memory that starts on a page, for direct I/O and caches. Pages are taken when
 * touched, huge ones where the machine grants them.
 *
 * @throws StoreError `system_error`.
 */
export function allocateAligned(sizeBytes: number): MappedMemory {
  assertSize(sizeBytes);
  return wrap('mmap', addon().allocateAligned(sizeBytes), sizeBytes);
}

/** Bytes that this process has mapped through the addon, all threads together. */
export function mappedBytes(): number {
  return addon().mappedBytes();
}

function wrap(call: string, result: ArrayBuffer | number, sizeBytes: number): MappedMemory {
  if (typeof result === 'number') throw systemError(call, result, { sizeBytes });
  return new MappedMemory(result);
}

function assertSize(sizeBytes: number): void {
  assert(Number.isSafeInteger(sizeBytes), 'a size is an integer');
  assert(sizeBytes > 0, 'a size is positive');
}
