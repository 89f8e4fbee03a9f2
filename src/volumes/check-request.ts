import { STATUS_OK, statusOf } from '../base/errors.ts';
import { SECTORS_PER_BLOCK } from '../base/units.ts';
import { SessionMode } from '../formats/session-record.ts';
import type { EngineParts } from './engine-parts.ts';
import { REQUEST_BLOCKS_MAX, RequestOp } from './request-table.ts';
import { SessionState } from './session-table.ts';

const INVALID_ARGUMENT = statusOf('invalid_argument');
const OUT_OF_RANGE = statusOf('out_of_range');
const UNSUPPORTED = statusOf('unsupported');
const READ_ONLY = statusOf('read_only');
const TOO_LARGE = statusOf('batch_too_large');
const PROTOCOL_VIOLATION = statusOf('protocol_violation');
const CLOSED = statusOf('closed');

/**
 * Whether a row's command may run now: `STATUS_OK`, or the status to complete it with. What it
 * looks at is the host's private copy, but its numbers are the guest's. @hotpath
 */
export function checkRequest(parts: EngineParts, row: number): number {
  const { requests, sessions } = parts;
  const session = requests.session[row] as number;
  if (sessions.state[session] !== SessionState.ATTACHED) return CLOSED;
  const queueFits = (requests.queue[row] as number) < (sessions.queueCount[session] as number);
  const tagFits = (requests.tag[row] as number) < (sessions.queueDepth[session] as number);
  if (!queueFits || !tagFits) return PROTOCOL_VIOLATION;
  const op = requests.op[row] as number;
  if (op === RequestOp.FLUSH) return STATUS_OK;
  if (op < RequestOp.READ || op > RequestOp.FLUSH) return UNSUPPORTED;

  const slot = sessions.volumeSlot[session] as number;
  const sectorIndex = requests.sectorIndex[row] as number;
  const sectorCount = requests.sectorCount[row] as number;
  if (sectorCount < 1 || sectorIndex < 0) return INVALID_ARGUMENT;
  if (sectorIndex + sectorCount > (parts.volumes.sectorCount[slot] as number)) return OUT_OF_RANGE;
  if (op === RequestOp.READ || op === RequestOp.WRITE) {
    const first = Math.floor(sectorIndex / SECTORS_PER_BLOCK);
    const end = Math.ceil((sectorIndex + sectorCount) / SECTORS_PER_BLOCK);
    const blocksMax = op === RequestOp.READ ? REQUEST_BLOCKS_MAX : parts.writeBlocksMax;
    if (end - first > blocksMax) return TOO_LARGE;
    if (!requests.extentsFit(row)) return INVALID_ARGUMENT;
  }
  if (op === RequestOp.READ) return STATUS_OK;
  if (sessions.mode[session] === SessionMode.readonly) return READ_ONLY;
  return (requests.operation[row] as number) > 0 ? STATUS_OK : INVALID_ARGUMENT;
}
