/**
 * All three faces at once against a model, with a host that answers late, in any order, and dies
 * at any point: what was completed is there, and nothing was done twice. The host is fake and on
 * the same thread; two threads and real hosts are in other files.
 */
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import type { Driver } from '../../guest/api.ts';
import { QUEUE_FULL } from '../../guest/batch-face.ts';
import { SECTOR_BYTES } from '../../src/base/units.ts';
import { expectSame, Rig } from './support/rig.ts';

const LANE_COUNT = 6;
const LANE_BYTES = 64 * 1024;
const LANE_SECTORS = LANE_BYTES / SECTOR_BYTES;

const rigs: Rig[] = [];
function makeRig(sizeBytes?: number): Rig {
  const rig = new Rig(sizeBytes);
  rigs.push(rig);
  return rig;
}
afterEach(() => {
  for (const rig of rigs.splice(0)) rig.end();
});

interface Command {
  readonly kind: 'write' | 'read' | 'zero' | 'discard' | 'flush' | 'nop' | 'kill';
  readonly face: 'async' | 'sync' | 'batch';
  readonly lane: number;
  readonly sector: number;
  readonly sectors: number;
  readonly value: number;
}

const command: fc.Arbitrary<Command> = fc.record({
  kind: fc.constantFrom<Command['kind']>(
    'write',
    'write',
    'write',
    'read',
    'read',
    'zero',
    'discard',
    'flush',
    'nop',
    'kill',
  ),
  face: fc.constantFrom('async', 'async', 'sync', 'batch'),
  lane: fc.nat(LANE_COUNT - 2),
  sector: fc.nat(LANE_SECTORS - 1),
  sectors: fc.integer({ min: 1, max: 40 }),
  value: fc.integer({ min: 1, max: 255 }),
});

/** Runs commands on a driver and keeps the model beside it. */
class Player {
  readonly model = new Uint8Array(LANE_COUNT * LANE_BYTES);
  readonly #rig: Rig;
  readonly #driver: Driver;
  readonly #lanes: Promise<void>[] = Array.from({ length: LANE_COUNT }, () => Promise.resolve());
  readonly #buffer;
  #seed: number;

  constructor(rig: Rig, driver: Driver, seed: number) {
    this.#rig = rig;
    this.#driver = driver;
    this.#buffer = driver.allocate(64 * 1024);
    this.#seed = seed;
  }

  play(step: Command): void {
    if (step.kind === 'kill') {
      if (step.value % 2 === 0) this.#rig.host.applyUnanswered(step.value % 7);
      this.#rig.kill();
      this.#rig.start({ seed: this.#seed++ });
      return;
    }
    const { face } = step;
    if (face === 'async') {
      const run = () => this.#async(step);
      this.#lanes[step.lane] = (this.#lanes[step.lane] as Promise<void>).then(run);
    } else if (face === 'sync') this.#sync({ ...step, lane: LANE_COUNT - 1 });
    else this.#batch({ ...step, lane: LANE_COUNT - 1 });
  }

  async end(): Promise<void> {
    await Promise.all(this.#lanes);
    this.#buffer.free();
  }

  #range({ lane, sector, sectors }: Command): { position: number; byteLength: number } {
    const last = Math.min(sector + sectors, LANE_SECTORS);
    const position = lane * LANE_BYTES + sector * SECTOR_BYTES;
    return { position, byteLength: (last - sector) * SECTOR_BYTES };
  }

  async #async(step: Command): Promise<void> {
    const { position, byteLength } = this.#range(step);
    const face = this.#driver.async;
    const { kind, value } = step;
    if (kind === 'write') {
      const data = new Uint8Array(byteLength).fill(value);
      this.model.fill(value, position, position + byteLength);
      // In two pieces where it can be: vectored commands take another way through the driver.
      const cut = Math.floor(byteLength / 2 / SECTOR_BYTES) * SECTOR_BYTES;
      if (value % 3 === 0) await face.write(position, data, { fua: value % 2 === 0 });
      else await face.writev(position, [data.subarray(0, cut), data.subarray(cut)]);
    } else if (kind === 'read') {
      const expected = this.model.slice(position, position + byteLength);
      expectSame(await face.read(position, byteLength), expected);
    } else if (kind === 'zero' || kind === 'discard') {
      this.model.fill(0, position, position + byteLength);
      if (kind === 'zero') await face.writeZeroes(position, byteLength);
      else await face.discard(position, byteLength);
    } else if (kind === 'flush') await face.flush();
    else await face.nop();
  }

  #sync(step: Command): void {
    const { position, byteLength } = this.#range(step);
    const face = this.#driver.sync;
    const { kind, value } = step;
    if (kind === 'write') {
      this.model.fill(value, position, position + byteLength);
      face.write(position, new Uint8Array(byteLength).fill(value));
    } else if (kind === 'read') {
      const expected = this.model.slice(position, position + byteLength);
      expectSame(face.read(position, byteLength), expected);
    } else if (kind === 'zero' || kind === 'discard') {
      this.model.fill(0, position, position + byteLength);
      if (kind === 'zero') face.writeZeroes(position, byteLength);
      else face.discard(position, byteLength);
    } else if (kind === 'flush') face.flush();
    else face.nop();
  }

  /** Sector by sector, so that many are in flight; waits for all. */
  #batch(step: Command): void {
    const { position, byteLength } = this.#range(step);
    const face = this.#driver.batch;
    const { kind, value } = step;
    const { bytes, offset } = this.#buffer;
    const first = position / SECTOR_BYTES;
    const sectors = byteLength / SECTOR_BYTES;
    if (kind === 'write') bytes.fill(value, 0, byteLength);
    const submit = (i: number): number => {
      const at = offset + i * SECTOR_BYTES;
      if (kind === 'write') return face.submitWrite(first + i, at, SECTOR_BYTES, 0);
      if (kind === 'read') return face.submitRead(first + i, at, SECTOR_BYTES);
      if (kind === 'zero') return face.submitWriteZeroes(first + i, SECTOR_BYTES, 0);
      if (kind === 'discard') return face.submitDiscard(first + i, SECTOR_BYTES, 0);
      return kind === 'flush' ? face.submitFlush() : face.submitNop();
    };
    const open = new Set<number>();
    for (let next = 0; next < sectors || open.size > 0; ) {
      const tag = next < sectors ? submit(next) : QUEUE_FULL;
      if (tag !== QUEUE_FULL) {
        expect(open.has(tag)).toBe(false);
        open.add(tag);
        next++;
        continue;
      }
      // With an async burst in line every tag may be taken without one being ours.
      if (face.inFlightCount > 0) expect(face.wait(1e9)).toBe(true);
      else this.#driver.sync.nop();
      const count = face.reap(8);
      for (let i = 0; i < count; i++) {
        expect(face.statuses[i]).toBe(0);
        expect(open.delete(face.tags[i] as number)).toBe(true);
      }
    }
    expect(face.inFlightCount).toBe(0);
    const end = position + byteLength;
    if (kind === 'write') this.model.fill(value, position, end);
    if (kind === 'zero' || kind === 'discard') this.model.fill(0, position, end);
    if (kind === 'read') {
      expectSame(bytes.subarray(0, byteLength), this.model.slice(position, end));
    }
  }
}

describe('the three faces', () => {
  it('agree with the model for any schedule, deaths of the host included', async () => {
    const property = fc.asyncProperty(
      fc.nat(1_000_000),
      fc.constantFrom(2, 4, 16),
      fc.array(command, { maxLength: 60 }),
      async (seed, queueDepth, steps) => {
        const rig = makeRig(LANE_COUNT * LANE_BYTES);
        rig.start({ seed });
        const driver = await rig.connect({ queueDepth, dataBytes: 256 * 1024 });
        const player = new Player(rig, driver, seed + 1);
        for (const step of steps) {
          player.play(step);
          // Some schedules go on in the same turn, some after others have had theirs.
          if (step.value % 4 === 0) await rig.until(() => true);
        }
        await player.end();
        expectSame(rig.store.bytes, player.model);
        expect(rig.store.appliedTwice).toEqual([]);
        expect(driver.lostWakes).toBe(0);
        await driver.close();
        rig.end();
      },
    );
    await fc.assert(property, { numRuns: 300 });
  });
});
