/**
 * Watches: what calls back, in which order, and above all what does not. That something is not
 * called is shown by waiting for what must come after it.
 */
import { afterEach, describe, expect, it } from 'vitest';
import { Ready, stopWatching, watchFd } from '../../src/bindings/event-thread.ts';
import { closeFd } from '../../src/bindings/files.ts';
import { createEvent, drainEvent, signalEvent } from '../../src/bindings/waiting.ts';
import { openFdCount, runChild } from './fixtures.ts';

const bells: number[] = [];
const makeBell = () => {
  const fd = createEvent();
  bells.push(fd);
  return fd;
};
afterEach(() => {
  stopWatching();
  bells.splice(0).forEach(closeFd);
});

/** Resolves once a fresh doorbell, rung now, has called back: after all that was ready before. */
async function roundTrip(): Promise<void> {
  const bell = makeBell();
  await new Promise<void>((resolve) => {
    const watch = watchFd(bell, Ready.READABLE, () => {
      watch.remove();
      resolve();
    });
    signalEvent(bell);
  });
}

/** Gives the event thread time to see several doorbells at once. Nothing depends on it. */
function dawdle(): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
}

describe('a watch', () => {
  it('calls back once for a readiness, and again when asked', async () => {
    const bell = makeBell();
    const seen: number[] = [];
    const watch = watchFd(bell, Ready.READABLE, (events) => seen.push(events));
    await roundTrip();
    expect(seen).toEqual([]);
    signalEvent(bell);
    await roundTrip();
    signalEvent(bell);
    await roundTrip();
    expect(seen).toEqual([Ready.READABLE]);
    watch.again();
    await roundTrip();
    expect(seen).toEqual([Ready.READABLE, Ready.READABLE]);
    drainEvent(bell);
    watch.again(Ready.READABLE | Ready.WRITABLE);
    await roundTrip();
    expect(seen).toEqual([Ready.READABLE, Ready.READABLE, Ready.WRITABLE]);
  });

  it('calls back in the order of readiness', async () => {
    const order: number[] = [];
    const ringing = [...new Array(20).keys()].map((index) => {
      const bell = makeBell();
      watchFd(bell, Ready.READABLE, () => order.push(index));
      return bell;
    });
    ringing.forEach(signalEvent);
    await roundTrip();
    expect(order).toEqual([...ringing.keys()]);
  });

  it('does not call back once removed, even if its event is under way', async () => {
    const called: string[] = [];
    const [first, second] = [makeBell(), makeBell()];
    const watches = new Map([
      ['first', watchFd(first, Ready.READABLE, () => end('first', 'second'))],
      ['second', watchFd(second, Ready.READABLE, () => end('second', 'first'))],
    ]);
    function end(own: string, other: string): void {
      called.push(own);
      watches.get(other)?.remove();
    }
    signalEvent(first);
    signalEvent(second);
    dawdle();
    await roundTrip();
    expect(called).toEqual(['first']);

    // The same descriptor, watched anew while the old event is under way.
    const third = makeBell();
    const old = watchFd(third, Ready.READABLE, () => called.push('old'));
    signalEvent(third);
    dawdle();
    old.remove();
    drainEvent(third);
    watchFd(third, Ready.READABLE, () => called.push('new'));
    await roundTrip();
    expect(called).toEqual(['first']);
  });

  it('may stop all watches from a callback, and start anew', async () => {
    const before = openFdCount();
    const bell = makeBell();
    await new Promise<void>((resolve) => {
      watchFd(bell, Ready.READABLE, () => {
        stopWatching();
        resolve();
      });
      signalEvent(bell);
    });
    await roundTrip();
    stopWatching();
    bells.splice(0).forEach(closeFd);
    // The thread's own descriptors go with its last callback.
    await new Promise((resolve) => setImmediate(resolve));
    expect(openFdCount()).toBe(before);
  });
});

/** Rings from a timer that does not keep the process alive itself. */
const CHILD = `
  const bell = addon.eventCreate();
  addon.watchStart((token, events) => { console.log('called', token, events); after(); });
  addon.watchAdd(bell, 7, 1);
  setTimeout(() => addon.eventSignal(bell), 50).unref();
`;

describe('the event thread', () => {
  it('delivers no event of a watch that ended, though its token is used again', () => {
    // The addon's own promise: above it, tokens are never used again. Sleeping lets the event get
    // under way before the watch ends; if it did not, the test shows less, but fails for nothing.
    const result = runChild(`
      const [first, second, last] = [0, 0, 0].map(() => addon.eventCreate());
      addon.watchStart((token) => {
        console.log('called', token);
        if (token === 2) addon.watchStop();
      });
      addon.watchHold(true);
      const dawdle = () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
      addon.watchAdd(first, 1, 1);
      addon.watchAdd(second, 3, 1);
      addon.eventSignal(first);
      addon.eventSignal(second);
      dawdle();
      addon.watchRemove(first, 1);
      addon.watchRemove(second, 3);
      addon.eventDrain(first);
      addon.watchAdd(first, 1, 1);
      addon.watchAdd(last, 2, 1);
      addon.eventSignal(last);`);
    expect(result).toEqual({ status: 0, signal: null, stdout: 'called 2\n', stderr: '' });
  });

  it('keeps its process alive while held, and only then', () => {
    const held = runChild(`${CHILD} addon.watchHold(true);
      function after() { addon.watchHold(false); }`);
    expect(held).toEqual({ status: 0, signal: null, stdout: 'called 7 1\n', stderr: '' });
    const free = runChild(`${CHILD} function after() {}`);
    expect(free).toEqual({ status: 0, signal: null, stdout: '', stderr: '' });
  });

  it('makes what a callback throws an uncaught exception, and goes on', () => {
    const result = runChild(`${CHILD} addon.watchHold(true);
      let calls = 0;
      process.on('uncaughtException', (error) => console.log('caught', error.message));
      function after() {
        if (++calls === 1) { addon.watchAgain(bell, 7, 1); throw new Error('mine'); }
        addon.watchHold(false);
      }`);
    expect(result).toMatchObject({
      status: 0,
      stdout: 'called 7 1\ncaught mine\ncalled 7 1\n',
      stderr: '',
    });
  });

  it('ends with its process amid a storm of events', () => {
    const result = runChild(`
      const bell = addon.eventCreate();
      addon.eventSignal(bell);
      let calls = 0;
      addon.watchStart(() => {
        if (++calls === 1000) process.exit(0);
        addon.watchAgain(bell, 1, 1);
      });
      addon.watchAdd(bell, 1, 1);
      addon.watchHold(true);`);
    expect(result).toEqual({ status: 0, signal: null, stdout: '', stderr: '' });
  });
});
