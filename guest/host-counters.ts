import { HostCounter, type HostPageReading } from '../src/channel/host-page.ts';
import type { HostCounters } from './api.ts';

/** The host's page under the names that programs see. */
export function hostCountersOf({ hostPid, counters, latency }: HostPageReading): HostCounters {
  const value = (counter: number): number => counters[counter] ?? 0;
  return {
    hostPid,
    commands: {
      nop: value(HostCounter.COMMANDS_NOP),
      info: value(HostCounter.COMMANDS_INFO),
      read: value(HostCounter.COMMANDS_READ),
      write: value(HostCounter.COMMANDS_WRITE),
      writeZeroes: value(HostCounter.COMMANDS_WRITE_ZEROES),
      discard: value(HostCounter.COMMANDS_DISCARD),
      flush: value(HostCounter.COMMANDS_FLUSH),
    },
    bytesRead: value(HostCounter.BYTES_READ),
    bytesWritten: value(HostCounter.BYTES_WRITTEN),
    errors: value(HostCounter.ERRORS),
    parks: value(HostCounter.PARKS),
    wakesSent: value(HostCounter.WAKES_SENT),
    lostWakes: value(HostCounter.LOST_WAKES),
    batches: value(HostCounter.BATCHES),
    depthSeenSum: value(HostCounter.DEPTH_SEEN_SUM),
    depthSeenMax: value(HostCounter.DEPTH_SEEN_MAX),
    spinWindowNs: value(HostCounter.SPIN_WINDOW_NS),
    cpuUsedPermille: value(HostCounter.CPU_USED_PERMILLE),
    cpuBudgetPermille: value(HostCounter.CPU_BUDGET_PERMILLE),
    heartbeat: value(HostCounter.HEARTBEAT),
    latency,
  };
}
