/**
 * The slow way between guest and host, over which they agree on the fast one. A socket between
 * processes, a MessagePort between threads; the messages are the same.
 */
import type { StoreError } from '../base/errors.ts';
import type { ControlMessage } from './control-schema.ts';

/** Shared memory and bells: descriptors on a socket, SharedArrayBuffers on a port. */
export type LinkHandle = number | SharedArrayBuffer;

/** Who is at the other end, as the kernel says; a thread of this process has our own ids. */
export interface LinkPeer {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

export interface LinkEvents {
  /** One message, its handles checked in number and kind. Descriptors are now the receiver's. */
  onMessage(message: ControlMessage, handles: readonly LinkHandle[]): void;
  /**
   * The link is gone, once, and nothing follows. Undefined: the peer left or `close` was called.
   * Otherwise what was wrong: `protocol_violation`, `protocol_mismatch`, `system_error`.
   */
  onClose(reason: StoreError | undefined): void;
}

export interface ControlLink {
  readonly carries: 'descriptors' | 'buffers';
  readonly peer: LinkPeer;
  /** Starts handing out events. Messages that came before wait until then. */
  open(events: LinkEvents): void;
  /**
   * Sends in order, without waiting for the peer. Descriptors stay the caller's, who may close them
   * as soon as this returns. Silent once the link is closed: `onClose` tells.
   *
   * @throws StoreError `limit_exceeded` if the message is too long, or too much waits to be sent.
   */
  send(message: ControlMessage, handles?: readonly LinkHandle[]): void;
  /**
   * Hands out what has arrived, and the end if that has come, before it returns: for a thread that
   * blocks instead of returning to its event loop. The link is open. Not from within its events.
   */
  poll(): void;
  /** Whether the link keeps the process alive. It does at first. */
  hold(hold: boolean): void;
  /** Sends what waits if the peer takes it at once, then closes. `onClose` is called if open. */
  close(): void;
}
