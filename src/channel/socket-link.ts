/**
 * Control messages between processes, over a Unix stream socket, with descriptors.
 *
 * Whatever happens, each descriptor that came in is closed exactly once: by the receiver of the
 * message that it came with, or here.
 */
import { assert } from '../base/assert.ts';
import { StoreError } from '../base/errors.ts';
import { Ready, type Watch, watchFd } from '../bindings/event-thread.ts';
import { adoptFd, closeFd, duplicateFd } from '../bindings/files.ts';
import { connectTo, peerOf, receiveBytes, sendBytes, WOULD_WAIT } from '../bindings/sockets.ts';
import {
  CONTROL_DESCRIPTORS_MAX,
  CONTROL_MESSAGE_BYTES_MAX,
  ControlDecoder,
  encodeControl,
} from './control-message.ts';
import { type ControlMessage, handleCountOf } from './control-schema.ts';
import type { ControlLink, LinkEvents, LinkHandle, LinkPeer } from './link.ts';

/** A peer that does not read makes us hold this much, and then is refused. */
const UNSENT_BYTES_MAX = 16 * CONTROL_MESSAGE_BYTES_MAX;
/** Reads per turn of the loop: a peer that floods us gets its share and no more. */
const READS_PER_TURN_MAX = 16;
const RECEIVE_BYTES = 16_384;
const ALWAYS = Ready.READABLE | Ready.PEER_CLOSED;

interface Unsent {
  readonly bytes: Uint8Array;
  sentBytes: number;
  /** Our own duplicates, until the first byte is sent. */
  descriptors: Int32Array;
}

/** @throws StoreError `host_unreachable` if nobody listens there, `system_error`. */
export function connectLink(path: string): SocketLink {
  try {
    // A guest thread that is terminated hangs up, or its host would keep its volume for it.
    return new SocketLink(adoptFd(connectTo(path)));
  } catch (error) {
    const reason = error instanceof StoreError ? error.details['errno'] : undefined;
    if (reason !== 'ENOENT' && reason !== 'ECONNREFUSED') throw error;
    throw new StoreError('host_unreachable', { path }, { cause: error });
  }
}

export class SocketLink implements ControlLink {
  readonly carries = 'descriptors';
  readonly peer: LinkPeer;
  readonly #fd: number;
  readonly #decoder = new ControlDecoder();
  readonly #received = new Uint8Array(RECEIVE_BYTES);
  /** Element 0 counts those that follow. One more than anybody sends: one too many is noticed. */
  readonly #receivedFds = new Int32Array(CONTROL_DESCRIPTORS_MAX + 2);
  #unsent: Unsent[] = [];
  #unsentBytes = 0;
  #events: LinkEvents | undefined;
  #watch: Watch | undefined;
  #held: boolean = true;
  #closed: boolean = false;

  /** Takes a connected socket over, and closes it in the end. @throws StoreError `system_error`. */
  constructor(fd: number) {
    this.#fd = fd;
    this.peer = peerOf(fd);
  }

  open(events: LinkEvents): void {
    assert(this.#events === undefined, 'a link is opened once');
    assert(!this.#closed, 'a closed link is not opened');
    this.#events = events;
    this.#watch = watchFd(this.#fd, this.#wanted(), (ready) => this.#ready(ready));
    this.#watch.hold(this.#held);
  }

  send(message: ControlMessage, handles: readonly LinkHandle[] = []): void {
    assert(handles.length === handleCountOf(message.type), 'handles are as many as the type has');
    if (this.#closed) return;
    const bytes = encodeControl(message);
    if (this.#unsentBytes + bytes.byteLength > UNSENT_BYTES_MAX) {
      throw new StoreError('limit_exceeded', { unsentBytes: this.#unsentBytes });
    }
    const descriptors = Int32Array.from(handles, requireDescriptor);
    const entry: Unsent = { bytes, sentBytes: 0, descriptors };
    if (this.#unsent.length === 0 && !this.#sendSome(entry)) return;
    if (entry.sentBytes === bytes.byteLength) return;
    entry.descriptors = entry.descriptors.map((fd) => duplicateFd(fd));
    this.#unsent.push(entry);
    this.#unsentBytes += bytes.byteLength;
    this.#watch?.again(this.#wanted());
  }

  poll(): void {
    assert(this.#events !== undefined, 'an open link is polled');
    if (this.#closed) return;
    this.#sendWaiting();
    this.#receiveOrEnd();
  }

  hold(hold: boolean): void {
    this.#held = hold;
    if (!this.#closed) this.#watch?.hold(hold);
  }

  close(): void {
    if (this.#closed) return;
    this.#sendWaiting();
    this.#end(undefined);
  }

  #wanted(): number {
    return this.#unsent.length > 0 ? ALWAYS | Ready.WRITABLE : ALWAYS;
  }

  #ready(ready: number): void {
    if ((ready & Ready.WRITABLE) !== 0) this.#sendWaiting();
    this.#receiveOrEnd();
    if (!this.#closed) this.#watch?.again(this.#wanted());
  }

  #receiveOrEnd(): void {
    try {
      this.#receive();
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      const gone = error.details['errno'] === 'ECONNRESET';
      this.#end(gone ? undefined : error);
    }
  }

  #receive(): void {
    for (let reads = 0; reads < READS_PER_TURN_MAX && !this.#closed; reads++) {
      const end = Math.min(RECEIVE_BYTES, this.#decoder.roomBytes);
      const byteCount = this.#receiveOnce(end);
      if (byteCount === WOULD_WAIT) return;
      if (byteCount === 0) {
        this.#end(undefined);
        return;
      }
      this.#deliver();
    }
  }

  /** Bytes received and handed to the decoder, whatever descriptors came with them included. */
  #receiveOnce(end: number): number {
    const fds = this.#receivedFds;
    fds[0] = 0;
    let byteCount: number;
    try {
      byteCount = receiveBytes(this.#fd, this.#received, 0, end, fds);
    } catch (error) {
      for (const fd of fds.subarray(1, 1 + (fds[0] ?? 0))) closeFd(fd);
      throw error;
    }
    const descriptors = Array.from(fds.subarray(1, 1 + (fds[0] ?? 0)));
    if (byteCount > 0) this.#decoder.push(this.#received.subarray(0, byteCount), descriptors);
    return byteCount;
  }

  #deliver(): void {
    while (!this.#closed) {
      const decoded = this.#decoder.next();
      if (decoded === undefined) return;
      this.#events?.onMessage(decoded.message, decoded.descriptors);
    }
  }

  #sendWaiting(): void {
    while (this.#unsent.length > 0) {
      const entry = this.#unsent[0] as Unsent;
      const owned = entry.descriptors;
      const alive = this.#sendSome(entry);
      if (entry.sentBytes > 0) closeAll(owned);
      if (!alive) return;
      if (entry.sentBytes < entry.bytes.byteLength) return;
      this.#unsent.shift();
      this.#unsentBytes -= entry.bytes.byteLength;
    }
  }

  /** False if the peer is gone: what waited is dropped, and the read side will notice the end. */
  #sendSome(entry: Unsent): boolean {
    const { bytes } = entry;
    try {
      while (entry.sentBytes < bytes.byteLength) {
        const { sentBytes, descriptors } = entry;
        const sent = sendBytes(this.#fd, bytes, sentBytes, bytes.byteLength, descriptors);
        if (sent === WOULD_WAIT) return true;
        entry.sentBytes += sent;
        entry.descriptors = new Int32Array(0);
      }
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      this.#dropUnsent();
      return false;
    }
    return true;
  }

  #dropUnsent(): void {
    for (const entry of this.#unsent) closeAll(entry.descriptors);
    this.#unsent = [];
    this.#unsentBytes = 0;
  }

  #end(reason: StoreError | undefined): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#dropUnsent();
    closeAll(this.#decoder.takeDescriptors());
    this.#watch?.remove();
    closeFd(this.#fd);
    this.#events?.onClose(reason);
  }
}

function requireDescriptor(handle: LinkHandle): number {
  assert(typeof handle === 'number', 'a socket carries descriptors');
  return handle;
}

function closeAll(descriptors: Iterable<number>): void {
  for (const fd of descriptors) closeFd(fd);
}
