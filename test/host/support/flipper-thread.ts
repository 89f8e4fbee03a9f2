/** A thread that overwrites words of a guest's region while its host reads them. Until told to stop. */
import { workerData } from 'node:worker_threads';
import { Prng } from '../../../src/base/prng.ts';
import { mapShared } from '../../../src/bindings/memory.ts';

export interface FlipperData {
  readonly memfd: number;
  readonly regionBytes: number;
  /** Words [first, end) are overwritten. */
  readonly firstWord: number;
  readonly endWord: number;
  readonly seed: number;
  /** Element 0 counts what was flipped; element 1 is set to stop. */
  readonly control: SharedArrayBuffer;
}

const data = workerData as FlipperData;
const words = new Int32Array(mapShared(data.memfd, data.regionBytes).buffer);
const control = new Int32Array(data.control);
const prng = new Prng(data.seed);
const EDGES = [0, 1, -1, 2, 0x7fff_ffff, -0x8000_0000, 16, 17, 0x1_0000, 0x20_0000];

while (Atomics.load(control, 1) === 0) {
  const word = data.firstWord + prng.below(data.endWord - data.firstWord);
  const kind = prng.below(4);
  const old = Atomics.load(words, word);
  let value = prng.u32() | 0;
  if (kind === 0) value = EDGES[prng.below(EDGES.length)] ?? 0;
  else if (kind === 1) value = old ^ (1 << prng.below(32));
  else if (kind === 2) value = (old + prng.below(5) - 2) | 0;
  Atomics.store(words, word, value);
  // Half of the time it is right again at once: what is checked and what is used may differ.
  if (prng.below(2) === 0) Atomics.store(words, word, old);
  Atomics.add(control, 0, 1);
}
