/**
 * `npm run sim -- [--seed N] [--runs N] [--rounds N] [--commands N] [--points] [--full] [--mutants]`
 *
 * Runs simulated histories, and ends with status 1 at the first that the contract does not allow,
 * printing how to see it again. `--small-pools` takes pools that fill up. `--points` crashes at every point of each seed's load instead;
 * `--full` does both, as often as a release asks. `--mutants` plants bugs and expects each found.
 */
import { parseArgs } from 'node:util';
import { searchMutant } from './mutant-runner.ts';
import { MUTANTS } from './mutants.ts';
import { storeFactory } from './store-factory.ts';
import { type Effort, type Finding, replayCommand, Sweep } from './sweep.ts';

const RUNS = 200;
const RUNS_FULL = 5000;
const POINT_RUNS = 20;
const POINT_RUNS_FULL = 1000;
/** Commands of a load, at most, and of one of which every crash point is tried. */
const COMMANDS = 100;
const POINT_COMMANDS = 40;
const ROUNDS = 8;
/** Each planted bug must be found within so many runs. */
const MUTANT_RUNS = 600;
const PROGRESS_RUNS = 100;
/** Of what a search found. */
const LINE_LENGTH_MAX = 120;

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    runs: { type: 'string' },
    rounds: { type: 'string', default: String(ROUNDS) },
    commands: { type: 'string' },
    'crash-at': { type: 'string' },
    ending: { type: 'string', default: 'kill' },
    points: { type: 'boolean', default: false },
    full: { type: 'boolean', default: false },
    'small-pools': { type: 'boolean', default: false },
    mutants: { type: 'boolean', default: false },
    only: { type: 'string' },
  },
});

const firstSeed = Number(values.seed);

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

function effortOf(commandCount: number): Effort {
  return {
    roundCount: Number(values.rounds),
    commandCount: Number(values.commands ?? commandCount),
    smallPool: values['small-pools'],
  };
}

function reportFinding({ place, error }: Finding, effort: Effort): void {
  say(`\nseed ${place.seed}: ${error instanceof Error ? (error.stack ?? error.message) : error}`);
  if (error instanceof Error && error.cause !== undefined) say(`cause: ${error.cause}`);
  say(`again: ${replayCommand(place, effort)}`);
}

/** Many seeds; true if nothing was found. */
async function sweep(
  name: string,
  count: number,
  effort: Effort,
  attempt: (sweep: Sweep, seed: number) => Promise<Finding | undefined>,
): Promise<boolean> {
  const runs = new Sweep(storeFactory, effort);
  for (let i = 0; i < count; i++) {
    const finding = await attempt(runs, firstSeed + i);
    if (finding !== undefined) {
      reportFinding(finding, effort);
      return false;
    }
    if ((i + 1) % PROGRESS_RUNS === 0) say(`${name}: ${i + 1} of ${count} seeds`);
  }
  const { runCount, commandCount, crashCount, powerLossCount } = runs.report;
  say(
    `${name}: ${runCount} runs from seed ${firstSeed}, ${commandCount} commands, ` +
      `${crashCount} deaths of the process, ${powerLossCount} losses of power: nothing found`,
  );
  return true;
}

async function runHistories(): Promise<boolean> {
  const crashAt = values['crash-at'];
  if (crashAt !== undefined) {
    const ending = values.ending === 'power' ? 'power' : 'kill';
    return await sweep('replay', 1, effortOf(POINT_COMMANDS), (runs, seed) =>
      runs.run({ seed, crashAt: Number(crashAt), ending }),
    );
  }
  const { full } = values;
  const seedsRun = values.points && !full;
  if (!seedsRun) {
    const count = Number(values.runs ?? (full ? RUNS_FULL : defaultRuns()));
    const passed = await sweep('histories', count, effortOf(COMMANDS), (runs, seed) =>
      runs.run({ seed }),
    );
    if (!passed || !full) return passed;
  }
  const count = Number(values.runs ?? (full ? POINT_RUNS_FULL : POINT_RUNS));
  return await sweep('every crash point', count, effortOf(POINT_COMMANDS), (runs, seed) =>
    runs.runEveryPoint(seed),
  );
}

/** One seed that was named is replayed once. */
function defaultRuns(): number {
  return process.argv.includes('--seed') ? 1 : RUNS;
}

/** Plants one bug after another. Each must be found, by a seed under which we are right. */
async function searchMutants(): Promise<boolean> {
  let missedCount = 0;
  const wanted = MUTANTS.filter(({ name }) => values.only === undefined || name === values.only);
  for (const mutant of wanted) {
    const runs = values.runs ?? String(MUTANT_RUNS);
    const { seed, says } = searchMutant(process.cwd(), mutant, [
      '--seed',
      values.seed,
      '--runs',
      runs,
    ]);
    const own = seed === undefined ? undefined : await ownFinding(seed);
    const found = seed !== undefined && own === undefined;
    const verdict = own === undefined ? 'MISSED' : 'NOT THE BUG';
    say(
      `${found ? 'found ' : verdict} ${mutant.rule} ${mutant.name} (${says.slice(0, LINE_LENGTH_MAX)})`,
    );
    if (!found) missedCount += 1;
  }
  say(`${wanted.length - missedCount} of ${wanted.length} planted bugs found`);
  return missedCount === 0;
}

function ownFinding(seed: number): Promise<Finding | undefined> {
  return new Sweep(storeFactory, effortOf(COMMANDS)).run({ seed });
}

const passed = values.mutants ? await searchMutants() : await runHistories();
process.exitCode = passed ? 0 : 1;
