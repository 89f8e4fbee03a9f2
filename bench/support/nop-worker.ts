/** A guest in a worker thread of the host's own process: empty round trips over SharedArrayBuffer. */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { connect } from '../../guest/index.ts';
import { groupedSamples, nopRoundTrips } from './nop-load.ts';
import { quantile } from './report.ts';

export interface NopWorkerData {
  readonly port: MessagePort;
  readonly volume: string;
  readonly warmUpCount: number;
  readonly groupCount: number;
}

/** What the worker posts, once: ns per round trip. */
export interface NopWorkerResult {
  readonly medianNs: number;
}

const { port, volume, warmUpCount, groupCount } = workerData as NopWorkerData;
const driver = await connect({ host: port, volume });
nopRoundTrips(driver, warmUpCount);
const result: NopWorkerResult = { medianNs: quantile(groupedSamples(driver, groupCount), 0.5) };
await driver.close();
parentPort?.postMessage(result);
