/**
 * What a command must look like before anyone acts on it. Works on the host's private copy; the
 * answer is a status, because a wrong command is an ordinary event on this path.
 */
import { STATUS_OK, statusOf } from '../base/errors.ts';
import { SECTOR_BYTES } from '../base/units.ts';
import {
  COMMAND_SECTORS_MAX,
  EXTENTS_INLINE_MAX,
  EXTENTS_MAX,
  ExtentEntry,
  OPCODE_COUNT,
  Opcode,
  SUBMISSION_FLAGS_KNOWN,
  SubmissionFlag,
  TABLE_ALIGNMENT_BYTES,
} from './protocol.ts';

const INVALID = statusOf('invalid_argument');
const UNSUPPORTED = statusOf('unsupported');
const OUT_OF_RANGE = statusOf('out_of_range');
const TOO_LARGE = statusOf('limit_exceeded');

/** A private copy of commands, by tag. */
export interface CommandCopies {
  opcode(tag: number): number;
  flags(tag: number): number;
  sectorIndex(tag: number): number;
  sectorCount(tag: number): number;
  extentCount(tag: number): number;
  tableOffset(tag: number): number;
  extentOffset(tag: number, index: number): number;
  extentBytes(tag: number, index: number): number;
  inlineExtentWord(tag: number, index: number): number;
  hasNoExtents(tag: number): boolean;
  isReserveZero(tag: number): boolean;
}

/** Whether the opcode moves data through extents. @hotpath */
export function movesData(opcode: number): boolean {
  return opcode === Opcode.READ || opcode === Opcode.WRITE || opcode === Opcode.INFO;
}

/** Whether the opcode changes what the volume holds. @hotpath */
export function changesData(opcode: number): boolean {
  return opcode === Opcode.WRITE || opcode === Opcode.WRITE_ZEROES || opcode === Opcode.DISCARD;
}

/** 0, or the status of the first thing wrong with the command. @hotpath */
export function statusOfCommand(copies: CommandCopies, tag: number, dataBytes: number): number {
  const opcode = copies.opcode(tag);
  const flags = copies.flags(tag);
  if (opcode >= OPCODE_COUNT) return UNSUPPORTED;
  if ((flags & ~SUBMISSION_FLAGS_KNOWN) !== 0) return UNSUPPORTED;
  if ((flags & SubmissionFlag.FUA) !== 0 && !changesData(opcode)) return UNSUPPORTED;
  if (!copies.isReserveZero(tag)) return UNSUPPORTED;

  const sectorIndex = copies.sectorIndex(tag);
  const sectorCount = copies.sectorCount(tag);
  if (sectorIndex > Number.MAX_SAFE_INTEGER - sectorCount) return OUT_OF_RANGE;
  if (movesData(opcode)) {
    if (sectorCount > COMMAND_SECTORS_MAX) return TOO_LARGE;
    if (sectorCount === 0) return INVALID;
    if (opcode === Opcode.INFO && (sectorCount !== 1 || sectorIndex !== 0)) return INVALID;
    return statusOfExtents(copies, tag, dataBytes, sectorCount * SECTOR_BYTES);
  }
  if (!copies.hasNoExtents(tag)) return INVALID;
  if (changesData(opcode)) return sectorCount === 0 ? INVALID : STATUS_OK;
  return sectorCount === 0 && sectorIndex === 0 ? STATUS_OK : INVALID;
}

function statusOfExtents(
  copies: CommandCopies,
  tag: number,
  dataBytes: number,
  byteLength: number,
): number {
  const extentCount = copies.extentCount(tag);
  if (extentCount === 0) return INVALID;
  if (extentCount > EXTENTS_MAX) return TOO_LARGE;
  const placeStatus = statusOfPlace(copies, tag, dataBytes, extentCount);
  if (placeStatus !== STATUS_OK) return placeStatus;

  let sum = 0;
  for (let i = 0; i < extentCount; i++) {
    const offset = copies.extentOffset(tag, i);
    const bytes = copies.extentBytes(tag, i);
    if (bytes === 0 || bytes % SECTOR_BYTES !== 0) return INVALID;
    // In this order nothing can wrap: both are below 2^32 and `dataBytes - bytes` is not negative.
    if (bytes > dataBytes || offset > dataBytes - bytes) return OUT_OF_RANGE;
    sum += bytes;
  }
  return sum === byteLength ? STATUS_OK : INVALID;
}

/** The extents stand in the command or in a table inside the data area, and nowhere else. */
function statusOfPlace(
  copies: CommandCopies,
  tag: number,
  dataBytes: number,
  extentCount: number,
): number {
  const tableOffset = copies.tableOffset(tag);
  let used = extentCount;
  if (extentCount > EXTENTS_INLINE_MAX) {
    if (tableOffset % TABLE_ALIGNMENT_BYTES !== 0) return INVALID;
    if (tableOffset > dataBytes - extentCount * ExtentEntry.byteLength) return OUT_OF_RANGE;
    used = 0;
  } else if (tableOffset !== 0) {
    return INVALID;
  }
  for (let i = used * 2; i < EXTENTS_INLINE_MAX * 2; i++) {
    if (copies.inlineExtentWord(tag, i) !== 0) return INVALID;
  }
  return STATUS_OK;
}
