/**
 * Bells of both kinds by one contract: a ring since `arm` ends a sleep at once or calls back once.
 * Sleeps between threads are in test/channel/echo.test.ts.
 */
import { spawnSync } from 'node:child_process';
import { afterEach, describe, expect, it } from 'vitest';
import { closeFd } from '../../src/bindings/files.ts';
import { createEvent, Poller } from '../../src/bindings/waiting.ts';
import {
  type Bell,
  NotifyBell,
  NotifySleeper,
  NotifyWaker,
  type Sleeper,
  TIMED_OUT,
  type Waker,
  WOKEN,
} from '../../src/memory/bell.ts';
import { EventBell, EventSleeper, EventWaker, PollerSleeper } from '../../src/memory/event-bell.ts';

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0).reverse()) cleanup();
});

function eventFd(): number {
  const fd = createEvent();
  cleanups.push(() => closeFd(fd));
  return fd;
}

function pollerOf(fd: number): Poller {
  const poller = new Poller();
  poller.add(fd);
  cleanups.push(() => poller.close());
  return poller;
}

const SLEEPERS: Record<string, () => { bell: Bell; sleeper: Sleeper }> = {
  notify: () => {
    const words = new Int32Array(new SharedArrayBuffer(8));
    return { bell: new NotifyBell(words, 1), sleeper: new NotifySleeper(words, 1) };
  },
  eventfd: () => {
    const fd = eventFd();
    return { bell: new EventBell(fd), sleeper: new EventSleeper(fd) };
  },
  poller: () => {
    const fd = eventFd();
    return { bell: new EventBell(fd), sleeper: new PollerSleeper(pollerOf(fd)) };
  },
};

const WAKERS: Record<string, () => { bell: Bell; waker: Waker }> = {
  notify: () => {
    const words = new Int32Array(new SharedArrayBuffer(8));
    return { bell: new NotifyBell(words, 1), waker: new NotifyWaker(words, 1) };
  },
  eventfd: () => {
    const fd = eventFd();
    return { bell: new EventBell(fd), waker: new EventWaker(fd) };
  },
};

describe.each(Object.entries(SLEEPERS))('a sleeper by %s', (_, make) => {
  it('returns at once if rung since it was armed, once for all rings', () => {
    const { bell, sleeper } = make();
    sleeper.arm();
    bell.ring();
    bell.ring();
    expect(sleeper.sleep(1000)).toBe(WOKEN);
    sleeper.arm();
    expect(sleeper.sleep(1)).toBe(TIMED_OUT);
  });

  it('sleeps no longer than told', () => {
    const { sleeper } = make();
    sleeper.arm();
    expect(sleeper.sleep(0)).toBe(TIMED_OUT);
    expect(sleeper.sleep(2.5)).toBe(TIMED_OUT);
  });
});

describe.each(Object.entries(WAKERS))('a waker by %s', (_, make) => {
  const next = (waker: Waker) => new Promise<void>((resolve) => waker.listen(resolve));

  it('calls back for a ring before or after it listens, again and again', async () => {
    const { bell, waker } = make();
    waker.hold(true);
    for (let i = 0; i < 5; i++) {
      waker.arm();
      if (i % 2 === 0) bell.ring();
      const rung = next(waker);
      if (i % 2 === 1) bell.ring();
      await rung;
    }
    waker.close();
    waker.close();
  });

  it('calls the last listener only', async () => {
    const { bell, waker } = make();
    waker.hold(true);
    let first = 0;
    waker.arm();
    waker.listen(() => first++);
    const second = next(waker);
    bell.ring();
    await second;
    expect(first).toBe(0);
    waker.close();
  });

  it('is silent once closed', async () => {
    const [quiet, other] = [make(), make()];
    let calls = 0;
    quiet.waker.arm();
    quiet.waker.listen(() => calls++);
    quiet.bell.ring();
    quiet.waker.close();
    other.waker.hold(true);
    other.waker.arm();
    const later = next(other.waker);
    other.bell.ring();
    await later;
    other.waker.close();
    expect(calls).toBe(0);
  });
});

describe('holding', () => {
  const bellUrl = new URL('../../dist/src/memory/bell.js', import.meta.url).href;
  /** Runs a program that listens and is rung by a thread that ends 50 ms later. */
  const run = (hold: boolean): string => {
    const program = `
      import { Worker } from 'node:worker_threads';
      const { NotifyWaker } = await import(${JSON.stringify(bellUrl)});
      const words = new Int32Array(new SharedArrayBuffer(4));
      const code = 'const { workerData: w } = require("node:worker_threads");' +
        'Atomics.wait(w, 0, 0, 50); Atomics.add(w, 0, 1); Atomics.notify(w, 0);';
      new Worker(code, { eval: true, execArgv: [], workerData: words }).unref();
      const waker = new NotifyWaker(words, 0);
      waker.hold(${hold});
      waker.arm();
      waker.listen(() => { console.log('rung'); waker.close(); });
    `;
    const args = ['--input-type=module', '-e', program];
    return spawnSync(process.execPath, args, { encoding: 'utf8' }).stdout.trim();
  };

  it('keeps the process alive until the bell rings, and only while held', () => {
    expect(run(true)).toBe('rung');
    expect(run(false)).toBe('');
  });
});
