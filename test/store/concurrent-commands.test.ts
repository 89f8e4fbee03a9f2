/**
 * Commands of several guests in flight together against an array of versions by sector.
 *
 * The engine promises more than a disk must: changes of one block take effect in the order in
 * which they were submitted (R14). So the model applies a change when it is submitted, and a sector
 * of a read must show a version that was there at some moment between its submission and its end.
 * At the end, and after a restart, all sectors must show exactly the model.
 *
 * Left out: crashes in the middle (test/sim), and changes that are refused.
 */
import { expect, it } from 'vitest';
import { Prng } from '../../src/base/prng.ts';
import { KIB, MIB, SECTOR_BYTES } from '../../src/base/units.ts';
import { type Command, type Guest, StoreHarness } from './support/store-harness.ts';

const VOLUME_SECTORS = (2 * MIB) / SECTOR_BYTES;
/** Sectors of the largest ordinary command. */
const SECTORS_MAX = 96;
const SLOT_BYTES = 64 * KIB;
const SLOTS = 24;
const ZERO = 0;
const CHANGES = ['WRITE', 'WRITE', 'WRITE', 'WRITE', 'WRITE', 'WRITE_ZEROES', 'DISCARD'] as const;
const OPS = [...CHANGES, 'READ', 'READ', 'READ', 'READ', 'READ', 'FLUSH'] as const;

/** The versions of each sector, with the moment when each came. */
class SectorHistory {
  readonly #versions: { at: number; version: number }[][];
  now = 0;

  constructor(sectorCount: number) {
    this.#versions = Array.from({ length: sectorCount }, () => [{ at: 0, version: ZERO }]);
  }

  change(first: number, count: number, version: number): void {
    this.now++;
    for (let i = first; i < first + count; i++) {
      this.#versions[i]?.push({ at: this.now, version });
    }
  }

  newest(sector: number): number {
    return this.#versions[sector]?.at(-1)?.version ?? -1;
  }

  /** Versions that a sector had between a moment and now. */
  since(sector: number, at: number): number[] {
    const versions = this.#versions[sector] ?? [];
    const then = versions.findLastIndex((one) => one.at <= at);
    return versions.slice(then).map(({ version }) => version);
  }
}

function stamp(bytes: Uint8Array, offset: number, sector: number, version: number): void {
  const view = new DataView(bytes.buffer, offset, SECTOR_BYTES);
  for (let at = 0; at < SECTOR_BYTES; at += 8) {
    view.setUint32(at, version, true);
    view.setUint32(at + 4, sector, true);
  }
}

/** The version that a sector shows; NaN if it is no sector of one write, in its place. */
function versionAt(bytes: Uint8Array, offset: number, sector: number): number {
  const view = new DataView(bytes.buffer, offset, SECTOR_BYTES);
  const version = view.getUint32(0, true);
  for (let at = 0; at < SECTOR_BYTES; at += 8) {
    if (view.getUint32(at, true) !== version) return Number.NaN;
    if (view.getUint32(at + 4, true) !== (version === ZERO ? 0 : sector)) return Number.NaN;
  }
  return version;
}

interface Run {
  readonly harness: StoreHarness;
  readonly prng: Prng;
  readonly history: SectorHistory;
  readonly guests: Guest[];
  readonly freeSlots: number[];
  inFlight: number;
  nextVersion: number;
  readonly answers: Map<string, number>;
}

/** Splits [offset, offset + bytes) at random places, not only between sectors. */
function drawExtents(prng: Prng, offset: number, bytes: number): [number, number][] {
  if (prng.chance(0.6)) return [[offset, bytes]];
  const extents: [number, number][] = [];
  let at = 0;
  while (at < bytes && extents.length < 20) {
    const length = extents.length === 19 ? bytes - at : prng.between(1, bytes - at);
    extents.push([offset + at, length]);
    at += length;
  }
  return extents;
}

function drawPlace(prng: Prng, long: boolean): { sector: number; count: number } {
  const sector = prng.chance(0.5) ? prng.below(64) : prng.below(VOLUME_SECTORS);
  const most = Math.min(
    VOLUME_SECTORS - sector,
    long && prng.chance(0.1) ? VOLUME_SECTORS : SECTORS_MAX,
  );
  const count = prng.chance(0.4) ? prng.between(1, Math.min(most, 9)) : prng.between(1, most);
  return { sector, count };
}

function submitOne(run: Run): void {
  const { harness, prng, history } = run;
  const guest = prng.pick(run.guests);
  const slot = run.freeSlots.pop();
  if (slot === undefined) return;
  const offset = slot * SLOT_BYTES;
  const op = prng.pick(OPS);
  const long = op === 'WRITE_ZEROES' || op === 'DISCARD';
  const place = drawPlace(prng, long);
  const { sector, count } = place;
  const extents = drawExtents(prng, offset, count * SECTOR_BYTES);
  const command: Command = { op, ...place, fua: prng.chance(0.1), ...(long ? {} : { extents }) };
  if (op === 'WRITE') {
    const version = run.nextVersion++;
    for (let i = 0; i < count; i++)
      stamp(guest.bytes, offset + i * SECTOR_BYTES, sector + i, version);
    history.change(sector, count, version);
  }
  if (long) history.change(sector, count, ZERO);
  if (op === 'READ') guest.bytes.fill(0xee, offset, offset + count * SECTOR_BYTES);
  const submittedAt = history.now;
  run.inFlight++;
  harness.submit(guest, command, (answer) => {
    run.inFlight--;
    run.freeSlots.push(slot);
    run.answers.set(answer, (run.answers.get(answer) ?? 0) + 1);
    if (op !== 'READ') return;
    for (let i = 0; i < count; i++) {
      const shown = versionAt(guest.bytes, offset + i * SECTOR_BYTES, sector + i);
      expect(history.since(sector + i, submittedAt), `sector ${sector + i}`).toContain(shown);
    }
  });
}

function expectAll(run: Run): void {
  const { harness, history, guests } = run;
  const guest = guests[0] as Guest;
  for (let sector = 0; sector < VOLUME_SECTORS; sector += 128) {
    expect(harness.run(guest, { op: 'READ', sector, count: 128 })).toBe('ok');
    for (let i = 0; i < 128; i++) {
      const shown = versionAt(guest.bytes, i * SECTOR_BYTES, sector + i);
      expect(shown, `sector ${sector + i}`).toBe(history.newest(sector + i));
    }
  }
}

async function makeRun(seed: number): Promise<Run> {
  const harness = new StoreHarness(seed, { log: { checkpointBytes: 3 * MIB, pagesPerStep: 1 } });
  await harness.create();
  await harness.pump(harness.store.createVolume('disk', VOLUME_SECTORS * SECTOR_BYTES));
  return {
    harness,
    prng: new Prng(seed),
    history: new SectorHistory(VOLUME_SECTORS),
    guests: [
      await harness.attach('disk', 'shared', 1e6),
      await harness.attach('disk', 'shared', 1e6),
    ],
    freeSlots: Array.from({ length: SLOTS }, (_, i) => i),
    inFlight: 0,
    nextVersion: 1,
    answers: new Map(),
  };
}

function runCommands(run: Run, commandCount: number): void {
  const { harness, prng } = run;
  for (let submitted = 0; submitted < commandCount; ) {
    for (let burst = prng.below(6); burst > 0; burst--) {
      submitOne(run);
      submitted++;
    }
    for (let steps = prng.below(5); steps > 0; steps--) harness.step();
  }
  harness.stepUntil(() => run.inFlight === 0);
}

/** Afterwards nothing is in the bank or the cache: commands find their blocks cold. */
async function reopen(run: Run): Promise<void> {
  const { harness, prng, guests } = run;
  if (prng.chance(0.5)) {
    for (const { grant } of guests) harness.store.detachSession(grant.session);
    await harness.closeAndReopen();
  } else {
    await harness.killAndReopen();
  }
  for (const [i, guest] of guests.entries()) guests[i] = await harness.reattach(guest);
}

const SEEDS = Array.from({ length: 6 }, (_, i) => 100 + i);

it.each(SEEDS)('R14, R24: keeps the order of changes of each block (seed %i)', async (seed) => {
  const run = await makeRun(seed);
  const seen = { held: 0, cold: 0, bank: 0, checkpoints: 0 };
  for (let round = 0; round < 4; round++) {
    runCommands(run, 200);
    const stats = run.harness.store.stats();
    seen.held += stats.heldCommands;
    seen.cold += stats.cacheMisses;
    seen.bank += stats.bankHits;
    seen.checkpoints += stats.checkpoints;
    expectAll(run);
    await reopen(run);
    expectAll(run);
  }
  expect([...run.answers.keys()]).toEqual(['ok']);
  // Otherwise the run has not tried what it is about.
  for (const count of Object.values(seen)) expect(count).toBeGreaterThan(0);
});
