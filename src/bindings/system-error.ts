import { constants } from 'node:os';
import { getSystemErrorName } from 'node:util';
import { type ErrorDetails, StoreError } from '../base/errors.ts';

const { errno } = constants;

/** Results of native calls that are ordinary for some callers. Negative, as the addon returns them. */
export const Errno = {
  EAGAIN: -errno.EAGAIN,
  EBADF: -errno.EBADF,
  EBUSY: -errno.EBUSY,
  EEXIST: -errno.EEXIST,
  EINVAL: -errno.EINVAL,
  EIO: -errno.EIO,
  ENOENT: -errno.ENOENT,
  ENOSPC: -errno.ENOSPC,
  ENOTCONN: -errno.ENOTCONN,
  EPROTO: -errno.EPROTO,
  ERANGE: -errno.ERANGE,
} as const;

/** `ENOENT` for -2. */
export function errnoName(result: number): string {
  // Node's own names stop at what its library knows; a number is better than another error.
  try {
    return getSystemErrorName(result);
  } catch {
    return String(result);
  }
}

/** A failed system call as an error. `result` is the negative errno. */
export function systemError(call: string, result: number, details: ErrorDetails = {}): StoreError {
  return new StoreError('system_error', { ...details, call, errno: errnoName(result) });
}

/**
 * Returns a native call's result if it is not negative.
 *
 * @throws StoreError `system_error` with `call` and the errno's name otherwise.
 */
export function requireResult(call: string, result: number, details?: ErrorDetails): number {
  if (result < 0) throw systemError(call, result, details);
  return result;
}
