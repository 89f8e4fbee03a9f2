/**
 * What single parts of the hot path cost on one thread: `npm run bench -- parts`. Between two threads
 * the memory between them adds what `c_spin_rtt_ns` of the channel's benchmark shows.
 *
 * A sample runs a part many times, so that reading the clock does not count; the
 * median of the samples is reported, per run.
 */
import { Bench } from 'tinybench';
import { partsOfChannel } from './support/channel-parts.ts';
import type { Part } from './support/part.ts';
import { type BenchOptions, parseBenchOptions, Report } from './support/report.ts';
import { partsOfStore } from './support/store-parts.ts';

const NS_PER_MS = 1e6;
const SAMPLE_MS = 500;
const TINY_SAMPLE_MS = 1;

async function run(options: BenchOptions): Promise<void> {
  const parts: Part[] = [...partsOfChannel(), ...partsOfStore()];
  const time = options.tiny ? TINY_SAMPLE_MS : SAMPLE_MS;
  const bench = new Bench({ time, warmupTime: time, iterations: 1, warmupIterations: 1 });
  for (const { metric, once, before } of parts) {
    if (options.only !== undefined && !metric.includes(options.only)) continue;
    bench.add(metric, once, before === undefined ? {} : { beforeEach: before });
  }
  await bench.run();
  const report = new Report('parts');
  for (const { metric, runs } of parts) {
    const result = bench.getTask(metric)?.result;
    if (result === undefined) continue;
    if (!('latency' in result)) throw new Error(`${metric}: ${result.state}`);
    report.add(metric, 'ns', (result.latency.p50 * NS_PER_MS) / runs);
  }
  report.finish(options);
}

await run(parseBenchOptions(process.argv.slice(2)));
