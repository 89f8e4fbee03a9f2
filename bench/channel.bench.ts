/**
 * What the channel costs: `npm run bench -- channel`. docs/benchmarks.md says what each figure means.
 *
 * Figures that are compared with each other are taken in turns, in several rounds, and the median
 * of the rounds is reported: a machine that changes its pace then changes them all alike.
 */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { connect, connectAdmin } from '../guest/index.ts';
import { startHost } from '../host/index.ts';
import { MIB } from '../src/base/units.ts';
import { addon } from '../src/bindings/load.ts';
import { hasPeer } from '../test/support/peers.ts';
import { allocatedBytes } from './support/allocation.ts';
import { BenchHost, HEAP_OPTIONS, makePool, SPINNING } from './support/bench-host.ts';
import { Child, compiled } from './support/child.ts';
import { postMessageUs, unixSocketUs } from './support/echo-load.ts';
import { addGoals } from './support/goals.ts';
import { idleCpuPercent } from './support/idle.ts';
import * as nop from './support/nop-load.ts';
import type { NopWorkerData, NopWorkerResult } from './support/nop-worker.ts';
import {
  type BenchOptions,
  median,
  parseBenchOptions,
  quantile,
  Report,
} from './support/report.ts';
import { Resources } from './support/resources.ts';
import { countSystemCalls } from './support/strace.ts';

const GUEST_MODULE = compiled('./support/guest-process.js', import.meta.url);
const WORKER_MODULE = compiled('./support/nop-worker.js', import.meta.url);
const VOLUME = 'bench';
const POOL_BYTES = 256 * MIB;
const VOLUME_BYTES = 16 * MIB;
const NS_PER_US = 1000;

/** How much of each is done. */
interface Counts {
  readonly rounds: number;
  readonly warmUp: number;
  readonly groups: number;
  readonly singles: number;
  readonly parked: number;
  readonly echoes: number;
  readonly allocating: number;
  readonly traced: number;
  readonly idleGuests: number;
  readonly idleSeconds: number;
}

const FULL: Counts = {
  rounds: 5,
  warmUp: 300_000,
  groups: 10_000,
  singles: 100_000,
  parked: 2000,
  echoes: 5000,
  allocating: 10_000_000,
  traced: 1_000_000,
  idleGuests: 8,
  idleSeconds: 10,
};

const TINY: Counts = {
  rounds: 1,
  warmUp: 2000,
  groups: 20,
  singles: 500,
  parked: 20,
  echoes: 50,
  allocating: 20_000,
  traced: 2000,
  idleGuests: 2,
  idleSeconds: 0.2,
};

class ChannelBench {
  readonly #resources: Resources;
  readonly #report: Report;
  readonly #counts: Counts;

  constructor(resources: Resources, report: Report, counts: Counts) {
    this.#resources = resources;
    this.#report = report;
    this.#counts = counts;
  }

  /** Every measurement with the metrics that it yields, in the order of the report. */
  get parts(): readonly { metrics: readonly string[]; run: () => Promise<void> }[] {
    return [
      { metrics: ['c_spin_rtt_ns', 'nop_rtt_ns', 'nop_rtt_p99_ns'], run: () => this.#spinning() },
      { metrics: ['nop_rtt_worker_ns'], run: () => this.#worker() },
      { metrics: ['nop_rtt_parked_us'], run: () => this.#parked() },
      { metrics: ['unix_socket_rtt_us', 'postmessage_rtt_us'], run: () => this.#echoes() },
      { metrics: ['idle_cpu_percent'], run: () => this.#idle() },
      { metrics: ['allocated_bytes_per_op'], run: () => this.#allocation() },
      { metrics: ['syscalls_per_op'], run: () => this.#systemCalls() },
    ];
  }

  /** A host over a fresh pool with one volume. */
  async #host(options: object, nodeOptions: readonly string[] = []): Promise<BenchHost> {
    const folder = this.#resources.folder();
    const pool = await makePool(folder, POOL_BYTES);
    const host = await BenchHost.start(this.#resources, folder, { pool, ...options }, nodeOptions);
    await host.createVolume(VOLUME, VOLUME_BYTES);
    return host;
  }

  async #spinning(): Promise<void> {
    const { rounds, warmUp, groups, singles } = this.#counts;
    const host = await this.#host(SPINNING);
    const driver = await connect({ host: host.socket, volume: VOLUME });
    nop.nopRoundTrips(driver, warmUp);
    nop.groupedSamples(driver, groups);
    const floors: number[] = [];
    const medians: number[] = [];
    const tails: number[] = [];
    const syncs: number[] = [];
    const floorSamples = new Float64Array(groups * nop.GROUP);
    for (let round = 0; round < rounds; round++) {
      addon().spinRoundTrips(floorSamples);
      floors.push(nop.groupedMedian(floorSamples));
      medians.push(quantile(nop.groupedSamples(driver, groups), 0.5));
      tails.push(quantile(nop.singleSamples(driver, singles), 0.99));
      syncs.push(quantile(nop.syncSamples(driver, singles), 0.5));
    }
    await driver.close();
    await host.close();
    const clockNs = nop.clockNs();
    this.#report.add('c_spin_rtt_ns', 'ns', median(floors));
    this.#report.add('nop_rtt_ns', 'ns', median(medians));
    this.#report.add('nop_rtt_p99_ns', 'ns', median(tails));
    this.#report.add('nop_rtt_sync_ns', 'ns', median(syncs));
    this.#report.note(
      `c_spin_rtt_ns and nop_rtt_ns: p50 of means of ${nop.GROUP} round trips in a row. ` +
        `nop_rtt_p99_ns and nop_rtt_sync_ns: single round trips, one clock reading ` +
        `(${clockNs.toFixed(0)} ns) included. Medians of ${rounds} rounds in turns.`,
    );
  }

  async #worker(): Promise<void> {
    const { rounds, warmUp, groups } = this.#counts;
    const folder = this.#resources.folder();
    const pool = await makePool(folder, POOL_BYTES);
    const host = await startHost({ ...SPINNING, pool });
    this.#resources.defer(() => host.close());
    const admin = await connectAdmin({ host: host.openPort() });
    await admin.createVolume(VOLUME, VOLUME_BYTES);
    await admin.close();
    const medians: number[] = [];
    for (let round = 0; round < rounds; round++) {
      const port = host.openPort();
      const workerData: NopWorkerData = {
        port,
        volume: VOLUME,
        warmUpCount: warmUp,
        groupCount: groups,
      };
      const worker = new Worker(WORKER_MODULE, { workerData, transferList: [port] });
      const [result] = (await once(worker, 'message')) as [NopWorkerResult];
      medians.push(result.medianNs);
      await once(worker, 'exit');
    }
    await host.close();
    this.#report.add('nop_rtt_worker_ns', 'ns', median(medians));
  }

  async #parked(): Promise<void> {
    const { parked } = this.#counts;
    const host = await this.#host({ spinUs: 0 });
    const driver = await connect({ host: host.socket, volume: VOLUME, spinUs: 0 });
    nop.syncSamples(driver, Math.ceil(parked / 10));
    const samples = nop.syncSamples(driver, parked);
    await driver.close();
    await host.close();
    this.#report.add('nop_rtt_parked_us', 'us', quantile(samples, 0.5) / NS_PER_US);
  }

  async #echoes(): Promise<void> {
    const { rounds, echoes } = this.#counts;
    const sockets: number[] = [];
    const messages: number[] = [];
    for (let round = 0; round < rounds; round++) {
      sockets.push(await unixSocketUs(this.#resources, echoes));
      messages.push(await postMessageUs(echoes));
    }
    this.#report.addPeer('unix_socket_rtt_us', 'us', median(sockets));
    this.#report.addPeer('postmessage_rtt_us', 'us', median(messages));
  }

  async #idle(): Promise<void> {
    const { idleGuests, idleSeconds } = this.#counts;
    const host = await this.#host({});
    const options = { guestCount: idleGuests, seconds: idleSeconds, volume: VOLUME };
    this.#report.add(
      'idle_cpu_percent',
      'percent of one core',
      await idleCpuPercent(this.#resources, host, options),
    );
    await host.close();
  }

  async #allocation(): Promise<void> {
    const { warmUp, allocating } = this.#counts;
    const host = await this.#host(SPINNING, HEAP_OPTIONS);
    const driver = await connect({ host: host.socket, volume: VOLUME });
    const depth = 32;
    const run = (count: number) => nop.nopStream(driver, count, depth);
    run(warmUp);
    const bytes = await allocatedBytes(host, allocating, run);
    await driver.close();
    await host.close();
    this.#report.add('allocated_bytes_per_op', 'bytes', bytes);
  }

  async #systemCalls(): Promise<void> {
    if (!hasPeer('strace')) {
      this.#report.note('syscalls_per_op: not installed: apt-get install strace');
      return;
    }
    const { warmUp, traced } = this.#counts;
    const host = await this.#host(SPINNING);
    const guest = new Child(this.#resources, GUEST_MODULE);
    await guest.ask('connect', { host: host.socket, volume: VOLUME });
    await guest.ask('nops', warmUp);
    const calls = await countSystemCalls(this.#resources, [host.pid, guest.pid], async () => {
      await guest.ask('nops', traced);
    });
    await guest.ask('close');
    guest.process.disconnect();
    await host.close();
    this.#report.add('syscalls_per_op', 'calls', calls / traced);
  }
}

const options: BenchOptions = parseBenchOptions(process.argv.slice(2));
await Resources.use(async (resources) => {
  const report = new Report('channel');
  const bench = new ChannelBench(resources, report, options.tiny ? TINY : FULL);
  const { only } = options;
  for (const { metrics, run } of bench.parts) {
    if (only === undefined || metrics.some((metric) => metric.includes(only))) await run();
  }
  addGoals('channel', report);
  report.finish(options);
});
