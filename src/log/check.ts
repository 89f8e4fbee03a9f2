/**
 * Looks at everything in a pool that nobody has open, repairs nothing, and says what is wrong.
 *
 * Superblock copies, checkpoint pages, the chain of commits, the bank's frames, the segment table
 * against what is mapped (I1), and every mapped block against its checksum (I2). The blocks are
 * read by a verifier that the caller gives, so that it can spread segments over threads.
 */
import { StoreError } from '../base/errors.ts';
import { type Geometry, geometryOf, SUPERBLOCK_GROUP_COUNT } from '../formats/geometry.ts';
import { type Superblock, SuperblockFlag } from '../formats/superblock.ts';
import type { Disk } from '../platform/disk.ts';
import type { Platform } from '../platform/platform.ts';
import { requireBank } from './bank-file.ts';
import { checkBlocks, type MappedBlocks, type SegmentVerifier } from './check-blocks.ts';
import { loadCheckpoint } from './checkpoint-load.ts';
import { PoolReader } from './pool-reader.ts';
import { Replay } from './replay.ts';
import { RollForward, requireNoLaterLog } from './roll-forward.ts';
import { SegmentTable } from './segment-table.ts';
import type { LogClient } from './sources.ts';
import { chooseSuperblock, readSuperblocks, requireFeatures, requireSize } from './superblocks.ts';

/** `damage` means that something is lost or will be; a `note` is what a crash leaves, and heals. */
export interface Finding {
  readonly severity: 'damage' | 'note';
  /** superblock, file, checkpoint, log, bank, segment table, block. */
  readonly structure: string;
  /** One line that names the place. */
  readonly text: string;
}

export interface CheckReport {
  readonly findings: readonly Finding[];
  readonly clean: boolean;
  readonly mappedBlocks: number;
  readonly commitCount: number;
  readonly bankFrames: number;
}

/** The client is an empty one; it is filled and thrown away. */
export interface CheckClient extends LogClient, MappedBlocks {}

interface Context {
  readonly platform: Platform;
  readonly disk: Disk;
  readonly client: CheckClient;
  readonly verify: SegmentVerifier;
  readonly findings: Finding[];
}

/**
 * Checks a pool whose `disk` may be read-only. What a bank holds beyond the log is checked where it
 * is, not replayed. Never throws for what it finds, only for what keeps it from looking.
 */
export async function checkPool(
  platform: Platform,
  disk: Disk,
  client: CheckClient,
  verify: SegmentVerifier,
): Promise<CheckReport> {
  const findings: Finding[] = [];
  const context = { platform, disk, client, verify, findings };
  const counts = { mappedBlocks: 0, commitCount: 0, bankFrames: 0, clean: false };
  const superblock = await checkSuperblocks(context);
  if (superblock !== undefined) {
    counts.clean = (superblock.flags & SuperblockFlag.clean) !== 0;
    await checkContents(context, superblock, counts);
  }
  return { findings, ...counts };
}

interface Counts {
  mappedBlocks: number;
  commitCount: number;
  bankFrames: number;
  clean: boolean;
}

async function checkContents(context: Context, superblock: Superblock, counts: Counts) {
  const geometry = geometryOf(superblock.segmentBytes, superblock.segmentCount);
  counts.bankFrames = await finding(context, 'bank', 0, () =>
    checkBank(context, superblock, geometry),
  );
  const table = new SegmentTable(geometry.segmentCount, geometry.segmentBlocks);
  const loaded = await finding(context, 'checkpoint', undefined, async () => {
    const reader = new PoolReader(context.disk, context.platform.kernels);
    return await loadCheckpoint(reader, superblock, geometry, table, context.client);
  });
  if (loaded === undefined) return;
  const commitCount = await finding(context, 'log', undefined, () =>
    checkLog(context, superblock, geometry, table),
  );
  // A state that stops in the middle of the log is none: what it maps may be gone rightly.
  if (commitCount === undefined) return;
  counts.commitCount = commitCount;
  const { client, verify, findings } = context;
  const pages = { segments: loaded.segments, pageCount: loaded.pageCount };
  counts.mappedBlocks = await checkBlocks(geometry, table, client, pages, verify, findings);
}

/** What `look` throws is a finding, if it is about the pool. */
async function finding<Result>(
  context: Context,
  structure: string,
  otherwise: Result,
  look: () => Promise<Result> | Result,
): Promise<Result> {
  try {
    return await look();
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    const named = String(error.details['structure'] ?? structure);
    context.findings.push({ severity: 'damage', structure: named, text: error.message });
    return otherwise;
  }
}

async function checkSuperblocks(context: Context): Promise<Superblock | undefined> {
  const { disk, platform, findings } = context;
  return await finding(context, 'superblock', undefined, async () => {
    const copies = await readSuperblocks(disk, platform.kernels);
    const chosen = chooseSuperblock(copies);
    const group = chosen.superblock.generation % SUPERBLOCK_GROUP_COUNT;
    for (const copy of copies) {
      if (copy.fault === undefined) continue;
      // An update that was cut off leaves torn copies, but never in the group that counts.
      const severity = copy.group === group ? 'damage' : 'note';
      const place = `copy ${copy.copy} of group ${copy.group}`;
      const text = `${place}: ${copy.fault} position=${copy.positionBytes}`;
      findings.push({ severity, structure: 'superblock', text });
    }
    if (chosen.tornGeneration !== undefined) {
      const text = `an update to generation ${chosen.tornGeneration} was cut off`;
      findings.push({ severity: 'note', structure: 'superblock', text });
    }
    requireFeatures(chosen.superblock, true);
    requireSize(chosen.superblock, disk.sizeBytes);
    return chosen.superblock;
  });
}

/** Frames and blocks that wait for the next open. */
function checkBank(context: Context, superblock: Superblock, geometry: Geometry): number {
  const { platform, findings } = context;
  if ((superblock.flags & SuperblockFlag.clean) !== 0) return 0;
  if (superblock.bootId !== platform.bootId()) {
    const text = 'the machine was restarted: completed writes that were not flushed are lost';
    findings.push({ severity: 'note', structure: 'bank', text });
    return 0;
  }
  const bank = requireBank(platform, superblock, geometry);
  bank.file.close();
  const text = `holds ${bank.frames.length} frames for the next open`;
  findings.push({ severity: 'note', structure: 'bank', text });
  return bank.frames.length;
}

/** Replays the chain into table and client; how many commits it has. */
async function checkLog(
  context: Context,
  superblock: Superblock,
  geometry: Geometry,
  table: SegmentTable,
): Promise<number> {
  const { disk, platform, client, findings } = context;
  const reader = new PoolReader(disk, platform.kernels);
  const { generation, cutTxn } = superblock;
  if ((superblock.flags & SuperblockFlag.clean) !== 0) {
    table.settle(new Set([superblock.headSegment]));
    await requireNoLaterLog(reader, geometry, superblock, table.nextFree);
    return 0;
  }
  const replay = new Replay(geometry, table, client, generation, cutTxn);
  const chain = new RollForward(reader, geometry, superblock);
  const end = await chain.run((commit) => replay.replayCommit(commit));
  const text = `ends after commit ${end.sequence}: ${end.reason} segment=${end.segment} block=${end.block}`;
  findings.push({ severity: 'note', structure: 'log', text });
  table.settle(replay.touched.add(superblock.headSegment));
  await requireNoLaterLog(reader, geometry, superblock, table.nextFree);
  return end.commitCount;
}
