/**
 * What a caller may ask of `connect`, checked once, so that nothing behind it meets a bad value.
 */
import { MessagePort } from 'node:worker_threads';
import { type ErrorDetails, StoreError } from '../src/base/errors.ts';
import { MIB } from '../src/base/units.ts';
import { volumeName } from '../src/channel/control-schema.ts';
import { defaultHostPath, requireSocketPath } from '../src/channel/default-socket.ts';
import {
  DATA_BYTES_MAX,
  DATA_BYTES_MIN,
  QUEUE_DEPTH_MAX,
  QUEUE_DEPTH_MIN,
} from '../src/channel/protocol.ts';
import type { Platform } from '../src/platform/platform.ts';

/** How a volume is held: `exclusive` alone, `shared` and `readonly` beside others that agree. */
export type AttachMode = 'exclusive' | 'shared' | 'readonly';

/** What commands in flight see when the host goes away. */
export type HostLossPolicy = 'wait' | 'fail';

/** Options of `connect` and `connectSync`. */
export interface ConnectOptions {
  /**
   * Name of an existing volume, opened for the life of the driver. Without one the driver can only
   * `nop`, which is for measuring channels.
   */
  readonly volume?: string;
  /**
   * The host's socket, or a MessagePort that a host in the same process gave out. Without it
   * `$LOGFLUME_HOST`, else `$XDG_RUNTIME_DIR/logflume/host.sock`, else
   * `/tmp/logflume-UID/host.sock`.
   */
  readonly host?: string | MessagePort;
  /** `exclusive` unless said otherwise: a second guest is refused with `in_use`. */
  readonly mode?: AttachMode;
  /** Commands in flight at most, a power of two from 2 to 1,024. Default 64. */
  readonly queueDepth?: number;
  /**
   * Bytes of shared memory for data, rounded up to 4 KiB, 8 KiB to 1 GiB. Default 16 MiB. Commands
   * in flight share them; a command that finds no room waits for others to complete.
   */
  readonly dataBytes?: number;
  /**
   * Microseconds that a blocked thread spins for a completion before it sleeps, 0 to 10,000.
   * Default 50, about one wake-up. The async face never spins: it would hold up the event loop.
   */
  readonly spinUs?: number;
  /**
   * `wait`, the default: commands in flight and new ones wait for the next host and are then done
   * exactly once. `fail`: they end with `host_lost`.
   */
  readonly onHostLoss?: HostLossPolicy;
  /** Milliseconds that a command waits for the next host, then `host_lost`. Default 60,000. */
  readonly hostLossDeadlineMs?: number;
  /** Milliseconds for one handshake, first or later. Default 10,000. */
  readonly attachTimeoutMs?: number;
  /** Milliseconds that `close` waits for what is in flight. Default 10,000. */
  readonly closeTimeoutMs?: number;
  /** Clock and randomness, for tests. */
  readonly platform?: Platform;
}

/** Options of `connectAdmin`. */
export interface AdminOptions {
  /** As in `ConnectOptions`. */
  readonly host?: string | MessagePort;
  /** Milliseconds that one request may take. Default 30,000. */
  readonly timeoutMs?: number;
  /** Clock, for tests. */
  readonly platform?: Platform;
}

/** `ConnectOptions` with every default filled in and every bound checked. */
export interface CheckedOptions {
  readonly volume: string | undefined;
  readonly host: string | MessagePort;
  readonly mode: AttachMode;
  readonly queueDepth: number;
  readonly dataBytes: number;
  readonly spinNs: number;
  readonly onHostLoss: HostLossPolicy;
  readonly hostLossDeadlineMs: number;
  readonly attachTimeoutMs: number;
  readonly closeTimeoutMs: number;
}

const QUEUE_DEPTH_DEFAULT = 64;
const DATA_BYTES_DEFAULT = 16 * MIB;
/** The data area is handed out in units of a block, and direct reads want that alignment. */
const DATA_UNIT_BYTES = 4096;
const SPIN_US_DEFAULT = 50;
/** A caller that wants to spin longer than this wants a loop of its own. */
const SPIN_US_MAX = 10_000;
const HOST_LOSS_DEADLINE_MS_DEFAULT = 60_000;
const STEP_TIMEOUT_MS_DEFAULT = 10_000;
/** Timers take 31 bits. */
const TIMEOUT_MS_MAX = 2 ** 31 - 1;
const MODES: readonly AttachMode[] = ['exclusive', 'shared', 'readonly'];
const POLICIES: readonly HostLossPolicy[] = ['wait', 'fail'];
const KNOWN: ReadonlySet<string> = new Set([
  'volume',
  'host',
  'mode',
  'queueDepth',
  'dataBytes',
  'spinUs',
  'onHostLoss',
  'hostLossDeadlineMs',
  'attachTimeoutMs',
  'closeTimeoutMs',
  'platform',
]);

/**
 * Fills in defaults and checks bounds.
 *
 * @throws StoreError `invalid_argument` naming the option, what it was and what it may be. An
 * unknown option is refused too: a misspelt one must not silently mean the default.
 */
export function checkOptions(options: ConnectOptions): CheckedOptions {
  if (typeof options !== 'object' || options === null) {
    throw new StoreError('invalid_argument', { expected: 'an object with a volume' });
  }
  for (const name of Object.keys(options)) {
    if (!KNOWN.has(name)) throw refused(name, 'no such option', [...KNOWN].join(' '));
  }
  const { volume } = options;
  if (volume !== undefined && !volumeName.safeParse(volume).success) {
    throw refused('volume', String(volume), 'the name of a volume');
  }
  const queueDepth = options.queueDepth ?? QUEUE_DEPTH_DEFAULT;
  checkInteger('queueDepth', queueDepth, QUEUE_DEPTH_MIN, QUEUE_DEPTH_MAX);
  if ((queueDepth & (queueDepth - 1)) !== 0) {
    throw refused('queueDepth', queueDepth, 'a power of two');
  }
  const dataBytes = options.dataBytes ?? DATA_BYTES_DEFAULT;
  checkInteger('dataBytes', dataBytes, DATA_BYTES_MIN, DATA_BYTES_MAX);
  const spinUs = options.spinUs ?? SPIN_US_DEFAULT;
  checkInteger('spinUs', spinUs, 0, SPIN_US_MAX);
  return {
    volume,
    host: checkHost(options.host),
    mode: checkChoice('mode', options.mode ?? 'exclusive', MODES),
    queueDepth,
    dataBytes: Math.ceil(dataBytes / DATA_UNIT_BYTES) * DATA_UNIT_BYTES,
    spinNs: spinUs * 1000,
    onHostLoss: checkChoice('onHostLoss', options.onHostLoss ?? 'wait', POLICIES),
    hostLossDeadlineMs: checkTimeout(
      'hostLossDeadlineMs',
      options.hostLossDeadlineMs ?? HOST_LOSS_DEADLINE_MS_DEFAULT,
    ),
    attachTimeoutMs: checkTimeout(
      'attachTimeoutMs',
      options.attachTimeoutMs ?? STEP_TIMEOUT_MS_DEFAULT,
    ),
    closeTimeoutMs: checkTimeout(
      'closeTimeoutMs',
      options.closeTimeoutMs ?? STEP_TIMEOUT_MS_DEFAULT,
    ),
  };
}

/** The host named by the caller, or the default one. @throws StoreError `invalid_argument`. */
export function checkHost(host: string | MessagePort | undefined): string | MessagePort {
  if (host instanceof MessagePort) return host;
  if (host === undefined) {
    const { LOGFLUME_HOST, XDG_RUNTIME_DIR } = process.env;
    const uid = process.getuid?.() ?? 0;
    return requireSocketPath(defaultHostPath({ LOGFLUME_HOST, XDG_RUNTIME_DIR }, uid));
  }
  if (typeof host !== 'string') throw refused('host', typeof host, 'a socket path or MessagePort');
  return requireSocketPath(host);
}

/** Milliseconds from 1 to 2^31 - 1. @throws StoreError `invalid_argument`. */
export function checkTimeout(option: string, value: number): number {
  checkInteger(option, value, 1, TIMEOUT_MS_MAX);
  return value;
}

function checkInteger(option: string, value: number, min: number, max: number): void {
  if (Number.isInteger(value) && value >= min && value <= max) return;
  throw refused(option, value, `an integer from ${min} to ${max}`);
}

function checkChoice<Choice extends string>(
  option: string,
  value: string,
  choices: readonly Choice[],
): Choice {
  const choice = choices.find((candidate) => candidate === value);
  if (choice === undefined) throw refused(option, value, choices.join(' or '));
  return choice;
}

function refused(option: string, value: string | number, expected: string): StoreError {
  const details: ErrorDetails = { option, value: String(value), expected };
  return new StoreError('invalid_argument', details);
}
