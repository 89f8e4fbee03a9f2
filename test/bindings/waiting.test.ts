/**
 * Doorbells, the three ways in which a wait ends, and pollers. That no wake-up is lost is the sleep
 * handshake's promise and proved with it; here the sleeper is only shown to wake.
 */
import type { Worker } from 'node:worker_threads';
import { afterEach, describe, expect, it } from 'vitest';
import { closeFd } from '../../src/bindings/files.ts';
import {
  createEvent,
  drainEvent,
  NO_DOORBELL,
  Poller,
  signalEvent,
  WaitResult,
  waitWord,
} from '../../src/bindings/waiting.ts';
import { startThread } from './fixtures.ts';

const LONG_MS = 60_000;

const bells: number[] = [];
const makeBell = () => {
  const fd = createEvent();
  bells.push(fd);
  return fd;
};
const threads: Worker[] = [];
afterEach(async () => {
  for (const thread of threads.splice(0)) await thread.terminate();
  bells.splice(0).forEach(closeFd);
});

/** Runs `code` in another thread once word 0 is 1, with `words` in view. */
async function whenTold(code: string, data: object): Promise<Int32Array> {
  const words = new Int32Array(new SharedArrayBuffer(16));
  const body = `
    const { words, bell } = workerData;
    parentPort.postMessage('ready');
    while (Atomics.load(words, 0) !== 1);
    ${code}`;
  const thread = startThread(body, { ...data, words });
  threads.push(thread);
  await new Promise((resolve) => thread.once('message', resolve));
  return words;
}

describe('a doorbell', () => {
  it('counts until it is reset', () => {
    const bell = makeBell();
    expect(drainEvent(bell)).toBe(0);
    signalEvent(bell);
    signalEvent(bell);
    expect([drainEvent(bell), drainEvent(bell)]).toEqual([2, 0]);
  });
});

describe('waitWord', () => {
  it('sees a word that differs already', () => {
    const words = Int32Array.from([0, 5]);
    expect(waitWord(words, 1, 4, 0, NO_DOORBELL, 0)).toBe(WaitResult.CHANGED);
  });

  it('sees a word change while spinning', async () => {
    const words = await whenTold('Atomics.store(words, 1, 9);', {});
    Atomics.store(words, 0, 1);
    expect(waitWord(words, 1, 0, 1e9, NO_DOORBELL, 0)).toBe(WaitResult.CHANGED);
    expect(words[1]).toBe(9);
  });

  it('wakes by a doorbell that rang before, and resets it', () => {
    const words = new Int32Array(1);
    const bell = makeBell();
    signalEvent(bell);
    expect(waitWord(words, 0, 0, 0, bell, LONG_MS)).toBe(WaitResult.WOKEN);
    expect(drainEvent(bell)).toBe(0);
  });

  it('wakes by a doorbell that another thread rings', async () => {
    const bell = makeBell();
    const words = await whenTold('Atomics.store(words, 1, 9); addon.eventSignal(bell);', { bell });
    Atomics.store(words, 0, 1);
    expect(waitWord(words, 1, 0, 0, bell, LONG_MS)).not.toBe(WaitResult.TIME_IS_UP);
    expect(Atomics.load(words, 1)).toBe(9);
  });

  it('ends when time is up, not before', () => {
    const words = new Int32Array(1);
    for (const [spinNs, fd, timeoutMs] of [
      [3_000_000, NO_DOORBELL, 50],
      [0, makeBell(), 3],
      [1_000_000, makeBell(), 2],
    ] as const) {
      const start = process.hrtime.bigint();
      expect(waitWord(words, 0, 0, spinNs, fd, timeoutMs)).toBe(WaitResult.TIME_IS_UP);
      expect(Number(process.hrtime.bigint() - start)).toBeGreaterThanOrEqual(2_900_000);
    }
  });

  it('reports a descriptor that is none', () => {
    const wait = () => waitWord(new Int32Array(1), 0, 0, 0, 1_000_000, 1);
    expect(wait).toThrow(expect.objectContaining({ code: 'system_error' }));
  });
});

describe('a poller', () => {
  it('counts the doorbells that rang, each once, and no others', () => {
    const poller = new Poller();
    const [first = -1, second = -1, third = -1] = [makeBell(), makeBell(), makeBell()];
    [first, second, third].forEach((bell) => {
      poller.add(bell);
    });
    expect(poller.wait(0)).toBe(0);
    signalEvent(first);
    signalEvent(first);
    signalEvent(third);
    expect(poller.wait(LONG_MS)).toBe(2);
    expect(poller.wait(0)).toBe(0);
    signalEvent(second);
    expect(poller.wait(LONG_MS)).toBe(1);
    poller.remove(third);
    signalEvent(third);
    expect(poller.wait(1)).toBe(0);
    poller.close();
    expect(() => poller.wait(0)).toThrow(expect.objectContaining({ code: 'system_error' }));
  });

  // Whoever shares a doorbell can reset it: that must cost a look, never a wait.
  it('does not read the doorbells', () => {
    const poller = new Poller();
    const bell = makeBell();
    poller.add(bell);
    signalEvent(bell);
    signalEvent(bell);
    expect(poller.wait(LONG_MS)).toBe(1);
    expect(drainEvent(bell)).toBe(2);
    poller.close();
  });

  it('leaves what does not fit one call to the next', () => {
    const poller = new Poller();
    for (let i = 0; i < 100; i++) {
      const bell = makeBell();
      poller.add(bell);
      signalEvent(bell);
    }
    expect([poller.wait(LONG_MS), poller.wait(LONG_MS), poller.wait(0)]).toEqual([64, 36, 0]);
    poller.close();
  });

  it('wakes by a doorbell that another thread rings', async () => {
    const bell = makeBell();
    const poller = new Poller();
    poller.add(bell);
    const words = await whenTold('addon.eventSignal(bell);', { bell });
    Atomics.store(words, 0, 1);
    expect(poller.wait(LONG_MS)).toBe(1);
    poller.close();
  });
});
