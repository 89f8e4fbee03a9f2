/** A thread of `logflume check`: reads mapped blocks and sums them. */

import { BLOCK_BYTES } from '../base/units.ts';
import { closeFd, OpenFlag, openFile, readAt } from '../bindings/files.ts';
import { NodeKernels } from '../platform/node-kernels.ts';

/** Blocks of one segment, and where to read them. */
export interface VerifyTask {
  readonly path: string;
  readonly pbas: Uint32Array;
  readonly sums: Uint32Array;
}

const kernels = new NodeKernels();
/** Large enough for the disk to stream. */
const RUN_BLOCKS_MAX = 256;
const buffer = kernels.allocate(RUN_BLOCKS_MAX * BLOCK_BYTES);

/** The pbas of blocks that cannot be read or do not have their sum. */
export function verifyBlocks({ path, pbas, sums }: VerifyTask): number[] {
  const fd = openFile(path, OpenFlag.READ_ONLY | OpenFlag.DIRECT);
  try {
    const bad: number[] = [];
    const order = Uint32Array.from(pbas.keys()).sort((a, b) => pba(pbas, a) - pba(pbas, b));
    for (let from = 0; from < order.length; ) {
      const to = endOfRun(order, pbas, from);
      verifyRun(fd, order.subarray(from, to), pbas, sums, bad);
      from = to;
    }
    return bad;
  } finally {
    closeFd(fd);
  }
}

function pba(pbas: Uint32Array, row: number): number {
  return pbas[row] ?? 0;
}

/** Blocks that lie close together are read in one go, gaps and all. */
function endOfRun(order: Uint32Array, pbas: Uint32Array, from: number): number {
  const first = pba(pbas, order[from] ?? 0);
  let to = from + 1;
  while (to < order.length && pba(pbas, order[to] ?? 0) - first < RUN_BLOCKS_MAX) to++;
  return to;
}

function verifyRun(
  fd: number,
  rows: Uint32Array,
  pbas: Uint32Array,
  sums: Uint32Array,
  bad: number[],
): void {
  const first = pba(pbas, rows[0] ?? 0);
  const last = pba(pbas, rows.at(-1) ?? 0);
  const target = buffer.subarray(0, (last - first + 1) * BLOCK_BYTES);
  if (!canRead(fd, target, first)) {
    if (rows.length === 1) bad.push(first);
    // One by one, to name the one that the disk cannot read.
    else for (const row of rows) verifyRun(fd, Uint32Array.of(row), pbas, sums, bad);
    return;
  }
  for (const row of rows) {
    const at = (pba(pbas, row) - first) * BLOCK_BYTES;
    const sum = kernels.crc32c(buffer, at, at + BLOCK_BYTES, 0);
    if (sum !== sums[row]) bad.push(pba(pbas, row));
  }
}

function canRead(fd: number, target: Uint8Array, firstPba: number): boolean {
  try {
    return readAt(fd, target, firstPba * BLOCK_BYTES) === target.byteLength;
  } catch {
    return false;
  }
}
