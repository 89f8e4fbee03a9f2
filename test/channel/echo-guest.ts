/** The guest's side of `echo-host.ts`, blocking, for tests and measurements. */
import { Worker } from 'node:worker_threads';
import { createMemfd } from '../../src/bindings/memory.ts';
import { createEvent } from '../../src/bindings/waiting.ts';
import { formatRegion, layoutOf } from '../../src/channel/geometry.ts';
import { GuestQueue } from '../../src/channel/guest-queue.ts';
import { Opcode } from '../../src/channel/protocol.ts';
import { PARK_LOST, park } from '../../src/memory/park.ts';
import { bellOf, type EchoOptions, memoryOf, sleeperOf } from './echo-host.ts';

export const ECHO_GEOMETRY = { queueCount: 1, queueDepth: 64, dataBytes: 8192 };

/** Fresh memory and bells, shared with a thread or, by descriptors, as with a process. */
export function makeEchoOptions(kind: 'buffers' | 'descriptors', spinCount: number): EchoOptions {
  const geometry = ECHO_GEOMETRY;
  const { regionBytes } = layoutOf(geometry);
  if (kind === 'buffers') {
    const region = new SharedArrayBuffer(regionBytes);
    const hostBell = new SharedArrayBuffer(4);
    return { geometry, region, hostBell, guestBell: new SharedArrayBuffer(4), spinCount };
  }
  const region = createMemfd('echo', regionBytes);
  return { geometry, region, hostBell: createEvent(), guestBell: createEvent(), spinCount };
}

export class EchoGuest {
  readonly queue: GuestQueue;
  readonly ended: Promise<number[]>;
  lostCount = 0;
  readonly #spinCount: number;
  readonly #sleeper;
  readonly #parkable: GuestQueue[];

  constructor(options: EchoOptions, hostFile: URL) {
    const layout = layoutOf(options.geometry);
    const memory = memoryOf(options.region, layout.regionBytes);
    const region = formatRegion(memory, layout, { guestPid: process.pid, epoch: 1 });
    const hostBell = bellOf(options.hostBell);
    this.queue = new GuestQueue({ region, layout, queueIndex: 0, hostBell });
    this.#parkable = [this.queue];
    this.#sleeper = sleeperOf(options.guestBell);
    this.#spinCount = options.spinCount;
    const worker = new Worker(hostFile, { workerData: options });
    this.ended = new Promise<number[]>((resolve, reject) => {
      worker.on('message', resolve);
      worker.on('error', reject);
    });
  }

  /** Sends `count` commands together and waits for every answer. */
  round(count: number, opcode: number = Opcode.NOP): void {
    const { queue } = this;
    for (let i = 0; i < count; i++) {
      const tag = queue.claimTag();
      queue.encode(tag, opcode, 0, 0, 0);
      queue.submit(tag);
    }
    queue.publish();
    for (let answered = 0, spins = 0; answered < count; spins++) {
      const reaped = queue.reap(64);
      for (let i = 0; i < reaped; i++) {
        if (queue.reapedStatuses[i] !== 0) throw new Error('a NOP failed');
        queue.releaseTag(queue.reapedTags[i] as number);
      }
      answered += reaped;
      if (spins < this.#spinCount || answered === count) continue;
      spins = 0;
      if (park(this.#parkable, this.#sleeper, 1000) === PARK_LOST) this.lostCount++;
    }
  }

  /** Ends the host; its sleeps by how they ended. */
  stop(): Promise<number[]> {
    this.round(1, Opcode.FLUSH);
    return this.ended;
  }
}
