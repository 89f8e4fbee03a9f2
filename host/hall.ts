/** What a connection needs of the host around it. */
import type { AdminRequest, AdminRequestType, AdminResult } from '../src/channel/control-schema.ts';
import type { RegionLayout } from '../src/channel/geometry.ts';
import type { Clock } from '../src/platform/platform.ts';
import type { Reservation } from './accounts.ts';
import type { Connection } from './connection.ts';
import type { HostLimits } from './options.ts';
import type { ToReactor } from './reactor-messages.ts';

/** Facts of a log line. */
export type Facts = Readonly<Record<string, string | number>>;

export interface Hall {
  readonly clock: Clock;
  readonly limits: HostLimits;
  /** Rung by guests of this process. */
  readonly portBell: SharedArrayBuffer;
  /** Resolves when a reactor serves. @throws StoreError `host_lost`, `shutting_down`. */
  whenRunning(): Promise<void>;
  /** Numbers a session and counts its region. @throws StoreError `limit_exceeded`. */
  reserve(
    connection: Connection,
    pid: number,
    layout: RegionLayout,
  ): { readonly session: number; readonly reservation: Reservation };
  release(session: number, reservation: Reservation): void;
  post(message: ToReactor): void;
  administer(request: AdminRequest, facts: Facts): Promise<AdminResult<AdminRequestType>>;
  /** The connection is over. */
  leave(connection: Connection): void;
  note(event: string, facts: Facts): void;
  warn(event: string, facts: Facts): void;
}
