/**
 * Guest queue and host queue together against a model of commands in flight: any schedule of
 * submitting, publishing, taking, answering, reaping and losing the host answers every command once
 * in each host's life, under its own tag and operation number. That a command is *applied* once is
 * the store's part (R25). Both run on one thread here.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { statusOf } from '../../src/base/errors.ts';
import { NO_TAG } from '../../src/channel/guest-queue.ts';
import { Completion, Opcode, SubmissionFlag } from '../../src/channel/protocol.ts';
import { RING_HEADER_BYTES } from '../../src/memory/spsc-ring.ts';
import { makePair, reapAll } from './queue-pair.ts';

describe('queue pair', () => {
  it('carries a command with every field, and its answer', () => {
    const { guest, host, hostBell, guestBell } = makePair();
    const tag = guest.claimTag();
    guest.encode(tag, Opcode.WRITE, SubmissionFlag.FUA, 2 ** 40 + 3, 16);
    guest.setExtent(tag, 4096, 4096);
    guest.setSecondExtent(tag, 16_384, 4096);
    guest.submit(tag);
    expect(host.take(8)).toBe(0);
    guest.publish();
    expect(host.take(8)).toBe(1);
    expect(host.takenTags[0]).toBe(tag);
    expect(host.validateCommand(tag)).toBe(0);
    expect([host.opcode(tag), host.flags(tag), host.isForced(tag)]).toEqual([3, 1, true]);
    expect([host.sectorIndex(tag), host.sectorCount(tag)]).toEqual([2 ** 40 + 3, 16]);
    expect([host.operation(tag), host.extentCount(tag)]).toEqual([1, 2]);
    expect([host.extentOffset(tag, 0), host.extentBytes(tag, 0)]).toEqual([4096, 4096]);
    expect([host.extentOffset(tag, 1), host.extentBytes(tag, 1)]).toEqual([16_384, 4096]);
    host.congestion = 77;
    host.complete(tag, statusOf('pool_full'), 8192);
    expect(guest.hasWork()).toBe(false);
    host.publish();
    expect(reapAll(guest)).toEqual([[tag, statusOf('pool_full'), 8192]]);
    expect(guest.congestion).toBe(77);
    expect([hostBell.rungCount, guestBell.rungCount]).toEqual([0, 0]);
  });

  it('copies a table of extents once, whatever the guest makes of it afterwards', () => {
    const { guest, host, region, layout } = makePair();
    const tag = guest.claimTag();
    guest.encode(tag, Opcode.READ, 0, 0, 128);
    for (let i = 0; i < 128; i++) guest.writeTableEntry(8192, i, (127 - i) * 512, 512);
    guest.setTable(tag, 8192, 128);
    guest.submit(tag);
    guest.publish();
    host.take(1);
    expect(host.validateCommand(tag)).toBe(0);
    region.bytes.fill(0xff, layout.dataOffset);
    expect([host.extentOffset(tag, 0), host.extentOffset(tag, 127)]).toEqual([127 * 512, 0]);
    expect(host.extentBytes(tag, 64)).toBe(512);
  });

  it('uses its copy of a command, whatever the guest makes of the slot afterwards', () => {
    const { guest, host, region, layout } = makePair();
    const tag = guest.claimTag();
    guest.encodeTransfer(tag, Opcode.WRITE, 0, 5, 0, 512);
    guest.submit(tag);
    guest.publish();
    host.take(1);
    region.bytes.fill(0xff, layout.queues[1]?.submissionOffset, layout.dataOffset);
    expect(host.validateCommand(tag)).toBe(0);
    expect([host.opcode(tag), host.sectorIndex(tag)]).toEqual([Opcode.WRITE, 5]);
  });

  it('gives out as many tags as the queue is deep, each again only once it is released', () => {
    const { guest, host } = makePair();
    const tags = Array.from({ length: 9 }, () => guest.claimTag());
    expect(tags.indexOf(NO_TAG)).toBe(8);
    expect(new Set(tags).size).toBe(9);
    for (const tag of tags.slice(0, 8)) {
      guest.encode(tag, Opcode.NOP, 0, 0, 0);
      guest.submit(tag);
    }
    guest.publish();
    host.take(8);
    host.complete(3, 0, 0);
    host.publish();
    expect(guest.reap(8)).toBe(1);
    expect([guest.claimTag(), guest.inFlightCount]).toEqual([NO_TAG, 7]);
    guest.releaseTag(3);
    expect(guest.claimTag()).toBe(3);
    expect(() => guest.releaseTag(4)).toThrow('a tag in flight is not released');
  });

  it('rings only for a side that is parked, and once', () => {
    const { guest, host, hostBell, guestBell } = makePair();
    const send = () => {
      const tag = guest.claimTag();
      guest.encode(tag, Opcode.NOP, 0, 0, 0);
      guest.submit(tag);
      guest.publish();
    };
    expect(host.prepareToPark()).toBe(true);
    expect(guest.prepareToPark()).toBe(true);
    send();
    send();
    expect([hostBell.rungCount, guest.bellsRung]).toEqual([1, 1]);
    host.unpark();
    host.take(2);
    host.complete(host.takenTags[0] as number, 0, 0);
    host.publish();
    host.complete(host.takenTags[1] as number, 0, 0);
    host.publish();
    expect([guestBell.rungCount, host.bellsRung]).toEqual([1, 1]);
    expect(guest.prepareToPark()).toBe(false);
  });

  it('puts back what has no answer, oldest first, and takes what was answered as answered', () => {
    const { guest, host, makeHost, hostBell } = makePair();
    const order = Array.from({ length: 5 }, () => guest.claimTag()).reverse();
    for (const tag of order) {
      guest.encodeTransfer(tag, Opcode.WRITE, 0, tag, tag * 512, 512);
      guest.submit(tag);
    }
    guest.publish();
    host.take(3);
    host.complete(order[1] as number, 0, 512);
    host.publish();
    host.complete(order[0] as number, 0, 512); // Never published: the host died before.

    expect(reapAll(guest)).toEqual([[order[1], 0, 512]]);
    expect(guest.replay(hostBell)).toBe(4);
    const next = makeHost();
    expect(next.take(8)).toBe(4);
    const taken = Array.from(next.takenTags.subarray(0, 4));
    expect(taken).toEqual([order[0], order[2], order[3], order[4]]);
    expect(taken.map((tag) => next.operation(tag))).toEqual([1, 3, 4, 5]);
    expect(taken.map((tag) => next.sectorIndex(tag))).toEqual(taken);
    expect(next.validateCommand(order[0] as number)).toBe(0);
  });

  it('insists that answers are reaped before rings are emptied', () => {
    const { guest, host, hostBell } = makePair();
    const tag = guest.claimTag();
    guest.encode(tag, Opcode.NOP, 0, 0, 0);
    guest.submit(tag);
    guest.publish();
    host.take(1);
    host.complete(tag, 0, 0);
    host.publish();
    expect(() => guest.replay(hostBell)).toThrow('what was completed is reaped');
  });

  it('hands what is in flight to a caller that gives up', () => {
    const { guest } = makePair();
    const tags = [guest.claimTag(), guest.claimTag()];
    for (const tag of tags) {
      guest.encode(tag, Opcode.FLUSH, 0, 0, 0);
      guest.submit(tag);
    }
    expect(guest.abandon()).toEqual(tags);
    expect(guest.inFlightCount).toBe(0);
    for (const tag of tags) guest.releaseTag(tag);
    expect(guest.freeCount).toBe(8);
  });
});

describe('a host that answers what was not asked', () => {
  const LITTLE_ENDIAN = true;
  const VIOLATION = expect.objectContaining({ code: 'protocol_violation' });
  /** Two commands answered, the second one's answer changed before the guest reads it. */
  const answered = (...changes: readonly (readonly [offset: number, value: number])[]) => {
    const { guest, host, region, layout } = makePair();
    for (let i = 0; i < 2; i++) {
      const tag = guest.claimTag();
      guest.encode(tag, Opcode.NOP, 0, 0, 0);
      guest.submit(tag);
    }
    guest.publish();
    host.take(2);
    host.complete(0, 0, 0);
    host.complete(1, 0, 0);
    host.publish();
    const ring = layout.queues[1]?.completionOffset as number;
    const slot = ring + RING_HEADER_BYTES + Completion.byteLength;
    for (const [offset, value] of changes) {
      region.view.setUint16(slot + offset, value, LITTLE_ENDIAN);
    }
    return guest;
  };

  it.each([
    ['one tag twice', Completion.tag, 0],
    ['a tag that is free', Completion.tag, 5],
    ['a tag beyond the queue', Completion.tag, 64],
    ['another operation', Completion.operation, 3],
    ['an operation far beyond', Completion.operation + 6, 1],
  ])('is noticed: %s', (_, offset, value) => {
    expect(() => answered([offset, value]).reap(8)).toThrow(VIOLATION);
  });

  it('is noticed: one answer twice', () => {
    const guest = answered([Completion.tag, 0], [Completion.operation, 1]);
    expect(() => guest.reap(8)).toThrow(VIOLATION);
  });
});

const step = fc.oneof(
  { arbitrary: fc.record({ kind: fc.constant('submit'), n: fc.nat(3) }), weight: 4 },
  { arbitrary: fc.record({ kind: fc.constant('publish'), n: fc.nat(0) }), weight: 3 },
  { arbitrary: fc.record({ kind: fc.constant('take'), n: fc.nat(4) }), weight: 4 },
  { arbitrary: fc.record({ kind: fc.constant('complete'), n: fc.nat(20) }), weight: 5 },
  { arbitrary: fc.record({ kind: fc.constant('show'), n: fc.nat(0) }), weight: 3 },
  { arbitrary: fc.record({ kind: fc.constant('reap'), n: fc.nat(8) }), weight: 3 },
  { arbitrary: fc.record({ kind: fc.constant('lose'), n: fc.nat(0) }), weight: 1 },
);

/** What must be true of the pair, kept in the plainest way. */
class Model {
  readonly pair = makePair();
  host = this.pair.host;
  /** Operation by tag, of commands without an answer that the guest has seen. */
  readonly unanswered = new Map<number, number>();
  readonly taken = new Map<number, number>();
  completedCount = 0;
  submittedCount = 0;
  reapedCount = 0;

  run(kind: string, n: number): void {
    if (kind === 'submit') for (let i = 0; i < n; i++) this.submit();
    else if (kind === 'publish') this.pair.guest.publish();
    else if (kind === 'take') this.take(n);
    else if (kind === 'complete') this.complete(n);
    else if (kind === 'show') this.host.publish();
    else if (kind === 'reap') this.reap(n);
    else this.lose();
  }

  submit(): void {
    const { guest } = this.pair;
    const tag = guest.claimTag();
    if (tag === NO_TAG) {
      expect(this.unanswered.size).toBe(guest.queueDepth);
      return;
    }
    expect(this.unanswered.has(tag)).toBe(false);
    this.submittedCount++;
    guest.encode(tag, Opcode.DISCARD, 0, this.submittedCount * 10, 1);
    guest.submit(tag);
    this.unanswered.set(tag, this.submittedCount);
  }

  take(n: number): void {
    const count = this.host.take(n);
    for (let i = 0; i < count; i++) {
      const tag = this.host.takenTags[i] as number;
      expect(this.host.operation(tag)).toBe(this.unanswered.get(tag));
      expect(this.host.sectorIndex(tag)).toBe((this.unanswered.get(tag) as number) * 10);
      expect(this.taken.has(tag)).toBe(false);
      this.taken.set(tag, this.host.operation(tag));
    }
    expect(this.host.inFlightCount).toBe(this.taken.size);
  }

  complete(n: number): void {
    const tags = [...this.taken.keys()];
    const tag = tags[n % Math.max(1, tags.length)];
    if (tag === undefined) return;
    this.host.complete(tag, 0, this.taken.get(tag) as number);
    this.taken.delete(tag);
  }

  reap(n: number): void {
    const { guest } = this.pair;
    const count = guest.reap(n);
    for (let i = 0; i < count; i++) {
      const tag = guest.reapedTags[i] as number;
      expect(guest.reapedBytes[i]).toBe(this.unanswered.get(tag));
      expect(this.unanswered.delete(tag)).toBe(true);
      guest.releaseTag(tag);
      this.reapedCount++;
    }
    expect(guest.inFlightCount).toBe(this.unanswered.size);
  }

  lose(): void {
    const { guest, hostBell, makeHost } = this.pair;
    this.reap(guest.queueDepth);
    expect(guest.replay(hostBell)).toBe(this.unanswered.size);
    this.host = makeHost();
    this.taken.clear();
  }

  finish(): void {
    this.pair.guest.publish();
    this.take(8);
    while (this.taken.size > 0) this.complete(0);
    this.host.publish();
    this.reap(8);
    expect([this.unanswered.size, this.reapedCount]).toEqual([0, this.submittedCount]);
  }
}

describe('queue pair, any schedule', () => {
  it('answers every command once, whenever hosts are lost', () => {
    const property = fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const model = new Model();
      for (const { kind, n } of steps) model.run(kind, n);
      model.finish();
    });
    fc.assert(property, { numRuns: 500 });
  });
});
