/** A guest in a worker thread: reads a volume back and verifies it, by blocking calls. */
import { parentPort, workerData } from 'node:worker_threads';
import { connectSync } from '../../../guest/index.ts';
import { everyFew, type GuestMessage, type GuestTask } from './messages.ts';
import { probeLatency } from './probe.ts';
import { summarizeProbe } from './summary.ts';
import { hashVolume } from './transfer.ts';

const send = (message: GuestMessage) => parentPort?.postMessage(message);
const task = workerData as GuestTask;
const driver = connectSync({ host: task.host, volume: task.volume });
const progress = everyFew(task.byteLength, (doneBytes) => send({ kind: 'progress', doneBytes }));
const result = hashVolume(driver, task.byteLength, progress);
const probe = task.probe ? summarizeProbe(probeLatency(driver, task.byteLength)) : undefined;
driver.closeSync();
send({ kind: 'done', result, ...(probe === undefined ? {} : { probe }) });
