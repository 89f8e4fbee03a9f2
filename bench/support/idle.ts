/** What a host and its guests use of the processors while nobody asks anything. */

import type { BenchHost } from './bench-host.ts';
import { Child, compiled } from './child.ts';
import { cpuSeconds } from './cpu-time.ts';
import type { Resources } from './resources.ts';

const GUEST_MODULE = compiled('./guest-process.js', import.meta.url);

/**
 * Node compiles and collects for some 10 s after the last command: that is not what idling costs.
 * So much of the measured time is waited before it.
 */
const SETTLE_PART = 1.5;

export interface IdleOptions {
  readonly guestCount: number;
  readonly seconds: number;
  readonly volume: string;
}

/** Percent of one core, host and guest processes together. Each guest has worked once before. */
export async function idleCpuPercent(
  resources: Resources,
  host: BenchHost,
  { guestCount, seconds, volume }: IdleOptions,
): Promise<number> {
  const guests: Child[] = [];
  for (let i = 0; i < guestCount; i++) {
    const guest = new Child(resources, GUEST_MODULE);
    await guest.ask('connect', { host: host.socket, volume, mode: 'shared' });
    await guest.ask('nops', 1000);
    guests.push(guest);
  }
  const pids = [host.pid, ...guests.map(({ pid }) => pid)];
  const used = () => pids.reduce((sum, pid) => sum + cpuSeconds(pid), 0);
  await new Promise((resolve) => setTimeout(resolve, SETTLE_PART * seconds * 1000));
  const startMs = performance.now();
  const before = used();
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  const elapsedSeconds = (performance.now() - startMs) / 1000;
  const percent = ((used() - before) / elapsedSeconds) * 100;
  for (const guest of guests) {
    await guest.ask('close');
    guest.process.disconnect();
  }
  return percent;
}
