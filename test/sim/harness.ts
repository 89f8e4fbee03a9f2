/**
 * One run: a pool on a simulated machine, guests that load it, and deaths and losses of power in
 * sequence (R4). After each recovery the whole pool is read and compared with the model; then the
 * guests attach again, in any order and at any time, and go on.
 *
 * All from one seed: the same seed and the same code do the same thing.
 */
import { StoreError } from '../../src/base/errors.ts';
import { Prng } from '../../src/base/prng.ts';
import { MIB } from '../../src/base/units.ts';
import type { CreatePoolOptions, OpenStoreOptions, Store } from '../../src/store/store.ts';
import { ModelViolation, PoolModel, type VolumeModel } from './model.ts';
import { observeVolume } from './observe.ts';
import { SimGuest } from './sim-guest.ts';
import { SimMachine } from './sim-machine.ts';
import { type SimProcess, SimulatedCrash } from './sim-process.ts';
import { VolumeChanges } from './volume-changes.ts';
import { drawCommand, drawProfile, type Profile } from './workload.ts';

/** The part of a store that runs use. */
export type SimStore = Pick<
  Store,
  | 'requests'
  | 'failed'
  | 'submit'
  | 'step'
  | 'takeCompleted'
  | 'nextDeadlineUs'
  | 'createVolume'
  | 'resizeVolume'
  | 'removeVolume'
  | 'listVolumes'
  | 'openSession'
  | 'reattachSession'
  | 'closeSession'
  | 'close'
>;

/** What the runs are of: the store, or one with a planted bug. */
export interface StoreFactory {
  createPool(process: SimProcess, path: string, options: CreatePoolOptions): Promise<void>;
  openStore(process: SimProcess, path: string, options: OpenStoreOptions): Promise<SimStore>;
}

export interface RunOptions {
  readonly seed: number;
  /** Crashes in sequence; the run ends with the check after the last. */
  readonly roundCount: number;
  /** Commands between two crashes, at most. */
  readonly commandCount: number;
  /** Die at this crash point after the guests are attached, and nowhere else. */
  readonly crashAt?: number;
  /** With `crashAt`: what is lost. */
  readonly ending?: 'kill' | 'power';
  /** Pools of a few segments, which fill up. */
  readonly smallPool?: boolean;
}

export interface RunReport {
  readonly commandCount: number;
  readonly crashCount: number;
  readonly powerLossCount: number;
  readonly traceHash: number;
  /** Crash points passed from the attachment of the guests to the first crash. */
  readonly pointCount: number;
}

const POOL_PATH = 'pool';
/** Room for a segment that stays alive at each open: nothing moves data out of old ones yet. */
const POOLS_BYTES: readonly number[] = [96 * MIB, 128 * MIB, 512 * MIB];
const SMALL_POOLS_BYTES: readonly number[] = [32 * MIB, 40 * MIB];
const CHURN_POOLS_BYTES: readonly number[] = [56 * MIB, 72 * MIB];
const SEGMENT_BYTES = 2 * MIB;
/** Longer than any run, in virtual time. */
const GRACE_MS = 3_600_000;
/** Disks answer before that; a longer sleep would end the grace of guests that are away. */
const SLEEP_US_MAX = 100_000;
/** Turns without any progress after which a run is stuck. */
const IDLE_TURNS_MAX = 20_000;
/** A crash while recovering happens at most so many times in a row. */
const RECOVERIES_MAX = 4;
const RECOVERY_POINTS_MAX = 80;
/** Guests that miss a whole life of the host, and still get what they asked for done once. */
const AWAY_ODDS = 0.25;
/** Crash points that a load passes before it dies, at most. */
const LOAD_POINTS_MAX = 300;
/** A load that is to use segments again is so much longer. */
const CHURN_FACTOR = 10;
/** And has so many lives. */
const CHURN_ROUNDS = 3;

/** How a load ends. `fault`: a write or sync fails, and the process dies of it. */
type Ending = 'kill' | 'power' | 'bank' | 'fault' | 'close' | 'close-power';

export class SimRun {
  readonly machine: SimMachine;
  readonly #factory: StoreFactory;
  readonly #options: RunOptions;
  readonly #prng: Prng;
  readonly #profile: Profile;
  readonly #model = new PoolModel();
  readonly #changes: VolumeChanges;
  #guests: SimGuest[] = [];
  #process: SimProcess;
  #store: SimStore | undefined;
  #nextVersion = 1;
  #commandCount = 0;
  #crashCount = 0;
  #powerLossCount = 0;
  #pointCount = 0;

  constructor(factory: StoreFactory, options: RunOptions) {
    this.#factory = factory;
    this.#options = options;
    this.#prng = new Prng(options.seed);
    this.#profile = drawProfile(this.#prng);
    this.#changes = new VolumeChanges(this.#prng.fork());
    this.machine = new SimMachine({ seed: this.#prng.u53() });
    this.#process = this.machine.startProcess();
  }

  /** @throws ModelViolation and whatever the code under test throws. */
  async run(): Promise<RunReport> {
    const sizeBytes = this.#prng.pick(this.#poolSizes());
    const options = { sizeBytes, segmentBytes: SEGMENT_BYTES };
    await this.#factory.createPool(this.#process, POOL_PATH, options);
    await this.#open({});
    for (let i = 0; i < this.#profile.volumeCount; i++) await this.#createVolume();
    await this.#attachNewGuests();
    const { roundCount } = this.#options;
    const rounds = this.#profile.churn ? Math.min(CHURN_ROUNDS, roundCount) : roundCount;
    for (let round = 0; round < rounds; round++) {
      const startPoint = this.machine.pointCount;
      const ending = await this.#load();
      if (round === 0) this.#pointCount = this.machine.pointCount - startPoint;
      if ((await this.#recover(ending)) === 'full') break;
    }
    return {
      commandCount: this.#commandCount,
      crashCount: this.#crashCount,
      powerLossCount: this.#powerLossCount,
      traceHash: this.machine.traceHash,
      pointCount: this.#pointCount,
    };
  }

  #poolSizes(): readonly number[] {
    if (this.#options.smallPool === true) return SMALL_POOLS_BYTES;
    return this.#profile.churn ? CHURN_POOLS_BYTES : POOLS_BYTES;
  }

  get #openStore(): SimStore {
    if (this.#store === undefined) throw new Error('the store is open');
    return this.#store;
  }

  async #open(options: OpenStoreOptions): Promise<void> {
    this.#store = await this.#factory.openStore(this.#process, POOL_PATH, options);
  }

  async #createVolume(): Promise<void> {
    const now = this.#model.tick();
    const { volumeSectors } = this.#profile;
    await this.#pump(this.#changes.create(this.#openStore, volumeSectors, now));
    this.#changes.finish();
  }

  /** Makes, resizes or removes a volume, if no command is in flight. */
  async #changeVolumes(): Promise<void> {
    if (this.#guests.some((guest) => guest.inFlightCount > 0)) return;
    const isUsed = (volume: VolumeModel) => this.#guests.some((guest) => guest.volume === volume);
    try {
      await this.#pump(this.#changes.start(this.#openStore, this.#model.tick(), isUsed));
    } catch (error) {
      if (!this.#process.alive) throw error;
      this.#changes.refuse(error);
      return;
    }
    this.#changes.finish();
    // It is durable, and so is all that comes before it.
    this.#model.completeRecovery();
  }

  // Guests ---------------------------------------------------------------------------------------

  async #attachNewGuests(): Promise<void> {
    const { guestCount, queueCount, queueDepth, sectorsMax } = this.#profile;
    this.#guests = [];
    const names = { nextVersion: () => this.#nextVersion++ };
    for (let i = 0; i < guestCount; i++) {
      const volume = this.#prng.pick(this.#changes.volumes);
      const prng = this.#prng.fork();
      const parts = { model: this.#model, names, prng, queueCount, queueDepth, sectorsMax };
      const guest = new SimGuest(`guest-${i}`, volume, parts);
      const session = { volume: volume.name, queueCount, queueDepth, graceMs: GRACE_MS, uid: 0 };
      const grant = await this.#pump(
        this.#openStore.openSession({ ...session, mode: 'shared' as const }),
      );
      guest.attach(grant, (bytes) => this.#process.kernels.registerMemory(bytes));
      this.#guests.push(guest);
    }
  }

  async #reattach(guest: SimGuest): Promise<void> {
    const { grant } = guest;
    if (grant === undefined) throw new Error('only who was attached attaches again');
    const { secret, incarnation } = grant;
    const renewed = await this.#pump(
      this.#openStore.reattachSession({ guest: grant.guest, secret, incarnation }),
    );
    guest.attach(renewed, (bytes) => this.#process.kernels.registerMemory(bytes));
  }

  /** After a loss of power nobody may go on as if nothing had happened. */
  async #requireRefused(guest: SimGuest): Promise<void> {
    const { grant } = guest;
    if (grant === undefined) return;
    try {
      const { secret, incarnation } = grant;
      await this.#pump(
        this.#openStore.reattachSession({ guest: grant.guest, secret, incarnation }),
      );
    } catch (error) {
      if (error instanceof StoreError && error.code === 'incarnation_changed') return;
      if (error instanceof StoreError && error.code === 'permission_denied') return;
      throw error;
    }
    throw new ModelViolation(`${guest.name} attached again to a pool that lost power`);
  }

  // Load -----------------------------------------------------------------------------------------

  /** Runs commands until a crash, or all are done; how the round is to end. */
  async #load(): Promise<Ending> {
    const { crashAt, commandCount } = this.#options;
    const ending = this.#drawEnding();
    const factor = this.#profile.churn && crashAt === undefined ? CHURN_FACTOR : 1;
    if (crashAt !== undefined) this.machine.armCrash(crashAt);
    else if (ending === 'fault') this.#armFault();
    else if (!ending.startsWith('close')) {
      this.machine.armCrash(this.#prng.between(1, 4 * factor * LOAD_POINTS_MAX));
    }
    const target = this.#prng.between(1, factor * commandCount);
    const drains = ending.startsWith('close') || this.#prng.chance(0.2);
    try {
      if (ending !== 'fault' && this.#prng.chance(0.2)) await this.#changeVolumes();
      await this.#loadCommands(target, drains);
      if (!ending.startsWith('close')) return ending;
      this.machine.disarmCrash();
      if (this.#prng.chance(0.3)) this.machine.armCrash(this.#prng.between(1, 40));
      await this.#pump(this.#openStore.close());
      this.#model.completeRecovery();
    } catch (error) {
      const failed = error instanceof StoreError && error.code === 'pool_failed';
      if (ending !== 'fault' || !failed) this.#requireCrash(error);
    }
    this.machine.disarmCrash();
    return ending;
  }

  #armFault(): void {
    const fault = this.#prng.chance(0.6) ? 'syncError' : 'writeError';
    const skipCount = this.#prng.below(12);
    for (const file of this.machine.disks.values()) file.faults.failOnce(fault, skipCount);
    for (const guest of this.#guests) guest.expectsFailure = true;
  }

  #drawEnding(): Ending {
    const { crashAt, ending } = this.#options;
    if (crashAt !== undefined) return ending ?? 'kill';
    return this.#prng.pick<Ending>([
      'kill',
      'kill',
      'kill',
      'kill',
      'power',
      'power',
      'power',
      'bank',
      'fault',
      'fault',
      'close',
      'close-power',
    ]);
  }

  async #loadCommands(target: number, drains: boolean): Promise<void> {
    const store = this.#openStore;
    let submitted = 0;
    let idleTurns = 0;
    for (let turn = 0; submitted < target || drains; turn++) {
      // Orphans come back one by one, while others are at work already.
      const orphan = this.#guests.find((guest) => !(guest.attached || guest.away));
      if (orphan !== undefined && this.#prng.chance(0.1)) await this.#reattach(orphan);
      if (submitted < target) submitted += this.#submitSome(target - submitted);
      const busy = this.#step();
      idleTurns = busy ? 0 : idleTurns + 1;
      if (!busy) this.#passTime(idleTurns);
      if (idleTurns > IDLE_TURNS_MAX) throw new ModelViolation('the store makes no progress');
      if (turn % 16 === 0) await this.#turnOfEventLoop();
      if (store.failed !== undefined) return this.#requireFault(store.failed);
      const isBusy = this.#guests.some(({ away, inFlightCount }) => !away && inFlightCount > 0);
      if (submitted === target && !isBusy && orphan === undefined) return;
    }
  }

  /** A store stops for good when its disk failed (R6), and only then. */
  #requireFault(error: StoreError): void {
    if (!this.#guests.some((guest) => guest.expectsFailure)) throw error;
    this.#step();
  }

  #submitSome(countMax: number): number {
    const count = Math.min(countMax, this.#prng.below(4));
    let submitted = 0;
    for (let i = 0; i < count; i++) {
      const guest = this.#prng.pick(this.#guests);
      if (!guest.hasRoom(this.#profile.inFlightMax)) continue;
      const command = drawCommand(this.#prng, this.#profile, guest.volume.sectorCount);
      guest.submit(this.#openStore, command);
      submitted += 1;
    }
    this.#commandCount += submitted;
    return submitted;
  }

  /** One turn of the reactor. True if anything happened. */
  #step(): boolean {
    const store = this.#openStore;
    this.#process.point('step');
    for (const guest of this.#guests) if (guest.attached) guest.resubmit(store);
    let busy = store.step(this.#process.clock.nowUs());
    this.#process.requireAlive();
    for (let row = store.takeCompleted(); row >= 0; row = store.takeCompleted()) {
      busy = true;
      const session = store.requests.session[row];
      // Session numbers are given out anew by each host; who is away still has an old one.
      const guest = this.#guests.find((one) => one.attached && one.grant?.session === session);
      if (guest === undefined) throw new ModelViolation('a row of no session completed');
      guest.complete(store, row);
    }
    return busy;
  }

  /** A thread that has nothing to do sleeps; a disk takes its time. */
  #passTime(idleTurns: number): void {
    const nowUs = this.machine.time.nowUs;
    const sleepUs = idleTurns % 50 === 49 ? this.#openStore.nextDeadlineUs - nowUs : 20;
    if (sleepUs > 0) this.machine.time.advance(Math.min(sleepUs, SLEEP_US_MAX));
  }

  /** Runs the reactor until a cold call is done. */
  async #pump<Value>(promise: Promise<Value>): Promise<Value> {
    let settled = false as boolean;
    const done = promise.finally(() => {
      settled = true;
    });
    done.catch(() => undefined);
    for (let idleTurns = 0; !settled; ) {
      await this.#turnOfEventLoop();
      if (settled) break;
      const busy = this.#step();
      idleTurns = busy ? 0 : idleTurns + 1;
      if (!busy) this.#passTime(idleTurns);
      if (idleTurns > IDLE_TURNS_MAX) throw new ModelViolation('a call of the store never ends');
    }
    return await done;
  }

  async #turnOfEventLoop(): Promise<void> {
    await new Promise<void>((resolve) => setImmediate(resolve));
  }

  // Crashes --------------------------------------------------------------------------------------

  /** Any error of a process that is dead is a crash; any other is a finding. */
  #requireCrash(error: unknown): void {
    if (error instanceof SimulatedCrash) return;
    if (this.#process.alive || error instanceof ModelViolation) throw error;
  }

  /** `full`: a pool that fills up has no room to be opened in; its run ends there. */
  async #recover(ending: Ending): Promise<'checked' | 'full'> {
    this.#kill();
    for (const guest of this.#guests) guest.expectsFailure = false;
    for (const file of this.machine.disks.values()) file.faults.cancel();
    const lost = { power: ending.endsWith('power'), bank: false };
    if (lost.power) this.#losePower();
    if (ending === 'bank') {
      lost.bank = this.machine.banks.size > 0;
      this.machine.banks.clear();
    }
    for (let attempt = 0; ; attempt++) {
      try {
        await this.#reopen(attempt, lost);
        // What a recovery has shown survives from then on (R4).
        if (!lost.power) this.#model.completeRecovery();
        await this.#check(lost.power, ending);
        return 'checked';
      } catch (error) {
        if (this.#profile.churn && isFull(error)) return 'full';
        this.#requireCrash(error);
      }
      this.#kill();
      if (this.#prng.chance(0.4)) {
        this.#losePower();
        lost.power = true;
      }
    }
  }

  #kill(): void {
    this.#store = undefined;
    for (const guest of this.#guests) {
      guest.detach();
      guest.away = this.#prng.chance(AWAY_ODDS);
    }
    const [first] = this.#guests;
    if (first !== undefined && this.#guests.every(({ away }) => away)) first.away = false;
    this.machine.killProcesses();
    this.#crashCount += 1;
  }

  #losePower(): void {
    this.machine.losePower();
    this.#powerLossCount += 1;
  }

  /** Opens the pool, or dies trying. Giving up a lost bank is like losing power. */
  async #reopen(attempt: number, lost: { power: boolean; bank: boolean }): Promise<void> {
    this.#process = this.machine.startProcess();
    const crashes = attempt < RECOVERIES_MAX && this.#options.crashAt === undefined;
    if (crashes && this.#prng.chance(0.4)) {
      this.machine.armCrash(this.#prng.between(1, RECOVERY_POINTS_MAX));
    }
    try {
      await this.#open({});
      return;
    } catch (error) {
      const bankLost = error instanceof StoreError && error.code === 'bank_lost';
      if (!bankLost || !lost.bank || !this.#process.alive) throw error;
    }
    lost.power = true;
    await this.#open({ discardBank: true });
  }

  /** Reads everything and compares; then the guests may come back. */
  async #check(powerLost: boolean, ending: Ending): Promise<void> {
    const observation = new Map<VolumeModel, Float64Array>();
    const store = this.#openStore;
    const changedAt = this.#changes.check(store.listVolumes());
    if (changedAt !== undefined) this.#model.completeFlush(changedAt);
    for (const volume of this.#changes.volumes) {
      const process = this.#process;
      const pump = <Value>(promise: Promise<Value>) => this.#pump(promise);
      const turn = () => this.#stepObserver();
      observation.set(volume, await observeVolume({ store, process, volume, pump, turn }));
    }
    this.machine.disarmCrash();
    const clean = ending.startsWith('close');
    this.#model.checkRecovery(observation, powerLost);
    this.#model.completeRecovery();
    if (!powerLost) return;
    if (!clean) for (const guest of this.#guests) await this.#requireRefused(guest);
    await this.#attachNewGuests();
  }

  /** A turn of the reactor while no guest is attached. */
  async #stepObserver(): Promise<void> {
    this.#process.point('step');
    const busy = this.#openStore.step(this.#process.clock.nowUs());
    if (!busy) this.#passTime(0);
    await this.#turnOfEventLoop();
  }
}

function isFull(error: unknown): boolean {
  return error instanceof StoreError && error.code === 'pool_full';
}
