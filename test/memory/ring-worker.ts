/** The producing thread of ring-threads.test.ts; runs from dist/. */
import { workerData } from 'node:worker_threads';
import { NotifyBell } from '../../src/memory/bell.ts';
import { regionOver, WORD_BYTES } from '../../src/memory/region.ts';
import { RING_FULL, RingProducer, RingWord } from '../../src/memory/spsc-ring.ts';

export interface RingWork {
  readonly memory: SharedArrayBuffer;
  readonly bell: SharedArrayBuffer;
  readonly slotCount: number;
  readonly valueCount: number;
}

export const RING_SLOT_BYTES = 8;
export const CHECK_MASK = 0x5555_aaaa;

function produce({ memory, bell, slotCount, valueCount }: RingWork): void {
  const region = regionOver(memory);
  const producer = new RingProducer(region, { offset: 0, slotCount, slotBytes: RING_SLOT_BYTES });
  const consumerBell = new NotifyBell(new Int32Array(bell), 0);
  for (let value = 0; value < valueCount; value++) {
    let offset = producer.claim();
    while (offset === RING_FULL) {
      // The processors are few: give the consumer one.
      Atomics.wait(region.words, RingWord.HEAD, Atomics.load(region.words, RingWord.HEAD), 1);
      offset = producer.claim();
    }
    region.words[offset / WORD_BYTES] = value;
    region.words[offset / WORD_BYTES + 1] = value ^ CHECK_MASK;
    if (producer.publish()) consumerBell.ring();
  }
}

// Also imported by the test, for its constants.
if (workerData !== null && typeof workerData === 'object' && 'valueCount' in workerData) {
  produce(workerData as RingWork);
}
