/**
 * Errors we expect and handle: a full pool, a bad checksum, a peer that breaks the protocol.
 * Our own mistakes are AssertionErrors (assert.ts), and nobody handles those.
 */

/** What the receiver should do. Coarse on purpose: a new reaction needs a new thing to do. */
export type Reaction =
  /** Transient. The same call may succeed later; back off first. */
  | 'retry'
  /** The request is wrong or cannot be served. Report it; repeating it changes nothing. */
  | 'refuse'
  /** These bytes are bad, but another copy may be good. Fetch it, rewrite, then retry. */
  | 'repair'
  /** The peer broke the protocol. Nothing more that it says is trusted; cut it off. */
  | 'detach'
  /** We no longer own what we hold, or cannot know what is on disk. Stop this process. */
  | 'stop';

interface ErrorKind {
  /** Crosses the channel as a completion's status and the log as a reply. 0 is success. */
  readonly status: number;
  readonly says: string;
  readonly reaction: Reaction;
  /** Linux errno for fronts that speak in those. */
  readonly errno: number;
}

const KINDS = {
  // The request.
  invalid_argument: { status: 1, says: 'the request is malformed', reaction: 'refuse', errno: 22 },
  out_of_range: { status: 2, says: 'reaches past the end', reaction: 'refuse', errno: 22 },
  unsupported: { status: 3, says: 'not supported', reaction: 'refuse', errno: 95 },
  read_only: { status: 4, says: 'the volume is attached read-only', reaction: 'refuse', errno: 30 },
  not_found: { status: 5, says: 'no such volume', reaction: 'refuse', errno: 2 },
  already_exists: { status: 6, says: 'the name is taken', reaction: 'refuse', errno: 17 },
  in_use: { status: 7, says: 'held by somebody else', reaction: 'retry', errno: 16 },
  permission_denied: { status: 8, says: 'not allowed', reaction: 'refuse', errno: 13 },
  limit_exceeded: { status: 9, says: 'a stated limit is reached', reaction: 'refuse', errno: 105 },
  batch_too_large: { status: 10, says: 'the batch is too large', reaction: 'refuse', errno: 7 },
  // The pool.
  pool_full: { status: 20, says: 'the pool has no free segment', reaction: 'retry', errno: 28 },
  checksum_mismatch: {
    status: 21,
    says: 'a stored checksum does not match',
    reaction: 'repair',
    errno: 5,
  },
  media_error: { status: 22, says: 'the disk could not read', reaction: 'repair', errno: 5 },
  pool_corrupt: { status: 23, says: 'the pool is damaged', reaction: 'refuse', errno: 117 },
  pool_locked: { status: 24, says: 'another host has the pool open', reaction: 'retry', errno: 16 },
  pool_failed: {
    status: 25,
    says: 'the disk did not confirm a write or sync; what it holds is unknown',
    reaction: 'stop',
    errno: 5,
  },
  bank_lost: {
    status: 26,
    says: 'the bank of an unclean pool is missing or unreadable; completed writes that were not flushed were in it; put it back, or give them up with --discard-bank',
    reaction: 'refuse',
    errno: 5,
  },
  bank_unavailable: {
    status: 27,
    says: 'no memory for the bank; free some or name another folder with --bank',
    reaction: 'refuse',
    errno: 12,
  },
  version_unsupported: {
    status: 28,
    says: 'written by a version that this one does not know',
    reaction: 'refuse',
    errno: 95,
  },
  // The channel.
  ring_corrupt: {
    status: 40,
    says: 'the peer corrupted a ring header',
    reaction: 'detach',
    errno: 71,
  },
  protocol_violation: {
    status: 41,
    says: 'the peer broke the protocol',
    reaction: 'detach',
    errno: 71,
  },
  protocol_mismatch: {
    status: 42,
    says: 'guest and host are of versions that do not fit together',
    reaction: 'refuse',
    errno: 93,
  },
  host_lost: { status: 43, says: 'the host went away', reaction: 'retry', errno: 104 },
  host_unreachable: {
    status: 44,
    says: 'no host listens on the socket',
    reaction: 'retry',
    errno: 111,
  },
  shutting_down: { status: 45, says: 'the host is shutting down', reaction: 'retry', errno: 108 },
  incarnation_changed: {
    status: 46,
    says: 'the pool lost completed writes that were not flushed since this guest attached',
    reaction: 'refuse',
    errno: 116,
  },
  timed_out: { status: 47, says: 'the deadline passed', reaction: 'retry', errno: 110 },
  cancelled: { status: 48, says: 'cancelled by the caller', reaction: 'refuse', errno: 125 },
  closed: { status: 49, says: 'used after close', reaction: 'refuse', errno: 9 },
  // The machine.
  system_error: { status: 60, says: 'a system call failed', reaction: 'refuse', errno: 5 },
  addon_missing: {
    status: 61,
    says: 'the native addon is not built or does not load here; run npm run build',
    reaction: 'refuse',
    errno: 38,
  },
} as const satisfies Record<string, ErrorKind>;

/** Public API: codes are added, never renamed or reused. The message may change at any time. */
export type ErrorCode = keyof typeof KINDS;

/** Facts for the log line: sizes, ids, offsets. Names carry units, as everywhere. */
export type ErrorDetails = Readonly<Record<string, string | number | bigint>>;

/** Status of a completion whose command succeeded. */
export const STATUS_OK = 0;

const CODE_BY_STATUS = new Map<number, ErrorCode>(
  Object.entries(KINDS).map(([code, kind]) => [kind.status, code as ErrorCode]),
);

/** The number under which a code crosses the channel. Never 0, which is success. */
export function statusOf(code: ErrorCode): number {
  return KINDS[code].status;
}

/** The code of a status that arrived over the channel; unknown ones, from a newer peer, too. */
export function codeOf(status: number): ErrorCode {
  return CODE_BY_STATUS.get(status) ?? 'protocol_mismatch';
}

export function isErrorCode(text: string): text is ErrorCode {
  return Object.hasOwn(KINDS, text);
}

export class StoreError extends Error {
  override readonly name = 'StoreError';
  readonly code: ErrorCode;
  readonly details: ErrorDetails;

  /** `cause` is the error underneath, if any; it is not repeated in the message. */
  constructor(code: ErrorCode, details: ErrorDetails = {}, options?: { cause: unknown }) {
    const facts = Object.entries(details).map(([name, value]) => ` ${name}=${value}`);
    super(KINDS[code].says + facts.join(''), options);
    this.code = code;
    this.details = details;
  }

  get reaction(): Reaction {
    return KINDS[this.code].reaction;
  }

  get errno(): number {
    return KINDS[this.code].errno;
  }

  get status(): number {
    return KINDS[this.code].status;
  }
}
