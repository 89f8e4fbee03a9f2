/** Copies between extents and blocks against copies of a contiguous buffer. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { crc32c } from '../../src/base/crc32c.ts';
import { PortableKernels } from '../../src/platform/portable-kernels.ts';
import { GuestData } from '../../src/volumes/guest-data.ts';
import { RequestTable } from '../../src/volumes/request-table.ts';

const MEMORY_BYTES = 5000;
const DATA_BYTES = 2048;

it('moves any stretch through any extents, in any order, also in a row used before', () => {
  const lengths = fc.array(fc.oneof(fc.nat(700), fc.constant(0)), { minLength: 1, maxLength: 30 });
  const stretch = fc.record({
    kind: fc.constantFrom('put', 'take', 'block', 'zero'),
    start: fc.nat(DATA_BYTES - 1),
    length: fc.integer({ min: 1, max: DATA_BYTES }),
  });
  const commands = fc.array(fc.tuple(lengths, fc.array(stretch, { maxLength: 8 })), {
    minLength: 1,
    maxLength: 3,
  });
  const property = fc.property(commands, (schedule) => {
    const kernels = new PortableKernels();
    const guestBytes = new Uint8Array(MEMORY_BYTES).map((_, i) => i * 7);
    const hostBytes = new Uint8Array(DATA_BYTES).map((_, i) => i * 13);
    const guest = kernels.registerMemory(guestBytes);
    const host = kernels.registerMemory(hostBytes);
    const copies = kernels.createCopyBatch(1000);
    const table = new RequestTable(1, 1);
    const data = new GuestData(table, copies);
    for (const [cuts, stretches] of schedule) {
      const row = table.claim(0);
      table.memory[row] = guest;
      data.reset(row);
      // Extents backwards through the memory, with gaps; `places` is where each byte lies.
      const places: number[] = [];
      let offset = MEMORY_BYTES;
      let left = DATA_BYTES;
      for (const [i, cut] of [...cuts, DATA_BYTES].entries()) {
        const length = i === cuts.length ? left : Math.min(cut, left);
        offset -= length + 3;
        table.addExtent(row, offset, length);
        for (let byte = 0; byte < length; byte++) places.push(offset + byte);
        left -= length;
      }
      for (const { kind, start, length } of stretches) {
        const count = Math.min(length, DATA_BYTES - start);
        const expectedHost = hostBytes.slice();
        const expectedGuest = guestBytes.slice();
        let sumRow = -1;
        for (let i = 0; i < count; i++) {
          const place = places[start + i] as number;
          if (kind === 'put') expectedGuest[place] = hostBytes[i] as number;
          else if (kind === 'zero') expectedGuest[place] = 0;
          else expectedHost[i] = guestBytes[place] as number;
        }
        if (kind === 'put') data.put(row, start, count, host, 0);
        else if (kind === 'zero') data.zero(row, start, count);
        else if (kind === 'take') data.take(row, start, count, host, 0);
        else sumRow = data.takeBlock(row, start, count, host, 0);
        copies.run();
        // Not toEqual, which compares element by element and takes seconds.
        expect(Buffer.compare(hostBytes, expectedHost)).toBe(0);
        expect(Buffer.compare(guestBytes, expectedGuest)).toBe(0);
        if (sumRow >= 0) expect(copies.sums[sumRow]).toBe(crc32c(hostBytes, 0, count, 0));
        copies.clear();
      }
      table.release(row);
    }
  });
  fc.assert(property, { numRuns: 100 });
});
