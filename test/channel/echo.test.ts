/**
 * Guest and host on two real threads that sleep whenever they can: no wake-up is lost, by notify or
 * by eventfd. `LOGFLUME_SOAK=1` runs ten times as many rounds.
 */
import { describe, expect, it } from 'vitest';
import { Prng } from '../../src/base/prng.ts';
import { PARK_LOST, PARK_WOKEN } from '../../src/memory/park.ts';
import { EchoGuest, makeEchoOptions } from './echo-guest.ts';

const HOST_FILE = new URL('../../dist/test/channel/echo-host.js', import.meta.url);
const SOAK = process.env['LOGFLUME_SOAK'] === '1';
const ROUND_COUNT = SOAK ? 50_000 : 5000;
const SEED = 20_260_101;

describe('two threads that sleep', () => {
  it.each(['buffers', 'descriptors'] as const)('lose no wake-up over %s', async (kind) => {
    const options = makeEchoOptions(kind, 0);
    const guest = new EchoGuest(options, HOST_FILE);
    const prng = new Prng(SEED);
    for (let i = 0; i < ROUND_COUNT; i++) guest.round(1 + prng.below(4));
    const parks = await guest.stop();
    expect([guest.lostCount, parks[PARK_LOST]], `seed ${SEED}`).toEqual([0, 0]);
    expect(parks[PARK_WOKEN]).toBeGreaterThan(0);
  });
});
