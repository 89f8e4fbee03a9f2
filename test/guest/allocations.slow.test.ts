/**
 * The batch face allocates nothing per command: two million commands against a host in another
 * process. The other faces make promises or objects, and are not meant to.
 */
import { afterAll, expect, it } from 'vitest';
import { HostChild } from '../host/support/host-child.ts';
import { makePlace } from '../host/support/place.ts';
import { GuestProcess } from './support/guest-child.ts';

/**
 * What a collection, reading the heap's size and the sleeps of a loaded machine leave, spread over
 * half a million commands. The smallest object is 12 bytes, so one per command would show; the
 * channel benchmark, with ten million commands, holds it to 0.1.
 */
const NOISE_BYTES = 1;

const place = makePlace();
afterAll(() => place.remove());

it('allocates nothing per command', async () => {
  const host = await HostChild.start({ listen: place.socket });
  const guest = new GuestProcess('allocate', place.socket, ['--expose-gc']);
  expect(await guest.exited).toEqual([0, null]);
  expect(Number(guest.lines[0])).toBeLessThan(NOISE_BYTES);
  await host.close();
});
