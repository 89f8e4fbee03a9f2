import { alignUp, BLOCK_BYTES, MIB } from '../../base/units.ts';
import { createPool } from '../../log/create-pool.ts';
import { createNodePlatform } from '../../platform/node-platform.ts';

/** Checkpoints, open segments and the tails that crashes leave behind. */
const SPARE_BYTES = 512 * MIB;

/** A volume that holds the stream, rounded up to whole blocks. */
export function volumeBytesFor(byteLength: number): number {
  return alignUp(byteLength, BLOCK_BYTES);
}

/** Makes a pool with room for the stream, its summaries and what restarts cost. */
export async function createDemoPool(path: string, byteLength: number): Promise<void> {
  const sizeBytes = alignUp(byteLength * 1.5 + SPARE_BYTES, MIB);
  await createPool(createNodePlatform(), path, { sizeBytes });
}
