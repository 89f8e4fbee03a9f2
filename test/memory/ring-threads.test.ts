/**
 * The ring between two real threads, where the counters change sign and where they pass zero: every
 * slot once, in order, whole. `LOGFLUME_SOAK=1` runs the full 10^6 slots, otherwise a tenth.
 */
import { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import { NotifySleeper } from '../../src/memory/bell.ts';
import { PARK_LOST, park } from '../../src/memory/park.ts';
import { regionOver, WORD_BYTES } from '../../src/memory/region.ts';
import { RingConsumer, RingWord, ringBytes } from '../../src/memory/spsc-ring.ts';
import { CHECK_MASK, RING_SLOT_BYTES, type RingWork } from './ring-worker.ts';

const WORKER_FILE = new URL('../../dist/test/memory/ring-worker.js', import.meta.url);
const VALUE_COUNT = process.env['LOGFLUME_SOAK'] === '1' ? 1_000_000 : 100_000;
const SLOT_COUNT = 64;

describe('a ring between two threads', () => {
  it.each([
    ['change sign', (2 ** 31 - VALUE_COUNT / 2) | 0],
    ['pass zero', -VALUE_COUNT / 2],
  ])('delivers every slot once and in order where the counters %s', async (_, first) => {
    const memory = new SharedArrayBuffer(ringBytes(SLOT_COUNT, RING_SLOT_BYTES));
    const bell = new SharedArrayBuffer(4);
    const region = regionOver(memory);
    region.words[RingWord.HEAD] = region.words[RingWord.TAIL] = first;
    const ring = { offset: 0, slotCount: SLOT_COUNT, slotBytes: RING_SLOT_BYTES };
    const consumer = new RingConsumer(region, ring);
    const sleeper = new NotifySleeper(new Int32Array(bell), 0);
    const work: RingWork = { memory, bell, slotCount: SLOT_COUNT, valueCount: VALUE_COUNT };
    const worker = new Worker(WORKER_FILE, { workerData: work });
    const ended = new Promise((resolve, reject) => {
      worker.on('exit', resolve);
      worker.on('error', reject);
    });

    let wrongCount = 0;
    let lostCount = 0;
    for (let expected = 0; expected < VALUE_COUNT; ) {
      const published = consumer.peek();
      if (published === 0) {
        if (park([consumer], sleeper, 1000) === PARK_LOST) lostCount++;
        continue;
      }
      for (let i = 0; i < published; i++, expected++) {
        const word = consumer.slotOffset(i) / WORD_BYTES;
        const value = region.words[word] as number;
        const check = region.words[word + 1] as number;
        if (value !== expected || check !== (value ^ CHECK_MASK)) wrongCount++;
      }
      consumer.consume(published);
    }
    expect([wrongCount, lostCount]).toEqual([0, 0]);
    expect(consumer.emptyTail).toBe((first + VALUE_COUNT) | 0);
    expect(await ended).toBe(0);
  });
});
