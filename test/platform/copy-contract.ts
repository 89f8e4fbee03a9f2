/**
 * What every `CopyBatch` must do, run over the addon's kernels and over their JavaScript twin
 * against a plain model: jobs run in order, sums are over the target after the copy.
 */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { crc32c } from '../../src/base/crc32c.ts';
import type { Kernels } from '../../src/platform/platform.ts';

const AREA_BYTES = 300;

const range = fc
  .tuple(fc.nat(AREA_BYTES), fc.nat(AREA_BYTES))
  .map(([a, b]) => ({ offset: Math.min(a, b), byteLength: Math.abs(a - b) }));

const job = fc.oneof(
  fc.record({
    kind: fc.constantFrom<'copy' | 'copyAndSum'>('copy', 'copyAndSum'),
    from: fc.nat(1),
    source: fc.nat(AREA_BYTES),
    target: range,
  }),
  fc.record({
    kind: fc.constantFrom<'sum' | 'zero'>('sum', 'zero'),
    from: fc.nat(1),
    source: fc.constant(0),
    target: range,
  }),
);

export function describeCopyContract(makeKernels: () => Kernels): void {
  it('does what a plain model does, for any jobs', () => {
    const kernels = makeKernels();
    const bytes = fc.uint8Array({ minLength: AREA_BYTES, maxLength: AREA_BYTES });
    const property = fc.property(bytes, bytes, fc.array(job, { maxLength: 20 }), (a, b, jobs) => {
      const areas = [kernels.allocate(AREA_BYTES), kernels.allocate(AREA_BYTES)] as const;
      const model = [a.slice(), b.slice()] as const;
      areas[0].set(a);
      areas[1].set(b);
      const memories = areas.map((area) => kernels.registerMemory(area));
      const batch = kernels.createCopyBatch(20);
      const sums: (number | undefined)[] = [];
      for (const { kind, from, source, target } of jobs) {
        const { offset, byteLength } = target;
        const sourceOffset = Math.min(source, AREA_BYTES - byteLength);
        const to = kind === 'sum' || kind === 'zero' ? from : 1 - from;
        const [memory = -1, other = -1] = [memories[to], memories[from]];
        const area = model[to === 0 ? 0 : 1];
        if (kind === 'sum') batch.sum(memory, offset, byteLength);
        else if (kind === 'zero') batch.zero(memory, offset, byteLength);
        else batch[kind](other, sourceOffset, memory, offset, byteLength);
        if (kind === 'zero') area.fill(0, offset, offset + byteLength);
        if (kind === 'copy' || kind === 'copyAndSum') {
          const piece = model[from === 0 ? 0 : 1].subarray(sourceOffset, sourceOffset + byteLength);
          area.set(piece, offset);
        }
        const summed = kind === 'sum' || kind === 'copyAndSum';
        sums.push(summed ? crc32c(area, offset, offset + byteLength, 0) : undefined);
      }
      expect(batch.rowCount).toBe(jobs.length);
      expect(batch.roomCount).toBe(20 - jobs.length);
      batch.run();
      for (const [index, area] of areas.entries()) {
        expect(Buffer.compare(area, model[index] ?? area)).toBe(0);
      }
      for (const [row, sum] of sums.entries()) {
        if (sum !== undefined) expect(batch.sums[row]).toBe(sum);
      }
      for (const memory of memories) kernels.unregisterMemory(memory);
    });
    fc.assert(property, { numRuns: 200 });
  });

  it('runs no job of a table in which one reaches outside its memory', () => {
    const kernels = makeKernels();
    const area = kernels.allocate(AREA_BYTES).fill(1);
    const memory = kernels.registerMemory(area);
    const batch = kernels.createCopyBatch(4);
    batch.zero(memory, 0, 8);
    batch.zero(memory, AREA_BYTES - 4, 8);
    expect(() => batch.run()).toThrow();
    expect(area[0]).toBe(1);
    batch.clear();
    batch.copy(memory, 0, memory, 4, 8);
    expect(() => batch.run()).toThrow('overlap');
    kernels.unregisterMemory(memory);
  });

  it('is filled again only after it was cleared, and is never overfilled', () => {
    const kernels = makeKernels();
    const memory = kernels.registerMemory(kernels.allocate(64).fill(1));
    const batch = kernels.createCopyBatch(2);
    expect(batch.zero(memory, 0, 8)).toBe(0);
    expect(batch.sum(memory, 0, 8)).toBe(1);
    expect(batch.hasRoom).toBe(false);
    expect(() => batch.sum(memory, 0, 8)).toThrow('room');
    batch.run();
    expect(() => batch.run()).toThrow('once');
    batch.clear();
    expect(batch.rowCount).toBe(0);
    expect(batch.sum(memory, 0, 8)).toBe(0);
    kernels.unregisterMemory(memory);
  });

  it('sums as the reference does, and continues a sum', () => {
    const kernels = makeKernels();
    const digits = new TextEncoder().encode('123456789');
    expect(kernels.crc32c(digits, 0, 9, 0)).toBe(0xe3069283);
    expect(kernels.crc32c(digits, 4, 9, kernels.crc32c(digits, 0, 4, 0))).toBe(0xe3069283);
  });

  it('gives out zeroed memory', () => {
    const bytes = makeKernels().allocate(100_000);
    expect(bytes.byteLength).toBe(100_000);
    expect(bytes.every((byte) => byte === 0)).toBe(true);
  });
}
