/** `check` finds what is wrong, names where, and finds nothing in a healthy pool. */
import { describe, expect, it } from 'vitest';
import { BLOCK_BYTES } from '../../src/base/units.ts';
import { positionOf } from '../../src/formats/geometry.ts';
import { checkPool } from '../../src/log/check.ts';
import { readingVerifier } from '../../src/log/check-blocks.ts';
import { Harness, POOL } from './support/log-harness.ts';
import { ModelClient } from './support/model-client.ts';
import { ruinSector, storeAll, superblockOf } from './support/pool-surgery.ts';

async function check(h: Harness) {
  const looker = h.machine.startProcess();
  const disk = await looker.pools.open(POOL, { lockWaitMs: 0, readOnly: true });
  const verify = readingVerifier(disk, looker.kernels);
  const report = await checkPool(looker, disk, new ModelClient(), verify);
  await disk.close();
  return report;
}

async function damageIn(h: Harness) {
  const { findings } = await check(h);
  return findings.filter(({ severity }) => severity === 'damage');
}

async function filled(): Promise<Harness> {
  const h = new Harness(21);
  await h.create();
  await h.open();
  for (let i = 0; i < 10; i++) h.write({ kind: 'write', lba: i * 10, blockCount: 30 });
  h.write({ kind: 'discard', lba: 5, blockCount: 10 });
  return h;
}

describe('check', () => {
  it('I1, I2: finds nothing wrong in a closed pool, and counts every block', async () => {
    const h = await filled();
    await h.close();
    expect(await check(h)).toEqual({
      findings: [],
      clean: true,
      mappedBlocks: 110,
      commitCount: 0,
      bankFrames: 0,
    });
  });

  it('finds notes but no damage after a death and after a loss of power', async () => {
    const h = await filled();
    h.flush();
    h.write({ kind: 'write', lba: 0, blockCount: 1 });
    h.kill();
    const died = await check(h);
    expect(died.findings.map(({ structure }) => structure)).toEqual(['bank', 'log']);
    expect(died.findings.every(({ severity }) => severity === 'note')).toBe(true);
    expect(died).toMatchObject({ clean: false, bankFrames: 1 });
    h.losePower();
    expect(await damageIn(h)).toEqual([]);
  });

  it('I2: names each damaged block', async () => {
    const h = await filled();
    const stored = h.client.map.get('7/1/33');
    if (stored === undefined) throw new Error('block 33 is mapped');
    await h.close();
    const position = positionOf(stored.pba);
    ruinSector(h, position + 512);
    const text = `checksum mismatch branch=7 object=1 lba=33 position=${position}`;
    expect(await damageIn(h)).toEqual([{ severity: 'damage', structure: 'block', text }]);
  });

  it('names damaged superblock copies, checkpoint pages and banks', async () => {
    const h = await filled();
    await h.close();
    const { generation, rootPba } = await superblockOf(h);
    ruinSector(h, (generation % 2) * (8 << 20) + 3 * BLOCK_BYTES);
    const [copy] = await damageIn(h);
    expect(copy).toMatchObject({ structure: 'superblock' });
    expect(copy?.text).toContain(`copy 3 of group ${generation % 2}`);
    ruinSector(h, positionOf(rootPba + 2));
    expect((await damageIn(h)).map(({ text }) => text).join()).toContain('page=2');

    const other = await filled();
    other.kill();
    other.machine.banks.clear();
    storeAll(other);
    expect(await damageIn(other)).toMatchObject([{ structure: 'bank' }]);
  });

  it('I1: names a segment whose count is wrong, and a block that is mapped twice', async () => {
    const h = await filled();
    await h.close();
    const looker = h.machine.startProcess();
    const disk = await looker.pools.open(POOL, { lockWaitMs: 0, readOnly: true });
    const client = new ModelClient();
    const visit = client.forEachMapped.bind(client);
    let first: number | undefined;
    client.forEachMapped = (each) =>
      visit((pba, sum, branch, object, lba) => {
        first ??= pba;
        // One block is lost from the map, another has the place of the first.
        if (lba === 90) return;
        each(lba === 91 ? first : pba, sum, branch, object, lba);
      });
    const verify = readingVerifier(disk, looker.kernels);
    const { findings } = await checkPool(looker, disk, client, verify);
    const damage = findings.filter(({ severity }) => severity === 'damage').map(({ text }) => text);
    expect(damage.some((text) => text.startsWith('mapped twice'))).toBe(true);
    expect(damage.some((text) => /counts \d+ live blocks, \d+ are mapped/.test(text))).toBe(true);
  });

  it('says of a file that is no pool that it is none', async () => {
    const h = new Harness(22);
    await h.process.pools.create(POOL, { sizeBytes: 32 << 20, writeThrough: false });
    expect(await damageIn(h)).toMatchObject([{ structure: 'superblock' }]);
  });
});
