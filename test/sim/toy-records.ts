/** What the toy store (toy-store.ts) keeps in its bank and its pool. */
import { crc32c } from '../../src/base/crc32c.ts';
import { REQUEST_EXTENTS_MAX, type RequestTable } from '../../src/volumes/request-table.ts';

export const MAGIC = 0x70f1;

/** Bugs to switch on. */
export type ToyBug =
  | 'flush answers early'
  | 'bank dropped before the sync'
  | 'recovery answers before its sync'
  | 'reply not stored'
  | 'half a batch'
  | 'torn tail accepted'
  | 'published before it is copied'
  | 'lost bank ignored'
  | 'read shows the past';

/** One operation, as it lies in bank and pool: length, checksum, JSON, data. */
export interface Entry {
  readonly txn: number;
  readonly kind: 'data' | 'volume' | 'remove' | 'session' | 'close';
  readonly guest: number;
  readonly volume: string;
  readonly key: string;
  readonly operation: number;
  readonly firstSector: number;
  readonly sectorCount: number;
  /** Data follows; zeros otherwise. */
  readonly hasData: boolean;
}

export interface Superblock {
  readonly generation: number;
  readonly bank: string;
  readonly boot: string;
  readonly clean: boolean;
  readonly incarnation: number;
}

export function encodeText(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** [body bytes, checksum of the body, body]. */
export function frame(body: Uint8Array, byteLength = body.byteLength + 8): Uint8Array {
  const bytes = new Uint8Array(byteLength);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, body.byteLength);
  view.setUint32(4, crc32c(body, 0, body.byteLength, MAGIC));
  bytes.set(body, 8);
  return bytes;
}

export function unframe(bytes: Uint8Array, at: number, checks = true): Uint8Array | undefined {
  if (at + 8 > bytes.byteLength) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const byteLength = view.getUint32(at);
  if (byteLength === 0 || at + 8 + byteLength > bytes.byteLength) return undefined;
  const body = bytes.slice(at + 8, at + 8 + byteLength);
  const valid = view.getUint32(at + 4) === crc32c(body, 0, byteLength, MAGIC);
  return valid || !checks ? body : undefined;
}

export function encodeEntry(entry: Entry, data: Uint8Array): Uint8Array {
  const head = encodeText(JSON.stringify(entry));
  const body = new Uint8Array(4 + head.byteLength + data.byteLength);
  new DataView(body.buffer).setUint32(0, head.byteLength);
  body.set(head, 4);
  body.set(data, 4 + head.byteLength);
  return frame(body);
}

export function decodeEntry(body: Uint8Array): { entry: Entry; data: Uint8Array } {
  const headBytes = new DataView(body.buffer, body.byteOffset).getUint32(0);
  const head = new TextDecoder().decode(body.subarray(4, 4 + headBytes));
  return { entry: JSON.parse(head) as Entry, data: body.slice(4 + headBytes) };
}

/** The pieces of a command's data, in order. */
export function extentsOf(requests: RequestTable, row: number, memory: Uint8Array): Uint8Array[] {
  return Array.from({ length: requests.extentCount[row] ?? 0 }, (_, i) => {
    const offset = requests.extentOffset[row * REQUEST_EXTENTS_MAX + i] ?? 0;
    const byteLength = requests.extentBytes[row * REQUEST_EXTENTS_MAX + i] ?? 0;
    return memory.subarray(offset, offset + byteLength);
  });
}
