/**
 * SIGKILL of the host with 64 commands in flight, again and again (R1, R2, R25): no completed write
 * is lost, flushed or not, and none is applied twice. After each kill another guest comes back
 * first, sees what was applied, and overwrites part of it; then the killed one's guest puts its
 * commands back, and what the other wrote must stand wherever the command had been applied before.
 * Leaves out: loss of power (test/sim).
 */
import { rmSync } from 'node:fs';
import { afterEach, expect, it } from 'vitest';
import { connectAdmin } from '../../guest/index.ts';
import { Prng } from '../../src/base/prng.ts';
import { BLOCK_BYTES, SECTORS_PER_BLOCK } from '../../src/base/units.ts';
import { Opcode } from '../../src/channel/protocol.ts';
import {
  BlockLoad,
  fillBlock,
  type InFlight,
  LOAD_GEOMETRY,
  readVersion,
  readVersions,
} from './support/block-load.ts';
import { HostChild } from './support/host-child.ts';
import { makePlace, makePool, type Place } from './support/place.ts';
import { RawGuest } from './support/raw-guest.ts';

const SOAK = process.env['LOGFLUME_SOAK'] === '1';
const ROUNDS = SOAK ? 200 : 20;
const BLOCK_COUNT = 2048;
/** Versions of the other guest, told from the load's by being above. */
const OTHER_FIRST = 1_000_000_000;
const COMPLETIONS_MAX = 3000;
const SEED = Number(process.env['LOGFLUME_SEED'] ?? 20_260_301);

let place: Place | undefined;
let host: HostChild | undefined;
afterEach(async () => {
  await host?.kill();
  place?.remove();
});

async function start(at: Place): Promise<HostChild> {
  const { pool, bankDir, socket } = at;
  // Nobody else is let in between the kill and the return of both, however slow the machine.
  return await HostChild.start({ pool, bankDir, listen: socket, graceMs: 3_600_000 });
}

async function begin(): Promise<Place> {
  place = makePlace();
  await makePool(place);
  host = await start(place);
  const admin = await connectAdmin({ host: place.socket });
  await admin.createVolume('v', BLOCK_COUNT * BLOCK_BYTES);
  await admin.close();
  return place;
}

async function comeBack(at: Place, earlier: RawGuest): Promise<RawGuest> {
  const { guestId = 0, secret = '', incarnation = 0 } = earlier.attached ?? {};
  const guest = new RawGuest(at.socket, {
    memory: earlier.memory,
    message: { volume: 'v', mode: 'shared', resume: { guestId, secret, incarnation } },
  });
  await guest.sayAttach();
  return guest;
}

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** Loads until `count` commands have completed, then kills, and reaps what was published. */
async function loadAndKill(guest: RawGuest, load: BlockLoad, prng: Prng): Promise<void> {
  const goal = load.completedCount + prng.below(COMPLETIONS_MAX);
  for (;;) {
    load.submit(guest, prng);
    if (load.completedCount >= goal) break;
    if (load.reap(guest) === 0) await turn();
  }
  const gone = host?.kill();
  // Whatever it still completes, it completes.
  for (let dead = false; !dead; ) {
    if (load.reap(guest) > 0) continue;
    dead = await Promise.race([Promise.resolve(gone).then(() => true), turn().then(() => false)]);
  }
  load.reap(guest);
  await guest.ended;
}

/** The other guest looks at every command in flight, and overwrites every second block of them. */
async function meddle(
  other: RawGuest,
  load: BlockLoad,
  prng: Prng,
  firstVersion: number,
): Promise<Map<number, number>> {
  const expected = new Map<number, number>();
  let version = firstVersion;
  for (const { block, version: wanted } of writes(load)) {
    const found = await readVersion(other, block);
    const before = load.versions[block] as number;
    expect([before, wanted], `block ${block} is old or new`).toContain(found);
    // A command that wants what was there already cannot be told from one not applied.
    const applied = found === wanted && before !== wanted;
    const ambiguous = before === wanted;
    expected.set(block, wanted);
    if (ambiguous || prng.below(2) === 0) continue;
    fillBlock(other, 0, version);
    const sector = block * SECTORS_PER_BLOCK;
    expect((await other.run(Opcode.WRITE, sector, SECTORS_PER_BLOCK)).status).toBe(0);
    if (applied) expected.set(block, version);
    version++;
  }
  return expected;
}

function writes(load: BlockLoad): InFlight[] {
  return [...load.inFlight.values()].filter(({ block }) => block >= 0);
}

async function checkAll(guest: RawGuest, load: BlockLoad, except: ReadonlySet<number>) {
  const found = await readVersions(guest, BLOCK_COUNT);
  for (let block = 0; block < BLOCK_COUNT; block++) {
    if (except.has(block)) continue;
    expect(found[block], `block ${block}`).toBe(load.versions[block]);
  }
}

it(`loses no completed write and repeats none in ${ROUNDS} kills, seed ${SEED}`, {
  timeout: ROUNDS * 60_000,
}, async () => {
  const at = await begin();
  const prng = new Prng(SEED);
  const asking = { volume: 'v', mode: 'shared' } as const;
  let guest = await RawGuest.attach(at.socket, { geometry: LOAD_GEOMETRY, message: asking });
  let other = await RawGuest.attach(at.socket, { message: asking });
  const load = new BlockLoad(BLOCK_COUNT, 1);
  let inFlightSum = 0;
  for (let round = 0; round < ROUNDS; round++) {
    await loadAndKill(guest, load, prng);
    inFlightSum += load.inFlight.size;
    host = await start(at);

    const back = await comeBack(at, other);
    back.sayStart(other);
    other = back;
    await checkAll(other, load, new Set(writes(load).map(({ block }) => block)));
    const expected = await meddle(other, load, prng, OTHER_FIRST + round * 1000);

    const again = await comeBack(at, guest);
    // Everything the dead host answered was reaped: the rings may be emptied.
    again.sayStart(guest);
    guest = again;
    while (load.inFlight.size > 0) if (load.reap(guest) === 0) await turn();
    for (const [block, version] of expected) {
      expect(await readVersion(other, block), `round ${round}, block ${block}`).toBe(version);
      load.versions[block] = version;
    }
  }
  expect(inFlightSum, 'kills find commands in flight').toBeGreaterThan(ROUNDS);
  await checkAll(other, load, new Set());
});

it('refuses the pool when its bank is gone, and lets go of completed writes only when told', async () => {
  const at = await begin();
  const guest = await RawGuest.attach(at.socket, { message: { volume: 'v' } });
  fillBlock(guest, 0, 7);
  await guest.run(Opcode.WRITE, 0, SECTORS_PER_BLOCK);
  await host?.kill();
  await guest.ended;
  rmSync(at.bankDir, { recursive: true });

  await expect(start(at)).rejects.toMatchObject({ code: 'bank_lost' });
  const { pool, bankDir, socket } = at;
  host = await HostChild.start({ pool, bankDir, listen: socket, discardBank: true });
  // What it was told complete may be lost now, so it is not served as if nothing had been.
  await expect(comeBack(at, guest)).rejects.toMatchObject({ code: 'incarnation_changed' });
  const next = await RawGuest.attach(at.socket, { message: { volume: 'v' } });
  expect([0, 7]).toContain(await readVersion(next, 0));
});

it('keeps a second host off the pool, and names the first', async () => {
  const at = await begin();
  const { pool, bankDir, folder } = at;
  const second = HostChild.start({ pool, bankDir, listen: `${folder}/2.sock`, lockWaitMs: 50 });
  await expect(second).rejects.toMatchObject({ code: 'pool_locked' });
  await expect(second).rejects.toThrow(String(host?.pid));
});
