/** What processes have used of the processors, from /proc. */
import { readFileSync } from 'node:fs';

/** `sysconf(_SC_CLK_TCK)`: 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

/** Fields of /proc/PID/stat after the name in parentheses, which is field 2 of 52. */
const FIELDS_BEFORE = 3;
const UTIME = 14;
const STIME = 15;

/** User and system time of a process and all its threads, in seconds, in steps of 10 ms. */
export function cpuSeconds(pid: number): number {
  const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
  // The name may hold anything, spaces and parentheses included: the last one ends it.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const ticks = Number(fields[UTIME - FIELDS_BEFORE]) + Number(fields[STIME - FIELDS_BEFORE]);
  return ticks / TICKS_PER_SECOND;
}
