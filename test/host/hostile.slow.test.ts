/**
 * Guests that change everything they share while the host reads it: rings, pages, commands, tables
 * and data. The host lives, ends only sessions that earned it, and says why; another guest reads
 * what it wrote, all the time; and every stored block matches its checksum in the end.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { connectAdmin } from '../../guest/index.ts';
import { Prng } from '../../src/base/prng.ts';
import { BLOCK_BYTES, MIB } from '../../src/base/units.ts';
import { readingVerifier } from '../../src/log/check-blocks.ts';
import { createNodePlatform } from '../../src/platform/node-platform.ts';
import { checkStore } from '../../src/store/check-store.ts';
import { BlockLoad, LOAD_GEOMETRY, readVersions } from './support/block-load.ts';
import { HostChild } from './support/host-child.ts';
import type { HostileAim, HostileReport } from './support/hostile-process.ts';
import { makePlace, makePool } from './support/place.ts';
import { RawGuest } from './support/raw-guest.ts';

/** A host that has just ended may hold the lock a moment longer: the kernel ends its disk queue later. */
const LOCK_WAIT_MS = 2000;
const SESSIONS = process.env['LOGFLUME_SOAK'] === '1' ? 400 : 40;
const SEED = Number(process.env['LOGFLUME_SEED'] ?? 20_260_302);
const BLOCK_COUNT = 512;
const SCRIPT = fileURLToPath(
  new URL('../../dist/test/host/support/hostile-process.js', import.meta.url),
);
/** What the host may end a session for, and `survived`. */
const LAWFUL = new Set(['survived', 'ring_corrupt', 'protocol_violation']);

const place = makePlace();
let host: HostChild;
let witness: RawGuest;
let load: BlockLoad;

beforeAll(async () => {
  await makePool(place);
  const { pool, bankDir, socket } = place;
  // Small, so that reads come from the disk as well.
  host = await HostChild.start({ pool, bankDir, listen: socket, graceMs: 0, cacheBytes: MIB });
  const admin = await connectAdmin({ host: socket });
  for (const name of ['hostile', 'witness']) {
    await admin.createVolume(name, BLOCK_COUNT * BLOCK_BYTES);
  }
  await admin.close();
  const asking = { volume: 'witness' };
  witness = await RawGuest.attach(socket, { geometry: LOAD_GEOMETRY, message: asking });
  load = new BlockLoad(BLOCK_COUNT, 1);
});
afterAll(async () => {
  await host.kill();
  place.remove();
});

async function attack(aim: HostileAim): Promise<HostileReport> {
  const args = [place.socket, 'hostile', aim, String(SESSIONS), String(SEED)];
  const child = fork(SCRIPT, args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const [report] = (await once(child, 'message')) as [HostileReport];
  return report;
}

async function readAll(): Promise<void> {
  while (load.inFlight.size > 0) {
    if (load.reap(witness) === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  expect(await readVersions(witness, BLOCK_COUNT)).toEqual(load.versions);
}

it.each(['rings', 'commands', 'data'] as const)(
  `lives through ${SESSIONS} sessions that flip their %s, seed ${SEED}`,
  { timeout: SESSIONS * 10_000 },
  async (aim) => {
    const prng = new Prng(SEED);
    let attacking = true;
    const attacked = attack(aim).finally(() => {
      attacking = false;
    });
    while (attacking) {
      load.submit(witness, prng);
      if (load.reap(witness) === 0) await new Promise((resolve) => setImmediate(resolve));
      if (prng.below(2000) === 0) await readAll();
    }
    const report = await attacked;
    for (const outcome of Object.keys(report)) expect(LAWFUL).toContain(outcome);
    if (aim !== 'data')
      expect(Object.keys(report).length, JSON.stringify(report)).toBeGreaterThan(1);
    else expect(report).toEqual({ survived: SESSIONS });
    await readAll();
    const { counters } = await host.stats();
    expect(counters['checksumMismatches']).toBe(0);
  },
);

it('has stored nothing that does not match its checksum', async () => {
  await witness.detach();
  await host.close();
  const platform = createNodePlatform({ bankDir: place.bankDir });
  const disk = await platform.pools.open(place.pool, { lockWaitMs: LOCK_WAIT_MS, readOnly: true });
  const report = await checkStore(platform, disk, readingVerifier(disk, platform.kernels));
  await disk.close();
  expect(report.findings).toEqual([]);
  expect(report.clean).toBe(true);
});
