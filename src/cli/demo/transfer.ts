/**
 * The two ends of the demonstration's stream: a file into a volume, and a volume into a hash. Both
 * keep several commands in flight and watch for the longest silence between two completions,
 * which is what a guest feels of a host that dies.
 */
import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import type { DataBuffer, Driver } from '../../../guest/index.ts';
import { alignUp, SECTOR_BYTES } from '../../base/units.ts';

/** One command's worth: large enough to stream, small enough that many are cut by a kill. */
export const PIECE_BYTES = 256 * 1024;
const PIECES_IN_FLIGHT = 16;
/** So that a kill meets flushed and unflushed data. */
const PIECES_PER_FLUSH = 64;

/** What one guest did with the stream. */
export interface StreamResult {
  readonly byteLength: number;
  readonly sha256: string;
  readonly elapsedMs: number;
  readonly pauseMsMax: number;
  readonly hostLosses: number;
}

/** Notes when things complete: the longest silence, and what fraction is done. */
export class Pulse {
  #last = performance.now();
  #pauseMsMax = 0;

  beat(): void {
    const now = performance.now();
    this.#pauseMsMax = Math.max(this.#pauseMsMax, now - this.#last);
    this.#last = now;
  }

  get pauseMsMax(): number {
    return this.#pauseMsMax;
  }
}

/** Counts how often the driver lost its host from now on. */
export function countHostLosses(driver: Driver): () => number {
  let losses = 0;
  driver.on('state', (state) => {
    if (state === 'host-lost') losses++;
  });
  return () => losses;
}

/** Streams the file into the volume from position 0 and hashes what was read from the file. */
export async function storeFile(
  driver: Driver,
  path: string,
  onProgress: (doneBytes: number) => void,
): Promise<StreamResult> {
  const losses = countHostLosses(driver);
  const file = await open(path, 'r');
  const hash = createHash('sha256');
  const pulse = new Pulse();
  const startMs = performance.now();
  const free: DataBuffer[] = [];
  for (let i = 0; i < PIECES_IN_FLIGHT; i++) free.push(driver.allocate(PIECE_BYTES));
  const inFlight = new Set<Promise<void>>();
  let position = 0;
  let doneBytes = 0;

  const store = async (buffer: DataBuffer, at: number, byteLength: number): Promise<void> => {
    const padded = alignUp(byteLength, SECTOR_BYTES);
    buffer.bytes.fill(0, byteLength, padded);
    await driver.async.writev(at, [buffer.bytes.subarray(0, padded)]);
    pulse.beat();
    doneBytes += byteLength;
    onProgress(doneBytes);
    free.push(buffer);
  };

  for (let piece = 1; ; piece++) {
    while (free.length === 0) await Promise.race(inFlight);
    const buffer = free.pop() as DataBuffer;
    const byteLength = await fill(file, buffer.bytes, position);
    if (byteLength === 0) break;
    hash.update(buffer.bytes.subarray(0, byteLength));
    const stored = store(buffer, position, byteLength);
    inFlight.add(stored);
    stored.then(
      () => inFlight.delete(stored),
      () => undefined,
    );
    position += byteLength;
    if (piece % PIECES_PER_FLUSH === 0) await driver.async.flush();
  }
  await Promise.all(inFlight);
  await driver.async.flush();
  await file.close();
  const elapsedMs = performance.now() - startMs;
  const sha256 = hash.digest('hex');
  const { pauseMsMax } = pulse;
  return { byteLength: position, sha256, elapsedMs, pauseMsMax, hostLosses: losses() };
}

/** Reads whole pieces, because a short one in the middle would shift all that follows. */
async function fill(
  file: {
    read: (b: Uint8Array, o: number, l: number, p: number) => Promise<{ bytesRead: number }>;
  },
  bytes: Uint8Array,
  position: number,
): Promise<number> {
  let filled = 0;
  while (filled < bytes.byteLength) {
    const length = bytes.byteLength - filled;
    const { bytesRead } = await file.read(bytes, filled, length, position + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return filled;
}

/** Reads the volume's first bytes back, blocking the thread, and hashes them. */
export function hashVolume(
  driver: Driver,
  byteLength: number,
  onProgress: (doneBytes: number) => void,
): StreamResult {
  const losses = countHostLosses(driver);
  const hash = createHash('sha256');
  const pulse = new Pulse();
  const startMs = performance.now();
  const buffer = driver.allocate(PIECE_BYTES);
  for (let position = 0; position < byteLength; position += PIECE_BYTES) {
    const wanted = Math.min(PIECE_BYTES, byteLength - position);
    const bytes = buffer.bytes.subarray(0, alignUp(wanted, SECTOR_BYTES));
    driver.sync.readInto(position, bytes);
    pulse.beat();
    hash.update(bytes.subarray(0, wanted));
    onProgress(position + wanted);
  }
  buffer.free();
  const elapsedMs = performance.now() - startMs;
  const sha256 = hash.digest('hex');
  const { pauseMsMax } = pulse;
  return { byteLength, sha256, elapsedMs, pauseMsMax, hostLosses: losses() };
}
