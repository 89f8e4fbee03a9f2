/** Checkpoint pages and the segment table's entries: believed only whole and in their place. */
import { describe, expect, it } from 'vitest';
import {
  decodePage,
  decodeRootBody,
  encodeRootBody,
  PAGE_BODY_BYTES,
  PageKind,
  sealPage,
} from '../../src/formats/checkpoint-page.ts';
import { encodeSutEntry, faultOfSutEntry, SegmentState } from '../../src/formats/sut-entry.ts';
import { CHECKSUMS, forEachFlip, idOf } from './support/fixtures.ts';
import { expectGolden } from './support/golden.ts';

const IDENTITY = { poolId: idOf(1), generation: 0x1_0000_0007 };
const ROOT = { pageCount: 5, sutPageCount: 2, cutSequence: 88, cutTxn: 99, segments: [3, 700] };

function rootPage(pba = 4100, generation = IDENTITY.generation): Uint8Array {
  const page = new Uint8Array(4096);
  const view = new DataView(page.buffer);
  encodeRootBody(page, 64, ROOT);
  const identity = { ...IDENTITY, generation };
  sealPage(page, view, 0, pba, identity, 0, PageKind.root, 2, 0x1_0000_0001, 7, CHECKSUMS);
  return page;
}

const decode = (page: Uint8Array, pba = 4100) => decodePage(page, 0, pba, IDENTITY, 0, CHECKSUMS);

describe('checkpoint page', () => {
  it('comes back as it was stored, and looks as it always did', () => {
    const page = rootPage();
    const { root } = PageKind;
    expect(decode(page)).toMatchObject({ kind: root, entryCount: 2, keyBase: 7 });
    expect(decodeRootBody(page, 64)).toEqual(ROOT);
    expectGolden('checkpoint-root', page);
  });

  it('is refused with any byte flipped', () => {
    forEachFlip(rootPage(), 0, 4096, (flipped, at) => {
      expect(typeof decode(flipped), `byte ${at}`).toBe('string');
    });
  });

  it('R8: is refused in another place, of an older checkpoint, of another index', () => {
    expect(decode(rootPage(), 4101)).toBe('page checksum mismatch');
    expect(decode(rootPage(4100, 5))).toBe('page checksum mismatch');
    expect(decodePage(rootPage(), 0, 4100, IDENTITY, 1, CHECKSUMS)).toBe(
      'of another place in the checkpoint',
    );
  });

  it('refuses a root that contradicts itself', () => {
    const body = new Uint8Array(PAGE_BODY_BYTES);
    encodeRootBody(body, 0, { ...ROOT, sutPageCount: 5 });
    expect(decodeRootBody(body, 0)).toBe('page counts contradict each other');
    encodeRootBody(body, 0, ROOT);
    body[8] = 0xff;
    body[9] = 0xff;
    expect(decodeRootBody(body, 0)).toBe('names too many segments');
  });
});

describe('segment table entry', () => {
  function entry(state: number, live = 5): { bytes: Uint8Array; view: DataView } {
    const bytes = new Uint8Array(64);
    const view = new DataView(bytes.buffer);
    encodeSutEntry(bytes, view, 0, 9, live, state, 0, 4, 10, 20, 30, 0, CHECKSUMS);
    return { bytes, view };
  }
  const faultOf = ({ bytes, view }: ReturnType<typeof entry>, segment = 9) =>
    faultOfSutEntry(bytes, view, 0, segment, 512, CHECKSUMS);

  it('R13: has 64 bytes that look as they always did', () => {
    expect(faultOf(entry(SegmentState.sealed))).toBeUndefined();
    expectGolden('sut-entry', entry(SegmentState.sealed).bytes);
  });

  it('is refused flipped, of another segment, or with an impossible state or count', () => {
    forEachFlip(entry(SegmentState.sealed).bytes, 0, 64, (bytes) => {
      expect(faultOf({ bytes, view: new DataView(bytes.buffer) })).toBe('checksum mismatch');
    });
    expect(faultOf(entry(SegmentState.sealed), 8)).toBe('checksum mismatch');
    expect(faultOf(entry(SegmentState.freeing))).toBe('unknown state');
    expect(faultOf(entry(99))).toBe('unknown state');
    expect(faultOf(entry(SegmentState.sealed, 513))).toBe('more live blocks than blocks');
    expect(faultOf(entry(SegmentState.free))).toBe('a free segment has live blocks');
  });
});
