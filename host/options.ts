/**
 * What a caller may ask of `startHost`, checked once, so that nothing behind it meets a bad value.
 */
import type { Logger } from 'pino';
import { StoreError } from '../src/base/errors.ts';
import { GIB, MIB } from '../src/base/units.ts';
import { requireSocketPath } from '../src/channel/default-socket.ts';
import { DATA_BYTES_MIN, QUEUE_COUNT_MAX, QUEUE_DEPTH_MAX } from '../src/channel/protocol.ts';

/** What guests may take. A guest that asks for more is refused with `limit_exceeded`. */
export interface HostLimits {
  /** Attached guests, all together. */
  readonly sessions: number;
  /** Regions of one process; a process that forks is held by the limits on the whole. */
  readonly regionsPerGuest: number;
  /** Bytes of the regions of one process. */
  readonly regionBytesPerGuest: number;
  /** Bytes of all regions. */
  readonly regionBytesTotal: number;
  /** Queue pairs of one session. */
  readonly queuePairs: number;
  /** Commands in flight of one session: its queue pairs times their depth. */
  readonly commandsInFlight: number;
}

export const DEFAULT_LIMITS: HostLimits = {
  sessions: 64,
  regionsPerGuest: 16,
  regionBytesPerGuest: 4 * GIB,
  regionBytesTotal: 16 * GIB,
  queuePairs: QUEUE_COUNT_MAX,
  commandsInFlight: 2 * QUEUE_DEPTH_MAX,
};

export interface HostOptions {
  /** File of the pool. Without one the host serves NOP and INFO only: a channel to measure. */
  readonly pool?: string | undefined;
  /** Path of the Unix socket. Without one only `openPort` lets guests in. */
  readonly listen?: string | undefined;
  /** Users whose processes may attach. Default: this process's own, and 0. */
  readonly allowedUids?: readonly number[] | undefined;
  readonly limits?: Partial<HostLimits> | undefined;
  /** Longest spin of the reactor before it sleeps, in microseconds. Default 50; 0 never spins. */
  readonly spinUs?: number | undefined;
  /**
   * Share of a core that the reactor may spend on looking for work that is not there, 0 to 1.
   * Default 1: what spinning costs is bounded by `spinUs` alone, and an idle host sleeps.
   */
  readonly cpuBudget?: number | undefined;
  /** Memory of the block cache. Default 256 MiB. */
  readonly cacheBytes?: number | undefined;
  /** Folder of the bank. Default: a tmpfs of this machine. */
  readonly bankDir?: string | undefined;
  /** Give up completed writes that were not flushed, if their bank is lost (R3). */
  readonly discardBank?: boolean | undefined;
  /** Wait at most this long for another owner of the pool to go. Default 5,000. */
  readonly lockWaitMs?: number | undefined;
  /** How long a volume is kept for a guest that went away without a word. Default 30,000 (R26). */
  readonly graceMs?: number | undefined;
  /** One line per event of the life cycle. Default: silence. */
  readonly logger?: Logger | undefined;
}

/** `HostOptions` with every default filled in and every bound checked; can cross to a worker. */
export interface CheckedHostOptions {
  readonly pool: string | undefined;
  readonly listen: string | undefined;
  readonly allowedUids: readonly number[];
  readonly limits: HostLimits;
  readonly spinUs: number;
  readonly cpuBudget: number;
  readonly cacheBytes: number;
  readonly bankDir: string | undefined;
  readonly discardBank: boolean;
  readonly lockWaitMs: number;
  readonly graceMs: number;
}

/** About one wake-up; see `SpinWindow`. */
const SPIN_US_DEFAULT = 50;
/** Longer, and the thread's own event loop starves. */
const SPIN_US_MAX = 1000;
const CPU_BUDGET_DEFAULT = 1;
const CACHE_BYTES_DEFAULT = 256 * MIB;
const LOCK_WAIT_MS_DEFAULT = 5000;
const GRACE_MS_DEFAULT = 30_000;
/** Timers take 31 bits. */
const TIMEOUT_MS_MAX = 2 ** 31 - 1;
/** The session table's numbers are 16 bits, and each session costs a row of the poller. */
const SESSIONS_MAX = 1024;

/**
 * Fills in defaults and checks bounds.
 *
 * @throws StoreError `invalid_argument` naming the option, its value and what it may be.
 */
export function checkHostOptions(options: HostOptions): CheckedHostOptions {
  if (options.listen !== undefined) requireSocketPath(options.listen);
  const cpuBudget = options.cpuBudget ?? CPU_BUDGET_DEFAULT;
  if (!(cpuBudget >= 0 && cpuBudget <= 1)) refuse('cpuBudget', cpuBudget, '0 to 1');
  const most = Number.MAX_SAFE_INTEGER;
  return {
    pool: options.pool,
    listen: options.listen,
    allowedUids: options.allowedUids ?? [...new Set([process.getuid?.() ?? 0, 0])],
    limits: checkLimits({ ...DEFAULT_LIMITS, ...options.limits }),
    spinUs: within('spinUs', options.spinUs ?? SPIN_US_DEFAULT, 0, SPIN_US_MAX),
    cpuBudget,
    cacheBytes: within('cacheBytes', options.cacheBytes ?? CACHE_BYTES_DEFAULT, MIB, most),
    bankDir: options.bankDir,
    discardBank: options.discardBank ?? false,
    lockWaitMs: within('lockWaitMs', options.lockWaitMs ?? LOCK_WAIT_MS_DEFAULT, 0, TIMEOUT_MS_MAX),
    graceMs: within('graceMs', options.graceMs ?? GRACE_MS_DEFAULT, 0, TIMEOUT_MS_MAX),
  };
}

function checkLimits(limits: HostLimits): HostLimits {
  const most = Number.MAX_SAFE_INTEGER;
  within('limits.sessions', limits.sessions, 1, SESSIONS_MAX);
  within('limits.regionsPerGuest', limits.regionsPerGuest, 1, SESSIONS_MAX);
  within('limits.regionBytesPerGuest', limits.regionBytesPerGuest, DATA_BYTES_MIN, most);
  within('limits.regionBytesTotal', limits.regionBytesTotal, DATA_BYTES_MIN, most);
  within('limits.queuePairs', limits.queuePairs, 1, QUEUE_COUNT_MAX);
  within('limits.commandsInFlight', limits.commandsInFlight, 2, QUEUE_COUNT_MAX * QUEUE_DEPTH_MAX);
  return limits;
}

function within(option: string, value: number, least: number, most: number): number {
  if (Number.isInteger(value) && value >= least && value <= most) return value;
  return refuse(option, value, `an integer from ${least} to ${most}`);
}

function refuse(option: string, value: number, expected: string): never {
  throw new StoreError('invalid_argument', { option, value: String(value), expected });
}
