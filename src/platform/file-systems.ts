/**
 * What the kernel's tables under /proc tell about a file beyond its own attributes: which file
 * system it lies on, and who holds its lock. For messages and refusals; absent where /proc is.
 */
import { readFileSync, statSync } from 'node:fs';

/** What `locksOf` gives for a holder outside the tables. */
export const HOLDER_UNKNOWN = 'unknown';

/** File systems in memory: they take O_DIRECT on some kernels, and mean nothing by it. */
const MEMORY_FILE_SYSTEMS: readonly string[] = [
  'tmpfs',
  'ramfs',
  'hugetlbfs',
  'rootfs',
  'devtmpfs',
];

/** Major and minor number as Linux packs them into `st_dev`. */
export function splitDevice(device: number): { major: number; minor: number } {
  const low = device % 0x1_0000_0000;
  const high = Math.floor(device / 0x1_0000_0000);
  const major = ((low >>> 8) & 0xfff) + (high & ~0xfff);
  const minor = (low & 0xff) + ((low >>> 12) & ~0xff);
  return { major, minor };
}

/** Type of the file system with this device number, by the text of /proc/self/mountinfo. */
export function typeInMountInfo(text: string, device: number): string | undefined {
  const { major, minor } = splitDevice(device);
  // id, parent, major:minor, root, mount point, options, optional fields, '-', type, …
  for (const line of text.split('\n')) {
    const fields = line.split(' ');
    if (fields[2] === `${major}:${minor}`) return fields[fields.indexOf('-') + 1];
  }
  return undefined;
}

/** Process that holds the flock of this file, by the text of /proc/locks. */
export function holderInLocks(text: string, device: number, inode: number): number | undefined {
  const { major, minor } = splitDevice(device);
  const hex = (value: number) => value.toString(16).padStart(2, '0');
  const file = `${hex(major)}:${hex(minor)}:${inode}`;
  // number:, kind, mode, READ or WRITE, pid, major:minor:inode, start, end; '->' marks who waits.
  for (const line of text.split('\n')) {
    const [, kind, , , pid, locked] = line.trim().split(/\s+/);
    if (kind === 'FLOCK' && locked === file && Number(pid) > 0) return Number(pid);
  }
  return undefined;
}

function readTable(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/** `ext4`, `tmpfs`, …; `unknown` if the kernel does not tell. @throws as stat(2). */
export function fileSystemOf(path: string): string {
  return typeInMountInfo(readTable('/proc/self/mountinfo'), statSync(path).dev) ?? 'unknown';
}

export function isInMemory(fileSystem: string): boolean {
  return MEMORY_FILE_SYSTEMS.includes(fileSystem);
}

/** Process number and name of whoever holds the flock of a file, or `HOLDER_UNKNOWN`. */
export function lockHolderOf(path: string): string {
  const { dev, ino } = statSync(path);
  const pid = holderInLocks(readTable('/proc/locks'), dev, ino);
  if (pid === undefined) return HOLDER_UNKNOWN;
  const name = readTable(`/proc/${pid}/comm`).trim();
  return name === '' ? String(pid) : `${pid} (${name})`;
}
