/**
 * What a descriptor is that somebody else made: asked of the kernel's tables under /proc before
 * anything is done with it that could block or fault.
 */
import { readFileSync, readlinkSync, statfsSync } from 'node:fs';

const NON_BLOCKING = 0o4000;
const HUGETLBFS_MAGIC = 0x958458f6;

/**
 * Whether it is an eventfd that does not block. On anything else, a write could wait for ever for
 * its maker to read.
 */
export function isDoorbell(fd: number): boolean {
  try {
    if (!/^anon_inode:\[?eventfd\]?$/.test(readlinkSync(`/proc/self/fd/${fd}`))) return false;
    const flags = /^flags:\s*([0-7]+)/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'));
    return (Number.parseInt(flags?.[1] ?? '0', 8) & NON_BLOCKING) !== 0;
  } catch {
    return false;
  }
}

/**
 * Whether its pages are of the ordinary size: huge ones come from a pool that may be empty when
 * they are first touched, and that is a bus error.
 */
export function hasOrdinaryPages(fd: number): boolean {
  try {
    return statfsSync(`/proc/self/fd/${fd}`).type !== HUGETLBFS_MAGIC;
  } catch {
    return false;
  }
}
