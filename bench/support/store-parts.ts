/** Parts of the storage tower: look-ups, checksums and copies. */
import { Histogram } from '../../src/base/histogram.ts';
import { Prng } from '../../src/base/prng.ts';
import { BLOCK_BYTES, MIB } from '../../src/base/units.ts';
import { FlatMap } from '../../src/maps/flat-map.ts';
import { createNodePlatform } from '../../src/platform/node-platform.ts';
import { BlockCache } from '../../src/volumes/block-cache.ts';
import { type Part, sink } from './part.ts';

const RUNS = 1000;
/** A working set that no processor cache holds. */
const BLOCK_COUNT = (256 * MIB) / BLOCK_BYTES;
/** Copies of one turn of the reactor. */
const COPIES = 32;

/** What a hot read costs below the channel, part by part. */
export function partsOfStore(): Part[] {
  const random = new Prng(1);
  // Drawn before: the generator is not what is measured.
  const places = Int32Array.from({ length: RUNS }, () => 1 + random.below(BLOCK_COUNT - 1));
  return [histogramPart(), mapPart(places), cachePart(places), ...kernelParts(places)];
}

function histogramPart(): Part {
  const histogram = new Histogram();
  const once = () => {
    for (let i = 0; i < RUNS; i++) histogram.record(1000 + i * 37);
  };
  return { metric: 'histogram_record_ns', runs: RUNS, once };
}

/** A block found in the flat map: what the run maps will be compared with. */
function mapPart(places: Int32Array): Part {
  const map = new FlatMap();
  const space = map.addSpace(1, 1, BLOCK_COUNT);
  for (let lba = 0; lba < BLOCK_COUNT; lba++) map.set(space, lba, lba + 1, lba, lba);
  const once = () => {
    let sum = 0;
    for (let i = 0; i < RUNS; i++) sum += map.pbaAt(map.find(space, places[i] as number));
    sink.value += sum;
  };
  return { metric: 'flat_map_probe_ns', runs: RUNS, once };
}

function cachePart(places: Int32Array): Part {
  const cache = new BlockCache(createNodePlatform().kernels, BLOCK_COUNT * BLOCK_BYTES);
  for (let pba = 1; pba < BLOCK_COUNT; pba++) cache.admit(cache.claimFrame(), pba);
  const once = () => {
    let sum = 0;
    for (let i = 0; i < RUNS; i++) sum += cache.find(places[i] as number);
    sink.value += sum;
  };
  return { metric: 'block_cache_probe_ns', runs: RUNS, once };
}

/** Native calls on 4 KiB blocks that are spread over 256 MiB. */
function kernelParts(places: Int32Array): Part[] {
  const { kernels } = createNodePlatform();
  const source = kernels.allocate(BLOCK_COUNT * BLOCK_BYTES);
  const target = kernels.allocate(COPIES * BLOCK_BYTES);
  const sourceMemory = kernels.registerMemory(source);
  const targetMemory = kernels.registerMemory(target);
  const batch = kernels.createCopyBatch(COPIES);
  let next = 0;
  const place = () => (places[next++ % RUNS] as number) * BLOCK_BYTES;
  const crc = () => {
    for (let i = 0; i < COPIES; i++) {
      const at = place();
      sink.value += kernels.crc32c(source, at, at + BLOCK_BYTES, 0);
    }
  };
  const copies = (summed: boolean) => () => {
    for (let i = 0; i < COPIES; i++) {
      const at = i * BLOCK_BYTES;
      if (summed) batch.copyAndSum(sourceMemory, place(), targetMemory, at, BLOCK_BYTES);
      else batch.copy(sourceMemory, place(), targetMemory, at, BLOCK_BYTES);
    }
    batch.run();
    batch.clear();
  };
  return [
    { metric: 'crc32c_4k_ns', runs: COPIES, once: crc },
    { metric: 'copy_4k_in_batch_ns', runs: COPIES, once: copies(false) },
    { metric: 'copy_and_sum_4k_in_batch_ns', runs: COPIES, once: copies(true) },
  ];
}
