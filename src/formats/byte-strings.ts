/** Small helpers over byte ranges, shared by the records that hold ids and text. */
import { assert } from '../base/assert.ts';

/** Length of a pool id and of a bank id. */
export const ID_BYTES = 16;

/** Anything that computes CRC-32C: `Kernels`, or the portable function wrapped. */
export interface Checksums {
  /** Over bytes [start, end), continued from `seed`. */
  crc32c(bytes: Uint8Array, start: number, end: number, seed: number): number;
}

/** Whether `other` stands in `bytes` at byte `at`. */
export function equalAt(bytes: Uint8Array, at: number, other: Uint8Array): boolean {
  for (let i = 0; i < other.byteLength; i++) {
    if (bytes[at + i] !== other[i]) return false;
  }
  return true;
}

/** Whether bytes [start, end) are all zero: reserved bytes are written and checked so. */
export function zeroBetween(bytes: Uint8Array, start: number, end: number): boolean {
  for (let i = start; i < end; i++) {
    if (bytes[i] !== 0) return false;
  }
  return true;
}

/** Lower-case hexadecimal. */
export function hexOf(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += byte.toString(16).padStart(2, '0');
  return text;
}

/** Stores UTF-8 text, the rest of the `byteLength` bytes zero. The text must fit. */
export function putText(bytes: Uint8Array, at: number, byteLength: number, text: string): void {
  const encoded = new TextEncoder().encode(text);
  assert(encoded.byteLength <= byteLength, 'text fits its field');
  bytes.fill(0, at, at + byteLength);
  bytes.set(encoded, at);
}

/** The text that `putText` stored: up to the first zero byte. */
export function textAt(bytes: Uint8Array, at: number, byteLength: number): string {
  let end = at;
  while (end < at + byteLength && bytes[end] !== 0) end++;
  return new TextDecoder().decode(bytes.subarray(at, end));
}
