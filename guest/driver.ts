/** The driver: one core, three faces, one lifeline, put together. */
import { EventEmitter } from 'node:events';
import { StoreError } from '../src/base/errors.ts';
import { getU32, getU53 } from '../src/base/record.ts';
import { SECTOR_BYTES } from '../src/base/units.ts';
import { layoutOf } from '../src/channel/geometry.ts';
import { GuestQueue } from '../src/channel/guest-queue.ts';
import { readHostPage } from '../src/channel/host-page.ts';
import { VolumeInfo, VolumeInfoFlag } from '../src/channel/protocol.ts';
import { SILENT_BELL } from '../src/memory/bell.ts';
import { DataArea } from '../src/memory/data-area.ts';
import type { Platform } from '../src/platform/platform.ts';
import type {
  AsyncFace,
  BatchFace,
  DataBuffer,
  Driver,
  DriverEvents,
  DriverState,
  HostCounters,
  SyncFace,
  VolumeFacts,
} from './api.ts';
import { PromiseFace } from './async-face.ts';
import { TagFace } from './batch-face.ts';
import { Core } from './core.ts';
import { allocatePiece } from './data-buffer.ts';
import { hostCountersOf } from './host-counters.ts';
import { Lifeline } from './lifeline.ts';
import { LoopHold } from './loop-hold.ts';
import type { Operation } from './operation.ts';
import type { CheckedOptions } from './options.ts';
import { BlockingFace } from './sync-face.ts';
import { createTransport } from './transport.ts';
import { Waiter } from './waiter.ts';

const US_PER_MS = 1000;
/** What a driver gives the host to answer `detach` on top of what is left of its time. */
const DETACH_MS_MIN = 100;

export class GuestDriver implements Driver {
  readonly async: AsyncFace;
  readonly sync: SyncFace;
  readonly batch: BatchFace;
  readonly queueDepth: number;
  readonly dataBytes: number;
  readonly commandBytesMax: number;
  readonly #core: Core;
  readonly #lifeline: Lifeline;
  readonly #waiter: Waiter;
  readonly #clock: Platform['clock'];
  readonly #events = new EventEmitter();
  readonly #options: CheckedOptions;
  #closing: Promise<void> | undefined;
  #reconnecting: Promise<void> | undefined;

  /** Has its region, but no host yet. @throws StoreError `system_error` if there is no memory. */
  constructor(options: CheckedOptions, { clock, entropy }: Pick<Platform, 'clock' | 'entropy'>) {
    const { queueDepth, dataBytes } = options;
    const layout = layoutOf({ queueCount: 1, queueDepth, dataBytes });
    const transport = createTransport(options.host, layout);
    const { region } = transport;
    const queue = new GuestQueue({ region, layout, queueIndex: 0, hostBell: SILENT_BELL });
    const core = new Core({ region, layout, queue, area: new DataArea(dataBytes) });
    this.#options = options;
    this.#clock = clock;
    this.#core = core;
    this.#lifeline = new Lifeline({
      core,
      transport,
      options,
      clock,
      entropy,
      onState: (state, cause) => this.#stateChanged(state, cause),
      onResized: (sizeBytes) => this.#emit('volume-resized', sizeBytes),
    });
    const { spinNs } = options;
    const hold = new LoopHold();
    this.#waiter = new Waiter({ core, lifeline: this.#lifeline, transport, clock, hold, spinNs });
    this.queueDepth = queueDepth;
    this.dataBytes = dataBytes;
    this.commandBytesMax = core.commandBytesMax;
    const face = {
      commandBytesMax: core.commandBytesMax,
      launch: (operation: Operation) => this.#launch(operation),
      runToEnd: (operation: Operation) => this.#runToEnd(operation),
      learn: (info: Uint8Array) => this.#learn(info),
    };
    this.async = new PromiseFace(face);
    this.sync = new BlockingFace(face);
    this.batch = new TagFace(
      {
        advance: () => this.#waiter.advance(),
        look: () => this.#look(),
        block: (isDone, timeoutMs) => this.#waiter.blockUntil(isDone, this.#inMs(timeoutMs)),
      },
      core,
    );
  }

  get volume(): VolumeFacts {
    return this.#lifeline.volume;
  }

  get state(): DriverState {
    return this.#lifeline.state;
  }

  get lostWakes(): number {
    return this.#waiter.lostWakes;
  }

  /** Attaches for the first time; frees everything if that fails. */
  async start(): Promise<void> {
    try {
      await this.#lifeline.attach();
    } catch (error) {
      this.#release();
      throw error;
    }
  }

  /** The same, blocking the thread. */
  startSync(): void {
    try {
      this.#lifeline.attachSync();
    } catch (error) {
      this.#release();
      throw error;
    }
  }

  allocate(byteLength: number): DataBuffer {
    if (this.state === 'closed') throw new StoreError('closed');
    return allocatePiece(this.#core, byteLength);
  }

  hostCounters(): HostCounters | undefined {
    if (this.state === 'closed') return undefined;
    const reading = readHostPage(this.#core.region, this.#core.layout);
    return reading === undefined ? undefined : hostCountersOf(reading);
  }

  on<Name extends keyof DriverEvents>(
    event: Name,
    listener: (...facts: DriverEvents[Name]) => void,
  ): this {
    this.#events.on(event, listener);
    return this;
  }

  off<Name extends keyof DriverEvents>(
    event: Name,
    listener: (...facts: DriverEvents[Name]) => void,
  ): this {
    this.#events.off(event, listener);
    return this;
  }

  async reconnect(): Promise<void> {
    if (this.state === 'attached') return;
    if (this.#closing !== undefined || this.state === 'closed') throw new StoreError('closed');
    this.#reconnecting ??= this.#lifeline.attach().finally(() => {
      this.#reconnecting = undefined;
    });
    await this.#reconnecting;
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  closeSync(): void {
    if (this.state === 'closed') return;
    const untilUs = this.#inMs(this.#options.closeTimeoutMs);
    this.#refuseMore();
    this.#waiter.blockUntil(() => this.#core.idle, untilUs);
    let left = false;
    this.#lifeline.detach(() => {
      left = true;
    });
    this.#waiter.pollUntil(() => left, Math.max(untilUs, this.#inMs(DETACH_MS_MIN)));
    this.#release();
  }

  async #close(): Promise<void> {
    if (this.state === 'closed') return;
    const untilUs = this.#inMs(this.#options.closeTimeoutMs);
    this.#refuseMore();
    await this.#atMost(untilUs, (done) => this.#waiter.whenIdle(done));
    await this.#atMost(Math.max(untilUs, this.#inMs(DETACH_MS_MIN)), (done) =>
      this.#lifeline.detach(done),
    );
    this.#release();
  }

  #refuseMore(): void {
    this.#core.refusal = new StoreError('closed');
  }

  #release(): void {
    this.#lifeline.close();
    this.#waiter.close();
  }

  /** Resolves when `begin` calls back, or at that time on the clock. */
  #atMost(untilUs: number, begin: (done: () => void) => void): Promise<void> {
    return new Promise((resolve) => {
      const delayMs = (untilUs - this.#clock.nowUs()) / US_PER_MS;
      const timer = this.#clock.after(Math.max(0, delayMs), resolve);
      begin(() => {
        timer.cancel();
        resolve();
      });
    });
  }

  #inMs(delayMs: number): number {
    return this.#clock.nowUs() + delayMs * US_PER_MS;
  }

  #launch(operation: Operation): void {
    this.#core.enqueue(operation);
    this.#waiter.settle();
  }

  #runToEnd(operation: Operation): void {
    const core = this.#core;
    // A listener that is called meanwhile may block in its turn.
    const outer = core.urgent;
    core.urgent = operation;
    const step = (): boolean => {
      // What is issued ends by itself; what is not would wait for a host that nobody waits for.
      if (core.refusal !== undefined && !operation.fullyIssued) operation.fail(core.refusal);
      else if (!operation.fullyIssued) core.pump();
      return operation.settled;
    };
    try {
      this.#waiter.blockUntil(step, Number.POSITIVE_INFINITY);
    } finally {
      core.urgent = outer;
    }
  }

  #learn(info: Uint8Array): VolumeFacts {
    const view = new DataView(info.buffer, info.byteOffset, info.byteLength);
    const { name } = this.#lifeline.volume;
    const readOnly = (getU32(view, 0, VolumeInfo.flags) & VolumeInfoFlag.READ_ONLY) !== 0;
    const sizeBytes = getU53(view, 0, VolumeInfo.sectorCount) * SECTOR_BYTES;
    const volumeId = getU53(view, 0, VolumeInfo.volumeId);
    this.#lifeline.volume = { name, volumeId, sizeBytes, readOnly };
    return this.#lifeline.volume;
  }

  #look(): void {
    this.#lifeline.poll();
    if (!this.#core.serving) this.#lifeline.stepSync(this.#clock.nowUs());
  }

  #stateChanged(state: DriverState, cause: StoreError | undefined): void {
    if (state !== 'closed') this.#waiter.settle();
    this.#emit('state', state, cause);
  }

  /** A listener's mistake is an uncaught exception, not an accident in the middle of a change. */
  #emit<Name extends keyof DriverEvents>(event: Name, ...facts: DriverEvents[Name]): void {
    try {
      this.#events.emit(event, ...facts);
    } catch (error) {
      queueMicrotask(() => {
        throw error;
      });
    }
  }
}
