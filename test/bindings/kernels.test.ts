/**
 * Checksums against the plain loop of src/base, on every alignment, length and split that the fast
 * kernels treat differently, and batches of copies against a model in JavaScript. On one machine
 * only one processor's kernel runs; the portable one runs everywhere.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AssertionError } from '../../src/base/assert.ts';
import { crc32c as plainCrc32c } from '../../src/base/crc32c.ts';
import {
  crc32c,
  crc32cImplementation,
  crc32cPortable,
  registerMemory,
  runCopies,
  unregisterMemory,
} from '../../src/bindings/kernels.ts';
import { COPY_ROW_WORDS, CopyKind } from '../../src/bindings/kinds.ts';
import { allocateAligned } from '../../src/bindings/memory.ts';

function pseudoRandomBytes(byteLength: number, seed: number): Uint8Array {
  let state = seed | 1;
  return Uint8Array.from({ length: byteLength }, () => {
    state = Math.imul(state, 1664525) + 1013904223;
    return state >>> 24;
  });
}

const BYTES = pseudoRandomBytes(16_500, 1);
const KERNELS = [crc32c, crc32cPortable];

describe('crc32c', () => {
  it('gives the check value of the standard', () => {
    const digits = new TextEncoder().encode('123456789');
    for (const kernel of KERNELS) expect(kernel(digits, 0, 9, 0)).toBe(0xe306_9283);
    expect(['sse4.2', 'armv8', 'portable']).toContain(crc32cImplementation());
  });

  it('agrees with the plain loop on every short range', () => {
    for (let start = 0; start < 9; start++) {
      for (let end = start; end < start + 560; end++) {
        const expected = plainCrc32c(BYTES, start, end, 0);
        for (const kernel of KERNELS) expect(kernel(BYTES, start, end, 0)).toBe(expected);
      }
    }
  });

  it('agrees with the plain loop on any range and seed', () => {
    // Lanes of 1360 and 168 bytes, three at a time, then words, then bytes.
    const edges = [0, 1, 8, 504, 505, 1008, 4080, 4095, 4096, 4097, 4584, 8160, 8192, 12_240];
    const length = fc.oneof(fc.constantFrom(...edges), fc.nat(16_384));
    const property = fc.property(fc.nat(63), length, fc.nat(0xffff_ffff), (start, many, seed) => {
      const expected = plainCrc32c(BYTES, start, start + many, seed);
      for (const kernel of KERNELS) expect(kernel(BYTES, start, start + many, seed)).toBe(expected);
    });
    fc.assert(property, { numRuns: 400 });
  });

  it('continues from a seed wherever the bytes are split', () => {
    const property = fc.property(fc.nat(16_384), fc.nat(16_384), (a, b) => {
      const [split, end] = a < b ? [a, b] : [b, a];
      for (const kernel of KERNELS) {
        const first = kernel(BYTES, 0, split, 0);
        expect(kernel(BYTES, split, end, first)).toBe(kernel(BYTES, 0, end, 0));
      }
    });
    fc.assert(property);
  });

  it('reads views with an offset and shared memory alike', () => {
    const shared = new Uint8Array(new SharedArrayBuffer(8192), 100, 5000);
    shared.set(BYTES.subarray(0, 5000));
    expect(crc32c(shared, 0, 5000, 0)).toBe(plainCrc32c(BYTES, 0, 5000, 0));
  });

  it('refuses a range outside its bytes', () => {
    expect(() => crc32c(BYTES, 0, BYTES.byteLength + 1, 0)).toThrow(AssertionError);
    expect(() => crc32c(BYTES, 2, 1, 0)).toThrow(AssertionError);
  });
});

interface Job {
  readonly kind: number;
  readonly source: number;
  readonly sourceOffset: number;
  readonly target: number;
  readonly targetOffset: number;
  readonly byteLength: number;
}

const MEMORY_BYTES = 9000;
const CRC_UNTOUCHED = 0xdead_beef;

const job = fc.record<Job>({
  kind: fc.constantFrom(CopyKind.COPY, CopyKind.COPY_SUM, CopyKind.SUM, CopyKind.ZERO),
  source: fc.nat(2),
  sourceOffset: fc.oneof(fc.constantFrom(0, 4096), fc.nat(5000)),
  target: fc.nat(2),
  targetOffset: fc.oneof(fc.constantFrom(0, 4096), fc.nat(5000)),
  byteLength: fc.oneof(fc.constantFrom(0, 1, 512, 4000, 4096), fc.nat(4500)),
});

function encodeJobs(jobs: readonly Job[], memories: readonly number[]): Uint32Array {
  const rows = jobs.flatMap((it) => [
    it.kind,
    memories[it.source] ?? it.source,
    it.sourceOffset,
    memories[it.target] ?? it.target,
    it.targetOffset,
    it.byteLength,
  ]);
  return Uint32Array.from(rows);
}

function copies({ kind }: Job): boolean {
  return kind === CopyKind.COPY || kind === CopyKind.COPY_SUM;
}

function isAllowed(it: Job): boolean {
  if (it.targetOffset + it.byteLength > MEMORY_BYTES) return false;
  if (!copies(it)) return true;
  if (it.sourceOffset + it.byteLength > MEMORY_BYTES) return false;
  const apart = Math.abs(it.sourceOffset - it.targetOffset) >= it.byteLength;
  return it.source !== it.target || apart || it.byteLength === 0;
}

/** What the batch does, in plain JavaScript. */
function runModel(jobs: readonly Job[], contents: readonly Uint8Array[]): Uint32Array {
  const crcs = new Uint32Array(jobs.length).fill(CRC_UNTOUCHED);
  jobs.forEach((it, index) => {
    const source = contents[it.source] ?? new Uint8Array();
    const target = contents[it.target] ?? new Uint8Array();
    const end = it.targetOffset + it.byteLength;
    if (copies(it)) {
      target.set(source.slice(it.sourceOffset, it.sourceOffset + it.byteLength), it.targetOffset);
    }
    if (it.kind === CopyKind.ZERO) target.fill(0, it.targetOffset, end);
    if (it.kind === CopyKind.COPY_SUM || it.kind === CopyKind.SUM) {
      crcs[index] = plainCrc32c(target, it.targetOffset, end, 0);
    }
  });
  return crcs;
}

/** One memory of each sort: the JavaScript heap, shared between threads, mapped. */
function makeMemories(): Uint8Array[] {
  const mapped = allocateAligned(MEMORY_BYTES).bytes;
  const shared = new Uint8Array(new SharedArrayBuffer(MEMORY_BYTES));
  const memories = [new Uint8Array(MEMORY_BYTES), shared, mapped];
  memories.forEach((bytes, index) => {
    bytes.set(pseudoRandomBytes(MEMORY_BYTES, index + 2));
  });
  return memories;
}

describe('runCopies', () => {
  it('does what the model does, over every sort of memory', () => {
    const property = fc.property(fc.array(job, { maxLength: 40 }), (candidates) => {
      const jobs = candidates.filter(isAllowed);
      const contents = makeMemories();
      const model = contents.map((bytes) => Uint8Array.from(bytes));
      const memories = contents.map(registerMemory);
      const crcs = new Uint32Array(jobs.length).fill(CRC_UNTOUCHED);
      runCopies(encodeJobs(jobs, memories), jobs.length, crcs);
      memories.forEach(unregisterMemory);
      expect(crcs).toEqual(runModel(jobs, model));
      for (const [index, bytes] of contents.entries()) {
        expect(Buffer.compare(bytes, model[index] ?? new Uint8Array())).toBe(0);
      }
    });
    fc.assert(property, { numRuns: 200 });
  });

  it('runs nothing of a batch in which any job is outside or overlaps itself', () => {
    const good: Job = {
      kind: CopyKind.ZERO,
      source: 0,
      sourceOffset: 0,
      target: 0,
      targetOffset: 0,
      byteLength: 100,
    };
    const bad: Partial<Job>[] = [
      { kind: 4 },
      { target: 77 },
      { targetOffset: MEMORY_BYTES - 99 },
      { targetOffset: 0xffff_ffff },
      { byteLength: 0xffff_ffff },
      { kind: CopyKind.COPY, source: 77 },
      { kind: CopyKind.COPY, source: 1, sourceOffset: MEMORY_BYTES - 99 },
      { kind: CopyKind.COPY_SUM, source: 1, sourceOffset: 0xffff_ff9c },
      { kind: CopyKind.COPY, sourceOffset: 99 },
      { kind: CopyKind.COPY_SUM, targetOffset: 99 },
    ];
    for (const fault of bad) {
      const contents = makeMemories();
      const before = contents.map((bytes) => Uint8Array.from(bytes));
      const memories = contents.map(registerMemory);
      const rows = encodeJobs([good, { ...good, ...fault }], memories);
      expect(() => runCopies(rows, 2, new Uint32Array(2))).toThrow(AssertionError);
      memories.forEach(unregisterMemory);
      for (const [index, bytes] of contents.entries()) {
        expect(Buffer.compare(bytes, before[index] ?? new Uint8Array())).toBe(0);
      }
    }
  });

  it('looks at as many rows as it is told', () => {
    const bytes = new Uint8Array(16).fill(1);
    const memory = registerMemory(bytes);
    const row = [CopyKind.ZERO, 0, 0, memory, 0, 8];
    const jobs = Uint32Array.from([...row, CopyKind.ZERO, 0, 0, memory, 8, 8]);
    expect(jobs.length).toBe(2 * COPY_ROW_WORDS);
    runCopies(jobs, 0, new Uint32Array(0));
    expect(bytes[0]).toBe(1);
    runCopies(jobs, 1, new Uint32Array(1));
    expect([...bytes]).toEqual([...new Array(8).fill(0), ...new Array(8).fill(1)]);
    unregisterMemory(memory);
  });
});

describe('registerMemory', () => {
  it('gives freed numbers out again and refuses to free twice', () => {
    const first = registerMemory(new Uint8Array(8));
    const second = registerMemory(new Uint8Array(8));
    expect(second).not.toBe(first);
    unregisterMemory(first);
    expect(() => unregisterMemory(first)).toThrow(
      expect.objectContaining({ code: 'system_error', details: expect.anything() }),
    );
    expect(registerMemory(new Uint8Array(8))).toBe(first);
    unregisterMemory(first);
    unregisterMemory(second);
  });
});
