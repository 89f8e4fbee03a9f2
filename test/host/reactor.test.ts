/**
 * The reactor's step by itself, without thread or store: turns are shared fairly, a guest that
 * breaks its rings is out and the rest goes on, and nothing is written to it any more.
 */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { VISIT_COMMANDS_MAX } from '../../host/dispatcher.ts';
import { Reactor } from '../../host/reactor.ts';
import { Session, SessionEnd } from '../../host/session.ts';
import { formatRegion, layoutOf } from '../../src/channel/geometry.ts';
import { GuestQueue } from '../../src/channel/guest-queue.ts';
import { Opcode } from '../../src/channel/protocol.ts';
import { SILENT_BELL } from '../../src/memory/bell.ts';
import { RingWord } from '../../src/memory/spsc-ring.ts';

const DEPTH = 64;

class Rig {
  readonly broken: string[] = [];
  readonly drained: number[] = [];
  readonly queues: GuestQueue[][] = [];
  readonly sessions: Session[] = [];
  readonly reactor: Reactor;

  constructor(queueCounts: readonly number[]) {
    let us = 0;
    this.reactor = new Reactor({
      store: undefined,
      clock: { nowUs: () => us++, wallMs: () => 0, after: () => ({ cancel: () => undefined }) },
      sessionsMax: queueCounts.length,
      events: {
        onBroken: (_, error) => this.broken.push(error.code),
        onDrained: ({ number }) => this.drained.push(number),
      },
    });
    queueCounts.forEach((queueCount, number) => {
      this.#attach(number, queueCount);
    });
  }

  #attach(number: number, queueCount: number): void {
    const layout = layoutOf({ queueCount, queueDepth: DEPTH, dataBytes: 8192 });
    const memory = new SharedArrayBuffer(layout.regionBytes);
    const region = formatRegion(memory, layout, { guestPid: 1, epoch: 1 });
    const session = new Session({
      number,
      storeSession: -1,
      region,
      layout,
      memory: -1,
      guestBell: SILENT_BELL,
      guestId: number,
      secret: '',
      volumeId: 0,
      volumeName: undefined,
      readOnly: false,
      unmap: () => undefined,
    });
    this.reactor.add(session);
    this.reactor.start(session);
    this.sessions.push(session);
    const hostBell = SILENT_BELL;
    this.queues.push(
      layout.queues.map(
        (_, queueIndex) => new GuestQueue({ region, layout, queueIndex, hostBell }),
      ),
    );
  }

  get allQueues(): GuestQueue[] {
    return this.queues.flat();
  }
}

function submit(queue: GuestQueue, count: number): void {
  for (let i = 0; i < count; i++) {
    const tag = queue.claimTag();
    queue.encode(tag, Opcode.NOP, 0, 0, 0);
    queue.submit(tag);
  }
  queue.publish();
}

function reap(queue: GuestQueue): number {
  const count = queue.reap(DEPTH);
  for (let i = 0; i < count; i++) queue.releaseTag(queue.reapedTags[i] as number);
  return count;
}

it('answers everything, and gives every queue its turn in every step', () => {
  const loads = fc.array(fc.integer({ min: 0, max: DEPTH }), { minLength: 1, maxLength: 6 });
  fc.assert(
    fc.property(loads, fc.integer({ min: 1, max: 4 }), (counts, rounds) => {
      const rig = new Rig(counts.map((_, i) => 1 + (i % 2)));
      for (let round = 0; round < rounds; round++) {
        const waiting = rig.allQueues.map((queue, i) => {
          const count = counts[i % counts.length] as number;
          submit(queue, count);
          return count;
        });
        for (let left = waiting; left.some((count) => count > 0); ) {
          rig.reactor.step();
          // As much as a visit takes, or all there was: nobody waits for another's queue.
          left = left.map((count, i) => {
            const got = reap(rig.allQueues[i] as GuestQueue);
            expect(got).toBe(Math.min(count, VISIT_COMMANDS_MAX));
            return count - got;
          });
        }
        expect(rig.reactor.step()).toBe(0);
      }
    }),
  );
});

it('ends who breaks its rings, answers it no more, and serves the others', () => {
  const words = [RingWord.HEAD, RingWord.TAIL];
  fc.assert(
    fc.property(fc.constantFrom(...words), fc.integer(), (word, value) => {
      const rig = new Rig([1, 1]);
      const [victim, other] = rig.allQueues as [GuestQueue, GuestQueue];
      const session = rig.sessions[0] as Session;
      const ring = (session.layout.queues[0]?.submissionOffset ?? 0) / 4;
      submit(victim, 3);
      session.region.words[ring + word] = value;
      const before = Uint8Array.from(session.region.bytes);
      submit(other, 5);
      rig.reactor.step();
      rig.reactor.step();
      expect(reap(other)).toBe(5);
      if (rig.broken.length === 0) return;
      // A tail that is possible shows slots in which no command stands.
      expect(['ring_corrupt', 'protocol_violation']).toContain(rig.broken[0]);
      expect(rig.drained).toEqual([0]);
      submit(other, 1);
      rig.reactor.step();
      expect(reap(other)).toBe(1);
      expect(Buffer.compare(before, session.region.bytes)).toBe(0);
    }),
  );
});

it('breaks a session that starts with rings that are not in order', () => {
  const rig = new Rig([1]);
  rig.reactor.end(rig.sessions[0] as Session, SessionEnd.KEPT);
  expect(rig.drained).toEqual([0]);
  const layout = layoutOf({ queueCount: 1, queueDepth: DEPTH, dataBytes: 8192 });
  const memory = new SharedArrayBuffer(layout.regionBytes);
  const region = formatRegion(memory, layout, { guestPid: 1, epoch: 1 });
  region.words[(layout.queues[0]?.completionOffset ?? 0) / 4 + RingWord.TAIL] = 3;
  const next = new Session({ ...(rig.sessions[0] as Session), number: 0, region, layout } as never);
  rig.reactor.add(next);
  rig.reactor.start(next);
  expect(rig.broken).toEqual(['ring_corrupt']);
  expect(rig.drained).toEqual([0, 0]);
});
