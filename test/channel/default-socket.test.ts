/**
 * The rule by which guest, host and commands find one socket. It is pure: no directory is looked
 * at here; that the host refuses a foreign directory is tested with the host.
 */
import { describe, expect, it } from 'vitest';
import {
  defaultHostPath,
  defaultListenPath,
  requireSocketPath,
  SOCKET_PATH_BYTES_MAX,
} from '../../src/channel/default-socket.ts';

describe('default socket', () => {
  it.each([
    [{}, '/tmp/logflume-7/host.sock'],
    [{ XDG_RUNTIME_DIR: '' }, '/tmp/logflume-7/host.sock'],
    [{ XDG_RUNTIME_DIR: 'run' }, '/tmp/logflume-7/host.sock'],
    [{ XDG_RUNTIME_DIR: '/run/user/7' }, '/run/user/7/logflume/host.sock'],
    [{ XDG_RUNTIME_DIR: '/run/user/7//' }, '/run/user/7/logflume/host.sock'],
  ])('listens under the runtime directory where there is one: %j', (environment, path) => {
    expect(defaultListenPath(environment, 7)).toBe(path);
    expect(defaultHostPath(environment, 7)).toBe(path);
  });

  it('lets LOGFLUME_HOST choose for guests, but not for the host', () => {
    const environment = { LOGFLUME_HOST: '/a.sock', XDG_RUNTIME_DIR: '/run' };
    expect(defaultHostPath(environment, 7)).toBe('/a.sock');
    expect(defaultListenPath(environment, 7)).toBe('/run/logflume/host.sock');
    expect(defaultHostPath({ LOGFLUME_HOST: '' }, 7)).toBe('/tmp/logflume-7/host.sock');
  });

  it('refuses a path that the kernel would cut off, counted in bytes', () => {
    const longest = `/${'a'.repeat(SOCKET_PATH_BYTES_MAX - 1)}`;
    expect(requireSocketPath(longest)).toBe(longest);
    for (const path of [`${longest}a`, `/${'é'.repeat(54)}`, '', 'a\0b']) {
      const refused = expect.objectContaining({ code: 'invalid_argument' });
      expect(() => requireSocketPath(path)).toThrow(refused);
    }
  });
});
