/** Many runs: by seeds, and at every crash point of one seed's load. */
import { type RunReport, SimRun, type StoreFactory } from './harness.ts';

/** How much one run does. */
export interface Effort {
  readonly roundCount: number;
  readonly commandCount: number;
  readonly smallPool?: boolean;
}

/** What a finding is replayed with. */
export interface Place {
  readonly seed: number;
  readonly crashAt?: number;
  readonly ending?: 'kill' | 'power';
}

export interface Finding {
  readonly place: Place;
  readonly error: unknown;
}

export interface SweepReport {
  runCount: number;
  commandCount: number;
  crashCount: number;
  powerLossCount: number;
  /** Of the last run: equal for equal runs. */
  traceHash: number;
}

/** A crash so far ahead that none comes: to count the points. */
const NEVER = 1_000_000_000;

/** The command line that runs a place again. */
export function replayCommand({ seed, crashAt, ending }: Place, effort: Effort): string {
  const { roundCount, commandCount, smallPool = false } = effort;
  const small = smallPool ? ' --small-pools' : '';
  const counts = `--rounds ${roundCount} --commands ${commandCount}`;
  const base = `npm run sim -- --seed ${seed} ${counts}${small}`;
  return crashAt === undefined ? base : `${base} --crash-at ${crashAt} --ending ${ending}`;
}

export class Sweep {
  readonly report: SweepReport = {
    runCount: 0,
    commandCount: 0,
    crashCount: 0,
    powerLossCount: 0,
    traceHash: 0,
  };
  readonly #factoryOf: (seed: number) => StoreFactory;
  readonly #effort: Effort;

  /** `factoryOf` makes the store of one run. */
  constructor(factoryOf: (seed: number) => StoreFactory, effort: Effort) {
    this.#factoryOf = factoryOf;
    this.#effort = effort;
  }

  /** One run; what it found, or undefined. */
  async run(place: Place): Promise<Finding | undefined> {
    const outcome = await this.#attempt(place);
    return 'error' in outcome ? { place, error: outcome.error } : undefined;
  }

  /** Crashes at one point after another of the seed's load; the first finding ends it. */
  async runEveryPoint(seed: number, stride = 1): Promise<Finding | undefined> {
    const whole = await this.#attempt({ seed, crashAt: NEVER, ending: 'kill' });
    if ('error' in whole) return { place: { seed, crashAt: NEVER }, error: whole.error };
    for (let crashAt = 1 + (seed % stride); crashAt <= whole.pointCount; crashAt += stride) {
      const ending = (seed + crashAt) % 2 === 0 ? 'kill' : 'power';
      const finding = await this.run({ seed, crashAt, ending });
      if (finding !== undefined) return finding;
    }
    return undefined;
  }

  async #attempt(place: Place): Promise<RunReport | { error: unknown }> {
    const roundCount = place.crashAt === undefined ? this.#effort.roundCount : 1;
    const { commandCount, smallPool = false } = this.#effort;
    try {
      const run = new SimRun(this.#factoryOf(place.seed), {
        ...place,
        roundCount,
        commandCount,
        smallPool,
      });
      const report = await run.run();
      this.report.runCount += 1;
      this.report.commandCount += report.commandCount;
      this.report.crashCount += report.crashCount;
      this.report.powerLossCount += report.powerLossCount;
      this.report.traceHash = report.traceHash;
      return report;
    } catch (error) {
      return { error };
    }
  }
}
