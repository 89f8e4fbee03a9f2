/**
 * One link to one host, from `attach` to the end, as the guest sees it:
 *
 *   greeting --attached--> attached --start--> serving --detach--> leaving
 *      └──────────┴───────────────────────────────┴──────────────────┴--> ended
 *
 * It only turns messages into states and calls back. Whether the thread waits for a change on its
 * event loop or by polling is the caller's business: both go through the same steps.
 */
import { assert } from '../src/base/assert.ts';
import { StoreError } from '../src/base/errors.ts';
import type {
  AttachedMessage,
  AttachMessage,
  ControlMessage,
} from '../src/channel/control-schema.ts';
import type { ControlLink, LinkHandle } from '../src/channel/link.ts';
import { PROTOCOL_VERSION } from '../src/channel/protocol.ts';

export type SessionState = 'greeting' | 'attached' | 'serving' | 'leaving' | 'ended';

export interface SessionListener {
  /** The state is now `attached` or `ended`. Not called by what the guest itself does. */
  onChange(session: Session): void;
  onResized(sizeBytes: number): void;
}

/** What the host granted. */
export interface Grant {
  readonly message: AttachedMessage;
  /** The bell to ring for the host: the receiver's to let go. */
  readonly hostBell: LinkHandle;
}

export class Session {
  readonly #link: ControlLink;
  readonly #listener: SessionListener;
  #state: SessionState = 'greeting';
  #grant: Grant | undefined;
  #end: StoreError | undefined;

  /** Takes the link over and sends `attach`. */
  constructor(
    link: ControlLink,
    attach: AttachMessage,
    handles: readonly LinkHandle[],
    listener: SessionListener,
  ) {
    this.#link = link;
    this.#listener = listener;
    link.open({
      onMessage: (message, received) => this.#receive(message, received),
      onClose: (reason) => this.#finish(reason ?? new StoreError('host_lost')),
    });
    link.send(attach, handles);
  }

  get state(): SessionState {
    return this.#state;
  }

  /** Set once `attached`. */
  get grant(): Grant | undefined {
    return this.#grant;
  }

  /** Why it ended; `host_lost` if the host left without a word. Set once `ended`. */
  get end(): StoreError | undefined {
    return this.#end;
  }

  /** The rings are ready: the host may serve them. */
  start(epoch: number): void {
    assert(this.#state === 'attached', 'a session starts once attached');
    this.#state = 'serving';
    this.#link.send({ type: 'start', epoch });
  }

  /** Asks the host to complete what it took and to let go of the region; then it is `ended`. */
  detach(): void {
    if (this.#state !== 'attached' && this.#state !== 'serving') return;
    this.#state = 'leaving';
    this.#link.send({ type: 'detach' });
  }

  /** Handles what has arrived, for a thread that blocks. */
  poll(): void {
    if (this.#state !== 'ended') this.#link.poll();
  }

  /** Whether the link keeps the process alive. */
  hold(held: boolean): void {
    if (this.#state !== 'ended') this.#link.hold(held);
  }

  /** Ends it from this side; the listener hears nothing more. */
  close(reason: StoreError): void {
    if (this.#state === 'ended') return;
    this.#state = 'ended';
    this.#end = reason;
    this.#link.close();
  }

  #receive(message: ControlMessage, handles: readonly LinkHandle[]): void {
    const [hostBell] = handles;
    switch (message.type) {
      case 'attached':
        // A surplus bell would be a descriptor that nobody closes, but a link checks the number.
        if (this.#state !== 'greeting' || hostBell === undefined) {
          this.#refuse(message.type);
          return;
        }
        this.#grant = { message, hostBell };
        this.#state = 'attached';
        this.#listener.onChange(this);
        return;
      case 'error':
        this.#finish(errorFromHost(message.code, message.message, message.details));
        return;
      case 'session-ended':
        this.#finish(errorFromHost(message.code, message.reason));
        return;
      case 'volume-resized':
        this.#listener.onResized(message.sizeBytes);
        return;
      default:
        this.#refuse(message.type);
        return;
    }
  }

  #refuse(type: string): void {
    this.#finish(new StoreError('protocol_violation', { unexpectedMessage: type }));
  }

  #finish(reason: StoreError): void {
    if (this.#state === 'ended') return;
    this.#state = 'ended';
    this.#end = explain(reason);
    this.#link.close();
    this.#listener.onChange(this);
  }
}

/** An error that the host sent, with its words as a fact where they say more. */
export function errorFromHost(
  code: StoreError['code'],
  hostSays: string,
  details: StoreError['details'] = {},
): StoreError {
  const error = new StoreError(code, details);
  return error.message === hostSays ? error : new StoreError(code, { ...details, hostSays });
}

/** Says which side is the older one, where versions or builds do not fit together. */
function explain(error: StoreError): StoreError {
  const { code, details } = error;
  if (code !== 'protocol_mismatch') return error;
  // The host names both versions; our own decoder names what it found, which is the host's.
  const hostVersion = 'host' in details ? details['host'] : details['found'];
  if (details['field'] === 'protocolVersion' && typeof hostVersion === 'number') {
    const older = hostVersion < PROTOCOL_VERSION ? 'host' : 'guest';
    return new StoreError(code, { ...details, older }, { cause: error });
  }
  if (details['field'] !== 'fingerprint') return error;
  const hint = 'same protocol version, different builds: use one release for both';
  return new StoreError(code, { ...details, hint }, { cause: error });
}
