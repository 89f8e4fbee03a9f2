/** Parts of the channel tower, one after the other on one thread. */
import { Reactor } from '../../host/reactor.ts';
import { Session } from '../../host/session.ts';
import { getU16, getU32, getU53, setU8, setU16, setU32, setU53 } from '../../src/base/record.ts';
import { formatRegion, layoutOf } from '../../src/channel/geometry.ts';
import { GuestQueue } from '../../src/channel/guest-queue.ts';
import { HostQueue } from '../../src/channel/host-queue.ts';
import { Opcode, Submission } from '../../src/channel/protocol.ts';
import { SILENT_BELL } from '../../src/memory/bell.ts';
import { regionOver } from '../../src/memory/region.ts';
import { RingConsumer, RingProducer, ringBytes } from '../../src/memory/spsc-ring.ts';
import { createNodePlatform } from '../../src/platform/node-platform.ts';
import { type Part, sink } from './part.ts';

const RUNS = 1000;
/** As many as a queue pair of this depth holds: one sample fills it once. */
const DEPTH = 64;
const BLOCK_BYTES = 4096;

/** Everything that a command passes between a guest and the host's dispatch. */
export function partsOfChannel(): Part[] {
  return [recordPart(), ringPart(), ...queueParts(), reactorPart()];
}

/** Seven fields set and three read through `record()`, of one row of many. */
function recordPart(): Part {
  const view = new DataView(new ArrayBuffer(Submission.byteLength * DEPTH));
  const once = () => {
    let sum = 0;
    for (let i = 0; i < RUNS; i++) {
      const at = (i % DEPTH) * Submission.byteLength;
      setU8(view, at, Submission.opcode, i & 7);
      setU16(view, at, Submission.tag, i & 63);
      setU16(view, at, Submission.extentCount, 1);
      setU32(view, at, Submission.sectorCount, 8);
      setU53(view, at, Submission.sectorIndex, i);
      setU53(view, at, Submission.operation, i);
      setU32(view, at, Submission.firstBytes, BLOCK_BYTES);
      sum += getU16(view, at, Submission.tag);
      sum += getU32(view, at, Submission.sectorCount);
      sum += getU53(view, at, Submission.operation);
    }
    sink.value += sum;
  };
  return { metric: 'record_10_accesses_ns', runs: RUNS, once };
}

/** A slot claimed, published, seen and consumed. */
function ringPart(): Part {
  const region = regionOver(new SharedArrayBuffer(ringBytes(DEPTH, Submission.byteLength)));
  const geometry = { offset: 0, slotCount: DEPTH, slotBytes: Submission.byteLength };
  const producer = new RingProducer(region, geometry);
  const consumer = new RingConsumer(region, geometry);
  const once = () => {
    for (let i = 0; i < RUNS; i++) {
      sink.value += producer.claim();
      producer.publish();
      consumer.consume(consumer.peek());
    }
  };
  return { metric: 'ring_slot_ns', runs: RUNS, once };
}

function makeQueuePair() {
  const layout = layoutOf({ queueCount: 1, queueDepth: DEPTH, dataBytes: DEPTH * BLOCK_BYTES });
  const memory = new SharedArrayBuffer(layout.regionBytes);
  const region = formatRegion(memory, layout, { guestPid: 1, epoch: 1 });
  const guest = new GuestQueue({ region, layout, queueIndex: 0, hostBell: SILENT_BELL });
  return { layout, region, guest };
}

function submitAll(guest: GuestQueue): void {
  for (let i = 0; i < DEPTH; i++) {
    const tag = guest.claimTag();
    guest.encodeTransfer(tag, Opcode.READ, 0, i * 8, i * BLOCK_BYTES, BLOCK_BYTES);
    guest.submit(tag);
  }
  guest.publish();
}

function reapAll(guest: GuestQueue): void {
  const count = guest.reap(DEPTH);
  for (let i = 0; i < count; i++) guest.releaseTag(guest.reapedTags[i] as number);
}

function answerAll(host: HostQueue): void {
  const count = host.take(DEPTH);
  for (let i = 0; i < count; i++) {
    const tag = host.takenTags[i] as number;
    host.complete(tag, host.validateCommand(tag), BLOCK_BYTES);
  }
  host.publish();
}

/** The two halves of a queue pair, a read of 4 KiB per command, without any store behind. */
function queueParts(): Part[] {
  const { layout, region, guest } = makeQueuePair();
  const host = new HostQueue({ region, layout, queueIndex: 0, guestBell: SILENT_BELL });
  const empty = () => {
    answerAll(host);
    reapAll(guest);
  };
  return [
    {
      metric: 'guest_submit_ns',
      runs: DEPTH,
      before: empty,
      once: () => submitAll(guest),
    },
    {
      metric: 'host_take_complete_ns',
      runs: DEPTH,
      before: () => {
        empty();
        submitAll(guest);
      },
      once: () => answerAll(host),
    },
    {
      metric: 'guest_reap_ns',
      runs: DEPTH,
      before: () => {
        empty();
        submitAll(guest);
        answerAll(host);
      },
      once: () => reapAll(guest),
    },
  ];
}

/** One NOP there and back, one at a time, through the host's own loop: code without waiting. */
function reactorPart(): Part {
  const { layout, region, guest } = makeQueuePair();
  const reactor = new Reactor({
    store: undefined,
    clock: createNodePlatform().clock,
    sessionsMax: 1,
    events: { onBroken: () => undefined, onDrained: () => undefined },
  });
  const session = new Session({
    number: 0,
    storeSession: -1,
    region,
    layout,
    memory: -1,
    guestBell: SILENT_BELL,
    guestId: 1,
    secret: '',
    volumeId: 0,
    volumeName: undefined,
    readOnly: false,
    unmap: () => undefined,
  });
  reactor.add(session);
  reactor.start(session);
  const once = () => {
    for (let i = 0; i < RUNS; i++) {
      const tag = guest.claimTag();
      guest.encode(tag, Opcode.NOP, 0, 0, 0);
      guest.submit(tag);
      guest.publish();
      reactor.step();
      guest.reap(1);
      guest.releaseTag(tag);
    }
  };
  return { metric: 'nop_on_one_thread_ns', runs: RUNS, once };
}
