/**
 * One call of the async or the sync face, from its arguments to its outcome. A call is issued as one
 * command, or in parts where it is longer than a command may be; it ends once, with the first
 * error of any part, when all issued parts have ended or the caller gave up before.
 */
import { assert } from '../src/base/assert.ts';
import { codeOf, STATUS_OK, StoreError } from '../src/base/errors.ts';
import { GIB, SECTOR_BYTES } from '../src/base/units.ts';
import { EXTENTS_MAX, Opcode, SubmissionFlag } from '../src/channel/protocol.ts';

/** WRITE_ZEROES and DISCARD move no data, but a host should not spend long on one command. */
const RANGE_BYTES_MAX = GIB;
const NO_PAYLOAD: readonly Uint8Array[] = [];

/** Arguments of a call, checked by the functions below. */
export interface Request {
  readonly opcode: Opcode;
  readonly flags: number;
  /** Bytes from the start of the volume. */
  readonly position: number;
  /** Bytes of the volume that the call is about. */
  readonly byteLength: number;
  /** The caller's memory, `byteLength` in all; empty for commands without data. */
  readonly payload: readonly Uint8Array[];
}

/** What an operation tells whoever started it; called once. */
export type Settled = (error: StoreError | undefined) => void;

export class Operation {
  readonly request: Request;
  readonly #partBytesMax: number;
  readonly #onSettled: Settled;
  #issuedBytes = 0;
  #partsIssued = 0;
  #partsPending = 0;
  #error: StoreError | undefined;
  #settled: boolean = false;

  /** `commandBytesMax` bounds the parts of READ and WRITE. */
  constructor(request: Request, commandBytesMax: number, onSettled: Settled) {
    this.request = request;
    const moves = request.opcode === Opcode.READ || request.opcode === Opcode.WRITE;
    this.#partBytesMax = moves ? commandBytesMax : RANGE_BYTES_MAX;
    this.#onSettled = onSettled;
  }

  get settled(): boolean {
    return this.#settled;
  }

  /** Whether nothing more is to be issued: all is, or a part failed, or the caller gave up. */
  get fullyIssued(): boolean {
    if (this.#settled || this.#error !== undefined) return true;
    return this.#partsIssued > 0 && this.#issuedBytes === this.request.byteLength;
  }

  /** Where the next part starts, from the start of the request. */
  get nextStart(): number {
    return this.#issuedBytes;
  }

  /** Length of the next part. */
  get nextBytes(): number {
    return Math.min(this.#partBytesMax, this.request.byteLength - this.#issuedBytes);
  }

  partIssued(byteLength: number): void {
    assert(!this.fullyIssued, 'a part is issued while some are left');
    this.#issuedBytes += byteLength;
    this.#partsIssued++;
    this.#partsPending++;
  }

  partCompleted(status: number): void {
    assert(this.#partsPending > 0, 'a part completes once');
    this.#partsPending--;
    if (status !== STATUS_OK && this.#error === undefined) {
      const { opcode, position, byteLength } = this.request;
      const details = { command: nameOf(opcode), position, byteLength };
      this.#error = new StoreError(codeOf(status), details);
    }
    if (this.#partsPending === 0 && this.fullyIssued) this.#settle(this.#error);
  }

  /** Ends the call at once; parts that are in flight still end, unnoticed. */
  fail(error: StoreError): void {
    this.#settle(error);
  }

  #settle(error: StoreError | undefined): void {
    if (this.#settled) return;
    this.#settled = true;
    this.#onSettled(error);
  }
}

function nameOf(opcode: Opcode): string {
  const [name = 'unknown'] = Object.entries(Opcode).find(([, value]) => value === opcode) ?? [];
  return name;
}

/** A READ or WRITE of the buffers' total length. @throws StoreError `invalid_argument`. */
export function transferRequest(
  opcode: typeof Opcode.READ | typeof Opcode.WRITE,
  position: number,
  payload: readonly Uint8Array[],
  fua: boolean,
): Request {
  if (payload.length > EXTENTS_MAX) {
    throw invalid('buffers', payload.length, `at most ${EXTENTS_MAX}`);
  }
  let byteLength = 0;
  for (const piece of payload) {
    if (!(piece instanceof Uint8Array)) throw invalid('buffer', typeof piece, 'a Uint8Array');
    checkMultiple('byteLength', piece.byteLength);
    byteLength += piece.byteLength;
  }
  checkMultiple('position', position);
  return { opcode, flags: flagsOf(fua), position, byteLength, payload };
}

/** WRITE_ZEROES or DISCARD of a range. @throws StoreError `invalid_argument`. */
export function rangeRequest(
  opcode: typeof Opcode.WRITE_ZEROES | typeof Opcode.DISCARD,
  position: number,
  byteLength: number,
  fua: boolean,
): Request {
  checkMultiple('position', position);
  checkMultiple('byteLength', byteLength);
  return { opcode, flags: flagsOf(fua), position, byteLength, payload: NO_PAYLOAD };
}

/** FLUSH or NOP. */
export function plainRequest(opcode: typeof Opcode.FLUSH | typeof Opcode.NOP): Request {
  return { opcode, flags: 0, position: 0, byteLength: 0, payload: NO_PAYLOAD };
}

/** INFO, which fills a sector. */
export function infoRequest(target: Uint8Array): Request {
  assert(target.byteLength === SECTOR_BYTES, 'INFO fills a sector');
  const { byteLength } = target;
  return { opcode: Opcode.INFO, flags: 0, position: 0, byteLength, payload: [target] };
}

/** Bytes on a sector's boundary. @throws StoreError `invalid_argument` naming `what`. */
export function checkMultiple(what: string, value: number): void {
  if (Number.isSafeInteger(value) && value >= 0 && value % SECTOR_BYTES === 0) return;
  throw invalid(what, value, `a multiple of ${SECTOR_BYTES} bytes`);
}

function flagsOf(fua: boolean): number {
  return fua ? SubmissionFlag.FUA : 0;
}

function invalid(argument: string, value: string | number, expected: string): StoreError {
  return new StoreError('invalid_argument', { argument, value, expected });
}
