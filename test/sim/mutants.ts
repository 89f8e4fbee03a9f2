/**
 * Planted bugs: each breaks one rule in the sources, and the simulator must find it (main.ts,
 * `--mutants`). An edit replaces a text that occurs exactly once in its file.
 */

export interface Edit {
  readonly file: string;
  readonly text: string;
  readonly replacement: string;
}

export interface Mutant {
  readonly name: string;
  readonly rule: string;
  readonly edits: readonly Edit[];
}

function mutant(rule: string, name: string, ...edits: [string, string, string][]): Mutant {
  return {
    rule,
    name,
    edits: edits.map(([file, text, replacement]) => ({ file, text, replacement })),
  };
}

const COMMITTER = 'src/log/committer.ts';
const CYCLE = 'src/log/commit-cycle.ts';
const RECOVERY = 'src/log/recovery.ts';
const ROLL_FORWARD = 'src/log/roll-forward.ts';
const SEGMENTS = 'src/log/segment-table.ts';
const CHECKPOINT = 'src/log/checkpoint.ts';

export const MUTANTS: readonly Mutant[] = [
  mutant('R1', 'FLUSH answers early', [
    'src/volumes/durable-waits.ts',
    '(this.#txn[row] as number) <= durableTxn',
    '(this.#txn[row] as number) <= Math.max(durableTxn, log.publishedTxn)',
  ]),
  mutant('R1', 'FUA is ignored', [
    'src/volumes/engine.ts',
    '(flags & RequestFlag.FUA) !== 0 && status === STATUS_OK',
    '(flags & RequestFlag.FUA) !== 0 && status !== STATUS_OK',
  ]),
  mutant('R1', 'a sync covers what is not written', [
    COMMITTER,
    'this.#syncedSequence = this.#writtenSequence;',
    'this.#syncedSequence = this.#closedSequence;',
  ]),
  mutant(
    'R2',
    'bank dropped before the write',
    [
      COMMITTER,
      'this.#sequenceOfSlot[slot] = sequence;',
      'this.#sequenceOfSlot[slot] = sequence;\nthis.#bank.journal.retire(this.#journalEnd[row] as number);',
    ],
    [COMMITTER, 'this.#bank.journal.retire(this.#journalEnd[row] as number);', ''],
  ),
  mutant(
    'R2',
    'bank dropped before the sync',
    [
      COMMITTER,
      'this.#writtenSequence++;',
      'this.#writtenSequence++;\nthis.#bank.journal.retire(this.#journalEnd[this.#writtenSequence & (COMMITS_MAX - 1)] as number);',
    ],
    [COMMITTER, 'this.#bank.journal.retire(this.#journalEnd[row] as number);', ''],
  ),
  mutant('R2', 'the bank is not written to the pool', [
    'src/log/replay.ts',
    'await restorePayload(disk, kernels, bank, this.#geometry, frame, firstBlock, frameBlocks);',
    'await Promise.resolve([restorePayload, disk, kernels, firstBlock, frameBlocks]);',
  ]),
  mutant('R2', 'published before it is copied', [
    'src/volumes/turn.ts',
    'if (hadRows) copies.run();\n    if (this.#appendCount > 0) this.#parts.log.publish();',
    'if (this.#appendCount > 0) this.#parts.log.publish();\n    if (hadRows) copies.run();',
  ]),
  mutant('R3', 'a lost bank is ignored', [
    RECOVERY,
    'if (!lost || !discardBank) throw error;',
    'if (!lost) throw error;',
  ]),
  mutant('R3', 'the incarnation stays', [
    RECOVERY,
    'announced.incarnation + (found.lost ? 1 : 0)',
    'announced.incarnation',
  ]),
  mutant('R4', 'the old bank goes before its replay is durable', [
    RECOVERY,
    'const announced = await announceBank(platform, disk, chosen);',
    'const announced = await announceBank(platform, disk, chosen);\nremoveBank(platform, superblock.poolId, superblock.bankId);',
  ]),
  mutant('R6', 'a failed sync is taken for a good one', [
    CYCLE,
    "this.#failDisk('sync', slot, result);\n        return;",
    '',
  ]),
  mutant('R7', 'a torn tail is accepted', [
    ROLL_FORWARD,
    'if (bad === undefined) {',
    'if (bad === undefined || bad >= 0) {',
  ]),
  mutant('R7', 'a later header means damage', [
    ROLL_FORWARD,
    'this.#durableSequence = Math.max(this.#durableSequence, header.durableSequence);\n      // Payload',
    'this.#durableSequence = Math.max(this.#durableSequence, header.commitSequence);\n      // Payload',
  ]),
  mutant('R7', 'a header calls durable what is not', [
    CYCLE,
    'header.durableSequence = this.committer.durableSequence;',
    'header.durableSequence = this.committer.closedSequence;',
  ]),
  mutant('R9', 'a discard is not replayed', [
    'src/volumes/replay.ts',
    'map.clearRange(space, firstLba, blockCount, places, Number.MAX_SAFE_INTEGER);',
    'map.clearRange(space, firstLba, 0, places, Number.MAX_SAFE_INTEGER);',
  ]),
  mutant('R10', 'a freed segment is used before the checkpoint', [
    SEGMENTS,
    'this.#now.state[segment] = freeing;\n    this.#freeingCount++;',
    'this.#setFree(segment);',
  ]),
  mutant('R10', 'the superblock goes before its pages', [
    CHECKPOINT,
    'this.#stage = PAGES_WRITTEN;',
    'this.#stage = FIRST_COPIES;',
  ]),
  mutant('R10', 'a checkpoint does not wait for its cut', [
    CHECKPOINT,
    'return this.#cutSequence <= writtenSequence;',
    'return this.#cutSequence <= writtenSequence + 4;',
  ]),
  mutant('R21', 'half a command is replayed', [
    'src/volumes/replay.ts',
    'i < operation.entryCount; i++) {\n    const at = operation.at + i * ENTRY_BYTES;\n    const space = map.findSpace(operation.branch, getU53(view, at, BlockEntry.object));',
    'i < (operation.entryCount + 1) >> 1; i++) {\n    const at = operation.at + i * ENTRY_BYTES;\n    const space = map.findSpace(operation.branch, getU53(view, at, BlockEntry.object));',
  ]),
  mutant('R24', 'a late fill enters the cache', [
    'src/volumes/fills.ts',
    'if (entry !== ENTRY_NONE && map.pbaAt(entry) === pba) cache.admit(frame, pba);',
    'if (entry !== ENTRY_NONE || cache.frameCount > 0) cache.admit(frame, pba);',
  ]),
  mutant('R24', 'a partial write forgets what is not in the bank', [
    'src/volumes/edges.ts',
    'if (source === ZEROS) copies.zero(',
    'if (source !== bankMemory) copies.zero(',
  ]),
  mutant('R25', 'replies are not stored', [
    'src/volumes/replay.ts',
    'if (operation === 0) return;',
    'if (operation >= 0) return;',
  ]),
  mutant('R25', 'replies are not in the checkpoint', [
    'src/volumes/applied-windows.ts',
    'if (!this.noteOf(slot.guest, slot.queue, slot.tag, slot.operation)) return false;',
    '',
  ]),
  mutant('R25', 'replies are not looked for', [
    'src/volumes/applied-windows.ts',
    '[at] === operation;',
    '[at] === -operation;',
  ]),
];
