/** Which superblock counts, for every way in which an update can be cut off (R13). */
import { describe, expect, it } from 'vitest';
import { BLOCK_BYTES } from '../../src/base/units.ts';
import { encodeSuperblock, type Superblock } from '../../src/formats/superblock.ts';
import {
  chooseSuperblock,
  groupPositionOf,
  nextGenerationOf,
  readSuperblocks,
} from '../../src/log/superblocks.ts';
import type { Disk } from '../../src/platform/disk.ts';
import { PortableKernels } from '../../src/platform/portable-kernels.ts';
import { SUPERBLOCK } from '../formats/support/fixtures.ts';

const kernels = new PortableKernels();

/** Eight places, filled by `put`. */
class Places {
  readonly bytes = new Map<number, Uint8Array>();

  put(superblock: Superblock, copies: readonly number[]): this {
    for (const copy of copies) {
      const position = groupPositionOf(superblock.generation) + copy * BLOCK_BYTES;
      const bytes = new Uint8Array(BLOCK_BYTES);
      encodeSuperblock(superblock, bytes, 0, position, kernels);
      this.bytes.set(position, bytes);
    }
    return this;
  }

  async choose() {
    const read = async (target: Uint8Array, position: number) => {
      for (let at = 0; at < target.byteLength; at += BLOCK_BYTES) {
        const bytes = this.bytes.get(position + at);
        if (bytes !== undefined) target.set(bytes, at);
      }
    };
    const disk = { sizeBytes: 1 << 30, read } as unknown as Disk;
    return chooseSuperblock(await readSuperblocks(disk, kernels));
  }
}

const at = (generation: number, cutTxn = generation) => ({ ...SUPERBLOCK, generation, cutTxn });
const ALL = [0, 1, 2, 3];

describe('superblocks', () => {
  it.each([
    { newer: [], chosen: 6, torn: undefined },
    { newer: [0], chosen: 6, torn: 7 },
    { newer: [3], chosen: 6, torn: 7 },
    { newer: [0, 1], chosen: 7, torn: undefined },
    { newer: [1, 3], chosen: 7, torn: undefined },
    { newer: [0, 1, 2], chosen: 7, torn: undefined },
    { newer: ALL, chosen: 7, torn: undefined },
  ])(
    'R13: with copies $newer of the newer generation, $chosen counts',
    async ({ newer, chosen, torn }) => {
      const found = await new Places().put(at(6), ALL).put(at(7), newer).choose();
      expect(found.superblock.generation).toBe(chosen);
      expect(found.tornGeneration).toBe(torn);
    },
  );

  it('R13: two copies of different content do not make one', async () => {
    const places = new Places().put(at(6), ALL).put(at(7, 1), [0]).put(at(7, 2), [1]);
    expect((await places.choose()).superblock.generation).toBe(6);
  });

  it('R13: a copy in the group of the other generation, or in another place, does not count', async () => {
    const places = new Places().put(at(6), ALL).put(at(7), [0, 1]);
    const good = places.bytes.get(groupPositionOf(7)) as Uint8Array;
    places.bytes.set(groupPositionOf(7) + BLOCK_BYTES, good);
    expect((await places.choose()).superblock.generation).toBe(6);
  });

  it('R13: nothing with two copies is damage', async () => {
    const places = new Places().put(at(6), [2]).put(at(7), [0]);
    await expect(places.choose()).rejects.toMatchObject({ code: 'pool_corrupt' });
  });

  it('the next generation goes to the other group, past every torn one', async () => {
    const whole = await new Places().put(at(6), ALL).put(at(5), ALL).choose();
    expect(nextGenerationOf(whole)).toBe(7);
    const torn = await new Places().put(at(6), ALL).put(at(7), [1]).choose();
    expect(nextGenerationOf(torn)).toBe(9);
  });

  it('refuses two copies of an unknown version, and features that are unknown', async () => {
    const places = new Places().put(at(6), ALL);
    for (const bytes of places.bytes.values()) {
      new DataView(bytes.buffer).setUint32(4, 2, true);
    }
    for (const [position, bytes] of places.bytes) {
      const sum = kernels.crc32c(bytes, 0, BLOCK_BYTES - 4, position / BLOCK_BYTES);
      new DataView(bytes.buffer).setUint32(BLOCK_BYTES - 4, sum, true);
    }
    await expect(places.choose()).rejects.toMatchObject({ code: 'version_unsupported' });
  });
});
