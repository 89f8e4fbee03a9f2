/**
 * The socket's place: a stale one is replaced, a live one never, and two hosts that start together
 * do not take each other's. In processes of their own, as hosts are.
 */
import { mkdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { SocketPlace } from '../../src/platform/socket-place.ts';
import { HostChild } from './support/host-child.ts';
import { makePlace, type Place } from './support/place.ts';
import { RawGuest } from './support/raw-guest.ts';

let place: Place;
const hosts: HostChild[] = [];

beforeEach(() => {
  place = makePlace();
});
afterEach(async () => {
  for (const host of hosts.splice(0)) await host.kill();
  place.remove();
});

async function start(): Promise<HostChild> {
  const host = await HostChild.start({ listen: place.socket });
  hosts.push(host);
  return host;
}

async function serves(): Promise<void> {
  const guest = await RawGuest.attach(place.socket);
  expect(await guest.nop()).toEqual({ status: 0, bytes: 0 });
  await guest.detach();
  guest.vanish();
}

it('listens with mode 0600, and leaves no socket behind', async () => {
  const host = await start();
  expect(statSync(place.socket).mode & 0o777).toBe(0o600);
  await host.close();
  expect(() => statSync(place.socket)).toThrow('ENOENT');
});

it('replaces the socket of a host that was killed', async () => {
  const first = await start();
  await first.kill();
  expect(statSync(place.socket).isSocket()).toBe(true);
  await start();
  await serves();
});

it('leaves a living host alone', async () => {
  await start();
  await expect(start()).rejects.toMatchObject({ code: 'in_use' });
  await serves();
});

it('leaves another program that listens alone', async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(place.socket, resolve));
  await expect(start()).rejects.toMatchObject({ code: 'in_use' });
  expect(statSync(place.socket).isSocket()).toBe(true);
  await new Promise((resolve) => server.close(resolve));
});

it('leaves what is no socket alone', async () => {
  writeFileSync(place.socket, 'precious');
  await expect(start()).rejects.toMatchObject({ code: 'already_exists' });
  expect(statSync(place.socket).size).toBe(8);
});

it('lets one of several win that start together over a dead socket', async () => {
  const first = await start();
  await first.kill();
  const outcomes = await Promise.allSettled([start(), start(), start()]);
  const failures = outcomes.filter((outcome) => outcome.status === 'rejected');
  expect(failures).toHaveLength(2);
  for (const { reason } of failures) expect(reason).toMatchObject({ code: 'in_use' });
  await serves();
});

it('belongs to one host from before it listens', () => {
  const first = SocketPlace.claim(place.socket, { privateFolder: false });
  const claim = () => SocketPlace.claim(place.socket, { privateFolder: false });
  expect(claim).toThrow(expect.objectContaining({ code: 'in_use' }));
  first.release();
  claim().release();
});

it('refuses a path that a socket cannot have', async () => {
  const listen = join(place.folder, 'x'.repeat(100));
  await expect(HostChild.start({ listen })).rejects.toMatchObject({ code: 'invalid_argument' });
});

it('makes its own folder private, and refuses one that is not', () => {
  const folder = join(place.folder, 'deep', 'own');
  const path = join(folder, 'host.sock');
  SocketPlace.claim(path, { privateFolder: true }).release();
  expect(statSync(folder).mode & 0o777).toBe(0o700);

  const open = join(place.folder, 'open');
  mkdirSync(open, { mode: 0o755 });
  const linked = join(place.folder, 'linked');
  symlinkSync(folder, linked);
  for (const bad of [open, linked]) {
    const claim = () => SocketPlace.claim(join(bad, 'host.sock'), { privateFolder: true });
    expect(claim).toThrow(expect.objectContaining({ code: 'permission_denied' }));
  }
  rmSync(linked);
});
