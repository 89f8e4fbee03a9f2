/**
 * Where host and guests meet if nobody says otherwise: one rule for the guest driver, the host and
 * every command, so that they find each other without configuration.
 */
import { StoreError } from '../base/errors.ts';

/** The kernel's `sun_path` holds 108 bytes, and the last is a terminator. */
export const SOCKET_PATH_BYTES_MAX = 107;

/** The parts of the environment that the rule looks at. */
export interface SocketEnvironment {
  readonly LOGFLUME_HOST?: string | undefined;
  readonly XDG_RUNTIME_DIR?: string | undefined;
}

/**
 * The per-user socket: `$XDG_RUNTIME_DIR/logflume/host.sock`, else `/tmp/logflume-UID/host.sock`.
 * Whoever listens makes the directory, mode 0700, and refuses one that belongs to somebody else.
 */
export function defaultListenPath(environment: SocketEnvironment, uid: number): string {
  const runtime = environment.XDG_RUNTIME_DIR;
  // A relative path there is to be ignored, says the specification that defines the variable.
  if (runtime?.startsWith('/')) return `${runtime.replace(/\/+$/, '')}/logflume/host.sock`;
  return `/tmp/logflume-${uid}/host.sock`;
}

/** Where a guest looks: `$LOGFLUME_HOST` if set and not empty, else the per-user socket. */
export function defaultHostPath(environment: SocketEnvironment, uid: number): string {
  const named = environment.LOGFLUME_HOST;
  return named !== undefined && named !== '' ? named : defaultListenPath(environment, uid);
}

/**
 * Returns `path` if it can name a Unix socket.
 *
 * @throws StoreError `invalid_argument` if it is empty, holds a NUL or takes more than
 * `SOCKET_PATH_BYTES_MAX` bytes as UTF-8: the kernel would cut it off or refuse it obscurely.
 */
export function requireSocketPath(path: string): string {
  if (path === '' || path.includes('\0')) {
    throw new StoreError('invalid_argument', { reason: 'not a socket path', socket: path });
  }
  const pathBytes = Buffer.byteLength(path);
  if (pathBytes > SOCKET_PATH_BYTES_MAX) {
    const reason = 'the socket path is too long; use a shorter one';
    const bytesMax = SOCKET_PATH_BYTES_MAX;
    throw new StoreError('invalid_argument', { reason, socket: path, pathBytes, bytesMax });
  }
  return path;
}
