/**
 * A guest in a worker of the host's own process: its region is a SharedArrayBuffer, its control
 * messages pass through a MessagePort. Stores a file, reads it back, and measures.
 */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { connect } from '../../../guest/index.ts';
import { everyFew, type GuestMessage } from './messages.ts';
import { probeLatency } from './probe.ts';
import { summarizeProbe } from './summary.ts';
import { hashVolume, storeFile } from './transfer.ts';

/** What this thread is started with. */
export interface InsideTask {
  readonly port: MessagePort;
  readonly volume: string;
  readonly path: string;
  readonly byteLength: number;
}

const send = (message: GuestMessage) => parentPort?.postMessage(message);
const { port, volume, path, byteLength } = workerData as InsideTask;
const driver = await connect({ host: port, volume });
const progress = everyFew(byteLength, (doneBytes) => send({ kind: 'progress', doneBytes }));
const stored = await storeFile(driver, path, progress);
const read = hashVolume(driver, stored.byteLength, () => undefined);
const probe = summarizeProbe(probeLatency(driver, stored.byteLength));
await driver.close();
const pauseMsMax = Math.max(stored.pauseMsMax, read.pauseMsMax);
const hostLosses = stored.hostLosses + read.hostLosses;
const elapsedMs = stored.elapsedMs + read.elapsedMs;
const result = { ...read, pauseMsMax, hostLosses, elapsedMs };
send({ kind: 'done', result, probe });
