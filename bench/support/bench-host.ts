/** Hosts and volumes to measure: a pool on the disk of temporary files, a host process over it. */
import { join } from 'node:path';
import { connectAdmin } from '../../guest/index.ts';
import type { HostOptions } from '../../host/index.ts';
import { createPool } from '../../src/log/create-pool.ts';
import { createNodePlatform } from '../../src/platform/node-platform.ts';
import { Child, compiled } from './child.ts';
import type { HeapReading } from './heap.ts';
import type { Resources } from './resources.ts';

const HOST_MODULE = compiled('./host-process.js', import.meta.url);
const HEAP_PROBE = new URL('./heap.js', import.meta.url).href;
/** Both sides spin for as long as the benchmark runs: no budget, and the longest window. */
export const SPINNING: HostOptions = { cpuBudget: 1, spinUs: 1000 };

export class BenchHost {
  readonly socket: string;
  readonly pid: number;
  readonly #child: Child;

  private constructor(child: Child, socket: string) {
    this.#child = child;
    this.socket = socket;
    this.pid = child.pid;
  }

  /** Starts a host process that listens in `folder`; it ends with `resources` or `close`. */
  static async start(
    resources: Resources,
    folder: string,
    options: HostOptions,
    nodeOptions: readonly string[] = [],
  ): Promise<BenchHost> {
    const child = new Child(resources, HOST_MODULE, nodeOptions);
    const socket = join(folder, 'host.sock');
    await child.ask('start', { ...options, listen: socket });
    return new BenchHost(child, socket);
  }

  /** Makes a volume; it reads as zeros. */
  async createVolume(name: string, sizeBytes: number): Promise<void> {
    const admin = await connectAdmin({ host: this.socket });
    try {
      await admin.createVolume(name, sizeBytes);
    } finally {
      await admin.close();
    }
  }

  /** What the worker threads have allocated; needs `HEAP_OPTIONS`. */
  async readHeaps(question: 'read' | 'collect'): Promise<HeapReading[]> {
    return await this.#child.ask('readHeaps', question);
  }

  /** Closes the pool cleanly and ends the process. */
  async close(): Promise<void> {
    await this.#child.ask('close');
    this.#child.process.disconnect();
  }
}

/** Node options with which the threads of a host answer `readHeaps`. */
export const HEAP_OPTIONS: readonly string[] = ['--expose-gc', '--import', HEAP_PROBE];

/** Makes a pool file in `folder`; its path. */
export async function makePool(folder: string, sizeBytes: number): Promise<string> {
  const path = join(folder, 'pool');
  await createPool(createNodePlatform(), path, { sizeBytes });
  return path;
}
