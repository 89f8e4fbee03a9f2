import { randomFillSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { DiskBackend } from '../bindings/disk-queue.ts';
import { addonAvailable } from '../bindings/load.ts';
import { NodeBankFiles } from './node-banks.ts';
import { NodeClock } from './node-clock.ts';
import { NodeKernels } from './node-kernels.ts';
import { NodePoolFiles } from './node-pools.ts';
import type { Platform } from './platform.ts';
import { PortableKernels } from './portable-kernels.ts';

const BOOT_ID_PATH = '/proc/sys/kernel/random/boot_id';

export interface NodePlatformOptions {
  /** Folder of bank files. Default: $LOGFLUME_BANK_DIR, else one of ours on /dev/shm. */
  readonly bankDir?: string;
  /** Default `any`: io_uring, or private threads where it is forbidden. */
  readonly diskBackend?: DiskBackend;
}

/**
 * This machine. Memory numbers and disks belong to the thread that made the platform. Without the
 * addon checksums and copies still work, and pools and banks throw `addon_missing`.
 */
export function createNodePlatform(options: NodePlatformOptions = {}): Platform {
  const clock = new NodeClock();
  return {
    clock,
    entropy: { fill: (bytes) => void randomFillSync(bytes) },
    kernels: addonAvailable() ? new NodeKernels() : new PortableKernels(),
    pools: new NodePoolFiles(clock, options.diskBackend ?? 'any'),
    banks: new NodeBankFiles(options.bankDir),
    bootId: () => readFileSync(BOOT_ID_PATH, 'utf8').trim(),
  };
}
