/**
 * Guests that attach and are killed in the middle of their commands, again and again: the host's
 * descriptors, mappings and sessions are back where they were, and it still serves.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { connectAdmin } from '../../guest/index.ts';
import { MIB } from '../../src/base/units.ts';
import { HostChild } from './support/host-child.ts';
import { makePlace, makePool } from './support/place.ts';
import { RawGuest } from './support/raw-guest.ts';

const CYCLES = process.env['LOGFLUME_SOAK'] === '1' ? 1000 : 100;
/** Guests alive at the same time: the kill of one meets the attach of another. */
const AT_ONCE = 4;
const SCRIPT = fileURLToPath(
  new URL('../../dist/test/host/support/guest-process.js', import.meta.url),
);

const place = makePlace();
let host: HostChild;

beforeAll(async () => {
  await makePool(place);
  const { pool, bankDir, socket } = place;
  host = await HostChild.start({ pool, bankDir, listen: socket, graceMs: 0 });
  const admin = await connectAdmin({ host: socket });
  await admin.createVolume('v', 4 * MIB);
  await admin.close();
});
afterAll(async () => {
  await host.close();
  place.remove();
});

async function attachAndKill(): Promise<void> {
  const child = fork(SCRIPT, [place.socket, 'v'], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const gone = once(child, 'exit');
  await once(child, 'message');
  child.kill('SIGKILL');
  await gone;
}

/** Kills once more, as a warm-up or to let what is late catch up, and counts. */
async function settled(): Promise<{ descriptors: number; regions: number; sessions: number }> {
  while ((await host.stats()).sessionCount > 0) await attachAndKill();
  return { ...(await host.resources()), sessions: 0 };
}

it(`holds nothing of ${CYCLES} guests that were killed`, { timeout: CYCLES * 10_000 }, async () => {
  await attachAndKill();
  const before = await settled();
  const lane = async () => {
    for (let i = 0; i < CYCLES / AT_ONCE; i++) await attachAndKill();
  };
  await Promise.all(Array.from({ length: AT_ONCE }, lane));
  expect(await settled()).toEqual(before);
  const guest = await RawGuest.attach(place.socket, { message: { volume: 'v' } });
  expect(await guest.nop()).toEqual({ status: 0, bytes: 0 });
  await guest.detach();
  guest.vanish();
});
