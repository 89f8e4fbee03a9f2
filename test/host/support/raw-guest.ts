/**
 * A guest without a driver: says what it is told to say, and nothing of its own accord. Tests use
 * it to say what no driver would.
 */
import { MessagePort } from 'node:worker_threads';
import { StoreError } from '../../../src/base/errors.ts';
import { closeFd } from '../../../src/bindings/files.ts';
import { createMemfd, mapShared } from '../../../src/bindings/memory.ts';
import { createEvent } from '../../../src/bindings/waiting.ts';
import type {
  AttachedMessage,
  AttachMessage,
  ControlMessage,
} from '../../../src/channel/control-schema.ts';
import { CHANNEL_FINGERPRINT } from '../../../src/channel/fingerprint.ts';
import {
  type ChannelGeometry,
  formatRegion,
  layoutOf,
  type RegionLayout,
} from '../../../src/channel/geometry.ts';
import { GuestQueue } from '../../../src/channel/guest-queue.ts';
import type { ControlLink, LinkHandle } from '../../../src/channel/link.ts';
import { FEATURES_KNOWN } from '../../../src/channel/negotiation.ts';
import { knock } from '../../../src/channel/port-door.ts';
import { PortLink } from '../../../src/channel/port-link.ts';
import { Opcode, PROTOCOL_VERSION } from '../../../src/channel/protocol.ts';
import { connectLink } from '../../../src/channel/socket-link.ts';
import { type Bell, NotifyBell } from '../../../src/memory/bell.ts';
import { EventBell } from '../../../src/memory/event-bell.ts';
import type { Region } from '../../../src/memory/region.ts';

export const SMALL: ChannelGeometry = { queueCount: 1, queueDepth: 16, dataBytes: 262_144 };

export interface Answer {
  readonly status: number;
  readonly bytes: number;
}

/** Memory and bell of a guest, for as many attaches as wanted. */
export class GuestMemory {
  readonly layout: RegionLayout;
  readonly region: Region;
  readonly handles: readonly LinkHandle[];

  constructor(kind: 'memfd' | 'buffers', geometry: ChannelGeometry = SMALL) {
    this.layout = layoutOf(geometry);
    const { regionBytes } = this.layout;
    const facts = { guestPid: process.pid, epoch: 1 };
    if (kind === 'buffers') {
      const memory = new SharedArrayBuffer(regionBytes);
      this.handles = [memory, new SharedArrayBuffer(4)];
      this.region = formatRegion(memory, this.layout, facts);
      return;
    }
    const memfd = createMemfd('raw-guest', regionBytes);
    this.handles = [memfd, createEvent()];
    this.region = formatRegion(mapShared(memfd, regionBytes).buffer, this.layout, facts);
  }

  release(): void {
    for (const handle of this.handles) if (typeof handle === 'number') closeFd(handle);
  }
}

export interface RawGuestOptions {
  readonly memory?: GuestMemory;
  readonly geometry?: ChannelGeometry;
  /** Replaces fields of the attach message. */
  readonly message?: Partial<AttachMessage>;
  /** Replaces the handles that go with it. */
  readonly handles?: readonly LinkHandle[];
}

export class RawGuest {
  readonly memory: GuestMemory;
  readonly link: ControlLink;
  readonly messages: ControlMessage[] = [];
  /** Resolves with what the host said last, or `host_lost` if it hung up without a word. */
  readonly ended: Promise<StoreError>;
  attached: AttachedMessage | undefined;
  queues: GuestQueue[] = [];
  hostBell: Bell | undefined;
  readonly #options: RawGuestOptions;
  #hostBellFd = -1;
  #onMessage: () => void = () => undefined;
  #end: StoreError | undefined;

  constructor(host: string | MessagePort, options: RawGuestOptions = {}) {
    this.#options = options;
    const isPort = host instanceof MessagePort;
    this.memory =
      options.memory ?? new GuestMemory(isPort ? 'buffers' : 'memfd', options.geometry ?? SMALL);
    this.link = isPort
      ? new PortLink(knock(host), { pid: process.pid, uid: 0, gid: 0 })
      : connectLink(host);
    this.ended = new Promise((resolve) => {
      this.link.open({
        onMessage: (message, handles) => this.#receive(message, handles),
        onClose: (reason) => {
          this.#end ??= reason ?? new StoreError('host_lost');
          resolve(this.#end);
          this.#onMessage();
        },
      });
    });
  }

  /** Attached and served. @throws StoreError what the host said instead. */
  static async attach(
    host: string | MessagePort,
    options: RawGuestOptions = {},
  ): Promise<RawGuest> {
    const guest = new RawGuest(host, options);
    await guest.sayAttach();
    guest.sayStart();
    return guest;
  }

  async sayAttach(): Promise<AttachedMessage> {
    const { geometry } = this.memory.layout;
    const message: AttachMessage = {
      type: 'attach',
      protocolVersion: PROTOCOL_VERSION,
      fingerprint: CHANNEL_FINGERPRINT,
      featuresOffered: FEATURES_KNOWN,
      featuresRequired: 0,
      geometry,
      mode: 'exclusive',
      epoch: 1,
      ...this.#options.message,
    };
    this.link.send(message, this.#options.handles ?? this.memory.handles);
    await this.until(() => this.attached !== undefined);
    return this.attached as AttachedMessage;
  }

  /** Puts the rings in order and lets the host serve them. `memory` may come from another life. */
  sayStart(previous?: RawGuest): void {
    const { region, layout } = this.memory;
    const hostBell = this.hostBell as Bell;
    if (previous === undefined) {
      this.queues = layout.queues.map(
        (_, queueIndex) => new GuestQueue({ region, layout, queueIndex, hostBell }),
      );
    } else {
      this.queues = previous.queues;
      for (const queue of this.queues) queue.replay(hostBell);
    }
    this.link.send({ type: 'start', epoch: 1 });
  }

  /** @throws StoreError with which the host has ended it. */
  requireAlive(): void {
    if (this.#end !== undefined) throw this.#end;
  }

  /** @throws StoreError if the link ends first. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      if (this.#end !== undefined) throw this.#end;
      await new Promise<void>((resolve) => {
        this.#onMessage = resolve;
      });
    }
  }

  /** One command without data, alone in its queue. */
  async nop(queueIndex = 0): Promise<Answer> {
    return await this.run(Opcode.NOP, 0, 0, queueIndex);
  }

  /** One command with its data, if any, at the start of the data area. */
  async run(
    opcode: number,
    sectorIndex: number,
    sectorCount: number,
    queueIndex = 0,
    flags = 0,
  ): Promise<Answer> {
    const queue = this.queues[queueIndex] as GuestQueue;
    const tag = queue.claimTag();
    queue.encode(tag, opcode, flags, sectorIndex, sectorCount);
    const moves = opcode === Opcode.READ || opcode === Opcode.WRITE || opcode === Opcode.INFO;
    if (moves) queue.setExtent(tag, 0, sectorCount * 512);
    queue.submit(tag);
    queue.publish();
    while (queue.reap(1) === 0) {
      if (this.#end !== undefined) throw this.#end;
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
    const answer = { status: queue.reapedStatuses[0] ?? -1, bytes: queue.reapedBytes[0] ?? -1 };
    queue.releaseTag(tag);
    return answer;
  }

  /** The bytes that commands of `run` use. */
  get data(): Uint8Array {
    const { region, layout } = this.memory;
    return region.bytes.subarray(layout.dataOffset, layout.dataOffset + layout.dataBytes);
  }

  /** Says goodbye; resolves with the host's last word. */
  async detach(): Promise<StoreError> {
    this.link.send({ type: 'detach' });
    return await this.ended;
  }

  /** Hangs up and frees what is ours. */
  vanish(): void {
    this.link.close();
    if (this.#hostBellFd >= 0) closeFd(this.#hostBellFd);
    this.#hostBellFd = -1;
    if (this.#options.memory === undefined) this.memory.release();
  }

  #receive(message: ControlMessage, handles: readonly LinkHandle[]): void {
    this.messages.push(message);
    if (message.type === 'attached') {
      const [bell] = handles;
      this.attached = message;
      if (typeof bell === 'number') {
        this.#hostBellFd = bell;
        this.hostBell = new EventBell(bell);
      } else if (bell !== undefined) this.hostBell = new NotifyBell(new Int32Array(bell), 0);
    } else if (message.type === 'error') {
      this.#end = new StoreError(message.code, { ...message.details, hostSays: message.message });
    } else if (message.type === 'session-ended') {
      this.#end = new StoreError(message.code, { hostSays: message.reason });
    }
    this.#onMessage();
  }
}
