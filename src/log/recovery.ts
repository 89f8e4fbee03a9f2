/**
 * Opens a pool's log, whatever happened before (R2 to R4, R7, R11).
 *
 *   choose superblock -> sync -> bank -> announce the new bank -> checkpoint -> chain -> bank's
 *   payload into the pool -> sync -> fresh head, ids above the reserves -> checkpoint -> old bank goes
 *
 * A death at any point leaves what a next open needs: the old bank goes last, and a superblock
 * names every bank file that may be lying about, so none is left behind. Nothing is answered
 * before the last sync.
 */
import { StoreError } from '../base/errors.ts';
import { equalAt, ID_BYTES } from '../formats/byte-strings.ts';
import { type Geometry, geometryOf } from '../formats/geometry.ts';
import { bankNameOf, NO_ID, type Superblock, SuperblockFlag } from '../formats/superblock.ts';
import type { Disk } from '../platform/disk.ts';
import type { Platform } from '../platform/platform.ts';
import { Bank } from './bank.ts';
import { type FoundBank, requireBank } from './bank-file.ts';
import { loadCheckpoint } from './checkpoint-load.ts';
import { drain } from './drive.ts';
import { LOG_LIMITS, type LogLimits } from './limits.ts';
import { Log } from './log.ts';
import { PoolReader } from './pool-reader.ts';
import { Replay } from './replay.ts';
import { RollForward, requireNoLaterLog } from './roll-forward.ts';
import { SegmentTable } from './segment-table.ts';
import type { LogClient } from './sources.ts';
import {
  type ChosenSuperblock,
  chooseSuperblock,
  nextGenerationOf,
  readSuperblocks,
  requireFeatures,
  requireSize,
  writeSuperblock,
} from './superblocks.ts';

export interface OpenLogOptions {
  /** R3: give up what only the bank held, if the bank is missing or damaged. */
  readonly discardBank?: boolean;
  readonly limits?: Partial<LogLimits>;
}

/** What an open found, for people. */
export interface RecoveryReport {
  readonly wasClean: boolean;
  readonly commitCount: number;
  readonly operationCount: number;
  readonly bankOperationCount: number;
  readonly bankDiscarded: boolean;
}

export interface OpenedLog {
  readonly log: Log;
  readonly report: RecoveryReport;
}

/**
 * Recovers a pool and starts its log. Nothing may be served before it resolves; then all that was
 * recovered is durable (R4). `client` gets its pages, then the operations that followed. After a
 * failure the client is to be thrown away; the pool is as recoverable as before.
 *
 * @throws StoreError `pool_corrupt`, `bank_lost`, `bank_unavailable`, `version_unsupported`,
 * `media_error`, `pool_failed`, `pool_full`.
 */
export async function openLog(
  platform: Platform,
  disk: Disk,
  client: LogClient,
  options: OpenLogOptions = {},
): Promise<OpenedLog> {
  const limits = { ...LOG_LIMITS, ...options.limits };
  const chosen = chooseSuperblock(await readSuperblocks(disk, platform.kernels));
  const { superblock } = chosen;
  requireFeatures(superblock, false);
  requireSize(superblock, disk.sizeBytes);
  // R4: an earlier process may have written what it did not live to sync. From here on it counts.
  await disk.sync();
  const geometry = geometryOf(superblock.segmentBytes, superblock.segmentCount);
  const found = findBank(platform, superblock, geometry, options.discardBank ?? false);
  try {
    const announced = await announceBank(platform, disk, chosen);
    const bank = makeBank(platform, announced, geometry, limits);
    try {
      const parts = { platform, disk, client, limits, geometry, superblock, announced, bank };
      const opened = await recover(parts, found);
      removeBank(platform, superblock.poolId, superblock.bankId);
      return opened;
    } catch (error) {
      // What is still in flight reads from the memory that goes now.
      await drain(disk, platform.clock);
      bank.close();
      throw error;
    }
  } finally {
    found.bank?.file.close();
  }
}

interface BankSearch {
  readonly bank: FoundBank | undefined;
  /** Completed writes may be lost: guests of before must not go on (R3). */
  readonly lost: boolean;
  readonly discarded: boolean;
}

/** R3. A bank of another boot is not looked at: memory was lost, and a file's pages with it. */
function findBank(
  platform: Platform,
  superblock: Superblock,
  geometry: Geometry,
  discardBank: boolean,
): BankSearch {
  const sameBoot = superblock.bootId === platform.bootId();
  if ((superblock.flags & SuperblockFlag.clean) !== 0) {
    return { bank: undefined, lost: !sameBoot, discarded: false };
  }
  if (!sameBoot) return { bank: undefined, lost: true, discarded: false };
  try {
    return { bank: requireBank(platform, superblock, geometry), lost: false, discarded: false };
  } catch (error) {
    const lost = error instanceof StoreError && error.code === 'bank_lost';
    if (!lost || !discardBank) throw error;
    return { bank: undefined, lost: true, discarded: true };
  }
}

function removeBank(platform: Platform, poolId: Uint8Array, bankId: Uint8Array): void {
  if (!equalAt(bankId, 0, NO_ID)) platform.banks.remove(bankNameOf(poolId, bankId));
}

/** Removes banks that an earlier open did not live to remove, and writes down the next one's id. */
async function announceBank(
  platform: Platform,
  disk: Disk,
  chosen: ChosenSuperblock,
): Promise<Superblock> {
  const { superblock } = chosen;
  removeBank(platform, superblock.poolId, superblock.previousBankId);
  removeBank(platform, superblock.poolId, superblock.nextBankId);
  const nextBankId = new Uint8Array(ID_BYTES);
  platform.entropy.fill(nextBankId);
  const generation = nextGenerationOf(chosen);
  const announced = { ...superblock, generation, previousBankId: NO_ID, nextBankId };
  await writeSuperblock(disk, platform.kernels, announced);
  return announced;
}

function makeBank(
  platform: Platform,
  announced: Superblock,
  geometry: Geometry,
  limits: LogLimits,
): Bank {
  const { poolId, nextBankId: bankId } = announced;
  const identity = { poolId, bankId, bootId: platform.bootId() };
  return new Bank(platform, identity, geometry, limits.bufferCount, limits.journalUnits);
}

interface RecoverParts {
  readonly platform: Platform;
  readonly disk: Disk;
  readonly client: LogClient;
  readonly limits: LogLimits;
  readonly geometry: Geometry;
  /** The one that was chosen: what lies on the disk is judged by its generation. */
  readonly superblock: Superblock;
  readonly announced: Superblock;
  readonly bank: Bank;
}

async function recover(parts: RecoverParts, found: BankSearch): Promise<OpenedLog> {
  const { platform, disk, client, limits, geometry, superblock, announced, bank } = parts;
  const reader = new PoolReader(disk, platform.kernels);
  const table = new SegmentTable(geometry.segmentCount, geometry.segmentBlocks);
  const root = await loadCheckpoint(reader, superblock, geometry, table, client);
  const replay = new Replay(geometry, table, client, announced.generation, superblock.cutTxn);
  replay.touched.add(superblock.headSegment);
  const wasClean = (superblock.flags & SuperblockFlag.clean) !== 0;
  let commitCount = 0;
  if (!wasClean) {
    const chain = new RollForward(reader, geometry, superblock);
    const end = await chain.run((commit) => replay.replayCommit(commit));
    commitCount = end.commitCount;
  }
  const chainOperations = replay.operationCount;
  if (found.bank !== undefined) await replay.replayBank(found.bank, disk, platform.kernels);
  table.settle(replay.touched);
  await requireNoLaterLog(reader, geometry, superblock, table.nextFree);
  await disk.sync();
  const log = new Log({
    ...{ platform, disk, geometry, limits, table, bank, source: client },
    superblock: announced,
    incarnation: announced.incarnation + (found.lost ? 1 : 0),
    mapSegments: root.segments,
  });
  await log.start();
  const report = {
    wasClean,
    commitCount,
    operationCount: chainOperations,
    bankOperationCount: replay.operationCount - chainOperations,
    bankDiscarded: found.discarded,
  };
  return { log, report };
}
