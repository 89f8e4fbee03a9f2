/**
 * When the reactor steps, sleeps, and lets its thread's event loop turn.
 *
 *   slice: step, step, … --nothing for a window--> park --woken--> turn
 *             └--a millisecond, or cold work is done--> turn ------> slice
 *
 * A turn (`setImmediate`) costs 1.7 µs: messages from the main thread and promises run there. Who
 * posts a message rings the bell that this thread sleeps on, after posting.
 */
import { StoreError } from '../src/base/errors.ts';
import { HostCounter } from '../src/channel/host-page.ts';
import { CpuBudget, SpinWindow } from '../src/channel/spin-window.ts';
import type { Sleeper } from '../src/memory/bell.ts';
import { FOUND_WORK, PARK_LOST, park } from '../src/memory/park.ts';
import type { Clock } from '../src/platform/platform.ts';
import type { Reactor } from './reactor.ts';

const SLICE_US = 1000;
/** Between two readings of the clock, which cost 60 ns each: about 2 µs of polling. */
const WORK_PER_SAMPLE = 64;
/** A wake-up by eventfd or futex takes 20-50 µs on the machines we have seen. */
const WAKE_COST_US = 35;
/** An idle reactor still looks around this often, should a wake-up be lost after all. */
const SLEEP_MS_MAX = 500;
/** While a cold operation is under way: its promises run between sleeps. */
const COLD_SLEEP_MS_MAX = 1;
/** The guests' pages are brought up to date this often while there is something to tell. */
const SHOW_US = 20_000;
const US_PER_MS = 1000;
const NS_PER_US = 1000;

/** A sleeper whose rings count from before the event loop's last turn, not from the sleep on. */
export interface LoopSleeper extends Sleeper {
  /** Called before each turn: what rings after it ends the next sleep. */
  armForTurn(): void;
}

export interface ReactorLoopOptions {
  readonly reactor: Reactor;
  readonly clock: Clock;
  readonly sleeper: LoopSleeper;
  readonly spinUs: number;
  readonly cpuBudget: number;
  readonly hostPid: number;
}

export class ReactorLoop {
  readonly #reactor: Reactor;
  readonly #clock: Clock;
  readonly #sleeper: LoopSleeper;
  readonly #window: SpinWindow;
  readonly #budget: CpuBudget;
  readonly #hostPid: number;
  readonly #hasStoreWork: () => boolean;
  readonly #onTurn = () => this.#slice();
  #stopped: boolean = false;
  /** Cold operations that steps of the store finish. */
  #coldCount = 0;
  #lastWorkUs: number;
  #sleptSinceWork: boolean = false;
  #shownUs = 0;
  #hasNews: boolean = true;
  #parks = 0;
  #lostWakes = 0;
  #stepCount = 0;

  constructor(options: ReactorLoopOptions) {
    this.#reactor = options.reactor;
    this.#clock = options.clock;
    this.#sleeper = options.sleeper;
    this.#window = new SpinWindow(WAKE_COST_US, options.spinUs);
    this.#budget = new CpuBudget(options.cpuBudget);
    this.#hostPid = options.hostPid;
    this.#lastWorkUs = options.clock.nowUs();
    const { reactor } = options;
    this.#hasStoreWork = () => reactor.hasStoreWork;
  }

  start(): void {
    this.#turn();
  }

  stop(): void {
    this.#stopped = true;
  }

  /** Runs a cold operation that the store's steps finish, turning the event loop for it. */
  async cold<Result>(operation: () => Promise<Result>): Promise<Result> {
    this.#coldCount++;
    try {
      return await operation();
    } finally {
      this.#coldCount--;
    }
  }

  /** For `stat`: of the thread, not of a session. */
  facts(nowUs: number): Readonly<Record<string, number>> {
    return {
      reactorSteps: this.#stepCount,
      reactorParks: this.#parks,
      reactorLostWakes: this.#lostWakes,
      reactorPollingPermille: this.#budget.usedPermille(nowUs),
    };
  }

  #turn(): void {
    this.#sleeper.armForTurn();
    setImmediate(this.#onTurn);
  }

  #slice(): void {
    if (this.#stopped) return;
    let nowUs = this.#clock.nowUs();
    const endUs = nowUs + SLICE_US;
    while (nowUs < endUs) {
      const startUs = nowUs;
      const worked = this.#steps();
      nowUs = this.#clock.nowUs();
      if (worked) {
        this.#foundWork(nowUs);
        if (this.#coldCount > 0) break;
      } else {
        this.#budget.spend(nowUs, nowUs - startUs);
        if (this.#mayPark(nowUs) && this.#park(nowUs)) break;
      }
    }
    this.#showNews(nowUs);
    this.#turn();
  }

  /** Steps until it is time to look at the clock. True if one of them found work. */
  #steps(): boolean {
    const reactor = this.#reactor;
    let total = 0;
    let count = 0;
    while (count + total < WORK_PER_SAMPLE) {
      const worked = reactor.step();
      total += worked;
      count++;
      if (worked > 0 && this.#coldCount > 0) break;
    }
    this.#stepCount += count;
    return total > 0;
  }

  #foundWork(nowUs: number): void {
    if (this.#sleptSinceWork) this.#window.wokenAfter(nowUs - this.#lastWorkUs);
    else this.#window.caughtSpinning();
    this.#sleptSinceWork = false;
    this.#lastWorkUs = nowUs;
    this.#hasNews = true;
  }

  #mayPark(nowUs: number): boolean {
    if (nowUs - this.#lastWorkUs >= this.#window.windowUs) return true;
    return this.#budget.allowanceUs(nowUs) <= 0;
  }

  /** True if the event loop should turn: it slept, or cold work is done. */
  #park(nowUs: number): boolean {
    const reactor = this.#reactor;
    // Cold operations lie in the store's own queue, and deadlines move with its steps.
    reactor.askStore();
    if (reactor.step() > 0) {
      this.#foundWork(nowUs);
      return this.#coldCount > 0;
    }
    const untilMs = (reactor.nextDeadlineUs - nowUs) / US_PER_MS;
    if (untilMs <= 0) return false;
    const boundMs = this.#sleepBoundMs();
    try {
      const timeoutMs = Math.min(untilMs, boundMs);
      const result = park(reactor.queues, this.#sleeper, timeoutMs, this.#hasStoreWork);
      if (result === FOUND_WORK) return false;
      if (result === PARK_LOST) this.#lostWakes++;
    } catch (error) {
      // A guest's impossible index: the next step finds whose it is, and ends that session.
      if (!(error instanceof StoreError)) throw error;
      return false;
    }
    this.#parks++;
    this.#sleptSinceWork = true;
    return true;
  }

  #sleepBoundMs(): number {
    // What a step has fulfilled goes on only when the event loop turns.
    if (this.#coldCount > 0) return COLD_SLEEP_MS_MAX;
    // With news it sleeps shorter, once, so that the guests' pages show how it ended.
    return this.#hasNews ? SHOW_US / US_PER_MS : SLEEP_MS_MAX;
  }

  #showNews(nowUs: number): void {
    if (nowUs - this.#shownUs < SHOW_US) return;
    this.#shownUs = nowUs;
    this.#hasNews = nowUs - this.#lastWorkUs < SHOW_US;
    const reactor = this.#reactor;
    reactor.count(HostCounter.PARKS, this.#parks);
    reactor.count(HostCounter.LOST_WAKES, this.#lostWakes);
    reactor.count(HostCounter.SPIN_WINDOW_NS, Math.round(this.#window.windowUs * NS_PER_US));
    reactor.count(HostCounter.CPU_USED_PERMILLE, this.#budget.usedPermille(nowUs));
    reactor.count(HostCounter.CPU_BUDGET_PERMILLE, Math.round(this.#budget.share * 1000));
    reactor.showAll(this.#hostPid);
  }
}
