/**
 * A host for tests of the driver: the real rings and messages, and behind them a plain byte array.
 * It does everything in `step()`, on the thread that calls it, and never waits. What outlives a
 * host (bytes, guests, which operations were applied) is in `FakeStore`.
 */
import { MessageChannel, MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import { StoreError } from '../../../src/base/errors.ts';
import { Prng } from '../../../src/base/prng.ts';
import { setU32, setU53 } from '../../../src/base/record.ts';
import { BLOCK_BYTES, SECTOR_BYTES } from '../../../src/base/units.ts';
import type { AttachMessage, ControlMessage } from '../../../src/channel/control-schema.ts';
import { layoutOf, type RegionLayout, verifyRegion } from '../../../src/channel/geometry.ts';
import { HostCounter, HostCounters } from '../../../src/channel/host-page.ts';
import { HostQueue } from '../../../src/channel/host-queue.ts';
import type { LinkHandle } from '../../../src/channel/link.ts';
import { acceptGuest, FEATURES_KNOWN } from '../../../src/channel/negotiation.ts';
import { PortLink } from '../../../src/channel/port-link.ts';
import { COMMAND_BYTES_MAX, Opcode, VolumeInfo } from '../../../src/channel/protocol.ts';
import { NotifyBell } from '../../../src/memory/bell.ts';
import type { Region } from '../../../src/memory/region.ts';

const PEER = { pid: process.pid, uid: 0, gid: 0 };

interface Known {
  readonly secret: string;
  /** Operation last applied under each tag: the window of R25. */
  readonly applied: number[];
}

/** What survives a host. */
export class FakeStore {
  bytes: Uint8Array;
  incarnation = 1;
  readonly guests = new Map<number, Known>();
  nextGuestId = 1;
  /** How often each operation was carried out, by guest and number. */
  readonly applications = new Map<string, number>();
  /** Bytes as of the last flush or forced write. */
  flushes = 0;
  forced = 0;

  constructor(sizeBytes: number) {
    this.bytes = new Uint8Array(sizeBytes);
  }

  get appliedTwice(): string[] {
    return [...this.applications].filter(([, count]) => count > 1).map(([name]) => name);
  }
}

export interface FakeHostOptions {
  /** Chooses order and number of completions per step. 0: all, in order. */
  readonly seed?: number;
  /** Answers nothing on links. */
  readonly mute?: boolean;
  /** Serves commands at most so many in all, then takes no more. */
  readonly commandsMax?: number;
  /** Refuses every attach with this error. */
  readonly refusal?: StoreError;
}

interface FakeSession {
  readonly link: PortLink;
  guestId: number;
  region: Region;
  layout: RegionLayout;
  guestBell: NotifyBell;
  queue: HostQueue | undefined;
  waiting: number[];
  started: boolean;
}

export class FakeHost {
  readonly store: FakeStore;
  readonly counters = new HostCounters();
  readonly attaches: AttachMessage[] = [];
  readonly messages: string[] = [];
  detachCount = 0;
  commandCount = 0;
  /** Opcodes in the order in which they were taken. */
  readonly opcodes: number[] = [];
  readonly extentCounts: number[] = [];
  #doors: MessagePort[];
  readonly #options: FakeHostOptions;
  readonly #random: Prng | undefined;
  readonly #sessions = new Set<FakeSession>();
  readonly #links = new Set<PortLink>();
  readonly doorbell = new SharedArrayBuffer(4);
  #dead: boolean = false;
  #loop: NodeJS.Immediate | undefined;

  constructor(store: FakeStore, doors: MessagePort[], options: FakeHostOptions = {}) {
    this.store = store;
    this.#doors = doors;
    this.#options = options;
    this.#random = options.seed === undefined ? undefined : new Prng(options.seed);
  }

  get sessionCount(): number {
    return this.#sessions.size;
  }

  /** Commands taken and not completed. */
  get heldCount(): number {
    let sum = 0;
    for (const { waiting } of this.#sessions) sum += waiting.length;
    return sum;
  }

  /** Steps on every turn of the event loop until `stop`, `kill` or forever. */
  run(): this {
    this.#loop = setImmediate(() => {
      this.step();
      if (this.#loop !== undefined) this.run();
    });
    return this;
  }

  stop(): void {
    if (this.#loop !== undefined) clearImmediate(this.#loop);
    this.#loop = undefined;
  }

  /**
   * Dies: nothing more is written. Unless `silently`, somebody else of its process tells the guests,
   * as the main half of a host does: a blocked thread cannot see that a port was closed.
   */
  kill(silently = false): void {
    this.stop();
    this.#dead = true;
    if (!silently) {
      for (const link of this.#links) {
        link.send({ type: 'session-ended', code: 'host_lost', reason: 'killed' });
      }
    }
    for (const link of this.#links) link.close();
    this.#sessions.clear();
  }

  /** Ends every session with this reason. */
  endSessions(error: StoreError): void {
    for (const session of this.#sessions) {
      session.link.send({ type: 'session-ended', code: error.code, reason: error.message });
      session.link.close();
    }
    this.#sessions.clear();
  }

  resize(sizeBytes: number): void {
    const bytes = new Uint8Array(sizeBytes);
    bytes.set(this.store.bytes.subarray(0, sizeBytes));
    this.store.bytes = bytes;
    for (const { link } of this.#sessions) link.send({ type: 'volume-resized', sizeBytes });
  }

  /** Sends a message that the protocol does not allow here. */
  babble(): void {
    for (const { link } of this.#sessions) link.send({ type: 'stat', requestId: 1 });
  }

  /** Corrupts the rings of all guests. */
  corruptRings(): void {
    for (const { region, layout } of this.#sessions) {
      region.words[(layout.queues[0]?.completionOffset ?? 0) / 4 + 32] = 12345678;
    }
  }

  showCounters(): void {
    for (const { region, layout } of this.#sessions) this.counters.show(region, layout, 4711);
  }

  /** Takes what has arrived, carries out some of it, and answers. */
  step(): void {
    if (this.#dead) return;
    for (const door of this.#doors) {
      for (;;) {
        const knock: { message: unknown } | undefined = receiveMessageOnPort(door);
        if (knock === undefined) break;
        if (knock.message instanceof MessagePort) this.#open(knock.message);
      }
    }
    for (const link of [...this.#links]) link.poll();
    for (const session of [...this.#sessions]) this.#serve(session);
  }

  #open(port: MessagePort): void {
    const link = new PortLink(port, PEER);
    this.#links.add(link);
    const session: { current: FakeSession | undefined } = { current: undefined };
    link.open({
      onMessage: (message, handles) => {
        this.messages.push(message.type);
        if (this.#options.mute === true) return;
        session.current = this.#answer(link, message, handles, session.current);
      },
      onClose: () => {
        this.#links.delete(link);
        if (session.current !== undefined) this.#sessions.delete(session.current);
      },
    });
    link.hold(false);
  }

  #answer(
    link: PortLink,
    message: ControlMessage,
    handles: readonly LinkHandle[],
    session: FakeSession | undefined,
  ): FakeSession | undefined {
    if (message.type === 'attach') return this.#attach(link, message, handles);
    if (message.type === 'start' && session !== undefined) {
      session.started = true;
      this.#sessions.add(session);
    }
    if (message.type === 'detach' && session !== undefined) {
      this.detachCount++;
      while (session.waiting.length > 0) this.#completeOne(session, 0);
      session.queue?.publish();
      this.#sessions.delete(session);
      link.send({ type: 'session-ended', code: 'closed', reason: 'detached' });
      link.close();
      return undefined;
    }
    return session;
  }

  #attach(
    link: PortLink,
    message: AttachMessage,
    handles: readonly LinkHandle[],
  ): FakeSession | undefined {
    this.attaches.push(message);
    const { store } = this;
    try {
      if (this.#options.refusal !== undefined) throw this.#options.refusal;
      acceptGuest(message, { offered: FEATURES_KNOWN, required: 0 });
      if (message.resume !== undefined && message.resume.incarnation !== store.incarnation) {
        throw new StoreError('incarnation_changed');
      }
      const [memory, bell] = handles as SharedArrayBuffer[];
      if (memory === undefined || bell === undefined) throw new StoreError('protocol_violation');
      const layout = layoutOf(message.geometry);
      const region = verifyRegion(memory, layout);
      const known = message.resume && store.guests.get(message.resume.guestId);
      const resumed = known !== undefined && known.secret === message.resume?.secret;
      const guestId = resumed ? (message.resume?.guestId ?? 0) : store.nextGuestId++;
      const secret = guestId.toString(16).padStart(32, '0');
      if (!resumed) store.guests.set(guestId, { secret, applied: [] });
      const sizeBytes = store.bytes.byteLength;
      const reply: ControlMessage = {
        type: 'attached',
        guestId,
        secret,
        incarnation: store.incarnation,
        sessionId: 1,
        resumed,
        limits: { commandsInFlightMax: 1024, regionBytesMax: 2 ** 31, queueCountMax: 1 },
        features: FEATURES_KNOWN,
        hostPid: process.pid,
        doorbell: 'notify',
        ...(message.volume === undefined
          ? {}
          : { volume: { id: 7, name: message.volume, sizeBytes, readOnly: false } }),
      };
      link.send(reply, [this.doorbell]);
      const guestBell = new NotifyBell(new Int32Array(bell), 0);
      return {
        link,
        guestId,
        region,
        layout,
        guestBell,
        queue: undefined,
        waiting: [],
        started: false,
      };
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      const { code, message: text, details } = error;
      const facts = Object.fromEntries(
        Object.entries(details).map(([name, value]) => {
          return [name, typeof value === 'number' ? value : String(value)];
        }),
      );
      link.send({ type: 'error', code, message: text, details: facts });
      link.close();
      return undefined;
    }
  }

  #serve(session: FakeSession): void {
    const { region, layout, guestBell } = session;
    session.queue ??= new HostQueue({ region, layout, queueIndex: 0, guestBell });
    const { queue } = session;
    const room = (this.#options.commandsMax ?? Number.POSITIVE_INFINITY) - this.commandCount;
    if (room > 0) {
      const count = queue.take(Math.min(room, queue.queueDepth));
      for (let i = 0; i < count; i++) session.waiting.push(queue.takenTags[i] as number);
      this.commandCount += count;
    }
    const random = this.#random;
    let goal = session.waiting.length;
    if (random !== undefined) goal = random.below(goal + 1);
    for (let i = 0; i < goal; i++) {
      this.#completeOne(session, random?.below(session.waiting.length) ?? 0);
    }
    queue.publish();
    // Always parked, so that a guest that publishes rings, as it would for a host that sleeps.
    if (queue.inFlightCount === 0) queue.prepareToPark();
  }

  /** Carries out some waiting commands without answering, as a host that dies between the two. */
  applyUnanswered(count: number): void {
    for (const session of this.#sessions) {
      for (const tag of session.waiting.slice(0, count)) this.#apply(session, tag);
    }
  }

  #completeOne(session: FakeSession, index: number): void {
    const [tag = 0] = session.waiting.splice(index, 1);
    const { queue } = session;
    if (queue === undefined) return;
    let status = queue.validateCommand(tag);
    if (status === 0) status = this.#apply(session, tag);
    queue.complete(tag, status, status === 0 ? queue.sectorCount(tag) * SECTOR_BYTES : 0);
    const { counters } = this.counters;
    const counter = HostCounter.COMMANDS_NOP + queue.opcode(tag);
    counters[counter] = (counters[counter] ?? 0) + 1;
  }

  #apply(session: FakeSession, tag: number): number {
    const { queue, guestId } = session;
    const { store } = this;
    if (queue === undefined) return 0;
    const opcode = queue.opcode(tag);
    const position = queue.sectorIndex(tag) * SECTOR_BYTES;
    const byteLength = queue.sectorCount(tag) * SECTOR_BYTES;
    this.opcodes.push(opcode);
    this.extentCounts.push(queue.extentCount(tag));
    if (opcode === Opcode.FLUSH) store.flushes++;
    if (queue.isForced(tag)) store.forced++;
    if (opcode === Opcode.INFO) return this.#info(session, tag);
    if (opcode === Opcode.NOP || opcode === Opcode.FLUSH) return 0;
    if (position + byteLength > store.bytes.byteLength) {
      return new StoreError('out_of_range').status;
    }
    if (opcode !== Opcode.READ) {
      const operation = queue.operation(tag);
      const known = store.guests.get(guestId);
      if (known?.applied[tag] === operation) return 0;
      if (known !== undefined) known.applied[tag] = operation;
      const name = `${guestId}:${operation}`;
      store.applications.set(name, (store.applications.get(name) ?? 0) + 1);
    }
    let at = position;
    if (opcode === Opcode.WRITE_ZEROES || opcode === Opcode.DISCARD) {
      store.bytes.fill(0, at, at + byteLength);
      return 0;
    }
    for (let i = 0; i < queue.extentCount(tag); i++) {
      const start = queue.dataOffset + queue.extentOffset(tag, i);
      const end = start + queue.extentBytes(tag, i);
      const extent = session.region.bytes.subarray(start, end);
      if (opcode === Opcode.WRITE) store.bytes.set(extent, at);
      else extent.set(store.bytes.subarray(at, at + extent.byteLength));
      at += extent.byteLength;
    }
    return 0;
  }

  #info(session: FakeSession, tag: number): number {
    const { queue, region } = session;
    if (queue === undefined) return 0;
    const at = queue.dataOffset + queue.extentOffset(tag, 0);
    setU53(region.view, at, VolumeInfo.sectorCount, this.store.bytes.byteLength / SECTOR_BYTES);
    setU53(region.view, at, VolumeInfo.volumeId, 7);
    setU32(region.view, at, VolumeInfo.flags, 0);
    setU32(region.view, at, VolumeInfo.blockBytes, BLOCK_BYTES);
    setU32(region.view, at, VolumeInfo.commandBytesMax, COMMAND_BYTES_MAX);
    return 0;
  }
}

/** A door of a host in this process: one end for guests, one for the hosts, one after the other. */
export function makeDoor(): { guestDoor: MessagePort; hostDoor: MessagePort } {
  const { port1: guestDoor, port2: hostDoor } = new MessageChannel();
  return { guestDoor, hostDoor };
}
