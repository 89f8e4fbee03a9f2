/**
 * How control messages cross a socket: a fixed header, then JSON.
 *
 *   | magic | version, descriptors | body bytes | 0 | body … |
 *
 * Descriptors are sent with the first byte of the header. A read may end anywhere, and the kernel
 * may hand over descriptors together with the end of the message before; so the decoder keeps them
 * in a queue, and each header says how many are its own. A stream that cannot be right throws and
 * is over; then whoever holds the decoder closes the descriptors it still has.
 */
import { assert } from '../base/assert.ts';
import { StoreError } from '../base/errors.ts';
import { bytes, getU16, getU32, record, setU16, setU32, u16, u32 } from '../base/record.ts';
import { type ControlMessage, controlMessage, handleCountOf } from './control-schema.ts';
import { PROTOCOL_VERSION } from './protocol.ts';

/** "LFCM" in a hex dump. */
export const CONTROL_MAGIC = 0x4d43464c;
/** A listing of 128 volumes fits; nobody makes us hold more for a connection. */
export const CONTROL_BODY_BYTES_MAX = 65_536;
/** More than any message has, so that one is noticed, not truncated. */
export const CONTROL_DESCRIPTORS_MAX = 8;
/** Levels of nesting: twice what any message has. */
export const CONTROL_DEPTH_MAX = 8;

export const ControlHeader = record('ControlHeader', 16, {
  magic: u32(0),
  version: u16(4),
  descriptorCount: u16(6),
  bodyBytes: u32(8),
  reserved: bytes(12, 4),
});
const RESERVED_AT = ControlHeader.reserved;

/** Bytes that a message takes at most. */
export const CONTROL_MESSAGE_BYTES_MAX = ControlHeader.byteLength + CONTROL_BODY_BYTES_MAX;

export interface DecodedControl {
  readonly message: ControlMessage;
  /** The receiver's to close. */
  readonly descriptors: readonly number[];
}

/**
 * Header and body in one new buffer.
 *
 * @throws StoreError `limit_exceeded` if the body is too long.
 */
export function encodeControl(message: ControlMessage): Uint8Array {
  const body = new TextEncoder().encode(JSON.stringify(message));
  const bodyBytes = body.byteLength;
  if (bodyBytes > CONTROL_BODY_BYTES_MAX) {
    throw new StoreError('limit_exceeded', { type: message.type, bodyBytes });
  }
  const encoded = new Uint8Array(ControlHeader.byteLength + bodyBytes);
  const view = new DataView(encoded.buffer);
  setU32(view, 0, ControlHeader.magic, CONTROL_MAGIC);
  setU16(view, 0, ControlHeader.version, PROTOCOL_VERSION);
  setU16(view, 0, ControlHeader.descriptorCount, handleCountOf(message.type));
  setU32(view, 0, ControlHeader.bodyBytes, bodyBytes);
  encoded.set(body, ControlHeader.byteLength);
  return encoded;
}

/** Checks an object that did not come as JSON, from a MessagePort. @throws StoreError `protocol_violation`. */
export function parseControl(value: unknown): ControlMessage {
  const parsed = controlMessage.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const path = issue?.path.map(String).join('.').slice(0, 80) ?? '';
  throw new StoreError('protocol_violation', { field: path, problem: issue?.code ?? 'unknown' });
}

export class ControlDecoder {
  readonly #buffer = new Uint8Array(CONTROL_MESSAGE_BYTES_MAX);
  readonly #view = new DataView(this.#buffer.buffer);
  #filledBytes = 0;
  #descriptors: number[] = [];
  #bodyBytes = -1; // Of the message whose header was read, or -1.
  #descriptorCount = 0;

  /** Bytes that `push` takes now: at least 1 after `next` has returned undefined. */
  get roomBytes(): number {
    return CONTROL_MESSAGE_BYTES_MAX - this.#filledBytes;
  }

  /**
   * Adds what was received; the descriptors are the decoder's from now on.
   *
   * @throws StoreError `protocol_violation` if there are more descriptors than anybody sends.
   */
  push(received: Uint8Array, descriptors: readonly number[]): void {
    this.#descriptors.push(...descriptors);
    if (this.#descriptors.length > CONTROL_DESCRIPTORS_MAX) {
      throw violation('descriptors', this.#descriptors.length);
    }
    assert(received.byteLength <= this.roomBytes, 'no more is pushed than there is room for');
    this.#buffer.set(received, this.#filledBytes);
    this.#filledBytes += received.byteLength;
  }

  /**
   * The next whole message, or undefined: push more.
   *
   * @throws StoreError `protocol_violation` or `protocol_mismatch`: the stream is over.
   */
  next(): DecodedControl | undefined {
    if (this.#bodyBytes < 0 && !this.#readHeader()) {
      if (this.#filledBytes === 0 && this.#descriptors.length > 0) {
        throw violation('surplusDescriptors', this.#descriptors.length);
      }
      return undefined;
    }
    const end = ControlHeader.byteLength + this.#bodyBytes;
    if (this.#filledBytes < end) return undefined;

    const message = parseBody(this.#buffer.subarray(ControlHeader.byteLength, end));
    if (handleCountOf(message.type) !== this.#descriptorCount) {
      throw violation('descriptorCount', this.#descriptorCount);
    }
    this.#buffer.copyWithin(0, end, this.#filledBytes);
    this.#filledBytes -= end;
    this.#bodyBytes = -1;
    return { message, descriptors: this.#descriptors.splice(0, this.#descriptorCount) };
  }

  /** Descriptors that belong to no message yet: for closing them when the stream is over. */
  takeDescriptors(): number[] {
    return this.#descriptors.splice(0);
  }

  #readHeader(): boolean {
    if (this.#filledBytes < ControlHeader.byteLength) return false;
    const magic = getU32(this.#view, 0, ControlHeader.magic);
    const version = getU16(this.#view, 0, ControlHeader.version);
    const bodyBytes = getU32(this.#view, 0, ControlHeader.bodyBytes);
    const count = getU16(this.#view, 0, ControlHeader.descriptorCount);
    if (magic !== CONTROL_MAGIC) throw violation('magic', magic);
    if (version !== PROTOCOL_VERSION) {
      const details = { field: 'protocolVersion', found: version, expected: PROTOCOL_VERSION };
      throw new StoreError('protocol_mismatch', details);
    }
    if (bodyBytes > CONTROL_BODY_BYTES_MAX) throw violation('bodyBytes', bodyBytes);
    if (bodyBytes === 0) throw violation('bodyBytes', bodyBytes);
    for (let at = RESERVED_AT; at < ControlHeader.byteLength; at++) {
      if (this.#buffer[at] !== 0) throw violation('reserved', this.#buffer[at] as number);
    }
    // They came with the header's first byte, so they are here.
    if (count > this.#descriptors.length) throw violation('missingDescriptors', count);
    this.#bodyBytes = bodyBytes;
    this.#descriptorCount = count;
    return true;
  }
}

function parseBody(body: Uint8Array): ControlMessage {
  let value: unknown;
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(body);
    if (depthOf(text) > CONTROL_DEPTH_MAX) throw violation('depth', depthOf(text));
    value = JSON.parse(text);
  } catch (cause) {
    if (cause instanceof StoreError) throw cause;
    throw new StoreError('protocol_violation', { field: 'json' }, { cause });
  }
  return parseControl(value);
}

/** How deep the brackets of a JSON text nest: asked before it is parsed. */
function depthOf(text: string): number {
  let depth = 0;
  let deepest = 0;
  let quoted = false;
  for (let i = 0; i < text.length; i++) {
    const character = text[i];
    if (quoted) {
      if (character === '\\') i++;
      else if (character === '"') quoted = false;
    } else if (character === '"') quoted = true;
    else if (character === '{' || character === '[') deepest = Math.max(deepest, ++depth);
    else if (character === '}' || character === ']') depth--;
  }
  return deepest;
}

function violation(field: string, found: number): StoreError {
  return new StoreError('protocol_violation', { field, found });
}
