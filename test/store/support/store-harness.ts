/**
 * A store on a simulated machine, and guests with memory of their own that submit commands to it.
 */
import { codeOf, STATUS_OK } from '../../../src/base/errors.ts';
import { Prng } from '../../../src/base/prng.ts';
import { MIB, SECTOR_BYTES } from '../../../src/base/units.ts';
import { createPool } from '../../../src/log/create-pool.ts';
import { openStore, type StoreLimits } from '../../../src/store/open-store.ts';
import type {
  AttachMode,
  OpenStoreOptions,
  SessionGrant,
  Store,
} from '../../../src/store/store.ts';
import { CACHE_BYTES_MIN } from '../../../src/volumes/block-cache.ts';
import { RequestFlag, RequestOp } from '../../../src/volumes/request-table.ts';
import { SimMachine } from '../../sim/sim-machine.ts';
import type { SimProcess } from '../../sim/sim-process.ts';

export const POOL = 'pool';
export const MEMORY_BYTES = 4 * MIB;
/** Turns without progress after which a test is stuck. */
const IDLE_TURNS_MAX = 5000;

export type OpName = keyof typeof RequestOp;

export interface Command {
  readonly op: OpName;
  readonly sector?: number;
  readonly count?: number;
  readonly fua?: boolean;
  readonly queue?: number;
  readonly tag?: number;
  readonly operation?: number;
  /** Offsets and lengths in the guest's memory; default: all from `offset`. */
  readonly extents?: readonly (readonly [number, number])[];
  readonly offset?: number;
}

export interface Guest {
  readonly grant: SessionGrant;
  readonly bytes: Uint8Array;
  readonly memory: number;
}

/** What became of a command: `ok` or an error code. */
export type Answer = string;

export class StoreHarness {
  readonly machine: SimMachine;
  readonly prng: Prng;
  process: SimProcess;
  readonly #limits: StoreLimits;
  readonly #options: OpenStoreOptions;
  #store: Store | undefined;
  #nextOperation = 1;
  readonly #answers = new Map<number, (answer: Answer) => void>();

  constructor(seed: number, limits: StoreLimits = {}, options: OpenStoreOptions = {}) {
    this.machine = new SimMachine({ seed });
    this.prng = new Prng(seed);
    this.process = this.machine.startProcess();
    this.#limits = limits;
    this.#options = { cacheBytes: CACHE_BYTES_MIN, requestsMax: 64, ...options };
  }

  get store(): Store {
    if (this.#store === undefined) throw new Error('the store is open');
    return this.#store;
  }

  async create(sizeBytes = 64 * MIB): Promise<void> {
    await createPool(this.process, POOL, { sizeBytes, segmentBytes: 2 * MIB });
    await this.open();
  }

  async open(options: OpenStoreOptions = {}): Promise<void> {
    const all = { ...this.#options, ...options };
    this.#store = await openStore(this.process, POOL, all, this.#limits);
  }

  /** The host dies; guests and the machine do not. */
  async killAndReopen(options: OpenStoreOptions = {}): Promise<void> {
    this.#answers.clear();
    this.machine.killProcesses();
    this.process = this.machine.startProcess();
    await this.open(options);
  }

  async losePowerAndReopen(): Promise<void> {
    this.#answers.clear();
    this.machine.losePower();
    this.process = this.machine.startProcess();
    await this.open();
  }

  async closeAndReopen(): Promise<void> {
    await this.store.close();
    this.machine.killProcesses();
    this.process = this.machine.startProcess();
    await this.open();
  }

  async attach(volume: string, mode: AttachMode = 'shared', graceMs = 1000): Promise<Guest> {
    const shape = { queueCount: 2, queueDepth: 64, graceMs, uid: 0 };
    const grant = await this.pump(this.store.openSession({ volume, mode, ...shape }));
    return this.#guestOf(grant, new Uint8Array(MEMORY_BYTES));
  }

  /** The guest's memory, and what is in it, survives the host. */
  async reattach({ grant, bytes }: Guest): Promise<Guest> {
    const renewed = await this.pump(this.store.reattachSession(grant));
    return this.#guestOf(renewed, bytes);
  }

  #guestOf(grant: SessionGrant, bytes: Uint8Array): Guest {
    return { grant, bytes, memory: this.process.kernels.registerMemory(bytes) };
  }

  /** Submits without a step. `then` is called with the answer, and once. */
  submit(guest: Guest, command: Command, then: (answer: Answer) => void): number {
    const { requests } = this.store;
    const row = requests.claim(guest.grant.session);
    if (row < 0) throw new Error('no row is free');
    const count = command.count ?? 0;
    requests.op[row] = RequestOp[command.op];
    requests.flags[row] = command.fua === true ? RequestFlag.FUA : 0;
    requests.queue[row] = command.queue ?? 0;
    requests.tag[row] = command.tag ?? row;
    const operation = command.operation ?? this.#nextOperation++;
    requests.operation[row] = operation;
    requests.sectorIndex[row] = command.sector ?? 0;
    requests.sectorCount[row] = count;
    requests.memory[row] = guest.memory;
    const hasData = command.op === 'READ' || command.op === 'WRITE';
    const whole = hasData ? [[command.offset ?? 0, count * SECTOR_BYTES] as const] : [];
    for (const [offset, bytes] of command.extents ?? whole) requests.addExtent(row, offset, bytes);
    this.#answers.set(row, then);
    this.store.submit(row);
    return operation;
  }

  /** One turn of the reactor; time passes if nothing happened. */
  step(): boolean {
    const any = this.store.step(this.process.clock.nowUs());
    let took = false;
    for (let row = this.store.takeCompleted(); row >= 0; row = this.store.takeCompleted()) {
      took = true;
      const { requests } = this.store;
      const status = requests.status[row] as number;
      const answer = status === STATUS_OK ? 'ok' : codeOf(status);
      const then = this.#answers.get(row);
      this.#answers.delete(row);
      requests.release(row);
      then?.(answer);
    }
    if (!any && !took) this.#passTime();
    return any || took;
  }

  #passTime(): void {
    const { time } = this.machine;
    const sleepUs = this.store.nextDeadlineUs - time.nowUs;
    const disk = this.prng.between(1, 100);
    time.advance(Number.isFinite(sleepUs) && sleepUs < 200 ? Math.max(1, sleepUs) : disk);
  }

  /** Submits a command and steps until it is answered. */
  run(guest: Guest, command: Command): Answer {
    let answer: Answer | undefined;
    this.submit(guest, command, (said) => {
      answer = said;
    });
    this.stepUntil(() => answer !== undefined);
    return answer ?? '';
  }

  stepUntil(done: () => boolean): void {
    for (let idleTurns = 0; !done(); ) {
      idleTurns = this.step() ? 0 : idleTurns + 1;
      if (idleTurns > IDLE_TURNS_MAX) throw new Error('the store makes no progress');
    }
  }

  /** Runs the reactor until a cold call is settled. */
  async pump<Value>(promise: Promise<Value>): Promise<Value> {
    let settled = false as boolean;
    const done = promise.finally(() => {
      settled = true;
    });
    done.catch(() => undefined);
    for (let turns = 0; !settled; turns++) {
      await new Promise<void>((resolve) => setImmediate(resolve));
      if (!settled) this.step();
      if (turns > IDLE_TURNS_MAX) throw new Error('a cold call never ends');
    }
    return await done;
  }

  /** Steps for so long that all that is due by the clock has happened. */
  async passMs(ms: number): Promise<void> {
    const until = this.machine.time.nowUs + ms * 1000;
    while (this.machine.time.nowUs < until) {
      if (!this.step()) this.machine.time.advance(500);
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
  }
}
