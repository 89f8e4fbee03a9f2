/**
 * The host's main half: lets peers in, numbers their sessions, keeps a reactor running, says what
 * happens. Everything that touches a guest's memory or the pool is the reactor's.
 */
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import type { Logger } from 'pino';
import { type ErrorDetails, StoreError } from '../src/base/errors.ts';
import type { AdminRequest, AdminRequestType, AdminResult } from '../src/channel/control-schema.ts';
import type { RegionLayout } from '../src/channel/geometry.ts';
import type { ControlLink, LinkPeer } from '../src/channel/link.ts';
import { answerDoor } from '../src/channel/port-door.ts';
import { PortLink } from '../src/channel/port-link.ts';
import { createNodePlatform } from '../src/platform/node-platform.ts';
import type { Clock } from '../src/platform/platform.ts';
import { Accounts, type Reservation } from './accounts.ts';
import { BellBridge } from './bell-bridge.ts';
import { Connection } from './connection.ts';
import type { Facts, Hall } from './hall.ts';
import type { Host, HostStats } from './index.ts';
import { Listener } from './listener.ts';
import {
  type CheckedHostOptions,
  checkHostOptions,
  type HostLimits,
  type HostOptions,
} from './options.ts';
import { errorOf, type FromReactor, type ToReactor } from './reactor-messages.ts';
import { Supervisor } from './supervisor.ts';

/** Links of administrators and of guests that are not attached yet, beside the sessions. */
const OTHER_LINKS_MAX = 64;

export class HostServer implements Host, Hall {
  readonly clock: Clock;
  readonly limits: HostLimits;
  readonly portBell: SharedArrayBuffer;
  readonly ended: Promise<void>;
  readonly #options: CheckedHostOptions;
  readonly #logger: Logger | undefined;
  readonly #accounts: Accounts;
  readonly #supervisor: Supervisor;
  readonly #connections = new Set<Connection>();
  readonly #doors = new Set<MessagePort>();
  readonly #bySession: (Connection | undefined)[];
  #listener: Listener | undefined;
  #bridge: BellBridge | undefined;
  #closing: Promise<void> | undefined;
  #end: (failure: StoreError | undefined) => void = () => undefined;

  private constructor(options: CheckedHostOptions, logger: Logger | undefined) {
    this.#options = options;
    this.#logger = logger;
    this.limits = options.limits;
    this.clock = createNodePlatform().clock;
    this.#accounts = new Accounts(options.limits);
    this.#bySession = new Array<Connection | undefined>(options.limits.sessions).fill(undefined);
    this.#supervisor = new Supervisor(options, this.clock, {
      onOpened: (facts) => this.note('pool open', plainFacts(facts)),
      onMessage: (message) => this.#hear(message),
      onLost: (cause) => this.#reactorLost(cause),
      onOver: (failure) => this.#over(failure),
    });
    const { wake } = this.#supervisor;
    this.portBell = wake instanceof SharedArrayBuffer ? wake : new SharedArrayBuffer(4);
    this.ended = new Promise((resolve, reject) => {
      this.#end = (failure) => (failure === undefined ? resolve() : reject(failure));
    });
    // Who does not look at `ended` has the log.
    this.ended.catch(() => undefined);
  }

  /** @throws StoreError why the pool cannot be opened, or the socket not listened on. */
  static async start(options: HostOptions): Promise<HostServer> {
    const checked = checkHostOptions(options);
    const server = new HostServer(checked, options.logger);
    try {
      await server.#supervisor.open();
      server.#listen();
    } catch (error) {
      if (error instanceof StoreError) {
        server.#logger?.error({ code: error.code }, `host not started: ${error.message}`);
      }
      // From here on the end of the reactor's thread is no loss, and nobody ends the host twice.
      server.#closing = Promise.resolve();
      await server.#supervisor.close().catch(() => undefined);
      // The pool may be open already. Why that fails as well is of less interest.
      await server.#supervisor.close().catch(() => undefined);
      await server.#dispose();
      throw error;
    }
    server.note('host started', { pool: checked.pool ?? '', socket: checked.listen ?? '' });
    return server;
  }

  get address(): string | undefined {
    return this.#options.listen;
  }

  openPort(): MessagePort {
    if (this.#closing !== undefined) throw new StoreError('shutting_down', {});
    const { wake } = this.#supervisor;
    if (typeof wake === 'number' && this.#bridge === undefined) {
      const words = new Int32Array(this.portBell);
      this.#bridge = new BellBridge({ words, target: wake });
    }
    const { port1, port2 } = new MessageChannel();
    answerDoor(port1, (port) => this.#admit(new PortLink(port, ownPeer())));
    this.#doors.add(port1);
    port1.on('close', () => this.#doors.delete(port1));
    return port2;
  }

  async stats(): Promise<HostStats> {
    return (await this.#supervisor.request({ type: 'stat', requestId: 0 })) as HostStats;
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async terminateReactor(): Promise<void> {
    await this.#supervisor.terminate();
  }

  // What connections need (Hall). --------------------------------------------------------------

  async whenRunning(): Promise<void> {
    if (this.#closing !== undefined) throw new StoreError('shutting_down', {});
    // Without a port there is no bridge, and who comes over a socket loses nothing by waiting.
    await this.#bridge?.ready;
    await this.#supervisor.ready();
  }

  reserve(
    connection: Connection,
    pid: number,
    layout: RegionLayout,
  ): { readonly session: number; readonly reservation: Reservation } {
    const reservation = this.#accounts.reserve(pid, layout);
    // As many places as reservations, and each is left when its reservation is released.
    const session = this.#bySession.indexOf(undefined);
    this.#bySession[session] = connection;
    return { session, reservation };
  }

  release(session: number, reservation: Reservation): void {
    this.#bySession[session] = undefined;
    this.#accounts.release(reservation);
  }

  post(message: ToReactor): void {
    this.#supervisor.post(message);
  }

  async administer(request: AdminRequest, facts: Facts): Promise<AdminResult<AdminRequestType>> {
    const result = await this.#supervisor.request(request);
    if ('name' in request && request.type !== 'volume-info') {
      this.note(request.type, { ...facts, volume: request.name });
    }
    return result;
  }

  leave(connection: Connection): void {
    this.#connections.delete(connection);
  }

  note(event: string, facts: Facts): void {
    this.#logger?.info(facts, event);
  }

  warn(event: string, facts: Facts): void {
    this.#logger?.warn(facts, event);
  }

  // --------------------------------------------------------------------------------------------

  #listen(): void {
    const { listen, allowedUids } = this.#options;
    if (listen === undefined) return;
    this.#listener = new Listener({
      path: listen,
      clock: this.clock,
      admits: ({ uid }) => allowedUids.includes(uid),
      onLink: (link) => this.#admit(link),
      onTrouble: (error) => this.warn('connection refused', { reason: error.message }),
    });
  }

  #admit(link: ControlLink): void {
    if (this.#connections.size >= this.limits.sessions + OTHER_LINKS_MAX) {
      const error = new StoreError('limit_exceeded', { connections: this.#connections.size });
      this.warn('connection refused', { reason: error.message });
      link.send({ type: 'error', code: error.code, message: error.message });
      link.close();
      return;
    }
    this.#connections.add(new Connection(this, link));
    // The listener keeps the process alive; a peer alone does not.
    link.hold(false);
  }

  #hear(message: FromReactor): void {
    if (message.kind === 'warning') {
      this.warn(message.event, plainFacts(message.facts));
      return;
    }
    if (!('session' in message)) return;
    const connection = this.#bySession[message.session];
    if (message.kind === 'attached') connection?.attached(message.grant);
    else if (message.kind === 'refused') connection?.refused(errorOf(message.error));
    else if (message.kind === 'broken') connection?.broken(errorOf(message.error));
    else if (message.kind === 'drained') connection?.drained();
    else connection?.resized(message.sizeBytes);
  }

  #reactorLost(cause: Error | undefined): void {
    this.#logger?.error({ reason: cause?.message ?? 'terminated' }, 'reactor lost');
    for (const connection of [...this.#connections]) connection.lost();
  }

  /** Nobody serves any more, and nobody will. */
  #over(failure: StoreError): void {
    this.#logger?.fatal({ code: failure.code }, `host over: ${failure.message}`);
    this.#closing ??= this.#dispose().then(() => this.#end(failure));
  }

  async #close(): Promise<void> {
    this.note('host stopping', { sessions: this.#accounts.sessionCount });
    this.#listener?.close();
    for (const connection of this.#connections) connection.shutDown();
    let failure: StoreError | undefined;
    try {
      await this.#supervisor.close();
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      failure = error;
    }
    await this.#dispose();
    this.note('host stopped', failure === undefined ? {} : { reason: failure.message });
    this.#end(failure);
    if (failure !== undefined) throw failure;
  }

  async #dispose(): Promise<void> {
    this.#listener?.close();
    for (const door of this.#doors) door.close();
    for (const connection of [...this.#connections]) connection.close();
    await this.#bridge?.close();
    this.#supervisor.dispose();
  }
}

function ownPeer(): LinkPeer {
  return { pid: process.pid, uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
}

function plainFacts(details: ErrorDetails): Facts {
  return Object.fromEntries(
    Object.entries(details).map(([name, value]) => [
      name,
      typeof value === 'bigint' ? String(value) : value,
    ]),
  );
}
