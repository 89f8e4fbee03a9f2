/**
 * Layouts of every allowed geometry: nothing overlaps, everything is aligned and inside. A region
 * whose header differs in any byte that the host knows is refused by name.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  CHANNEL_DESCRIPTION,
  CHANNEL_FINGERPRINT,
  fingerprintOf,
} from '../../src/channel/fingerprint.ts';
import { formatRegion, layoutOf, verifyRegion } from '../../src/channel/geometry.ts';
import {
  acceptGuest,
  FEATURES_KNOWN,
  Feature,
  negotiateFeatures,
} from '../../src/channel/negotiation.ts';
import { DATA_BYTES_MAX, RegionHeader } from '../../src/channel/protocol.ts';
import { ringBytes } from '../../src/memory/spsc-ring.ts';
import { ATTACH } from './messages.ts';

const SMALL = { queueCount: 2, queueDepth: 4, dataBytes: 8192 };

describe('geometry', () => {
  it('lays out every allowed geometry without overlap', () => {
    const geometries = fc.record({
      queueCount: fc.integer({ min: 1, max: 16 }),
      queueDepth: fc.integer({ min: 1, max: 10 }).map((bits) => 2 ** bits),
      dataBytes: fc.integer({ min: 2, max: DATA_BYTES_MAX / 4096 }).map((pages) => pages * 4096),
    });
    const property = fc.property(geometries, (geometry) => {
      const layout = layoutOf(geometry);
      let end = layout.hostPageOffset + 8192;
      for (const { submissionOffset, completionOffset } of layout.queues) {
        expect(submissionOffset).toBeGreaterThanOrEqual(end);
        expect([submissionOffset % 128, completionOffset % 128]).toEqual([0, 0]);
        expect(completionOffset).toBe(submissionOffset + ringBytes(geometry.queueDepth, 64));
        end = completionOffset + ringBytes(geometry.queueDepth, 32);
      }
      expect(layout.dataOffset).toBeGreaterThanOrEqual(end);
      expect(layout.dataOffset % 4096).toBe(0);
      expect(layout.regionBytes).toBe(layout.dataOffset + geometry.dataBytes);
      expect(layout.regionBytes).toBeLessThan(2 ** 31);
    });
    fc.assert(property);
  });

  it.each([
    { ...SMALL, queueCount: 0 },
    { ...SMALL, queueCount: 17 },
    { ...SMALL, queueDepth: 1 },
    { ...SMALL, queueDepth: 2048 },
    { ...SMALL, queueDepth: 24 },
    { ...SMALL, dataBytes: 4096 },
    { ...SMALL, dataBytes: 10_000 },
    { ...SMALL, dataBytes: 2 ** 30 + 4096 },
    { ...SMALL, queueCount: Number.NaN },
  ])('refuses %j', (geometry) => {
    expect(() => layoutOf(geometry)).toThrow(expect.objectContaining({ code: 'limit_exceeded' }));
  });

  it('accepts the region that a guest formatted, and refuses one with any known byte changed', () => {
    const layout = layoutOf(SMALL);
    const memory = new SharedArrayBuffer(layout.regionBytes);
    formatRegion(memory, layout, { guestPid: 1, epoch: 1 });
    expect(verifyRegion(memory, layout).byteLength).toBe(layout.regionBytes);
    const bytes = new Uint8Array(memory);
    for (let at = 0; at < RegionHeader.epoch; at++) {
      bytes[at] = (bytes[at] as number) ^ 1;
      expect(() => verifyRegion(memory, layout)).toThrow(
        expect.objectContaining({ code: 'protocol_mismatch' }),
      );
      bytes[at] = (bytes[at] as number) ^ 1;
    }
    const larger = new SharedArrayBuffer(layout.regionBytes + 4096);
    expect(() => verifyRegion(larger, layout)).toThrow(
      expect.objectContaining({ code: 'protocol_mismatch' }),
    );
  });
});

describe('fingerprint', () => {
  it('is a safe integer that changes with any character of the description', () => {
    expect(Number.isSafeInteger(CHANNEL_FINGERPRINT)).toBe(true);
    const property = fc.property(fc.nat(CHANNEL_DESCRIPTION.length - 1), (at) => {
      const changed = `${CHANNEL_DESCRIPTION.slice(0, at)}~${CHANNEL_DESCRIPTION.slice(at + 1)}`;
      expect(fingerprintOf(changed)).not.toBe(CHANNEL_FINGERPRINT);
    });
    fc.assert(property);
  });
});

describe('negotiation', () => {
  it('agrees on what both offer', () => {
    const guest = { offered: Feature.DISCARD | Feature.REPLAY, required: Feature.REPLAY };
    const host = { offered: FEATURES_KNOWN, required: 0 };
    expect(negotiateFeatures(guest, host)).toBe(Feature.DISCARD | Feature.REPLAY);
  });

  it('says who lacks what', () => {
    const modest = { offered: Feature.DISCARD, required: 0 };
    const demanding = { offered: -1 >>> 0, required: (Feature.REPLAY | 0x8000_0000) >>> 0 };
    expect(() => negotiateFeatures(demanding, modest)).toThrow(
      expect.objectContaining({ details: { hostLacks: 'replay+0x80000000' } }),
    );
    expect(() => negotiateFeatures(modest, demanding)).toThrow(
      expect.objectContaining({ details: { guestLacks: 'replay+0x80000000' } }),
    );
  });

  it('refuses another build by name', () => {
    const host = { offered: FEATURES_KNOWN, required: 0 };
    expect(acceptGuest(ATTACH, host)).toBe(15);
    const field = (name: string) => ({ details: expect.objectContaining({ field: name }) });
    expect(() => acceptGuest({ ...ATTACH, protocolVersion: 2 }, host)).toThrow(
      expect.objectContaining(field('protocolVersion')),
    );
    expect(() => acceptGuest({ ...ATTACH, fingerprint: 5 }, host)).toThrow(
      expect.objectContaining(field('fingerprint')),
    );
  });
});
