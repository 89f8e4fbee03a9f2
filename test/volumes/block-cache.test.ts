/**
 * The cache against a model of which places are cached: a probe finds exactly what was admitted
 * and neither dropped nor evicted, no frame has two owners, and pinned frames stay. That eviction
 * spares what was hit is an example below; how well it does so is for the bench.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PortableKernels } from '../../src/platform/portable-kernels.ts';
import { BlockCache, CACHE_BYTES_MIN, FRAME_NONE } from '../../src/volumes/block-cache.ts';

const FRAMES = CACHE_BYTES_MIN / 4096;

function makeCache(): BlockCache {
  return new BlockCache(new PortableKernels(), CACHE_BYTES_MIN);
}

/** Reads a block the way a fill does. */
function bring(cache: BlockCache, pba: number): number {
  const frame = cache.claimFrame();
  if (frame === FRAME_NONE) return frame;
  cache.admit(frame, pba);
  cache.unpin(frame);
  return frame;
}

describe('block cache', () => {
  it('finds what was admitted, for any schedule', () => {
    // Few places that collide in their hash, and many that do not.
    const pbas = fc.oneof(
      fc.integer({ min: 1, max: 100 }),
      fc.integer({ min: 1, max: 2 ** 32 - 1 }),
    );
    const commands = fc.record({
      kind: fc.constantFrom('bring', 'bring', 'bring', 'find', 'drop', 'pin', 'unpin', 'private'),
      pba: pbas,
    });
    const property = fc.property(fc.array(commands, { maxLength: 400 }), (schedule) => {
      const cache = makeCache();
      const frameOf = new Map<number, number>();
      const pinned: { frame: number; pba: number }[] = [];
      const owned = (frame: number) => pinned.some((pin) => pin.frame === frame);
      /** The model learns of evictions by looking. */
      const evict = (frame: number) => {
        expect(owned(frame)).toBe(false);
        for (const [pba, other] of frameOf) if (other === frame) frameOf.delete(pba);
      };
      for (const { kind, pba } of schedule) {
        const frame = frameOf.get(pba);
        if (kind === 'bring' && frame === undefined) {
          const got = bring(cache, pba);
          if (got === FRAME_NONE) continue;
          evict(got);
          frameOf.set(pba, got);
        }
        if (kind === 'drop') {
          cache.drop(pba);
          frameOf.delete(pba);
        }
        if (kind === 'pin' && frame !== undefined && pinned.length < FRAMES / 2) {
          cache.pin(frame);
          pinned.push({ frame, pba });
        }
        if (kind === 'unpin') {
          const last = pinned.pop();
          if (last !== undefined) cache.unpin(last.frame);
        }
        if (kind === 'private') {
          const got = cache.claimFrame();
          if (got === FRAME_NONE) continue;
          evict(got);
          cache.unpin(got);
        }
        expect(cache.find(pba)).toBe(frameOf.get(pba) ?? FRAME_NONE);
      }
      for (const [pba, frame] of frameOf) expect(cache.find(pba)).toBe(frame);
      expect(cache.cachedCount).toBe(frameOf.size);
      expect(cache.pinnedCount()).toBe(new Set(pinned.map((pin) => pin.frame)).size);
    });
    fc.assert(property, { numRuns: 300 });
  });

  it('has no frame for anybody while all are pinned', () => {
    const cache = makeCache();
    const frames = Array.from({ length: FRAMES }, () => cache.claimFrame());
    expect(new Set(frames).size).toBe(FRAMES);
    expect(cache.claimFrame()).toBe(FRAME_NONE);
    cache.unpin(frames[3] as number);
    expect(cache.claimFrame()).toBe(frames[3]);
  });

  it('keeps what is hit while a scan goes through', () => {
    const cache = makeCache();
    for (let pba = 1; pba <= FRAMES / 2; pba++) bring(cache, pba);
    for (let scanned = 1000; scanned < 1000 + 10 * FRAMES; scanned++) {
      for (let pba = 1; pba <= FRAMES / 2; pba++) cache.find(pba);
      bring(cache, scanned);
    }
    for (let pba = 1; pba <= FRAMES / 2; pba++) expect(cache.find(pba)).not.toBe(FRAME_NONE);
  });
});
