/**
 * Unix stream sockets that carry descriptors. All are non-blocking: what would wait returns
 * `WOULD_WAIT`, and `watchFd` (event-thread.ts) tells when to ask again.
 */
import { assert } from '../base/assert.ts';
import { StoreError } from '../base/errors.ts';
import { addon } from './load.ts';
import { Errno, requireResult } from './system-error.ts';

/** Nothing to accept or receive, or no room to send: watch the socket, then call again. */
export const WOULD_WAIT = -1;

/** The longest path that a Unix socket's address holds. */
export const SOCKET_PATH_BYTES_MAX = 107;

/** The most descriptors that one message carries; the kernel's limit. */
export const FDS_PER_MESSAGE_MAX = 253;

const NO_FDS = new Int32Array(0);

export interface Peer {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

/**
 * Binds and listens at a path that nobody holds; its mode is set before anybody can connect.
 *
 * @throws StoreError `system_error` with EADDRINUSE if something is at the path, ENAMETOOLONG.
 */
export function listenAt(path: string, options: { mode: number; backlog: number }): number {
  assert(!path.includes('\0'), 'a path holds no zero byte');
  const result = addon().socketListen(path, options.mode, options.backlog);
  return requireResult('listen', result, { path });
}

/** A connection's descriptor, or `WOULD_WAIT`. */
export function acceptFrom(listener: number): number {
  const result = addon().socketAccept(listener);
  return result === Errno.EAGAIN ? WOULD_WAIT : requireResult('accept', result);
}

/**
 * Connects. Blocks only while the listener's backlog is full, at most a second.
 *
 * @throws StoreError `system_error`: ENOENT or ECONNREFUSED if nobody listens, ETIMEDOUT, EACCES.
 */
export function connectTo(path: string): number {
  assert(!path.includes('\0'), 'a path holds no zero byte');
  return requireResult('connect', addon().socketConnect(path), { path });
}

/**
 * Sends bytes [start, end), or a first part of them; bytes sent or `WOULD_WAIT`. `fds` all go with
 * the first byte, and stay the sender's to close.
 *
 * @throws StoreError `system_error`: EPIPE if the peer is gone.
 */
export function sendBytes(
  fd: number,
  bytes: Uint8Array,
  start: number,
  end: number,
  fds: Int32Array = NO_FDS,
): number {
  assertRange(bytes, start, end);
  assert(fds.length <= FDS_PER_MESSAGE_MAX, 'a message carries at most 253 descriptors');
  const result = addon().socketSend(fd, bytes, start, end, fds);
  return result === Errno.EAGAIN ? WOULD_WAIT : requireResult('sendmsg', result);
}

/**
 * Receives into bytes [start, end); bytes received, 0 at the end of the stream, or `WOULD_WAIT`.
 * Descriptors that came with them are appended to `fds`, whose element 0 counts those that follow
 * it; they are the caller's to close.
 *
 * @throws StoreError `protocol_violation` if more came than `fds` has room for, or some were cut
 * off; the surplus is closed, what was appended stays. `system_error` with ECONNRESET and the like.
 */
export function receiveBytes(
  fd: number,
  bytes: Uint8Array,
  start: number,
  end: number,
  fds: Int32Array,
): number {
  assertRange(bytes, start, end);
  assert(fds.length >= 1, 'element 0 of the descriptors is their count');
  const result = addon().socketReceive(fd, bytes, start, end, fds);
  if (result === Errno.EAGAIN) return WOULD_WAIT;
  if (result === Errno.EPROTO) throw new StoreError('protocol_violation', { call: 'recvmsg' });
  return requireResult('recvmsg', result);
}

/** Who connected, as the kernel noted it then. */
export function peerOf(fd: number): Peer {
  const out = new Int32Array(3);
  requireResult('getsockopt', addon().socketPeer(fd, out), { fd });
  const [pid = 0, uid = 0, gid = 0] = out;
  return { pid, uid: uid >>> 0, gid: gid >>> 0 };
}

/** Ends both directions; the peer reads the end of the stream. The descriptor stays to be closed. */
export function shutdownSocket(fd: number): void {
  const result = addon().socketShutdown(fd);
  // The peer may have been faster.
  if (result !== Errno.ENOTCONN) requireResult('shutdown', result, { fd });
}

function assertRange(bytes: Uint8Array, start: number, end: number): void {
  assert(start >= 0 && start < end, 'a transfer has at least one byte');
  assert(end <= bytes.byteLength, 'a range ends within its bytes');
}
