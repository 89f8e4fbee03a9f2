/** The kernel's tables as they look, with device numbers split as Linux packs them. */
import { describe, expect, it } from 'vitest';
import {
  fileSystemOf,
  holderInLocks,
  splitDevice,
  typeInMountInfo,
} from '../../src/platform/file-systems.ts';

const MOUNTS = `22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
30 22 0:26 / /dev/shm rw,nosuid - tmpfs tmpfs rw
`;
const LOCKS = `1: POSIX  ADVISORY  WRITE 11 fe:01:123 0 EOF
2: FLOCK  ADVISORY  WRITE 22 fe:01:123 0 EOF
2: -> FLOCK  ADVISORY  WRITE 33 fe:01:123 0 EOF
3: FLOCK  ADVISORY  WRITE 44 fe:01:124 0 EOF
`;
const DEVICE = 254 * 256 + 1;

describe('tables of the kernel', () => {
  it('split a device number into major and minor', () => {
    expect(splitDevice(DEVICE)).toEqual({ major: 254, minor: 1 });
    expect(splitDevice(26)).toEqual({ major: 0, minor: 26 });
    // makedev(259, 70000): the minor's high bits stand above the major's.
    expect(splitDevice(0x11110370)).toEqual({ major: 259, minor: 70_000 });
  });

  it('name the type of a mounted file system', () => {
    expect(typeInMountInfo(MOUNTS, DEVICE)).toBe('ext4');
    expect(typeInMountInfo(MOUNTS, 26)).toBe('tmpfs');
    expect(typeInMountInfo(MOUNTS, 27)).toBeUndefined();
    expect(fileSystemOf('/proc')).toBe('proc');
  });

  it('name who holds a lock, not who waits for it', () => {
    expect(holderInLocks(LOCKS, DEVICE, 123)).toBe(22);
    expect(holderInLocks(LOCKS, DEVICE, 124)).toBe(44);
    expect(holderInLocks(LOCKS, DEVICE, 125)).toBeUndefined();
  });
});
