/**
 * The flat map against a plain Map: any schedule of sets, clears and cuts leaves both with the same
 * contents, and a cut's pages hold the state of its moment, whatever is changed while they are
 * encoded. Left out: sizes near FLAT_MAP_BLOCKS_MAX, which only cost memory.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PAGE_BODY_BYTES } from '../../src/formats/checkpoint-page.ts';
import { ENTRY_NONE } from '../../src/maps/block-map.ts';
import { CHUNK_BLOCKS, FlatMap } from '../../src/maps/flat-map.ts';

const SPACE_BLOCKS = 3 * CHUNK_BLOCKS - 100;
const OBJECT = 1;

interface Entry {
  readonly pba: number;
  readonly sum: number;
  readonly mba: number;
}

type Model = Map<number, Entry>;

/** Numbers that favour the ends of chunks and of the space. */
const lbas = fc.oneof(
  fc.nat(SPACE_BLOCKS - 1),
  fc.constantFrom(0, CHUNK_BLOCKS - 1, CHUNK_BLOCKS, 2 * CHUNK_BLOCKS, SPACE_BLOCKS - 1),
);
const entries = fc.record({
  pba: fc.oneof(fc.integer({ min: 1, max: 0xffff_ffff }), fc.constantFrom(1, 0xffff_ffff)),
  sum: fc.nat(0xffff_ffff),
  mba: fc.oneof(fc.maxSafeNat(), fc.constantFrom(1, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1)),
});
const commands = fc.oneof(
  fc.record({ kind: fc.constant('set' as const), space: fc.nat(1), lba: lbas, entry: entries }),
  fc.record({
    kind: fc.constant('run' as const),
    space: fc.nat(1),
    lba: lbas,
    count: fc.nat(700),
    entry: entries,
  }),
  fc.record({
    kind: fc.constant('clear' as const),
    space: fc.nat(1),
    lba: lbas,
    count: fc.oneof(fc.nat(5), fc.nat(SPACE_BLOCKS)),
    work: fc.constantFrom(1, 100, 1e9),
  }),
  fc.record({ kind: fc.constant('sum' as const), space: fc.nat(1), lba: lbas, sum: fc.nat() }),
);
type Command = typeof commands extends fc.Arbitrary<infer C> ? C : never;

function apply(map: FlatMap, model: Model[], command: Command): void {
  const { space, lba } = command;
  const mine = model[space] as Model;
  if (command.kind === 'set') set(map, mine, space, lba, command.entry);
  if (command.kind === 'run') {
    for (let i = 0; i < command.count && lba + i < SPACE_BLOCKS; i++) {
      set(map, mine, space, lba + i, command.entry);
    }
  }
  if (command.kind === 'sum') {
    const entry = map.find(space, lba);
    const old = mine.get(lba);
    expect(entry !== ENTRY_NONE).toBe(old !== undefined);
    if (old === undefined) return;
    map.setSum(entry, old.pba, command.sum);
    mine.set(lba, { ...old, sum: command.sum });
    map.setSum(entry, old.pba === 7 ? 8 : 7, 12345);
  }
  if (command.kind === 'clear') clear(map, mine, command);
}

function set(map: FlatMap, model: Model, space: number, lba: number, entry: Entry): void {
  const at = map.set(space, lba, entry.pba, entry.sum, entry.mba);
  expect(at).toBe(map.find(space, lba));
  model.set(lba, entry);
}

function clear(map: FlatMap, model: Model, command: Command & { kind: 'clear' }): void {
  const { space, lba, work } = command;
  const count = Math.min(command.count, SPACE_BLOCKS - lba);
  const released: number[] = [];
  const places = { release: (pba: number) => released.push(pba) };
  let done = 0;
  while (done < count) {
    const step = map.clearRange(space, lba + done, count - done, places, work);
    expect(step).toBeGreaterThan(0);
    done += step;
  }
  const expected: number[] = [];
  for (let i = lba; i < lba + count; i++) {
    const entry = model.get(i);
    if (entry === undefined) continue;
    expected.push(entry.pba);
    model.delete(i);
  }
  expect(released).toEqual(expected);
}

function expectSame(map: FlatMap, space: number, model: Model): void {
  const found: Model = new Map();
  map.forEach(space, (lba, pba, sum, mba) => found.set(lba, { pba, sum, mba }));
  expect([...found]).toEqual([...model].sort(([a], [b]) => a - b));
  expect(map.mappedOf(space)).toBe(model.size);
  for (const [lba, { pba, sum, mba }] of model) {
    const entry = map.find(space, lba);
    expect([map.pbaAt(entry), map.sumAt(entry), map.mbaAt(entry)]).toEqual([pba, sum, mba]);
  }
}

function makeMap(): { map: FlatMap; model: Model[] } {
  const map = new FlatMap(4 * SPACE_BLOCKS);
  map.addSpace(11, OBJECT, SPACE_BLOCKS);
  map.addSpace(0xffff_fffe, OBJECT, SPACE_BLOCKS);
  return { map, model: [new Map(), new Map()] };
}

describe('flat map', () => {
  it('holds what a plain map holds, for any schedule', () => {
    const property = fc.property(fc.array(commands, { maxLength: 40 }), (schedule) => {
      const { map, model } = makeMap();
      for (const command of schedule) apply(map, model, command);
      expectSame(map, 0, model[0] as Model);
      expectSame(map, 1, model[1] as Model);
      expect(map.mappedBlocks).toBe(model.reduce((sum, one) => sum + one.size, 0));
    });
    fc.assert(property, { numRuns: 100 });
  });

  it('R10: pages of a cut show its moment, whatever is changed meanwhile', () => {
    const schedules = fc.array(commands, { maxLength: 20 });
    const between = fc.array(fc.tuple(fc.nat(3), commands), { maxLength: 20 });
    const property = fc.property(schedules, between, (before, during) => {
      const { map, model } = makeMap();
      for (const command of before) apply(map, model, command);
      const atCut = model.map((one) => new Map(one));

      const most = map.pageCountMax();
      const pageCount = map.beginCut();
      expect(pageCount).toBe(most);
      const pages = new Uint8Array(PAGE_BODY_BYTES * pageCount);
      const view = new DataView(pages.buffer);
      const info = { kind: 0, entryCount: 0, keyHigh: 0, keyBase: 0 };
      let encoded = 0;
      const encode = () => {
        if (encoded === pageCount) return;
        map.encodePage(view, encoded * PAGE_BODY_BYTES, info);
        encoded++;
      };
      for (const [pagesFirst, command] of during) {
        for (let i = 0; i < pagesFirst; i++) encode();
        apply(map, model, command);
      }
      while (encoded < pageCount) encode();
      map.endCut();

      const { map: copy } = makeMap();
      for (let i = 0; i < pageCount; i++) copy.loadPage(view, i * PAGE_BODY_BYTES);
      expectSame(copy, 0, atCut[0] as Model);
      expectSame(copy, 1, atCut[1] as Model);
      expectSame(map, 0, model[0] as Model);
      expect(map.beginCut()).toBe(map.pageCountMax());
      map.endCut();
    });
    fc.assert(property, { numRuns: 100 });
  });

  it('gives up a cut that was not encoded', () => {
    const { map } = makeMap();
    map.set(0, 5, 100, 1, 1);
    map.beginCut();
    map.set(0, 5, 101, 1, 1);
    map.endCut();
    expect(map.beginCut()).toBe(1);
  });

  it('refuses spaces beyond its limit, and says which', () => {
    const map = new FlatMap(1000);
    const space = map.addSpace(1, OBJECT, 600);
    const details = { flatMapBlocksMax: 1000, provisionedBlocks: 600, askedBlocks: 401 };
    const refused = expect.objectContaining({ code: 'limit_exceeded', details });
    expect(() => map.addSpace(2, OBJECT, 401)).toThrow(refused);
    expect(() => map.resizeSpace(space, 1001)).toThrow(expect.objectContaining({ details }));
    map.resizeSpace(space, 1000);
    map.resizeSpace(space, 100);
    expect(map.roomBlocks).toBe(900);
    map.removeSpace(space);
    expect(map.roomBlocks).toBe(1000);
    expect(map.addSpace(3, OBJECT, 1000)).toBe(space);
  });

  it('refuses a page that makes no sense', () => {
    const { map } = makeMap();
    map.set(0, 5, 100, 1, 1);
    map.beginCut();
    const view = new DataView(new ArrayBuffer(PAGE_BODY_BYTES));
    map.encodePage(view, 0, { kind: 0, entryCount: 0, keyHigh: 0, keyBase: 0 });
    map.endCut();
    const corrupt = expect.objectContaining({ code: 'pool_corrupt' });
    for (const at of [0, 4, 8, 16, 32]) {
      const bad = new DataView(view.buffer.slice(0));
      bad.setUint32(at, at === 32 ? 0 : 0xffff_ffff, true);
      expect(() => makeMap().map.loadPage(bad, 0)).toThrow(corrupt);
    }
  });
});
