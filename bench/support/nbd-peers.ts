/** The servers that block figures are compared with, each on a Unix socket of its own. */
import type { ChildProcess } from 'node:child_process';
import { existsSync, truncateSync, writeFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import type { Resources } from './resources.ts';

/** Both servers listen within a few ms; after this they have failed. */
const START_MS_MAX = 10_000;
const POLL_MS = 10;

/** nbdkit's memory plugin: nothing but the protocol. Its socket. */
export async function startNbdkit(resources: Resources, sizeBytes: number): Promise<string> {
  const socket = join(resources.folder(), 'nbdkit.sock');
  const options = ['--foreground', '--exit-with-parent', '-U', socket, 'memory', String(sizeBytes)];
  await listening(resources.program('nbdkit', options), socket);
  return socket;
}

/** A server and the file under it. */
export interface StorageDaemon {
  readonly socket: string;
  readonly file: string;
}

/**
 * qemu-storage-daemon over a raw file on the disk of temporary files, through the page cache: a
 * completed write then promises what ours does, to survive the death of the server.
 */
export async function startStorageDaemon(
  resources: Resources,
  sizeBytes: number,
): Promise<StorageDaemon> {
  const folder = resources.folder();
  const file = join(folder, 'disk.raw');
  writeFileSync(file, '');
  truncateSync(file, sizeBytes);
  const socket = join(folder, 'qsd.sock');
  const options = [
    '--blockdev',
    `driver=file,node-name=f,filename=${file},aio=io_uring`,
    '--blockdev',
    'driver=raw,node-name=r,file=f',
    '--nbd-server',
    `addr.type=unix,addr.path=${socket}`,
    '--export',
    'type=nbd,id=e,node-name=r,name=,writable=on',
  ];
  await listening(resources.program('qemu-storage-daemon', options), socket);
  return { socket, file };
}

async function listening(server: ChildProcess, socket: string): Promise<void> {
  for (let waitedMs = 0; waitedMs < START_MS_MAX; waitedMs += POLL_MS) {
    if (server.exitCode !== null) break;
    if (existsSync(socket) && (await accepts(socket))) return;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  throw new Error(`${server.spawnfile} does not listen at ${socket}`);
}

function accepts(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(path);
    socket.on('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}
