/**
 * Every interleaving of a guest and a host that talk over two of the shipped rings and both sleep
 * when they have nothing to do: each waits for the other, so one lost wake-up stops both.
 */
import { describe, expect, it } from 'vitest';
import { NotifyBell, NotifySleeper } from '../../src/memory/bell.ts';
import { PARK_IDLE, PARK_LOST, park } from '../../src/memory/park.ts';
import { regionOver, WORD_BYTES } from '../../src/memory/region.ts';
import { RingConsumer, RingProducer, RingWord, ringBytes } from '../../src/memory/spsc-ring.ts';
import { explore, type Fault, plain, type Scenario, settle, WORD_COUNT } from './explorer.ts';

const SUBMISSIONS = { offset: 0, slotCount: 2, slotBytes: 4 };
const COMPLETIONS = { ...SUBMISSIONS, offset: ringBytes(2, 4) };
const HOST_BELL_WORD = WORD_COUNT - 1;
const GUEST_BELL_WORD = WORD_COUNT - 2;
const PATIENT_MS = 100;
const region = regionOver(new SharedArrayBuffer(WORD_COUNT * WORD_BYTES));

const TOUCHED = [HOST_BELL_WORD, GUEST_BELL_WORD];
for (const base of [0, COMPLETIONS.offset / WORD_BYTES]) {
  for (const word of Object.values(RingWord)) TOUCHED.push(base + word);
  TOUCHED.push(base + 96, base + 97);
}

interface Outcome {
  readonly values: readonly number[];
  readonly lostCount: number;
}

/** Keeps `depth` commands in flight until all `count` are answered. */
function guest(count: number, depth: number): () => Outcome {
  return () => {
    const submissions = new RingProducer(region, SUBMISSIONS);
    const completions = new RingConsumer(region, COMPLETIONS);
    const bell = new NotifyBell(region.words, HOST_BELL_WORD);
    const sleeper = new NotifySleeper(region.words, GUEST_BELL_WORD);
    const values: number[] = [];
    let sent = 0;
    let lostCount = 0;
    while (values.length < count) {
      settle(`${values} ${sent} ${lostCount} ${submissions.roomCount(0)}`);
      while (sent < count && sent - values.length < depth) {
        sent++;
        plain.write(submissions.claim() / WORD_BYTES, sent);
        if (submissions.publish()) bell.ring();
      }
      if (completions.peek() > 0) {
        values.push(plain.read(completions.slotOffset(0) / WORD_BYTES));
        completions.consume(1);
      } else {
        const result = park([completions], sleeper, PATIENT_MS);
        if (result === PARK_LOST) lostCount++;
        if (result === PARK_IDLE) break;
      }
    }
    return { values, lostCount };
  };
}

/** Answers each command with ten times its value. */
function host(count: number): () => Outcome {
  return () => {
    const submissions = new RingConsumer(region, SUBMISSIONS);
    const completions = new RingProducer(region, COMPLETIONS);
    const bell = new NotifyBell(region.words, GUEST_BELL_WORD);
    const sleeper = new NotifySleeper(region.words, HOST_BELL_WORD);
    const values: number[] = [];
    let lostCount = 0;
    while (values.length < count) {
      settle(`${values} ${lostCount} ${completions.roomCount(0)}`);
      const published = submissions.peek();
      if (published === 0) {
        const result = park([submissions], sleeper, PATIENT_MS);
        if (result === PARK_LOST) lostCount++;
        if (result === PARK_IDLE) break;
        continue;
      }
      for (let i = 0; i < published; i++) {
        const value = plain.read(submissions.slotOffset(i) / WORD_BYTES);
        values.push(value);
        plain.write(completions.claim() / WORD_BYTES, value * 10);
      }
      submissions.consume(published);
      if (completions.publish()) bell.ring();
    }
    return { values, lostCount };
  };
}

function scenario(count: number, depth: number, fault?: Fault): Scenario<Outcome> {
  return {
    touched: TOUCHED,
    patientMs: PATIENT_MS,
    crashes: false,
    programs: [guest(count, depth), host(count)],
    ...(fault === undefined ? {} : { fault }),
    check({ outcomes: [asked, answered] }) {
      const sent = Array.from({ length: count }, (_, i) => i + 1);
      expect(answered).toEqual({ values: sent, lostCount: 0 });
      expect(asked).toEqual({ values: sent.map((value) => value * 10), lostCount: 0 });
    },
  };
}

describe('every interleaving of a guest and a host over two rings', () => {
  it('answers each command once where both sleep, at depth 1 and 2', () => {
    expect(explore(scenario(3, 1)).stateCount).toBeGreaterThan(1000);
    expect(explore(scenario(3, 2)).stateCount).toBeGreaterThan(1000);
  });

  it('finds a guest that does not look again before it sleeps', () => {
    const tailWord = COMPLETIONS.offset / WORD_BYTES + RingWord.TAIL;
    const headWord = COMPLETIONS.offset / WORD_BYTES + RingWord.HEAD;
    const fault: Fault = (side, operation, words, previous) => {
      const recheck = operation.kind === 'load' && operation.word === tailWord;
      const announced = previous?.kind === 'store' && previous.value === 1;
      return side === 0 && recheck && announced ? words[headWord] : undefined;
    };
    expect(() => explore(scenario(2, 1, fault))).toThrow(/wrong end/);
  });
});
