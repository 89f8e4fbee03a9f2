/**
 * What a program sees of the driver: one volume, three ways to talk to it.
 *
 * Positions and lengths are in bytes and multiples of 512 (`SECTOR_BYTES`), except in the batch
 * face, which counts sectors. A completed write is visible to every guest and survives the death of
 * the host process; it survives the loss of power once a later `flush` completes, or at once with
 * `fua`. Commands in flight together are ordered by nothing, on whichever face.
 *
 * A transfer of at most `commandBytesMax` bytes is one command: after a crash all of its blocks are
 * there or none. A longer one is split, and each piece stands alone.
 */
import type { StoreError } from '../src/base/errors.ts';
import type { Histogram } from '../src/base/histogram.ts';

/**
 * `attached`: commands run. `host-lost`: the host went away. `reattaching`: the next host is being
 * looked for. `failed`: only `reconnect` helps. `closed`: for good.
 */
export type DriverState = 'attached' | 'host-lost' | 'reattaching' | 'failed' | 'closed';

/** The volume as the host described it when the driver attached, or resized it since. */
export interface VolumeFacts {
  readonly name: string;
  readonly volumeId: number;
  readonly sizeBytes: number;
  readonly readOnly: boolean;
}

/** For commands that can be given up. */
export interface ReadOptions {
  /**
   * Once aborted the promise rejects with `cancelled`. What the host already has it still carries
   * out, so a write may or may not happen, and the memory given to the call stays lent until then.
   */
  readonly signal?: AbortSignal;
}

/** For commands that change the volume. */
export interface WriteOptions extends ReadOptions {
  /** Completes only when the change would survive the loss of power. */
  readonly fua?: boolean;
}

/** Memory to read into or write from: any bytes, or a `DataBuffer` that needs no copy. */
export type Payload = Uint8Array | DataBuffer;

/** A piece of the shared data area that belongs to the caller until it is freed. */
export interface DataBuffer {
  /** The memory itself, shared with the host. A view of it works in place too. */
  readonly bytes: Uint8Array;
  /** Bytes from the start of the data area, as the batch face counts. A multiple of 4096. */
  readonly offset: number;
  readonly byteLength: number;
  /**
   * Gives the memory back; `bytes` must not be touched afterwards. While a command uses it, it is
   * given back when that completes. A second call does nothing.
   */
  free(): void;
}

/**
 * Commands as promises, for any thread. The event loop is held open while something is in flight
 * and no longer: an idle driver lets the process exit.
 *
 * Beyond the queue's depth commands wait in order, at most 65,536; then `limit_exceeded`.
 * Arguments that make no sense reject with `invalid_argument`, a range past the end of the volume
 * with `out_of_range`; nothing was done then, except that a transfer that is split may have done
 * pieces before. `host_lost` means that nobody knows whether it was done.
 */
export interface AsyncFace {
  /** Reads into new memory. */
  read(position: number, byteLength: number, options?: ReadOptions): Promise<Uint8Array>;
  /** Fills `target`, which is lent until the promise settles; in place if it is shared memory. */
  readInto(position: number, target: Payload, options?: ReadOptions): Promise<void>;
  /** Fills up to 128 buffers one after the other from consecutive bytes of the volume. */
  readv(position: number, targets: readonly Payload[], options?: ReadOptions): Promise<void>;
  /** Stores `data`, lent until the promise settles. One copy, none if it is shared memory. */
  write(position: number, data: Uint8Array, options?: WriteOptions): Promise<void>;
  /** Stores a `DataBuffer`, or any bytes, in place where it can. */
  writeFrom(position: number, source: Payload, options?: WriteOptions): Promise<void>;
  /** Stores up to 128 buffers one after the other. */
  writev(position: number, sources: readonly Payload[], options?: WriteOptions): Promise<void>;
  /** The range reads as zeros afterwards. */
  writeZeroes(position: number, byteLength: number, options?: WriteOptions): Promise<void>;
  /** Gives the range's space back; it reads as zeros afterwards. */
  discard(position: number, byteLength: number, options?: WriteOptions): Promise<void>;
  /** What completed before this call survives the loss of power once this resolves. */
  flush(options?: ReadOptions): Promise<void>;
  /** Goes to the host and back. */
  nop(options?: ReadOptions): Promise<void>;
  /** Asks the host for the volume's present facts; updates `driver.volume`. */
  info(options?: ReadOptions): Promise<VolumeFacts>;
}

/**
 * The same commands, each blocking the thread until it is done: spinning, then sleeping. Meant for
 * worker threads. On the main thread it works and stops everything else meanwhile.
 *
 * With policy `wait` a call outlasts the loss of the host, up to `hostLossDeadlineMs`. Throws where
 * the async face rejects; `timed_out` is never thrown, a call ends with its command. A blocked
 * thread looks for the loss of its host every 50 ms. It cannot see that a host in another thread of
 * its own process was torn down with its whole thread; it does see that its reactor died.
 *
 * A blocking call goes ahead of calls of the async face that wait in line.
 */
export interface SyncFace {
  /** Reads into new memory. */
  read(position: number, byteLength: number): Uint8Array;
  /** Fills `target`; in place if it is shared memory. */
  readInto(position: number, target: Payload): void;
  /** Fills up to 128 buffers one after the other. */
  readv(position: number, targets: readonly Payload[]): void;
  /** Stores `data`. One copy, none if it is shared memory. */
  write(position: number, data: Uint8Array, options?: { readonly fua?: boolean }): void;
  /** Stores a `DataBuffer`, or any bytes, in place where it can. */
  writeFrom(position: number, source: Payload, options?: { readonly fua?: boolean }): void;
  /** Stores up to 128 buffers one after the other. */
  writev(position: number, sources: readonly Payload[], options?: { readonly fua?: boolean }): void;
  /** The range reads as zeros afterwards. */
  writeZeroes(position: number, byteLength: number, options?: { readonly fua?: boolean }): void;
  /** Gives the range's space back; it reads as zeros afterwards. */
  discard(position: number, byteLength: number, options?: { readonly fua?: boolean }): void;
  /** What completed before survives the loss of power once this returns. */
  flush(): void;
  /** Goes to the host and back. */
  nop(): void;
  /** Asks the host for the volume's present facts; updates `driver.volume`. */
  info(): VolumeFacts;
}

/**
 * Submit many, reap many: no promise and no allocation per request.
 *
 * `submit…` puts a command into a private slot of the ring and returns its tag, or `QUEUE_FULL`
 * (-1): publish and reap, then try again. `publish` shows the host everything submitted. `reap`
 * takes finished commands into `tags`, `statuses` and `resultBytes`, whose first entries it fills.
 * A tag is the caller's from submit until it was reaped, a number below the queue's depth.
 *
 * The caller names data by its offset in the data area: see `Driver.allocate`. That memory is lent
 * until the tag is reaped.
 */
export interface BatchFace {
  /** Tags of what the last `reap` took. */
  readonly tags: Uint16Array;
  /** 0 is success, else the `status` of an error: `codeOf` names it. */
  readonly statuses: Uint16Array;
  /** Bytes moved. */
  readonly resultBytes: Uint32Array;
  /** Commands submitted and not reaped. */
  readonly inFlightCount: number;

  /** @hotpath @throws StoreError `out_of_range` or `invalid_argument`; nothing was submitted. */
  submitRead(sectorIndex: number, dataOffset: number, byteLength: number): number;
  /** `flags` are bits of `SubmissionFlag`. @hotpath */
  submitWrite(sectorIndex: number, dataOffset: number, byteLength: number, flags: number): number;
  /** @hotpath */
  submitWriteZeroes(sectorIndex: number, byteLength: number, flags: number): number;
  /** @hotpath */
  submitDiscard(sectorIndex: number, byteLength: number, flags: number): number;
  /** @hotpath */
  submitFlush(): number;
  /** @hotpath */
  submitNop(): number;
  /** Shows the host what was submitted, and wakes it if it sleeps. @hotpath */
  publish(): void;
  /** Takes at most `countMax` finished commands, never waits; how many. @hotpath */
  reap(countMax: number): number;
  /**
   * Publishes, then blocks until `reap` would find something: true, or `timeoutMs` have passed:
   * false. Also looks for the next host while there is none.
   */
  wait(timeoutMs: number): boolean;
}

/** What a host tells its guests about the session, all of one moment. */
export interface HostCounters {
  readonly hostPid: number;
  readonly commands: {
    readonly nop: number;
    readonly info: number;
    readonly read: number;
    readonly write: number;
    readonly writeZeroes: number;
    readonly discard: number;
    readonly flush: number;
  };
  readonly bytesRead: number;
  readonly bytesWritten: number;
  /** Commands completed with an error. */
  readonly errors: number;
  /** Times the host went to sleep, and times it rang this guest's bell. */
  readonly parks: number;
  readonly wakesSent: number;
  /** Sleeps that ended by time although there was work. Anything but 0 is a bug. */
  readonly lostWakes: number;
  /** Batches taken; `depthSeenSum / batches` is the mean number of commands waiting. */
  readonly batches: number;
  readonly depthSeenSum: number;
  readonly depthSeenMax: number;
  /** What the host spins before it sleeps, and its share of a core, of what it may take. */
  readonly spinWindowNs: number;
  readonly cpuUsedPermille: number;
  readonly cpuBudgetPermille: number;
  /** Rises each time the host writes the page. */
  readonly heartbeat: number;
  /** From taking a command to publishing its completion, in nanoseconds. */
  readonly latency: Histogram;
}

/** What listeners are told. */
export interface DriverEvents {
  /** After the state changed. `cause` is why the host was lost, or why the driver failed. */
  state: [state: DriverState, cause: StoreError | undefined];
  /** The volume has a new size; `driver.volume` says it already. */
  'volume-resized': [sizeBytes: number];
}

/** A volume, attached. Belongs to the thread that made it. */
export interface Driver {
  readonly volume: VolumeFacts;
  readonly state: DriverState;
  readonly async: AsyncFace;
  readonly sync: SyncFace;
  readonly batch: BatchFace;
  readonly queueDepth: number;
  /** Size of the data area. */
  readonly dataBytes: number;
  /** Sleeps of this side during which a ring of the host was missing. Anything but 0 is a bug. */
  readonly lostWakes: number;
  /** The longest transfer that is one command: 1 MiB, less if the data area is small. */
  readonly commandBytesMax: number;

  /**
   * Takes a piece of the data area for as long as the caller likes. Its bytes are what the last
   * user left there. Sizes are rounded up to a power of two, 4 KiB at least, so a piece of 5 MiB
   * takes 8; commands share what is left.
   *
   * @throws StoreError `limit_exceeded` if no piece of that size is free now.
   */
  allocate(byteLength: number): DataBuffer;

  /** The host's page in shared memory; undefined if no host has written it yet. */
  hostCounters(): HostCounters | undefined;

  on<Name extends keyof DriverEvents>(
    event: Name,
    listener: (...facts: DriverEvents[Name]) => void,
  ): this;
  off<Name extends keyof DriverEvents>(
    event: Name,
    listener: (...facts: DriverEvents[Name]) => void,
  ): this;

  /**
   * Attaches again after `failed` or `host-lost`, once. What was in flight then has ended already.
   *
   * @throws StoreError as `connect`; the state is as before.
   */
  reconnect(): Promise<void>;

  /**
   * Waits for what is in flight, at most `closeTimeoutMs`, tells the host, and frees the memory:
   * every `DataBuffer` reads as empty. Commands that did not finish end with `closed`. Never
   * rejects; a second call waits for the first.
   */
  close(): Promise<void>;
  /** The same, blocking the thread. */
  closeSync(): void;
}
