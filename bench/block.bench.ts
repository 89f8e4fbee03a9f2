/**
 * What a block costs: `npm run bench -- block`. docs/benchmarks.md says what each figure means.
 *
 * Every step is done by each subject in turn before the next step begins, and all of it in several
 * rounds, of which the median is reported: figures that are compared were taken within seconds of
 * each other, on the same disk.
 */
import { join } from 'node:path';
import { connect, type Driver } from '../guest/index.ts';
import { GIB, MIB } from '../src/base/units.ts';
import { runLoad } from '../src/cli/load.ts';
import { hasPeer } from '../test/support/peers.ts';
import { BenchHost, makePool } from './support/bench-host.ts';
import {
  diskSubject,
  driverSubject,
  FLUSH_EVERY_BYTES,
  fileSubject,
  nbdSubject,
  RANDOM_DEPTH,
  SEQUENTIAL_BYTES,
  SEQUENTIAL_DEPTH,
  type Sizes,
  STEPS,
  type Step,
  type Subject,
} from './support/block-subjects.ts';
import { fillFile } from './support/file-load.ts';
import { runFio } from './support/fio.ts';
import { addGoals } from './support/goals.ts';
import { startNbdkit, startStorageDaemon } from './support/nbd-peers.ts';
import { type BenchOptions, median, parseBenchOptions, Report } from './support/report.ts';
import { Resources } from './support/resources.ts';

const VOLUME = 'bench';

interface Plan extends Sizes {
  readonly rounds: number;
  /** Overwritten at random, a log without a cleaner needs several times what is live. */
  readonly hotPoolBytes: number;
  readonly hotCacheBytes: number;
  readonly coldPoolBytes: number;
  /** So little of the cold volume that hits do not count. */
  readonly coldCacheBytes: number;
}

const FULL: Plan = {
  rounds: 3,
  seconds: 1,
  hotBytes: 256 * MIB,
  hotPoolBytes: 6 * GIB,
  hotCacheBytes: 320 * MIB,
  coldBytes: GIB,
  coldPoolBytes: 2 * GIB,
  coldCacheBytes: 8 * MIB,
  flushCount: 500,
};

const TINY: Plan = {
  rounds: 1,
  seconds: 0.05,
  hotBytes: 4 * MIB,
  hotPoolBytes: 256 * MIB,
  hotCacheBytes: 8 * MIB,
  coldBytes: 16 * MIB,
  coldPoolBytes: 256 * MIB,
  coldCacheBytes: MIB,
  flushCount: 3,
};

/** Writes the volume full, so that nothing that is read was never written. */
function fill(driver: Driver): void {
  runLoad(driver, {
    pattern: 'write',
    blockBytes: SEQUENTIAL_BYTES,
    depth: SEQUENTIAL_DEPTH,
    seconds: 120,
    countMax: driver.volume.sizeBytes / SEQUENTIAL_BYTES,
    seed: 1,
  });
  driver.sync.flush();
}

/** A pool with one filled volume, served by a host that has just started. */
async function attachFilled(
  resources: Resources,
  sizes: { volumeBytes: number; poolBytes: number; cacheBytes: number; restart: boolean },
): Promise<Driver> {
  const folder = resources.folder();
  const pool = await makePool(folder, sizes.poolBytes);
  const { cacheBytes } = sizes;
  let host = await BenchHost.start(resources, folder, { pool, cacheBytes });
  await host.createVolume(VOLUME, sizes.volumeBytes);
  let driver = await connect({ host: host.socket, volume: VOLUME });
  fill(driver);
  if (sizes.restart) {
    // A fresh process has nothing of the volume in memory.
    await driver.close();
    await host.close();
    host = await BenchHost.start(resources, folder, { pool, cacheBytes });
    driver = await connect({ host: host.socket, volume: VOLUME });
  }
  const last = { host, driver };
  resources.defer(async () => {
    await last.driver.close();
    await last.host.close();
  });
  return driver;
}

async function ours(resources: Resources, plan: Plan): Promise<Subject> {
  const hot = await attachFilled(resources, {
    volumeBytes: plan.hotBytes,
    poolBytes: plan.hotPoolBytes,
    cacheBytes: plan.hotCacheBytes,
    restart: false,
  });
  const cold = await attachFilled(resources, {
    volumeBytes: plan.coldBytes,
    poolBytes: plan.coldPoolBytes,
    cacheBytes: plan.coldCacheBytes,
    restart: true,
  });
  // Once over everything, so that what is hot is in the cache.
  runLoad(hot, {
    pattern: 'read',
    blockBytes: SEQUENTIAL_BYTES,
    depth: SEQUENTIAL_DEPTH,
    seconds: 60,
    countMax: plan.hotBytes / SEQUENTIAL_BYTES,
    seed: 1,
  });
  return driverSubject(hot, cold, plan);
}

/** The peers that are installed. A missing one is said, and in CI an error. */
async function peers(resources: Resources, report: Report, plan: Plan): Promise<Subject[]> {
  const subjects: Subject[] = [];
  const fill = async (socket: string) => {
    await runFio({
      target: { engine: 'nbd', socket },
      pattern: 'write',
      blockBytes: MIB,
      depth: 1,
      spanBytes: plan.hotBytes,
      seconds: undefined,
    });
  };
  const installed = (command: string, debianPackage: string) => {
    if (hasPeer(command)) return true;
    report.note(`${command}: not installed: apt-get install ${debianPackage}`);
    return false;
  };
  const hasFio = installed('fio', 'fio');
  if (installed('nbdkit', 'nbdkit') && hasFio) {
    const socket = await startNbdkit(resources, plan.hotBytes);
    await fill(socket);
    subjects.push(nbdSubject('nbdkit_', socket, plan, undefined));
  }
  if (installed('qemu-storage-daemon', 'qemu-system-common') && hasFio) {
    const { socket, file } = await startStorageDaemon(resources, plan.hotBytes);
    await fill(socket);
    subjects.push(nbdSubject('qsd_', socket, plan, file));
  }
  const folder = resources.folder();
  const hotFile = join(folder, 'hot');
  await fillFile(hotFile, plan.hotBytes);
  subjects.push(fileSubject(hotFile, plan));
  if (hasFio) {
    const coldFile = join(folder, 'cold');
    await fillFile(coldFile, plan.coldBytes);
    subjects.push(diskSubject(coldFile, plan));
  }
  return subjects;
}

/** All rounds; the figures of each metric, one per round. */
async function measure(
  subjects: readonly Subject[],
  rounds: number,
  only: string | undefined,
): Promise<Map<string, number[]>> {
  const figures = new Map<string, number[]>();
  const runStep = async (subject: Subject, step: Step) => {
    const measured = (await subject.steps[step]?.()) ?? {};
    for (const [metric, value] of Object.entries(measured)) {
      const name = subject.prefix + metric;
      figures.set(name, [...(figures.get(name) ?? []), value]);
    }
  };
  for (let round = 0; round < rounds; round++) {
    for (const step of STEPS) {
      if (only !== undefined && !step.includes(only)) continue;
      // Another one begins in each round: nobody always follows the same neighbour.
      for (let i = 0; i < subjects.length; i++) {
        await runStep(subjects[(i + round) % subjects.length] as Subject, step);
      }
      process.stderr.write(`round ${round + 1} of ${rounds}: ${step}\n`);
    }
  }
  return figures;
}

function unitOf(metric: string): string {
  if (metric.endsWith('_iops')) return 'iops';
  return metric.endsWith('_mbps') ? 'MB/s' : 'us';
}

const options: BenchOptions = parseBenchOptions(process.argv.slice(2));
await Resources.use(async (resources) => {
  const plan = options.tiny ? TINY : FULL;
  const report = new Report('block');
  const subjects = [await ours(resources, plan), ...(await peers(resources, report, plan))];
  const figures = await measure(subjects, plan.rounds, options.only);
  for (const { prefix } of subjects) {
    for (const [name, values] of figures) {
      const isPeer = subjects.some((other) => other.prefix !== '' && name.startsWith(other.prefix));
      if (prefix === '' ? isPeer : !name.startsWith(prefix)) continue;
      if (isPeer) report.addPeer(name, unitOf(name), median(values));
      else report.add(name, unitOf(name), median(values));
    }
  }
  report.note(
    `4 KiB at random over ${plan.hotBytes / MIB} MiB (hot) and ${plan.coldBytes / MIB} MiB ` +
      `(cold, host cache ${plan.coldCacheBytes / MIB} MiB), depth ${RANDOM_DEPTH} or 1; ` +
      `${SEQUENTIAL_BYTES / 1024} KiB in order, depth ${SEQUENTIAL_DEPTH}, writes flushed every ` +
      `${FLUSH_EVERY_BYTES / MIB} MiB. Medians of ${plan.rounds} rounds in turns.`,
  );
  addGoals('block', report);
  report.finish(options);
});
