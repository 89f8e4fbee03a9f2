/**
 * A guest that attaches again and again, sends commands, and meanwhile overwrites its own region:
 * the rings and pages, the commands, or the data. Reports how its sessions ended, then exits.
 */
import { Worker } from 'node:worker_threads';
import { StoreError } from '../../../src/base/errors.ts';
import { Prng } from '../../../src/base/prng.ts';
import type { GuestQueue } from '../../../src/channel/guest-queue.ts';
import { Opcode } from '../../../src/channel/protocol.ts';
import type { FlipperData } from './flipper-thread.ts';
import { RawGuest } from './raw-guest.ts';

export type HostileAim = 'rings' | 'commands' | 'data';

/** How many sessions ended in which way. `survived`: the guest left of its own accord. */
export type HostileReport = Readonly<Record<string, number>>;

const ROUNDS_PER_SESSION = 200;
const GEOMETRY = { queueCount: 2, queueDepth: 16, dataBytes: 524_288 };
const BLOCK_COUNT = 256;

const [, , socket = '', volume = '', aim = '', sessions = '0', seed = '0'] = process.argv;
const prng = new Prng(Number(seed));
const report: Record<string, number> = {};

/** The words that are overwritten. */
function range({ memory }: RawGuest): [number, number] {
  const { dataOffset, regionBytes, queues } = memory.layout;
  if (aim === 'data') return [dataOffset / 4, regionBytes / 4];
  const first = queues[0]?.submissionOffset ?? 0;
  const completion = queues[0]?.completionOffset ?? 0;
  // Past the ring's header, where its counters are.
  return aim === 'commands' ? [(first + 384) / 4, completion / 4] : [0, dataOffset / 4];
}

function submitSome(queue: GuestQueue): void {
  for (let tag = queue.claimTag(); tag >= 0; tag = queue.claimTag()) {
    const opcode = 1 + prng.below(6);
    const blocks = 1 + prng.below(4);
    const sector = prng.below(BLOCK_COUNT - blocks) * 8 + prng.below(2);
    const offset = tag * 16_384;
    if (opcode === Opcode.READ || opcode === Opcode.WRITE) {
      queue.encode(tag, opcode, 0, sector, blocks * 8);
      submitExtents(queue, tag, offset, blocks * 4096);
    } else if (opcode === Opcode.INFO) queue.encodeTransfer(tag, opcode, 0, 0, offset, 512);
    else if (opcode === Opcode.FLUSH) queue.encode(tag, opcode, 0, 0, 0);
    else queue.encode(tag, opcode, 0, sector, blocks * 8);
    queue.submit(tag);
  }
  queue.publish();
}

/** In one piece, or in as many as there are sectors, through a table that is flipped as well. */
function submitExtents(queue: GuestQueue, tag: number, offset: number, byteLength: number): void {
  const count = byteLength / 512;
  if (count <= 2 || prng.below(2) === 0) {
    queue.setExtent(tag, offset, byteLength);
    return;
  }
  const table = 16 * 16_384 + tag * 1024;
  for (let i = 0; i < count; i++) queue.writeTableEntry(table, i, offset + i * 512, 512);
  queue.setTable(tag, table, count);
}

async function attack(): Promise<string> {
  const guest = await RawGuest.attach(socket, {
    geometry: GEOMETRY,
    message: { volume, mode: 'shared' },
  });
  const [firstWord, endWord] = range(guest);
  const control = new SharedArrayBuffer(8);
  const counters = new Int32Array(control);
  const { regionBytes } = guest.memory.layout;
  const memfd = guest.memory.handles[0] as number;
  const workerData: FlipperData = {
    memfd,
    regionBytes,
    firstWord,
    endWord,
    seed: prng.below(1_000_000),
    control,
  };
  const flipper = new Worker(new URL('./flipper-thread.js', import.meta.url), { workerData });
  let outcome = 'survived';
  try {
    while (Atomics.load(counters, 0) < 100) await new Promise((resolve) => setImmediate(resolve));
    for (let round = 0; round < ROUNDS_PER_SESSION; round++) await exchange(guest);
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    outcome = error.code;
  }
  Atomics.store(counters, 1, 1);
  await new Promise((resolve) => flipper.once('exit', resolve));
  guest.vanish();
  return outcome;
}

/** Submits and reaps once; what our own half of the rings says to the damage is no matter. */
async function exchange(guest: RawGuest): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
  for (const queue of guest.queues) {
    try {
      submitSome(queue);
      const count = queue.reap(16);
      for (let i = 0; i < count; i++) queue.releaseTag(queue.reapedTags[i] as number);
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
    }
  }
  guest.requireAlive();
}

for (let i = 0; i < Number(sessions); i++) {
  const outcome = await attack();
  report[outcome] = (report[outcome] ?? 0) + 1;
}
process.send?.(report);
process.disconnect();
