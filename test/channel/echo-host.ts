/**
 * A thread that answers every command of queue 0, until a FLUSH ends it. Runs from dist/, as a
 * worker; posts how many sleeps ended how.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { mapShared } from '../../src/bindings/memory.ts';
import { layoutOf, verifyRegion } from '../../src/channel/geometry.ts';
import { HostQueue } from '../../src/channel/host-queue.ts';
import { Opcode } from '../../src/channel/protocol.ts';
import { NotifyBell, NotifySleeper } from '../../src/memory/bell.ts';
import { EventBell, EventSleeper } from '../../src/memory/event-bell.ts';
import { park } from '../../src/memory/park.ts';

/** Shared memory and bells: buffers between threads, descriptors of a memfd and two eventfds. */
export interface EchoOptions {
  readonly geometry: { queueCount: number; queueDepth: number; dataBytes: number };
  readonly region: SharedArrayBuffer | number;
  readonly hostBell: SharedArrayBuffer | number;
  readonly guestBell: SharedArrayBuffer | number;
  /** Looks for work this often before it sleeps. */
  readonly spinCount: number;
}

export function bellOf(handle: SharedArrayBuffer | number): NotifyBell | EventBell {
  return typeof handle === 'number'
    ? new EventBell(handle)
    : new NotifyBell(new Int32Array(handle), 0);
}

export function sleeperOf(handle: SharedArrayBuffer | number): NotifySleeper | EventSleeper {
  return typeof handle === 'number'
    ? new EventSleeper(handle)
    : new NotifySleeper(new Int32Array(handle), 0);
}

export function memoryOf(handle: SharedArrayBuffer | number, byteLength: number): ArrayBufferLike {
  return typeof handle === 'number' ? mapShared(handle, byteLength).buffer : handle;
}

/** Answers until told to stop; sleeps by how they ended (`ParkResult`). */
function serve(options: EchoOptions): number[] {
  const layout = layoutOf(options.geometry);
  const region = verifyRegion(memoryOf(options.region, layout.regionBytes), layout);
  const guestBell = bellOf(options.guestBell);
  const queue = new HostQueue({ region, layout, queueIndex: 0, guestBell });
  const sleeper = sleeperOf(options.hostBell);
  const parks = [0, 0, 0, 0];
  const parkable = [queue];
  for (let spins = 0, ended = false; !ended; spins++) {
    const count = queue.take(32);
    for (let i = 0; i < count; i++) {
      const tag = queue.takenTags[i] as number;
      const status = queue.validateCommand(tag);
      if (queue.opcode(tag) === Opcode.FLUSH) ended = true;
      queue.complete(tag, status, 0);
    }
    queue.publish();
    if (count > 0) spins = 0;
    if (ended || spins < options.spinCount) continue;
    spins = 0;
    const result = park(parkable, sleeper, 1000);
    parks[result] = (parks[result] as number) + 1;
  }
  return parks;
}

if (parentPort !== null) parentPort.postMessage(serve(workerData as EchoOptions));
