/**
 * What the native addon exports, one for one. Only `src/bindings` sees this; the rest of the house
 * imports the typed wrappers beside it.
 *
 * Conventions. A call that can fail returns a negative errno, never throws. Descriptors are plain
 * numbers, all CLOEXEC. Arguments are checked by the wrappers and only asserted natively. A view
 * may lie over an ArrayBuffer (mapped or not) or a SharedArrayBuffer.
 */
export interface NativeAddon {
  // memory.cc: shared memory and its life cycle ------------------------------------------------
  /** A memfd of this size, sealed against shrinking, growing and further seals, fully allocated. */
  memfdCreate(name: string, sizeBytes: number): number;
  /** Fills `out` with [sizeBytes, seals or -1 if not a memfd, uid, mode bits, is regular file]. */
  describeFd(fd: number, out: Float64Array): number;
  /**
   * Maps [0, sizeBytes) of the file shared, readable and writable, as an external ArrayBuffer. It
   * is unmapped by `unmap`, when collected, or when its environment ends, whichever comes first.
   * `populate` faults every page in now. -EINVAL if the file is shorter, -ENOTSUP if this runtime
   * refuses external buffers.
   */
  mapFile(fd: number, sizeBytes: number, populate: boolean): ArrayBuffer | number;
  /** Page-aligned private memory, for direct I/O. Released like `mapFile`'s. */
  allocateAligned(sizeBytes: number): ArrayBuffer | number;
  /**
   * Detaches the buffer, then unmaps: views of it read as empty. A second call is -EINVAL. Refused
   * with -EBUSY while memory registered in this environment lies in it.
   */
  unmap(buffer: ArrayBuffer): number;
  /** Bytes mapped by this process through this addon, all environments together. */
  mappedBytes(): number;

  // kernels.cc: copies and checksums -----------------------------------------------------------
  /** CRC-32C (Castagnoli) of bytes [start, end) continued from `seed`; crc32c("123456789", 0) is 0xe3069283. */
  crc32c(bytes: Uint8Array, start: number, end: number, seed: number): number;
  /** `sse4.2`, `armv8` or `portable`: what the running processor got. */
  crc32cImplementation(): string;
  /** The portable implementation, whatever the processor can do: the twin for tests. */
  crc32cPortable(bytes: Uint8Array, start: number, end: number, seed: number): number;
  /** Makes a buffer known by number to `runCopies` and the disk queues of this environment. */
  registerMemory(view: Uint8Array): number;
  /** The number is free again. Refused with -EBUSY while a disk operation uses the memory. */
  unregisterMemory(memory: number): number;
  /**
   * Runs `count` jobs in order. Row i is the 6 words from 6·i of `jobs`: [kind, source memory,
   * source offset, target memory, target offset, byteLength]; kinds are those of `CopyKind`. A CRC
   * is computed over the target after the copy, so that a source that changes meanwhile (a guest's
   * memory) cannot make bytes and checksum disagree, and stored in `crcs[i]`.
   * -ERANGE if a row reaches outside its memories, or copies between overlapping ranges of one; no
   * job has run then.
   */
  runCopies(jobs: Uint32Array, count: number, crcs: Uint32Array): number;

  // files.cc: descriptors ----------------------------------------------------------------------
  /** open(2) with O_CLOEXEC added. Closed by `closeFd` here, or when its environment ends. */
  openFile(path: string, flags: number, mode: number): number;
  /** Any descriptor: from now on it is closed as if `openFile` had made it. */
  adoptFd(fd: number): number;
  closeFd(fd: number): number;
  duplicateFd(fd: number): number;
  /** flock(2), exclusive, without blocking: -EWOULDBLOCK if another open file holds it. */
  lockFile(fd: number): number;
  /** fallocate(2) with these mode bits. */
  allocateFile(fd: number, mode: number, positionBytes: number, byteLength: number): number;
  truncateFile(fd: number, sizeBytes: number): number;
  syncData(fd: number): number;
  syncFile(fd: number): number;
  /** Whole positioned transfers on the calling thread, for cold paths. Bytes done or -errno. */
  readAt(fd: number, bytes: Uint8Array, positionBytes: number): number;
  writeAt(fd: number, bytes: Uint8Array, positionBytes: number): number;
  /** Fills `out` with [memory alignment, offset alignment] of direct I/O; zeros if unsupported. */
  directAlignment(fd: number, out: Float64Array): number;

  // sockets.cc: Unix sockets that carry descriptors --------------------------------------------
  /** Stream socket, bound, chmod to `mode` and listening; non-blocking. */
  socketListen(path: string, mode: number, backlog: number): number;
  socketAccept(fd: number): number;
  /** Blocking connect, at most a second (-ETIMEDOUT: the backlog stayed full), then non-blocking. */
  socketConnect(path: string): number;
  /** Bytes sent or -EAGAIN; all of `fds` go with the first byte. No SIGPIPE. */
  socketSend(fd: number, bytes: Uint8Array, start: number, end: number, fds: Int32Array): number;
  /**
   * Bytes received (0 at end of stream). Received descriptors are CLOEXEC and appended:
   * `fds[0]` is their count, they follow from `fds[1]`. Surplus ones beyond `fds.length - 1`, and
   * all of a message whose control data was cut off (MSG_CTRUNC), are closed and -EPROTO returned.
   */
  socketReceive(fd: number, bytes: Uint8Array, start: number, end: number, fds: Int32Array): number;
  /** Fills `out` with [pid, uid, gid] of the peer. */
  socketPeer(fd: number, out: Int32Array): number;
  socketShutdown(fd: number): number;

  // waiting.cc: doorbells, sleeping, and the event thread --------------------------------------
  eventCreate(): number;
  /** Adds 1; never blocks. */
  eventSignal(fd: number): number;
  /** Resets to 0; the count that stood there, or 0. */
  eventDrain(fd: number): number;
  /**
   * Spins until `words[index]` differs from `expected` or `spinNs` have passed, then sleeps on the
   * eventfd `fd` (if ≥ 0) at most `timeoutMs`. 0: changed while spinning, 1: woken, 2: time is up.
   * Whoever sleeps must have set its parked flag and re-checked before.
   */
  waitWord(
    words: Int32Array,
    index: number,
    expected: number,
    spinNs: number,
    fd: number,
    timeoutMs: number,
  ): number;
  /** The array into whose element 0 `readClock` writes; the same at each call. */
  openClock(): Float64Array;
  /** Monotonic microseconds from an arbitrary start. Allocates nothing, not even the number. */
  readClock(): void;
  /** An epoll set of eventfds for one sleeping thread. */
  pollerCreate(): number;
  pollerAdd(poller: number, fd: number): number;
  pollerRemove(poller: number, fd: number): number;
  /**
   * Blocks the thread until eventfds of the set are signalled; how many were, at most 64 in one
   * call, or 0 when time is up. Edge-triggered: each signal is reported once and none is drained.
   */
  pollerWait(poller: number, timeoutMs: number): number;
  /** The end of the environment closes the rest. */
  pollerClose(poller: number): number;
  /**
   * Starts this environment's event thread (one epoll): `callback(token, events)` runs on the event
   * loop for each ready descriptor, which then stays silent until `watchAgain`. Events are EPOLL
   * bits. The thread keeps the loop alive only while `watchHold(true)`.
   */
  watchStart(callback: (token: number, events: number) => void): number;
  watchAdd(fd: number, token: number, events: number): number;
  watchAgain(fd: number, token: number, events: number): number;
  /** After it returns no callback for that token starts. The caller closes the descriptor. */
  watchRemove(fd: number, token: number): number;
  watchHold(hold: boolean): void;
  /** After it returns no callback starts. May be called from a callback. */
  watchStop(): void;

  // uring.cc, disk_threads.cc: disk queues -----------------------------------------------------
  /**
   * A queue of at most `entryCount` (a power of two, ≤ 4096) operations in flight on one file. It
   * keeps the file open, and so its lock held, until it is closed, whatever becomes of `fd`.
   * `backend` 0 picks io_uring, or threads where it is forbidden; 1 insists on io_uring (-errno if
   * refused), 2 on the private threads.
   */
  diskQueueCreate(fd: number, entryCount: number, backend: number): number;
  diskQueueBackend(queue: number): string;
  /**
   * Starts `count` operations with one system call. Row i is the 6 doubles from 6·i of `rows`:
   * [kind, slot, memory, memory offset, byteLength, position]; kinds are those of `DiskKind`.
   * Returns how many were taken; the rest did not fit. Syncs cover writes completed before them.
   * -ERANGE if a row is malformed or reaches outside its memory; none has started then.
   */
  diskQueueSubmit(queue: number, rows: Float64Array, count: number): number;
  /**
   * Takes what has completed: slots[i] with results[i] = bytes done or -errno, how many. Short
   * transfers are continued natively, so a result is all, an error, or less at the end of file.
   * Both arrays have room for `entryCount`, so all that has completed is taken.
   */
  diskQueueReap(queue: number, slots: Int32Array, results: Int32Array): number;
  /**
   * One word that changes whenever a completion arrives: `Atomics.load` tells without a call
   * whether `diskQueueReap` may find something, by comparing with what was loaded before the last
   * reap. With io_uring it is the kernel's own counter. Detached by `diskQueueClose`. -errno if
   * this runtime refuses external buffers.
   */
  diskQueueCompletions(queue: number): Int32Array | number;
  /** Signalled at each completion, for a poller. Owned by the queue. */
  diskQueueEvent(queue: number): number;
  /** Waits for what is in flight, then frees. */
  diskQueueClose(queue: number): number;

  // spin_floor.cc: the benchmark's floor -------------------------------------------------------
  /** Round-trip times in ns between two C++ threads spinning on shared memory; fills `out`. */
  spinRoundTrips(out: Float64Array): number;
}
