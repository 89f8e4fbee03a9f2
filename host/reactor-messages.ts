/**
 * What the host's main thread and its reactor's thread say to each other. Errors cross as their
 * parts: a thread's clone of an Error loses its class.
 */
import { type ErrorCode, type ErrorDetails, StoreError } from '../src/base/errors.ts';
import type {
  AdminRequest,
  AdminRequestType,
  AdminResult,
  AttachMessage,
} from '../src/channel/control-schema.ts';
import type { ChannelGeometry } from '../src/channel/geometry.ts';
import type { LinkHandle } from '../src/channel/link.ts';
import type { CheckedHostOptions } from './options.ts';
import type { SessionEnd } from './session.ts';

export interface PlainError {
  readonly code: ErrorCode;
  readonly details: ErrorDetails;
}

/** What a reactor's thread is started with. */
export interface ReactorData {
  readonly options: CheckedHostOptions;
  /** Rung by the main thread after each message: an eventfd, or word 0 of a SharedArrayBuffer. */
  readonly wake: LinkHandle;
  readonly hostPid: number;
}

/** A guest that was found to fit, with its memory; descriptors stay the main thread's. */
export interface AttachOrder {
  readonly kind: 'attach';
  /** The main thread's name for it, below the limit of sessions. */
  readonly session: number;
  readonly geometry: ChannelGeometry;
  readonly memory: LinkHandle;
  readonly guestBell: LinkHandle;
  /** An eventfd to sleep on; undefined if the guest rings the reactor's own wake word. */
  readonly hostBell: number | undefined;
  readonly volume: string | undefined;
  readonly mode: AttachMessage['mode'];
  readonly resume: AttachMessage['resume'];
  readonly uid: number;
}

export type ToReactor =
  | AttachOrder
  | { readonly kind: 'start'; readonly session: number }
  | { readonly kind: 'end'; readonly session: number; readonly end: SessionEnd }
  | { readonly kind: 'admin'; readonly id: number; readonly request: AdminRequest }
  /** Completes what was taken, flushes, closes the pool. */
  | { readonly kind: 'close' };

export interface AttachGrant {
  readonly guestId: number;
  readonly secret: string;
  readonly incarnation: number;
  readonly resumed: boolean;
  readonly volume:
    | {
        readonly id: number;
        readonly name: string;
        readonly sizeBytes: number;
        readonly readOnly: boolean;
      }
    | undefined;
}

export type FromReactor =
  /** The pool is recovered and open. */
  | { readonly kind: 'opened'; readonly facts: ErrorDetails }
  /** It could not be opened; the thread ends. */
  | { readonly kind: 'open-failed'; readonly error: PlainError }
  | { readonly kind: 'attached'; readonly session: number; readonly grant: AttachGrant }
  /** Nothing of the guest is held. */
  | { readonly kind: 'refused'; readonly session: number; readonly error: PlainError }
  /** The reactor ended the session; `drained` follows. */
  | { readonly kind: 'broken'; readonly session: number; readonly error: PlainError }
  /** The session's memory is unmapped, and its volume kept or free as the end said. */
  | { readonly kind: 'drained'; readonly session: number }
  | { readonly kind: 'resized'; readonly session: number; readonly sizeBytes: number }
  | {
      readonly kind: 'answered';
      readonly id: number;
      readonly result: AdminResult<AdminRequestType>;
    }
  | { readonly kind: 'declined'; readonly id: number; readonly error: PlainError }
  /** Something an operator should read. */
  | { readonly kind: 'warning'; readonly event: string; readonly facts: ErrorDetails }
  /** Answer to `close`. */
  | { readonly kind: 'closed'; readonly error: PlainError | undefined };

/** For sending an error. What is no StoreError is our own mistake, and thrown again. */
export function plainOf(error: unknown): PlainError {
  if (!(error instanceof StoreError)) throw error;
  return { code: error.code, details: error.details };
}

export function errorOf({ code, details }: PlainError): StoreError {
  return new StoreError(code, details);
}
