/**
 * Administration over control messages only: no region, no rings. Requests are answered in any
 * order; each has a number and a deadline.
 */
import { StoreError } from '../src/base/errors.ts';
import {
  ADMIN_RESULTS,
  type AdminRequest,
  type AdminRequestType,
  type AdminResult,
  type ControlMessage,
  controlMessage,
  type VolumeEntry,
} from '../src/channel/control-schema.ts';
import type { ControlLink } from '../src/channel/link.ts';
import { createNodePlatform } from '../src/platform/node-platform.ts';
import type { Clock, Timer } from '../src/platform/platform.ts';
import { type AdminOptions, checkHost, checkTimeout } from './options.ts';
import { errorFromHost } from './session.ts';
import { openLinkTo } from './transport.ts';

/** A volume as listings show it. */
export type VolumeDescription = VolumeEntry;
/** Counters of a host by name, sessions summed, and a summary of latencies. */
export type HostStat = AdminResult<'stat'>;
/** The pool that a host serves. */
export type PoolDescription = AdminResult<'pool-info'>;

/**
 * A connection for administration. Requests reject with what the host says (`not_found`,
 * `already_exists`, `in_use`, `permission_denied`, …), with `timed_out`, or with `host_lost` when the
 * host goes away; then a changing request may or may not have been carried out.
 */
export interface Admin {
  /** Makes a volume. Its space is taken as it is written. */
  createVolume(name: string, sizeBytes: number): Promise<VolumeDescription>;
  /** All volumes, by name. */
  listVolumes(): Promise<VolumeDescription[]>;
  volumeInfo(name: string): Promise<VolumeDescription>;
  /** What lies past a smaller size is gone. Attached guests are told. */
  resizeVolume(name: string, sizeBytes: number): Promise<VolumeDescription>;
  /** Removes a volume and all that it holds; refused with `in_use` while a guest is attached. */
  removeVolume(name: string): Promise<void>;
  stat(): Promise<HostStat>;
  poolInfo(): Promise<PoolDescription>;
  /** Ends the connection; requests under way reject with `closed`. */
  close(): Promise<void>;
}

/**
 * Connects to a host for administration.
 *
 * @throws StoreError `host_unreachable` naming the socket, `invalid_argument`.
 */
export async function connectAdmin(options: AdminOptions = {}): Promise<Admin> {
  const timeoutMs = checkTimeout('timeoutMs', options.timeoutMs ?? TIMEOUT_MS_DEFAULT);
  const { clock } = options.platform ?? createNodePlatform();
  return new AdminClient(openLinkTo(checkHost(options.host)), clock, timeoutMs);
}

const TIMEOUT_MS_DEFAULT = 30_000;

/** The host cuts off who sends what is none, so a bad name or size is refused before it is sent. */
function requireRequest(request: object): ControlMessage {
  const parsed = controlMessage.safeParse(request);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const field = issue?.path.map(String).join('.') ?? '';
  throw new StoreError('invalid_argument', { field, problem: issue?.message ?? 'unknown' });
}

/** A request without its number. */
type Asked = {
  [Type in AdminRequestType]: Omit<Extract<AdminRequest, { type: Type }>, 'requestId'>;
};

interface Pending {
  readonly timer: Timer;
  resolve(result: unknown): void;
  reject(error: StoreError): void;
}

class AdminClient implements Admin {
  readonly #link: ControlLink;
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #pending = new Map<number, Pending>();
  #nextId = 1;
  #end: StoreError | undefined;

  constructor(link: ControlLink, clock: Clock, timeoutMs: number) {
    this.#link = link;
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
    link.open({
      onMessage: (message) => this.#receive(message),
      onClose: (reason) => this.#finish(reason ?? new StoreError('host_lost')),
    });
    link.hold(false);
  }

  async createVolume(name: string, sizeBytes: number): Promise<VolumeDescription> {
    const { volume } = await this.#ask('volume-create', { type: 'volume-create', name, sizeBytes });
    return volume;
  }

  async listVolumes(): Promise<VolumeDescription[]> {
    const volumes: VolumeDescription[] = [];
    for (;;) {
      const after = volumes.at(-1)?.name;
      const page = await this.#ask('volume-list', { type: 'volume-list', after });
      volumes.push(...page.volumes);
      if (!page.more || page.volumes.length === 0) return volumes;
    }
  }

  async volumeInfo(name: string): Promise<VolumeDescription> {
    const { volume } = await this.#ask('volume-info', { type: 'volume-info', name });
    return volume;
  }

  async resizeVolume(name: string, sizeBytes: number): Promise<VolumeDescription> {
    const { volume } = await this.#ask('volume-resize', { type: 'volume-resize', name, sizeBytes });
    return volume;
  }

  async removeVolume(name: string): Promise<void> {
    await this.#ask('volume-remove', { type: 'volume-remove', name });
  }

  stat(): Promise<HostStat> {
    return this.#ask('stat', { type: 'stat' });
  }

  poolInfo(): Promise<PoolDescription> {
    return this.#ask('pool-info', { type: 'pool-info' });
  }

  async close(): Promise<void> {
    this.#finish(new StoreError('closed'));
  }

  async #ask<Type extends AdminRequestType>(
    type: Type,
    request: Asked[Type],
  ): Promise<AdminResult<Type>> {
    if (this.#end !== undefined) throw this.#end;
    const requestId = this.#nextId;
    const message = requireRequest({ ...request, requestId });
    this.#nextId++;
    const answer = new Promise<unknown>((resolve, reject) => {
      const timer = this.#clock.after(this.#timeoutMs, () => {
        this.#settle(requestId);
        reject(new StoreError('timed_out', { request: type, timeoutMs: this.#timeoutMs }));
      });
      this.#pending.set(requestId, { timer, resolve, reject });
    });
    this.#link.hold(true);
    this.#link.send(message);
    const parsed = ADMIN_RESULTS[type].safeParse(await answer);
    if (parsed.success) return parsed.data as AdminResult<Type>;
    throw new StoreError('protocol_mismatch', { answerTo: type }, { cause: parsed.error });
  }

  #receive(message: ControlMessage): void {
    if (message.type === 'reply') {
      this.#settle(message.requestId)?.resolve(message.result);
    } else if (message.type === 'error') {
      const { code, requestId, details } = message;
      const error = errorFromHost(code, message.message, details);
      if (requestId === undefined) this.#finish(error);
      else this.#settle(requestId)?.reject(error);
    } else {
      this.#finish(new StoreError('protocol_violation', { unexpectedMessage: message.type }));
    }
  }

  /** Takes a request out of the table; undefined if it has timed out meanwhile. */
  #settle(requestId: number): Pending | undefined {
    const pending = this.#pending.get(requestId);
    pending?.timer.cancel();
    this.#pending.delete(requestId);
    if (this.#pending.size === 0 && this.#end === undefined) this.#link.hold(false);
    return pending;
  }

  #finish(reason: StoreError): void {
    if (this.#end !== undefined) return;
    this.#end = reason;
    this.#link.close();
    for (const requestId of [...this.#pending.keys()]) this.#settle(requestId)?.reject(reason);
  }
}
