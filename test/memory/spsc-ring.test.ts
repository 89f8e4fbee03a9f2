/**
 * The ring against its model, a plain array: any schedule of submissions and consumptions leaves
 * both with the same contents, also where the 32-bit counters wrap. Both sides run on one thread
 * here; test/interleave tries the orders in which two threads can run, and ring-threads two real ones.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { regionOver, WORD_BYTES } from '../../src/memory/region.ts';
import {
  RING_FULL,
  RING_HEADER_BYTES,
  RingConsumer,
  RingProducer,
  RingWord,
  resetRing,
  ringBytes,
} from '../../src/memory/spsc-ring.ts';

/** Not the first thing in its region: rings lie beside each other. */
const GEOMETRY = { offset: 256, slotCount: 4, slotBytes: 64 };
const BASE_WORD = GEOMETRY.offset / WORD_BYTES;
const FIRST_COUNTS = [0, 0x7fff_fffe, -2];
const DETACH = expect.objectContaining({ code: 'ring_corrupt', reaction: 'detach' });

function makeRing(firstCount: number) {
  const region = regionOver(new SharedArrayBuffer(256 + ringBytes(4, 64) + 128));
  const words = region.words.subarray(BASE_WORD);
  words[RingWord.HEAD] = words[RingWord.TAIL] = firstCount;
  const producer = new RingProducer(region, GEOMETRY);
  const consumer = new RingConsumer(region, GEOMETRY);
  const submit = (value: number): boolean => {
    const at = producer.claim();
    if (at === RING_FULL) return false;
    region.view.setUint32(at, value, true);
    return true;
  };
  const drain = (slotsMax: number): number[] => {
    const count = Math.min(consumer.peek(), slotsMax);
    const values: number[] = [];
    for (let i = 0; i < count; i++) {
      values.push(region.view.getUint32(consumer.slotOffset(i), true));
    }
    consumer.consume(count);
    return values;
  };
  return { region, words, producer, consumer, submit, drain };
}

describe('spsc ring', () => {
  it('refuses a slot while all are published, and offers one again once one is consumed', () => {
    const { submit, drain, producer } = makeRing(0);
    expect([10, 11, 12, 13, 14].map(submit)).toEqual([true, true, true, true, false]);
    expect(drain(9)).toEqual([]);
    producer.publish();
    expect(drain(1)).toEqual([10]);
    expect(submit(15)).toBe(true);
    producer.publish();
    expect(drain(9)).toEqual([11, 12, 13, 15]);
  });

  it('keeps within its bytes', () => {
    const { region, submit, producer, drain } = makeRing(0);
    for (let i = 0; i < 40; i++) {
      submit(0xffff_ffff);
      producer.publish();
      drain(1);
    }
    const end = GEOMETRY.offset + ringBytes(4, 64);
    expect(region.bytes.subarray(0, GEOMETRY.offset).every((byte) => byte === 0)).toBe(true);
    expect(region.bytes.subarray(end).every((byte) => byte === 0)).toBe(true);
  });

  it.each([5, -1, 0x4000_0000, -0x8000_0000])('detaches a producer whose tail is %i', (tail) => {
    const { words, consumer } = makeRing(0);
    words[RingWord.TAIL] = tail;
    expect(() => consumer.peek()).toThrow(DETACH);
  });

  it('detaches a producer whose tail goes back', () => {
    const { words, consumer } = makeRing(0);
    words[RingWord.TAIL] = 3;
    expect(consumer.peek()).toBe(3);
    words[RingWord.TAIL] = 2;
    expect(() => consumer.peek()).toThrow(DETACH);
  });

  it.each([5, -1, 0x4000_0000])('detaches a consumer whose head is %i', (head) => {
    const { words, producer, submit } = makeRing(0);
    for (let i = 0; i < 4; i++) submit(i);
    words[RingWord.HEAD] = head;
    expect(() => producer.claim()).toThrow(DETACH);
  });

  it('detaches a consumer whose head goes back', () => {
    const { words, producer, submit } = makeRing(0);
    for (let i = 0; i < 4; i++) submit(i);
    words[RingWord.HEAD] = 2;
    expect(producer.roomCount(1)).toBe(2);
    words[RingWord.HEAD] = 1;
    expect(() => producer.roomCount(3)).toThrow(DETACH);
  });

  it('tells the producer once that the consumer is parked', () => {
    const { producer, consumer, submit } = makeRing(0);
    expect(consumer.prepareToPark()).toBe(true);
    submit(1);
    expect(producer.publish()).toBe(true);
    submit(2);
    expect(producer.publish()).toBe(false);
    expect(consumer.prepareToPark()).toBe(false);
    submit(3);
    expect(producer.publish()).toBe(false);
  });

  it('does not park over a tail that cannot be, nor throws for it', () => {
    const { words, consumer } = makeRing(0);
    words[RingWord.TAIL] = 77;
    expect(consumer.prepareToPark()).toBe(false);
    expect(words[RingWord.CONSUMER_PARKED]).toBe(0);
  });

  it('is empty after a reset, whatever was in it', () => {
    const { region, submit, producer, consumer } = makeRing(0x7fff_fffe);
    submit(1);
    producer.publish();
    consumer.prepareToPark();
    resetRing(region, GEOMETRY.offset);
    const next = new RingConsumer(region, GEOMETRY);
    expect([next.peek(), next.emptyTail]).toEqual([0, 0]);
  });

  it('starts its slots after words 128 bytes apart', () => {
    expect(Object.values(RingWord)).toEqual([0, 32, 64]);
    expect(RING_HEADER_BYTES).toBe(384);
  });

  it('delivers each slot once and in order, for any schedule', () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant('submit'), value: fc.nat(0xffff_ffff) }),
      fc.record({ kind: fc.constant('publish'), value: fc.constant(0) }),
      fc.record({ kind: fc.constant('consume'), value: fc.nat(6) }),
      fc.record({ kind: fc.constant('park'), value: fc.constant(0) }),
    );
    const schedules = fc.array(step, { maxLength: 200 });
    const property = fc.property(fc.constantFrom(...FIRST_COUNTS), schedules, (first, steps) => {
      const { submit, drain, producer, consumer } = makeRing(first);
      const claimed: number[] = [];
      const published: number[] = [];
      let parked = false;
      for (const { kind, value } of steps) {
        if (kind === 'consume') {
          expect(drain(value)).toEqual(published.splice(0, value));
        } else if (kind === 'park') {
          expect(consumer.prepareToPark()).toBe(published.length === 0);
          parked = published.length === 0;
        } else if (kind === 'publish') {
          expect(producer.publish()).toBe(parked);
          parked = false;
          published.push(...claimed.splice(0));
        } else {
          const hasRoom = claimed.length + published.length < GEOMETRY.slotCount;
          expect(producer.roomCount(1) > 0).toBe(hasRoom);
          expect(submit(value)).toBe(hasRoom);
          if (hasRoom) claimed.push(value);
        }
        expect(consumer.hasWork()).toBe(published.length > 0);
      }
      expect(drain(GEOMETRY.slotCount)).toEqual(published);
    });
    fc.assert(property, { numRuns: 1000 });
  });
});
