/**
 * Control messages between threads of one process, over a MessagePort. SharedArrayBuffers travel
 * with them, no descriptors; the addon is not needed. Messages are checked as those of a socket.
 */
import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import { assert } from '../base/assert.ts';
import { StoreError } from '../base/errors.ts';
import { parseControl } from './control-message.ts';
import { type ControlMessage, handleCountOf } from './control-schema.ts';
import type { ControlLink, LinkEvents, LinkHandle, LinkPeer } from './link.ts';

/** What crosses the port. */
interface Envelope {
  readonly message: unknown;
  readonly buffers: unknown;
}

export class PortLink implements ControlLink {
  readonly carries = 'buffers';
  readonly peer: LinkPeer;
  readonly #port: MessagePort;
  #events: LinkEvents | undefined;
  #closed: boolean = false;

  /** The port is the link's from now on. `peer` is this process. */
  constructor(port: MessagePort, peer: LinkPeer) {
    this.#port = port;
    this.peer = peer;
  }

  open(events: LinkEvents): void {
    assert(this.#events === undefined, 'a link is opened once');
    this.#events = events;
    this.#port.on('message', (envelope: unknown) => this.#receive(envelope));
    this.#port.on('messageerror', (cause: Error) => {
      this.#end(new StoreError('protocol_violation', { field: 'envelope' }, { cause }));
    });
    this.#port.on('close', () => this.#end(undefined));
  }

  send(message: ControlMessage, handles: readonly LinkHandle[] = []): void {
    assert(handles.length === handleCountOf(message.type), 'handles are as many as the type has');
    assert(handles.every(isBuffer), 'a port carries buffers');
    if (this.#closed) return;
    this.#port.postMessage({ message, buffers: handles } satisfies Envelope);
  }

  poll(): void {
    assert(this.#events !== undefined, 'an open link is polled');
    while (!this.#closed) {
      const received: { message: unknown } | undefined = receiveMessageOnPort(this.#port);
      if (received === undefined) return;
      this.#receive(received.message);
    }
  }

  hold(hold: boolean): void {
    if (hold) this.#port.ref();
    else this.#port.unref();
  }

  close(): void {
    this.#end(undefined);
  }

  #receive(envelope: unknown): void {
    if (this.#closed || this.#events === undefined) return;
    let message: ControlMessage;
    let buffers: readonly SharedArrayBuffer[];
    try {
      message = parseControl(isEnvelope(envelope) ? envelope.message : undefined);
      buffers = requireBuffers(isEnvelope(envelope) ? envelope.buffers : undefined, message);
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      this.#end(error);
      return;
    }
    this.#events.onMessage(message, buffers);
  }

  #end(reason: StoreError | undefined): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#port.close();
    this.#events?.onClose(reason);
  }
}

function isEnvelope(value: unknown): value is Envelope {
  return typeof value === 'object' && value !== null && 'message' in value && 'buffers' in value;
}

function isBuffer(handle: unknown): handle is SharedArrayBuffer {
  return handle instanceof SharedArrayBuffer;
}

function requireBuffers(value: unknown, message: ControlMessage): readonly SharedArrayBuffer[] {
  if (Array.isArray(value) && value.length === handleCountOf(message.type)) {
    if (value.every(isBuffer)) return value;
  }
  throw new StoreError('protocol_violation', { field: 'buffers', type: message.type });
}
