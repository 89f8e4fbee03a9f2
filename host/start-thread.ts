import { Worker } from 'node:worker_threads';

/**
 * Starts a worker of ours with what it is told. It runs with this process's options for Node,
 * unless `--input-type` is among them: that is about the main script, and stops a worker that is a
 * file. Then it runs with none, because options named one by one are refused if they are V8's.
 */
export function startThread(script: URL, workerData: unknown): Worker {
  const aboutMain = process.execArgv.some((argument) => argument.startsWith('--input-type'));
  return new Worker(script, aboutMain ? { workerData, execArgv: [] } : { workerData });
}
